//! What rows say by themselves, and beside the row before them.

use ghtrader_market::{Calendar, TickSize, Ticks, TicksSpec, value_names};

use crate::{Check, Findings};

/// The price columns: last, highest, lowest, and bid and ask of each level; the other columns are amounts.
fn is_price(column: usize) -> bool {
    column < 3 || column >= 6 && (column - 6).is_multiple_of(2)
}

/// Checks every row of a day.
pub(crate) fn check(ticks: &Ticks, spec: &TicksSpec, calendar: &Calendar, tick: TickSize, out: &mut Findings) {
    stamps(ticks, spec, calendar, out);
    for ((column, values), name) in ticks.columns().into_iter().enumerate().zip(value_names()) {
        let told = |row: usize, value: f64| format!("`{name}` of row {row} is {value}");
        for (row, value) in values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan()) {
            match is_price(column) {
                true if value <= 0.0 => out.add(Check::Limit, || told(row, value)),
                true if tick.snap(value).ok() != Some(value) => {
                    out.add(Check::OffGrid, || format!("{}, with a tick of {tick}", told(row, value)));
                }
                false if value < 0.0 => out.add(Check::Negative, || told(row, value)),
                _ => {}
            }
        }
    }
    book(ticks, out);
    trade(ticks, out);
}

fn stamps(ticks: &Ticks, spec: &TicksSpec, calendar: &Calendar, out: &mut Findings) {
    for (row, pair) in ticks.datetime_ns.windows(2).enumerate().filter(|(_, pair)| pair[1] <= pair[0]) {
        out.add(Check::Order, || format!("row {} is {} ns after the one before it", row + 1, pair[1] - pair[0]));
    }
    for (row, (ns, day)) in ticks.datetime_ns.iter().zip(&ticks.trading_day).enumerate() {
        let told = |what: &str| {
            let (date, time) = calendar.local(*ns);
            format!("row {row}, of {date} {time}, states {day}: {what}")
        };
        if !calendar.is_open(*ns, spec.sessions.has_night()) {
            out.add(Check::TradingDay, || told("the exchange was closed then"));
        } else if calendar.trading_day(*ns) != *day {
            out.add(Check::TradingDay, || told("the calendar gives another day"));
        }
    }
}

/// Quotes: ask over bid, and each level behind the one before it.
fn book(ticks: &Ticks, out: &mut Findings) {
    let [best, ..] = &ticks.book;
    for (row, (bid, ask)) in best.bid_price.iter().zip(&best.ask_price).enumerate() {
        if ask < bid {
            out.add(Check::Crossed, || format!("row {row}: bid {bid}, ask {ask}"));
        }
    }
    for (number, pair) in ticks.book.windows(2).enumerate() {
        let [near, far] = pair else { continue };
        for (row, (near, far)) in
            near.bid_price.iter().zip(&far.bid_price).enumerate().filter(|(_, (near, far))| far >= near)
        {
            out.add(Check::Crossed, || format!("row {row}: bid {near} at level {}, {far} behind it", number + 1));
        }
        for (row, (near, far)) in
            near.ask_price.iter().zip(&far.ask_price).enumerate().filter(|(_, (near, far))| far <= near)
        {
            out.add(Check::Crossed, || format!("row {row}: ask {near} at level {}, {far} behind it", number + 1));
        }
    }
}

/// Trades: the last price between lowest and highest, and a volume that only grows.
fn trade(ticks: &Ticks, out: &mut Findings) {
    let rows = ticks.last_price.iter().zip(ticks.lowest.iter().zip(&ticks.highest));
    for (row, (last, (lowest, highest))) in
        rows.enumerate().filter(|(_, (last, (low, high)))| last < low || last > high)
    {
        out.add(Check::Extremes, || format!("`last_price` of row {row} is {last}, outside {lowest} to {highest}"));
    }
    let mut before: Option<f64> = None;
    for (row, volume) in ticks.volume.iter().copied().enumerate().filter(|(_, volume)| !volume.is_nan()) {
        if let Some(before) = before.filter(|before| volume < *before) {
            out.add(Check::Volume, || format!("`volume` falls from {before} to {volume} at row {row}"));
        }
        before = Some(volume);
    }
}
