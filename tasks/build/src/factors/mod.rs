//! The factors: functions of the newest row and of a state that only the rows before it have made.
//!
//! | module | factors |
//! |---|---|
//! | [`book`] | spread, mid, microprice, imbalance, depth, slope, one-sided book |
//! | [`flow`] | order-flow imbalance at the best and at deeper levels |
//! | [`price`] | returns, realised volatility, time between rows |
//! | [`trade`] | volume, VWAP deviation, imbalance of trades |
//! | [`clock`] | time of session |
//!
//! A factor sees one row at a time ([`Factor::update`]); there is no second path for a whole day, so batch and
//! incremental results are the same operations in the same order.

pub(crate) mod book;
pub(crate) mod clock;
pub(crate) mod flow;
pub(crate) mod price;
pub(crate) mod trade;

use crate::clock::SessionClock;
use crate::row::Row;
use crate::store::Store;

/// What does not change from row to row.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    /// Price of one tick.
    pub(crate) tick: f64,
    /// Units of the underlying in one lot, so that amount / volume / multiplier is a price.
    pub(crate) multiplier: f64,
    /// Sessions of the trading day.
    pub(crate) clock: SessionClock,
}

/// The newest row, and what may be known beside it.
pub(crate) struct Step<'a> {
    /// The newest row.
    pub(crate) now: &'a Row,
    /// The row before it, unless a window may not reach back to it.
    pub(crate) before: Option<&'a Row>,
    /// What does not change.
    pub(crate) market: &'a Market,
}

impl Step<'_> {
    /// The row before, where it is of the same trading day, so that running totals of the day can be compared.
    pub(crate) fn before_today(&self) -> Option<&Row> {
        self.before.filter(|before| before.day == self.now.day)
    }
}

/// One factor with its state; it fills one column or several.
pub(crate) trait Factor {
    /// Takes the newest row and appends one value per column, NaN for missing.
    fn update(&mut self, step: &Step, out: &mut Vec<f64>);

    /// Forgets every row: a new segment, or a gap that windows must not bridge.
    fn reset(&mut self);

    /// Writes or reads the state.
    fn walk(&mut self, store: &mut Store);
}

/// A factor of the newest row alone.
pub(crate) struct Plain(pub(crate) fn(&Step) -> f64);

impl Factor for Plain {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        out.push((self.0)(step));
    }

    fn reset(&mut self) {}

    fn walk(&mut self, _: &mut Store) {}
}

/// Functions of the newest row and a number of levels, one column each.
pub(crate) struct PerLevel {
    /// Levels, counted from 1.
    pub(crate) levels: Vec<usize>,
    /// For each level these columns.
    pub(crate) columns: &'static [fn(&Row, usize) -> f64],
}

impl Factor for PerLevel {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        out.extend(self.levels.iter().flat_map(|&level| self.columns.iter().map(move |f| f(step.now, level))));
    }

    fn reset(&mut self) {}

    fn walk(&mut self, _: &mut Store) {}
}
