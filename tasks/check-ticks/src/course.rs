//! What a day says as a whole.

use std::collections::BTreeSet;

use ghtrader_market::{Calendar, Day, Sessions, Ticks, TicksSpec};

use crate::{Check, Findings, Params};

/// A silence this many times as long as the mean time between two rows is none of a quiet contract's own.
const QUIET: f64 = 30.0;

/// Checks the course of a day: gaps, quotes that stand still, spikes, the range of prices.
pub(crate) fn check(
    ticks: &Ticks,
    day: Day,
    spec: &TicksSpec,
    calendar: &Calendar,
    params: &Params,
    out: &mut Findings,
) {
    let time = |ns: &i64| calendar.local(*ns).1;
    let elapsed: Vec<f64> = ticks.datetime_ns.iter().map(|ns| spec.sessions.elapsed(time(ns))).collect();
    let at = |row: usize| ticks.datetime_ns.get(row).map_or_else(String::new, |ns| time(ns).to_string());
    let took_place = held(spec, calendar, day).total();
    gaps(&elapsed, spec.sessions.total() - took_place, took_place, params, &at, out);
    stale(ticks, &elapsed, params, &at, out);
    let [best, ..] = &ticks.book;
    let mids: Vec<f64> = best.bid_price.iter().zip(&best.ask_price).map(|(bid, ask)| (bid + ask) / 2.0).collect();
    for (name, prices) in [("last_price", &ticks.last_price), ("the mid", &mids)] {
        spikes(name, prices, params, &at, out);
    }
    range(&ticks.last_price, params, out);
}

/// Silence within the sessions, from the first open, `begin` seconds of trading after that of a whole day, to the last close,
/// `length` seconds later; the time between two sessions does not count.
fn gaps(elapsed: &[f64], begin: f64, length: f64, params: &Params, at: &impl Fn(usize) -> String, out: &mut Findings) {
    let (Some(first), Some(last)) = (elapsed.first(), elapsed.last()) else { return };
    let mean = (last - first) / elapsed.len() as f64;
    let most = params.max_gap_s.max(QUIET * mean);
    for (row, pair) in elapsed.windows(2).enumerate().filter(|(_, pair)| pair[1] - pair[0] > most) {
        out.add(Check::Gap, || format!("{:.0} s of trading from {} to {}", pair[1] - pair[0], at(row), at(row + 1)));
    }
    // Of a quiet contract a few rows may lie close together, so that here the whole day says how quiet it is.
    let most = params.max_gap_s.max(QUIET * length / elapsed.len() as f64);
    let (before, after) = (first - begin, begin + length - last);
    if before > most {
        out.add(Check::Gap, || format!("{before:.0} s of trading from the open to the first row, {}", at(0)));
    }
    if after > most {
        let row = at(elapsed.len() - 1);
        out.add(Check::Gap, || format!("{after:.0} s of trading from the last row, {row}, to the close"));
    }
}

/// The best quotes, prices and lots, the same for long although lots were traded meanwhile.
fn stale(ticks: &Ticks, elapsed: &[f64], params: &Params, at: &impl Fn(usize) -> String, out: &mut Findings) {
    let [best, ..] = &ticks.book;
    let quotes = |row: usize| {
        [&best.bid_price, &best.bid_volume, &best.ask_price, &best.ask_volume]
            .map(|column| column.get(row).copied().unwrap_or(f64::NAN).to_bits())
    };
    let mut since = 0;
    for row in 1..=elapsed.len() {
        if row < elapsed.len() && quotes(row) == quotes(since) {
            continue;
        }
        let seconds = match (elapsed.get(since), elapsed.get(row - 1)) {
            (Some(from), Some(to)) => to - from,
            _ => 0.0,
        };
        let traded = match (ticks.volume.get(since), ticks.volume.get(row - 1)) {
            (Some(from), Some(to)) => to - from,
            _ => 0.0,
        };
        if seconds > params.max_stale_s && traded > 0.0 {
            let (from, to) = (at(since), at(row - 1));
            out.add(Check::Stale, || format!("the same quotes from {from} to {to} while {traded} lots were traded"));
        }
        since = row;
    }
}

/// One row's price far off both its neighbours, on the same side.
fn spikes(name: &str, prices: &[f64], params: &Params, at: &impl Fn(usize) -> String, out: &mut Findings) {
    let known: Vec<(usize, f64)> = prices.iter().copied().enumerate().filter(|(_, price)| *price > 0.0).collect();
    for triple in known.windows(3) {
        let [(_, before), (row, price), (_, after)] = triple else { continue };
        let (up, down) = (price / before - 1.0, price / after - 1.0);
        if up.abs() > params.spike && down.abs() > params.spike && up.signum() == down.signum() {
            out.add(Check::Spike, || format!("{name} at {}: {before}, {price}, {after}", at(*row)));
        }
    }
}

fn range(prices: &[f64], params: &Params, out: &mut Findings) {
    let known = || prices.iter().copied().filter(|price| *price > 0.0);
    let (lowest, highest) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
    if highest / lowest - 1.0 > params.max_range {
        out.add(Check::Limit, || format!("the day's prices go from {lowest} to {highest}"));
    }
}

/// The part of the minutes of the day's sessions in which there is a row: 0 to 1. A night that did not take place does not count.
pub fn coverage(ticks: &Ticks, spec: &TicksSpec, calendar: &Calendar, day: Day) -> f64 {
    let sessions = held(spec, calendar, day);
    let minute = |ns: &i64| sessions.minute(calendar.local(*ns).1);
    let seen: BTreeSet<u64> = ticks.datetime_ns.iter().filter_map(minute).collect();
    seen.len() as f64 / sessions.minutes() as f64
}

/// The sessions of a day that took place.
fn held(spec: &TicksSpec, calendar: &Calendar, day: Day) -> Sessions {
    let held = Sessions(spec.sessions.on(day, calendar).map(|(_, session)| session).collect());
    // A variety that trades at night alone would have no session left, which says that it is always open.
    if held.0.is_empty() { spec.sessions.clone() } else { held }
}
