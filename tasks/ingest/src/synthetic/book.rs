//! What a contract's book shows of the hidden price and pressure, row by row.
//!
//! The best bid stays while the fair price lies between 0.3 of a tick below it and 0.3 above the tick over it. The volume
//! at level l is depth·e^(noise ± tilt), where the tilt of level 1 shows the fast pressure and how far the fair price is
//! from the middle, that of levels 2 to 5 mostly the slow pressure: so the imbalance of the book leads the mid.

use std::sync::Arc;

use ghtrader_market::{LEVELS, SyntheticCell, VALUES, Values};

use super::path::Step;
use super::profile::{Listed, Profile};
use super::rng::Rng;
use crate::Raw;

/// How far beyond the quotes the fair price may go before they follow, ticks.
const SLACK: f64 = 0.3;
/// Tilt of level 1 for a unit of (fast pressure, slow pressure, ticks from the middle), at strength 1.
const BEST: [f64; 3] = [1.00, 0.30, 1.50];
/// Tilt of the other levels for a unit of (fast pressure, slow pressure).
const DEEP: [f64; 2] = [0.15, 0.55];
/// Noise of volumes: memory in rows, and standard deviation of their logarithm.
const NOISE: (f64, f64) = (4.0, 0.5);
/// Median volume of levels 2 to 5 over that of level 1.
const DEEPER: f64 = 1.5;
/// Part of the quotes behind the best where a tick is empty.
const HOLES: f64 = 0.02;

/// The book and the trades of a contract as they evolve.
struct State {
    bid: i64,
    spread: i64,
    /// Logarithms of volume, over the median: bids, then asks.
    noise: [[f64; LEVELS]; 2],
    last: Option<i64>,
    high: i64,
    low: i64,
    volume: f64,
    amount: f64,
}

/// The rows of a contract: a part of the variety's events, as its share says.
pub(super) fn rows(
    contract: &Listed,
    profile: &Profile,
    path: &[Step],
    cell: &SyntheticCell,
    rng: &mut Rng,
) -> Vec<Raw> {
    let symbol: Arc<str> = Arc::from(contract.symbol.as_str());
    let keep = libm::exp(-1.0 / NOISE.0);
    let mut state: Option<State> = None;
    let mut rows = Vec::with_capacity((path.len() as f64 * contract.share) as usize + 100);
    for (index, step) in path.iter().enumerate() {
        if !rng.chance(contract.share) {
            continue;
        }
        let fair = step.price + contract.basis as f64;
        let state = state.get_or_insert_with(|| State::open(fair, rng));
        state.quote(fair, step, profile, rng);
        state.shake(keep, rng);
        state.trade(step, profile, rng);
        let passed = (index + 1) as f64 / path.len() as f64;
        let interest = libm::round(contract.open + (contract.close - contract.open) * passed);
        let values = state.values(fair, step, profile, cell.strength, interest, rng);
        rows.push(Raw { line: 0, contract: Arc::clone(&symbol), day: Some(cell.day), datetime_ns: step.ns, values });
    }
    rows
}

impl State {
    fn open(fair: f64, rng: &mut Rng) -> Self {
        let bid = libm::floor(fair) as i64;
        let mut noise = [[0.0; LEVELS]; 2];
        noise.iter_mut().flatten().for_each(|noise| *noise = NOISE.1 * rng.normal());
        Self { bid, spread: 1, noise, last: None, high: i64::MIN, low: i64::MAX, volume: 0.0, amount: 0.0 }
    }

    /// Moves the quotes where the fair price has left them; now and then the spread widens.
    fn quote(&mut self, fair: f64, step: &Step, profile: &Profile, rng: &mut Rng) {
        let below = self.bid as f64 - SLACK;
        let above = (self.bid + self.spread) as f64 + SLACK;
        if fair < below || fair > above {
            self.bid = libm::floor(fair) as i64;
            self.spread = 1;
        }
        // Spreads open more often in hot times, and close again within a few rows.
        let wide = (1.0 - profile.narrow) * step.heat.min(2.0);
        if self.spread == 1 && rng.chance(wide * 0.3) {
            self.spread = 2;
            self.bid -= i64::from(rng.chance(0.5));
        } else if self.spread == 2 && rng.chance(0.3 * profile.narrow) {
            self.spread = 1;
            self.bid = (libm::floor(fair) as i64).clamp(self.bid, self.bid + 1);
        }
    }

    fn shake(&mut self, keep: f64, rng: &mut Rng) {
        let fresh = NOISE.1 * libm::sqrt(1.0 - keep * keep);
        for noise in self.noise.iter_mut().flatten() {
            *noise = keep * *noise + fresh * rng.normal();
        }
    }

    /// Trades since the last row: at the ask when the pressure is up, at the bid when it is down, mostly.
    fn trade(&mut self, step: &Step, profile: &Profile, rng: &mut Rng) {
        let lots = libm::floor(rng.exponential(profile.trade * step.heat));
        let up = 1.0 / (1.0 + libm::exp(-0.8 * (step.pressure[0] + step.pressure[1])));
        let price = if rng.chance(up) { self.bid + self.spread } else { self.bid };
        if lots > 0.0 || self.last.is_none() {
            let lots = lots.max(1.0);
            self.last = Some(price);
            (self.high, self.low) = (self.high.max(price), self.low.min(price));
            self.volume += lots;
            self.amount += lots * profile.tick.price(price) * profile.multiplier;
        }
    }

    fn values(&self, fair: f64, step: &Step, profile: &Profile, strength: f64, interest: f64, rng: &mut Rng) -> Values {
        let price = |ticks: i64| profile.tick.price(ticks);
        let off = fair - (self.bid as f64 + self.spread as f64 / 2.0);
        let [fast, slow] = step.pressure;
        let best = strength * (BEST[0] * fast + BEST[1] * slow + BEST[2] * off);
        let deep = strength * (DEEP[0] * fast + DEEP[1] * slow);
        let mut values = [f64::NAN; VALUES];
        let last = self.last.unwrap_or(self.bid);
        values[..6].copy_from_slice(&[
            price(last),
            price(self.high),
            price(self.low),
            self.volume,
            self.amount,
            interest,
        ]);
        let (mut bid, mut ask) = (self.bid, self.bid + self.spread);
        for level in 0..LEVELS {
            let (median, tilt) = if level == 0 { (profile.depth, best) } else { (profile.depth * DEEPER, deep) };
            let lots = |noise: f64, tilt: f64| libm::round(median * libm::exp(noise + 0.5 * tilt)).max(1.0);
            let volumes = [lots(self.noise[0][level], tilt), lots(self.noise[1][level], -tilt)];
            values[6 + 4 * level..10 + 4 * level].copy_from_slice(&[price(bid), volumes[0], price(ask), volumes[1]]);
            bid -= 1 + i64::from(rng.chance(HOLES));
            ask += 1 + i64::from(rng.chance(HOLES));
        }
        values
    }
}
