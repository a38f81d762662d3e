//! When something happens: a self-exciting process on the exchange's half-second slots.
//!
//! The chance of an event in a slot is 1 − e^−λ with λ = base · shape + excitement; each event adds to the excitement,
//! which decays (Hawkes, Biometrika 58, 1971, in discrete time). Branching ratio 0.6; after an open the base is higher.

use anyhow::ensure;
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Session, SyntheticCell, TicksSpec};

use super::rng::Rng;

/// The exchange sends at most two snapshots a second.
const SLOT_NS: i64 = 500_000_000;
/// Events that an event brings on average.
const BRANCHING: f64 = 0.6;
/// Slots until excitement has fallen to 1/e.
const MEMORY: f64 = 12.0;

/// Something happened.
pub(super) struct Event {
    /// UTC nanoseconds.
    pub(super) ns: i64,
    /// Seconds since the session opened.
    pub(super) since_open: f64,
}

/// The events of a day, about `cell.rows` of them.
pub(super) fn events(cell: &SyntheticCell, spec: &TicksSpec, calendar: &Calendar) -> Result<Vec<Event>> {
    let slots = slots(cell, spec, calendar);
    ensure!(!slots.is_empty(), "the synthetic market needs `sessions` of `{}` in market.yaml", spec.variety);
    let wanted = f64::from(cell.rows) / slots.len() as f64;
    ensure!(wanted < 0.8, "`synthetic.rows` is {}: the day has only {} half seconds", cell.rows, slots.len());
    let mut rng = Rng::of(cell, &["arrivals", &spec.variety]);
    let intensity = -libm::log(1.0 - wanted);
    let total: f64 = slots.iter().map(|slot| shape(slot.since_open)).sum();
    let base = intensity * (1.0 - BRANCHING) * slots.len() as f64 / total;
    let keep = libm::exp(-1.0 / MEMORY);
    let jump = BRANCHING * (1.0 - keep) / keep;
    let mut excitement = 0.0;
    let mut events = Vec::with_capacity(cell.rows as usize + 1_000);
    for slot in slots {
        excitement *= keep;
        if rng.chance(1.0 - libm::exp(-(base * shape(slot.since_open) + excitement))) {
            excitement += jump;
            events.push(slot);
        }
    }
    Ok(events)
}

/// How busy it is some seconds after an open.
fn shape(since_open: f64) -> f64 {
    0.8 + 1.6 * libm::exp(-since_open / 900.0)
}

/// Every half second of the day's sessions, the open excluded, the close included.
fn slots(cell: &SyntheticCell, spec: &TicksSpec, calendar: &Calendar) -> Vec<Event> {
    let mut slots = Vec::new();
    for (date, Session(open, close)) in spec.sessions.on(cell.day, calendar) {
        let begin = calendar.moment(date, open);
        slots.extend(
            (1..=(close.0 - open.0) / SLOT_NS)
                .map(|slot| Event { ns: begin + slot * SLOT_NS, since_open: slot as f64 * 0.5 }),
        );
    }
    slots
}
