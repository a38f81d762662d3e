//! Invented rows for the tests.

use ghtrader_build::{Built, Engine, LEVELS, Params, Quote, Row};
use ghtrader_market::{Calendar, Clock, Day, TicksSpec};
use serde_json::json;

/// The main contract of the tests.
pub(crate) const CONTRACT: &str = "SHFE.cu2203";

/// Copper with so many levels: tick 10, five tonnes a lot, a night session.
pub(crate) fn spec(levels: u8) -> TicksSpec {
    let sessions =
        [("21:00:00", "25:00:00"), ("09:00:00", "10:15:00"), ("10:30:00", "11:30:00"), ("13:30:00", "15:00:00")];
    let value = json!({
        "variety": "cu", "exchange": "SHFE", "levels": levels, "tick": { "default": 10 }, "multiplier": 5,
        "clock": { "calendar": "china-futures", "utc_offset": 8 }, "sessions": sessions,
    });
    serde_json::from_value(value).unwrap()
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// A number from −bound to bound.
    fn step(&mut self, bound: i64) -> i64 {
        self.below(2 * bound as u64 + 1) as i64 - bound
    }
}

/// Rows of one day: a walk of the mid, five levels, missing sides, one row before the open and one after the close.
pub(crate) fn day(seed: u64, date: &str, segment: i32, count: usize) -> Vec<Row> {
    let mut draw = Draw(seed);
    let day: Day = date.parse().unwrap();
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let stamp = |time: &str| calendar.moment(day, time.parse().unwrap());
    let (mut mid, mut volume, mut amount) = (7150_i64, 0.0, 0.0);
    let mut rows = Vec::new();
    for number in 0..count {
        mid += draw.step(1);
        let last = (mid + draw.step(1)) as f64 * 10.0;
        let lots = draw.below(4) as f64;
        volume += lots;
        amount += lots * last * 5.0;
        let ns = match number {
            0 => stamp("08:59:00"),
            n if n + 1 == count => stamp("15:00:30"),
            n => stamp("09:00:00") + n as i64 * 500_000_000,
        };
        let ask = mid + 1 + draw.below(2) as i64;
        let row = Row {
            day,
            segment,
            ns,
            last,
            volume,
            amount,
            bids: [Quote::read(0.0, 0.0); LEVELS],
            asks: [Quote::read(0.0, 0.0); LEVELS],
        };
        rows.push(with_book(row, mid, ask, &mut draw));
    }
    rows
}

fn with_book(mut row: Row, bid: i64, ask: i64, draw: &mut Draw) -> Row {
    let missing = draw.below(40);
    for level in 0..LEVELS {
        let at = level as i64;
        let quote = |ticks: i64, draw: &mut Draw| Quote::read(ticks as f64 * 10.0, draw.below(50) as f64);
        let (bid, ask) = (quote(bid - at, draw), quote(ask + at, draw));
        if missing != 0 {
            row.bids[level] = bid;
        }
        if missing != 1 {
            row.asks[level] = ask;
        }
    }
    row
}

/// All rows through one engine.
pub(crate) fn build(params: &Params, levels: u8, rows: &[Row]) -> Built {
    let mut engine = Engine::new(params, &spec(levels), CONTRACT).unwrap();
    rows.iter().for_each(|row| engine.update(row));
    engine.finish().unwrap()
}

/// Every bit of the features, with NaN as one value.
pub(crate) fn bits(built: &Built) -> Vec<Vec<u64>> {
    let bits = |value: &f64| if value.is_nan() { u64::MAX } else { value.to_bits() };
    built.features.columns.iter().map(|column| column.iter().map(bits).collect()).collect()
}
