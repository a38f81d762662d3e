//! Factors of the path of the mid, and of the time between rows.

use super::{Factor, Step};
use crate::rolling::{Lagged, Rolling};
use crate::store::Store;

/// ln(midₜ / midₜ₋w) for several w.
pub(crate) struct Returns(Lagged);

impl Returns {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self(Lagged::new(windows))
    }
}

impl Factor for Returns {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        let mid = step.now.mid();
        self.0.push(mid);
        out.extend(self.0.each().map(|earlier| log_ratio(mid, earlier)));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.0.walk(store);
    }
}

/// √Σ r² of one-row log returns r over several windows: realised volatility, not scaled to a unit of time.
pub(crate) struct Volatility(Rolling);

impl Volatility {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self(Rolling::new(windows))
    }
}

impl Factor for Volatility {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        if let Some(before) = step.before {
            let change = log_ratio(step.now.mid(), before.mid());
            self.0.push(change * change);
        }
        // Rounding can leave a sum a little below zero.
        out.extend((0..self.0.windows()).map(|window| root(self.0.sum(window))));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.0.walk(store);
    }
}

/// Mean milliseconds between rows over several windows.
pub(crate) struct Interval {
    rolling: Rolling,
    windows: Vec<usize>,
}

impl Interval {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self { rolling: Rolling::new(windows), windows: windows.to_vec() }
    }
}

impl Factor for Interval {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        if let Some(before) = step.before {
            self.rolling.push((step.now.ns - before.ns) as f64 / 1e6);
        }
        out.extend(self.windows.iter().enumerate().map(|(i, &w)| self.rolling.sum(i) / w as f64));
    }

    fn reset(&mut self) {
        self.rolling.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.rolling.walk(store);
    }
}

fn root(sum: f64) -> f64 {
    if sum < 0.0 { 0.0 } else { sum.sqrt() }
}

/// ln(a / b); NaN where either is. `libm`, so that the bits do not depend on the machine's C library.
fn log_ratio(a: f64, b: f64) -> f64 {
    libm::log(a / b)
}
