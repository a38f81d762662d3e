//! Factors of one snapshot of the book. Formulas and sources: the registry, and the crate's README.

use super::{Factor, Step};
use crate::row::{Quote, Row};
use crate::store::Store;

/// Spread in ticks: (ask₁ − bid₁) / tick.
pub(crate) fn spread(step: &Step) -> f64 {
    (step.now.ask().price - step.now.bid().price) / step.market.tick
}

/// The mid price.
pub(crate) fn mid(step: &Step) -> f64 {
    step.now.mid()
}

/// The weighted mid (Q_bid·ask + Q_ask·bid) / (Q_bid + Q_ask) of the best level; the mid where both volumes are zero.
pub(crate) fn microprice(step: &Step) -> f64 {
    let (bid, ask) = (step.now.bid(), step.now.ask());
    let volume = bid.volume + ask.volume;
    if volume > 0.0 { (bid.volume * ask.price + ask.volume * bid.price) / volume } else { step.now.mid() }
}

/// Distance of the microprice from the mid, in ticks.
pub(crate) fn microprice_gap(step: &Step) -> f64 {
    (microprice(step) - step.now.mid()) / step.market.tick
}

/// 1 where a side of the best level is missing (a locked limit, say), otherwise 0.
pub(crate) fn one_sided(step: &Step) -> f64 {
    let both = step.now.bid().is_present() && step.now.ask().is_present();
    f64::from(u8::from(!both))
}

/// (Q_bid − Q_ask) / (Q_bid + Q_ask) of one level; 0 where both volumes are zero.
pub(crate) fn imbalance(row: &Row, level: usize) -> f64 {
    let (bid, ask) = sides(row, level);
    ratio(bid.volume - ask.volume, bid.volume + ask.volume)
}

/// Volume of the best `level` bids.
pub(crate) fn depth_bid(row: &Row, level: usize) -> f64 {
    depth(&row.bids, level)
}

/// Volume of the best `level` asks.
pub(crate) fn depth_ask(row: &Row, level: usize) -> f64 {
    depth(&row.asks, level)
}

fn sides(row: &Row, level: usize) -> (Quote, Quote) {
    let at = |side: &[Quote]| side.get(level.wrapping_sub(1)).copied().unwrap_or(crate::row::NO_QUOTE);
    (at(&row.bids), at(&row.asks))
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// Sum over the levels that are there; missing where none is.
fn depth(side: &[Quote], level: usize) -> f64 {
    let present = || side.iter().take(level).filter(|quote| quote.is_present());
    if present().next().is_none() { f64::NAN } else { present().map(|quote| quote.volume).sum() }
}

/// Least-squares slope of cumulative volume against distance from the mid in ticks, over the levels that are there;
/// missing with fewer than two.
fn slope(side: &[Quote], step: &Step) -> f64 {
    let mid = step.now.mid();
    let mut volume = 0.0;
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for quote in side.iter().filter(|quote| quote.is_present()) {
        let distance = (quote.price - mid).abs() / step.market.tick;
        volume += quote.volume;
        n += 1.0;
        x += distance;
        y += volume;
        xx += distance * distance;
        xy += distance * volume;
    }
    let spread = n * xx - x * x;
    if n >= 2.0 && spread > 0.0 { (n * xy - x * y) / spread } else { f64::NAN }
}

/// Two columns: the slope of the bid side and that of the ask side, in lots per tick.
pub(crate) struct Slope {
    /// How many levels.
    pub(crate) levels: usize,
}

impl Factor for Slope {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        out.extend([&step.now.bids, &step.now.asks].map(|side| slope(&side[..self.levels.min(side.len())], step)));
    }

    fn reset(&mut self) {}

    fn walk(&mut self, _: &mut Store) {}
}

/// Imbalance over several levels, level l weighing decay^(l−1); levels without both sides are left out.
pub(crate) struct Weighted {
    /// Weight of a level relative to the one before it.
    pub(crate) decay: f64,
    /// How many levels.
    pub(crate) levels: usize,
}

impl Factor for Weighted {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        let (mut weight, mut part, mut whole, mut any) = (1.0, 0.0, 0.0, false);
        for level in 1..=self.levels {
            let (bid, ask) = sides(step.now, level);
            if bid.is_present() && ask.is_present() {
                any = true;
                part += weight * (bid.volume - ask.volume);
                whole += weight * (bid.volume + ask.volume);
            }
            weight *= self.decay;
        }
        out.push(if any { ratio(part, whole) } else { f64::NAN });
    }

    fn reset(&mut self) {}

    fn walk(&mut self, _: &mut Store) {}
}
