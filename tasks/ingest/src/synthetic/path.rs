//! The hidden fair price of a variety, event by event, and the pressure that drives it.
//!
//! Two pressures p₁ and p₂, autoregressive with memories of 8 and 80 events and unit variance, push the price x (ticks):
//!
//! x' = x + σ·strength·(0.35·p₁ + 0.10·p₂) + σ·ε + jump
//!
//! σ is the variety's volatility times e^(h − var h), where h is autoregressive with a memory of 400 events: volatility
//! comes in clusters. A jump (one in 4,000 events, 4 ticks and more) excites h.

use ghtrader_market::SyntheticCell;

use super::arrivals::Event;
use super::profile::Profile;
use super::rng::Rng;

/// Memories of the two pressures and of the volatility, in events.
const MEMORY: [f64; 3] = [8.0, 80.0, 400.0];
/// What a unit of each pressure adds to the price, in standard deviations of a move, at strength 1.
const PUSH: [f64; 2] = [0.35, 0.10];
/// Standard deviation of h.
const CLUSTERS: f64 = 0.35;
const JUMPS: f64 = 1.0 / 4_000.0;
/// Standard deviation of the price from one day's open to the next one's, in moves of one event.
const DAY_MOVES: f64 = 70.0;

/// An event with what is hidden from the trader.
pub(super) struct Step {
    pub(super) ns: i64,
    /// Fair price, ticks.
    pub(super) price: f64,
    /// The two pressures.
    pub(super) pressure: [f64; 2],
    /// Present volatility over the usual one.
    pub(super) heat: f64,
}

/// The path of the `age`-th day.
pub(super) fn path(cell: &SyntheticCell, profile: &Profile, events: &[Event], age: u32) -> Vec<Step> {
    let keep = MEMORY.map(|memory| libm::exp(-1.0 / memory));
    let fresh = keep.map(|keep| libm::sqrt(1.0 - keep * keep));
    let mut rng = Rng::of(cell, &["path", &profile.variety]);
    let mut price = open(cell, profile, age);
    let mut pressure = [rng.normal(), rng.normal()];
    let mut h = CLUSTERS * rng.normal();
    let mut steps = Vec::with_capacity(events.len());
    for event in events {
        let heat = libm::exp(h - CLUSTERS * CLUSTERS) * (1.0 + 0.6 * libm::exp(-event.since_open / 600.0));
        steps.push(Step { ns: event.ns, price, pressure, heat });
        let push: f64 = pressure.iter().zip(PUSH).map(|(pressure, push)| pressure * push).sum();
        price += profile.volatility * heat * (cell.strength * push + rng.normal());
        if rng.chance(JUMPS) {
            let size = 4.0 + rng.exponential(5.0);
            price += if rng.chance(0.5) { size } else { -size };
            h += 0.7;
        }
        for ((pressure, keep), fresh) in pressure.iter_mut().zip(keep).zip(fresh) {
            *pressure = keep * *pressure + fresh * rng.normal();
        }
        h = keep[2] * h + fresh[2] * CLUSTERS * rng.normal();
    }
    steps
}

/// The fair price at a day's open, ticks: the first day's, and one step of a random walk for each day since.
fn open(cell: &SyntheticCell, profile: &Profile, age: u32) -> f64 {
    let first = profile.price / profile.tick.value();
    let step = |day: u32| {
        let name = day.to_string();
        Rng::named(cell.seed, ["open", &profile.variety, &name]).normal()
    };
    first + (1..=age).map(step).sum::<f64>() * DAY_MOVES * profile.volatility
}
