//! Small markets and rows for tests.

use ghtrader_market::{Day, TicksSpec};
use serde_json::json;

use crate::row::{NO_QUOTE, Quote, Row};

/// Copper with so many levels.
pub(crate) fn spec(levels: u8) -> TicksSpec {
    let sessions =
        [("21:00:00", "25:00:00"), ("09:00:00", "10:15:00"), ("10:30:00", "11:30:00"), ("13:30:00", "15:00:00")];
    let value = json!({
        "variety": "cu", "exchange": "SHFE", "levels": levels, "tick": { "default": 10 }, "multiplier": 5,
        "clock": { "calendar": "china-futures", "utc_offset": 8 }, "sessions": sessions,
    });
    serde_json::from_value(value).unwrap()
}

/// A row with a book of one level, five lots on each side; a price of zero is a missing side.
pub(crate) fn row(ns: i64, bid: f64, ask: f64) -> Row {
    let side = |price: f64| [Quote::read(price, 5.0), NO_QUOTE, NO_QUOTE, NO_QUOTE, NO_QUOTE];
    Row { day: Day(0), segment: 0, ns, last: bid, volume: 0.0, amount: 0.0, bids: side(bid), asks: side(ask) }
}
