//! Made-up rows.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use ghtrader_market::{Day, Ticks, VALUES, table};

/// The stamp of the first row of a day: nine in the morning in Shanghai.
pub(crate) fn opening(day: Day) -> i64 {
    (i64::from(day.0) * 86_400 + 3_600) * 1_000_000_000
}

/// Numbers that look drawn (xorshift).
pub(crate) struct Drawn(pub(crate) u64);

impl Drawn {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Five-level ticks, three in ten values missing.
pub(crate) fn ticks(symbol: &str, day: Day, rows: usize, seed: u64) -> Ticks {
    let mut drawn = Drawn(seed | 1);
    let mut ticks = Ticks::new(symbol);
    for row in 0..rows {
        let values: [f64; VALUES] = std::array::from_fn(|_| match drawn.next() % 10 {
            0..3 => f64::NAN,
            _ => (drawn.next() % 1_000_000) as f64 / 100.0,
        });
        // Two in one microsecond now and then: the server's own stamp does not tell them apart.
        let datetime_ns = opening(day) + row as i64 * 250_000_000 - i64::from(row % 7 == 3) * 249_999_999;
        ticks.push(&ghtrader_market::Tick { trading_day: day, datetime_ns, values });
    }
    ticks
}

/// The same as the rows of a file.
pub(crate) fn rows(ticks: &Ticks) -> RecordBatch {
    let file = tempfile::NamedTempFile::new().unwrap();
    ticks.write(file.path()).unwrap();
    table::read(file.path()).unwrap().0
}

/// One row after another of every type that a column may have, with what is at the edges.
pub(crate) fn odd(day: Day) -> RecordBatch {
    let floats = [Some(0.1 + 0.2), Some(-0.0), None, Some(f64::MIN_POSITIVE / 3.0), Some(f64::MAX), Some(1e300)];
    let whole = [Some(i64::MAX), Some(i64::MIN + 1), None, Some(0), Some(-1), Some(1)];
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("trading_day", Arc::new(Date32Array::from(vec![day.0, day.0 - 1, 0, -1, day.0, day.0])), false),
        ("row", Arc::new(Int32Array::from(vec![i32::MAX, i32::MIN + 1, 0, 1, 2, 3])), false),
        ("datetime_ns", Arc::new(Int64Array::from_iter_values((0..6).map(|row| opening(day) + row))), false),
        ("label_10", Arc::new(Int8Array::from(vec![Some(1), Some(-1), None, Some(0), Some(127), Some(-128)])), true),
        ("end_ns_10", Arc::new(Int64Array::from(whole.to_vec())), true),
        ("exit_bid_10", Arc::new(Float64Array::from(floats.to_vec())), true),
        (
            "note",
            Arc::new(StringArray::from(vec![Some("ü'\" \n;="), None, Some("a"), Some("铜"), Some("b"), Some("c")])),
            true,
        ),
        ("sure", Arc::new(BooleanArray::from(vec![true, false, true, true, false, false])), false),
    ];
    batch(columns)
}

/// The one row that a table has for a day.
pub(crate) fn line(text: &str) -> RecordBatch {
    line_of("note", text)
}

/// The same with another column.
pub(crate) fn line_of(column: &str, text: &str) -> RecordBatch {
    batch(vec![(column, Arc::new(StringArray::from(vec![text])), false)])
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}
