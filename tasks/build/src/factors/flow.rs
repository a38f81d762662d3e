//! Order-flow imbalance, after Cont, Kukanov and Stoikov (2014), section 2, and Xu, Gould and Howison (2018).
//!
//! On a market that sends snapshots, a transition is the net of all events between two of them.

use super::{Factor, Step};
use crate::rolling::Rolling;
use crate::row::Quote;
use crate::store::Store;

/// One side's part of eₙ, from the bidders' view: what was added at or above the old price, less what was there.
///
/// For bids `up(new, old)` is new ≥ old; for asks prices count the other way round. A side that is missing in either
/// row contributes nothing.
fn side(now: Quote, before: Quote, better: fn(f64, f64) -> bool) -> f64 {
    if !now.is_present() || !before.is_present() {
        return 0.0;
    }
    let added = if better(now.price, before.price) { now.volume } else { 0.0 };
    let removed = if better(before.price, now.price) { before.volume } else { 0.0 };
    added - removed
}

/// eₙ = q^b_n·1{P^b_n ≥ P^b_{n−1}} − q^b_{n−1}·1{P^b_n ≤ P^b_{n−1}} − q^a_n·1{P^a_n ≤ P^a_{n−1}} + q^a_{n−1}·1{P^a_n ≥ P^a_{n−1}}
pub(crate) fn event(now: (Quote, Quote), before: (Quote, Quote)) -> f64 {
    side(now.0, before.0, |new, old| new >= old) - side(now.1, before.1, |new, old| new <= old)
}

/// Σ eₙ over windows of transitions, at each of several levels.
pub(crate) struct Ofi {
    levels: Vec<(usize, Rolling)>,
}

impl Ofi {
    /// At these levels, counted from 1, over these windows.
    pub(crate) fn new(levels: &[usize], windows: &[usize]) -> Self {
        Self { levels: levels.iter().map(|&level| (level - 1, Rolling::new(windows))).collect() }
    }
}

impl Factor for Ofi {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        for (level, rolling) in &mut self.levels {
            // The first row of a segment has no transition, so nothing is pushed and the windows are not full yet.
            if let Some(before) = step.before {
                let at = |row: &crate::row::Row| (row.bids[*level], row.asks[*level]);
                rolling.push(event(at(step.now), at(before)));
            }
            out.extend((0..rolling.windows()).map(|window| rolling.sum(window)));
        }
    }

    fn reset(&mut self) {
        self.levels.iter_mut().for_each(|(_, rolling)| rolling.reset());
    }

    fn walk(&mut self, store: &mut Store) {
        self.levels.iter_mut().for_each(|(_, rolling)| rolling.walk(store));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::NO_QUOTE;

    fn quote(price: f64, volume: f64) -> Quote {
        Quote { price, volume }
    }

    #[test]
    fn each_case_of_the_formula() {
        let book = (quote(10.0, 5.0), quote(11.0, 7.0));
        let with = |bid, ask| event((bid, ask), book);
        assert_eq!(with(quote(10.0, 8.0), book.1), 3.0, "bids added at the price");
        assert_eq!(with(quote(10.5, 2.0), book.1), 2.0, "a better bid counts in full");
        assert_eq!(with(quote(9.0, 9.0), book.1), -5.0, "a worse bid loses what was there");
        assert_eq!(with(book.0, quote(11.0, 4.0)), 3.0, "asks taken away");
        assert_eq!(with(book.0, quote(10.5, 4.0)), -4.0, "a better ask");
        assert_eq!(with(book.0, quote(12.0, 4.0)), 7.0, "the old ask is gone");
    }

    #[test]
    fn a_missing_side_contributes_nothing() {
        let book = (quote(10.0, 5.0), quote(11.0, 7.0));
        assert_eq!(event((quote(10.0, 6.0), NO_QUOTE), book), 1.0);
        assert_eq!(event(book, (NO_QUOTE, quote(11.0, 8.0))), 1.0);
        assert_eq!(event((NO_QUOTE, NO_QUOTE), book), 0.0);
    }
}
