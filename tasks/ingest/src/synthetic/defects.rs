//! Defects planted into a contract's clean rows, of the kinds that real files have, and the count of them.

use ghtrader_market::Cause;

use super::Planted;
use super::rng::Rng;
use crate::Raw;

/// A quarter of a slot: no true row has such a stamp.
const BETWEEN_NS: i64 = 125_000_000;

/// Plants: in a third of the contracts an empty first row with a stamp after the second's; a few identical rows; a row
/// whose stamp the true next row has too; a row that comes late; in some a price between two ticks.
pub(super) fn plant(clean: &[Raw], rng: &mut Rng) -> (Vec<Raw>, Planted) {
    let mut planted = Planted::default();
    let mut rows = Vec::with_capacity(clean.len() + 10);
    // Positions in the second half, so that an earlier stamp is there, each in its own tenth.
    let place = |rng: &mut Rng, tenth: usize| clean.len() * tenth / 10 + rng.below(clean.len() / 10);
    let twice = [place(rng, 5), place(rng, 6)];
    let (before, late) = (place(rng, 7), place(rng, 8));
    let between = rng.chance(0.5).then(|| place(rng, 9));
    let quarantine = |planted: &mut Planted, cause| *planted.quarantined.entry(cause).or_insert(0) += 1;
    if let (Some(first), true) = (clean.first(), rng.chance(1.0 / 3.0)) {
        rows.push(empty(first));
        quarantine(&mut planted, Cause::EmptyBook);
    }
    for (index, row) in clean.iter().enumerate() {
        if index == before {
            rows.push(other_volume(row));
            planted.replaced += 1;
        }
        rows.push(row.clone());
        if twice.contains(&index) {
            rows.push(row.clone());
            planted.duplicates += 1;
        }
        if index == late {
            rows.push(Raw { datetime_ns: row.datetime_ns - BETWEEN_NS, ..row.clone() });
            quarantine(&mut planted, Cause::NonMonotonic);
        }
        if Some(index) == between {
            rows.push(off_tick(row));
            quarantine(&mut planted, Cause::OffTick);
        }
    }
    (rows, planted)
}

/// A row without anything, 300 ms after the row that follows, as au2208 begins on 2022-02-18.
fn empty(first: &Raw) -> Raw {
    let mut row = Raw { datetime_ns: first.datetime_ns + 300_000_000, ..first.clone() };
    row.values.fill(f64::NAN);
    (row.values[3], row.values[4], row.values[5]) = (0.0, 0.0, 0.0);
    row
}

/// The row with other volumes at the best quotes.
fn other_volume(row: &Raw) -> Raw {
    let mut row = row.clone();
    row.values[7] += 1.0;
    row.values[9] += 1.0;
    row
}

/// The row with a last price a third of the way to the best bid of the level below.
fn off_tick(row: &Raw) -> Raw {
    let mut row = Raw { datetime_ns: row.datetime_ns + BETWEEN_NS, ..row.clone() };
    row.values[0] += (row.values[10] - row.values[6]) / 3.0;
    row
}
