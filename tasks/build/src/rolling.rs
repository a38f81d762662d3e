//! Windows over the last rows: sums, and values some rows ago. An update costs O(number of windows).

use crate::store::Store;

/// Sums over the last `w` values, for several `w` at once, from one ring of values.
///
/// A missing value (NaN) takes a place in the window and adds nothing. Adding and subtracting floats drifts, so every
/// sum is made anew from the ring each time the ring is full: the error is that of at most one ring's additions, and
/// the cost stays constant per row. The order of operations depends on the number of values since the last reset
/// alone, so the bits do not depend on where a run was interrupted.
#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    ring: Vec<f64>,
    sums: Vec<Sum>,
    seen: u64,
}

#[derive(Clone, Debug)]
struct Sum {
    length: usize,
    value: f64,
    present: u64,
    nonzero: u64,
}

impl Rolling {
    /// Windows of these lengths, each at least 1.
    pub(crate) fn new(lengths: &[usize]) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(1).max(1);
        let sums = lengths.iter().map(|&length| Sum { length, value: 0.0, present: 0, nonzero: 0 }).collect();
        Self { ring: vec![0.0; longest], sums, seen: 0 }
    }

    /// Takes the next value.
    pub(crate) fn push(&mut self, value: f64) {
        let size = self.ring.len();
        let head = (self.seen % size as u64) as usize;
        for sum in &mut self.sums {
            if self.seen >= sum.length as u64 {
                sum.drop_value(self.ring[(head + size - sum.length) % size]);
            }
            sum.add(value);
        }
        self.ring[head] = value;
        self.seen += 1;
        if head + 1 == size {
            self.renew();
        }
    }

    /// Makes every sum anew, oldest value first; the ring has just been filled to its end.
    fn renew(&mut self) {
        let size = self.ring.len();
        for sum in &mut self.sums {
            sum.clear();
            for &value in &self.ring[size - sum.length..] {
                sum.add(value);
            }
        }
    }

    /// Sum of the present values of the window with this index; NaN until the window is full, or where none is present.
    pub(crate) fn sum(&self, window: usize) -> f64 {
        match self.sums.get(window) {
            Some(sum) if self.seen >= sum.length as u64 && sum.present > 0 => sum.value,
            _ => f64::NAN,
        }
    }

    /// The number of windows.
    pub(crate) fn windows(&self) -> usize {
        self.sums.len()
    }

    /// Forgets every value.
    pub(crate) fn reset(&mut self) {
        self.seen = 0;
        self.ring.fill(0.0);
        for sum in &mut self.sums {
            sum.clear();
        }
    }

    /// Writes or reads the state.
    pub(crate) fn walk(&mut self, store: &mut Store) {
        store.count(&mut self.seen);
        store.numbers(&mut self.ring);
        for sum in &mut self.sums {
            store.number(&mut sum.value);
            store.count(&mut sum.present);
            store.count(&mut sum.nonzero);
        }
    }
}

impl Sum {
    fn clear(&mut self) {
        (self.value, self.present, self.nonzero) = (0.0, 0, 0);
    }

    fn add(&mut self, value: f64) {
        if !value.is_nan() {
            self.value += value;
            self.present += 1;
            self.nonzero += u64::from(value != 0.0);
        }
    }

    fn drop_value(&mut self, value: f64) {
        if !value.is_nan() {
            self.value -= value;
            self.present = self.present.saturating_sub(1);
            self.nonzero = self.nonzero.saturating_sub(u64::from(value != 0.0));
            if self.nonzero == 0 {
                // A window without trades has a volume of exactly zero, not of what rounding left.
                self.value = 0.0;
            }
        }
    }
}

/// The values of some rows ago.
#[derive(Clone, Debug)]
pub(crate) struct Lagged {
    ring: Vec<f64>,
    lags: Vec<usize>,
    seen: u64,
}

impl Lagged {
    /// Remembers enough for these lags, each at least 1.
    pub(crate) fn new(lags: &[usize]) -> Self {
        let longest = lags.iter().copied().max().unwrap_or(1);
        Self { ring: vec![f64::NAN; longest + 1], lags: lags.to_vec(), seen: 0 }
    }

    /// Takes the next value.
    pub(crate) fn push(&mut self, value: f64) {
        let head = (self.seen % self.ring.len() as u64) as usize;
        self.ring[head] = value;
        self.seen += 1;
    }

    /// For every lag, the value that many rows before the newest; NaN where there is none.
    pub(crate) fn each(&self) -> impl Iterator<Item = f64> + '_ {
        let size = self.ring.len() as u64;
        self.lags.iter().map(move |&lag| match self.seen.checked_sub(lag as u64 + 1) {
            Some(at) => self.ring[(at % size) as usize],
            None => f64::NAN,
        })
    }

    /// Forgets every value.
    pub(crate) fn reset(&mut self) {
        self.seen = 0;
        self.ring.fill(f64::NAN);
    }

    /// Writes or reads the state.
    pub(crate) fn walk(&mut self, store: &mut Store) {
        store.count(&mut self.seen);
        store.numbers(&mut self.ring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_last_values() {
        let values: Vec<f64> = (0..1000).map(|i| if i % 7 == 3 { f64::NAN } else { f64::from(i * i % 31) }).collect();
        let lengths = [1, 4, 10];
        let mut rolling = Rolling::new(&lengths);
        for (i, &value) in values.iter().enumerate() {
            rolling.push(value);
            for (window, &length) in lengths.iter().enumerate() {
                let expected = (i + 1).checked_sub(length).map_or(f64::NAN, |from| {
                    let present: Vec<f64> = values[from..=i].iter().copied().filter(|v| !v.is_nan()).collect();
                    if present.is_empty() { f64::NAN } else { present.iter().sum() }
                });
                assert_eq!(rolling.sum(window).to_bits(), expected.to_bits(), "row {i}, window {length}");
            }
        }
    }

    #[test]
    fn sums_of_fractions_do_not_drift() {
        let mut rolling = Rolling::new(&[3]);
        for i in 0..3_000_000 {
            rolling.push(if i % 1000 == 0 { 1e9 } else { 0.1 });
        }
        assert!((rolling.sum(0) - 0.3).abs() < 1e-7, "a plain running sum is off by more: {}", rolling.sum(0));
    }

    #[test]
    fn a_window_of_zeros_sums_to_exactly_zero() {
        let mut rolling = Rolling::new(&[4, 64]);
        for value in [0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0] {
            rolling.push(value);
        }
        assert_eq!(rolling.sum(0), 0.0);
    }

    #[test]
    fn lags_reach_back_and_no_further_than_the_reset() {
        let mut lagged = Lagged::new(&[1, 3]);
        for value in [1.0, 2.0, 3.0, 4.0, 5.0] {
            lagged.push(value);
        }
        assert_eq!(lagged.each().collect::<Vec<_>>(), [4.0, 2.0]);
        lagged.reset();
        lagged.push(6.0);
        lagged.push(7.0);
        let after: Vec<f64> = lagged.each().collect();
        assert_eq!(after[0], 6.0);
        assert!(after[1].is_nan());
    }
}
