//! Factors of what traded between rows, from the day's running totals of volume and amount.
//!
//! The first row of a trading day says how much has traded since the day began, not since the row before it: its
//! difference is missing, and windows pass over it.

use super::{Factor, Step};
use crate::rolling::Rolling;
use crate::store::Store;

/// Lots and money between the row before and this one; missing where unknown, or where a total went backwards.
fn traded(step: &Step) -> (f64, f64) {
    let missing = (f64::NAN, f64::NAN);
    let Some(before) = step.before_today() else { return missing };
    let (lots, money) = (step.now.volume - before.volume, step.now.amount - before.amount);
    if lots >= 0.0 { (lots, if money >= 0.0 { money } else { f64::NAN }) } else { missing }
}

/// Lots traded over several windows.
pub(crate) struct Volume(Rolling);

impl Volume {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self(Rolling::new(windows))
    }
}

impl Factor for Volume {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        if step.before.is_some() {
            self.0.push(traded(step).0);
        }
        out.extend((0..self.0.windows()).map(|window| self.0.sum(window)));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.0.walk(store);
    }
}

/// (mid − VWAP of the day so far) / tick, with VWAP = amount / volume / multiplier.
pub(crate) fn vwap_day(step: &Step) -> f64 {
    deviation(step, step.now.amount, step.now.volume)
}

/// (mid − VWAP of the last w rows) / tick for several w; missing where nothing traded.
pub(crate) struct Vwap {
    lots: Rolling,
    money: Rolling,
}

impl Vwap {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self { lots: Rolling::new(windows), money: Rolling::new(windows) }
    }
}

impl Factor for Vwap {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        if step.before.is_some() {
            let (lots, money) = traded(step);
            // Lots without their money would shift the price, so both count or neither.
            self.lots.push(if money.is_nan() { f64::NAN } else { lots });
            self.money.push(money);
        }
        out.extend((0..self.lots.windows()).map(|i| deviation(step, self.money.sum(i), self.lots.sum(i))));
    }

    fn reset(&mut self) {
        self.lots.reset();
        self.money.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.lots.walk(store);
        self.money.walk(store);
    }
}

fn deviation(step: &Step, money: f64, lots: f64) -> f64 {
    if lots > 0.0 && money > 0.0 {
        (step.now.mid() - money / lots / step.market.multiplier) / step.market.tick
    } else {
        f64::NAN
    }
}

/// Σ s·v / Σ v over several windows: v the lots between rows, s the side that took them. 0 where nothing traded.
///
/// s follows Lee and Ready (1991): above the mid of the row before +1, below −1; at it, the direction of the last
/// price's change (tick rule), 0 where that is none.
pub(crate) struct TradeImbalance {
    signed: Rolling,
    lots: Rolling,
}

impl TradeImbalance {
    /// Over these windows.
    pub(crate) fn new(windows: &[usize]) -> Self {
        Self { signed: Rolling::new(windows), lots: Rolling::new(windows) }
    }
}

impl Factor for TradeImbalance {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        if step.before.is_some() {
            let lots = traded(step).0;
            let signed = sign(step) * lots;
            self.lots.push(if signed.is_nan() { f64::NAN } else { lots });
            self.signed.push(signed);
        }
        out.extend((0..self.lots.windows()).map(|window| {
            let (signed, lots) = (self.signed.sum(window), self.lots.sum(window));
            if lots == 0.0 { 0.0 } else { signed / lots }
        }));
    }

    fn reset(&mut self) {
        self.signed.reset();
        self.lots.reset();
    }

    fn walk(&mut self, store: &mut Store) {
        self.signed.walk(store);
        self.lots.walk(store);
    }
}

/// Which side took the lots between the rows: 1, −1 or 0; NaN without a last price.
fn sign(step: &Step) -> f64 {
    let Some(before) = step.before else { return f64::NAN };
    let last = step.now.last;
    // A missing mid compares as neither above nor below: the tick rule decides.
    match direction(last, before.mid()) {
        0.0 => direction(last, before.last) + 0.0 * last,
        side => side,
    }
}

fn direction(now: f64, before: f64) -> f64 {
    f64::from(i8::from(now > before) - i8::from(now < before))
}
