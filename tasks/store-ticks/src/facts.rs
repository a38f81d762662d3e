//! What is known of a (contract, day), as a row.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use ghtrader_kit::Result;
use ghtrader_market::{DayIndex, RowHashes};
use ghtrader_store::Digest;

/// The row of the day index. `hash_min`, `hash_max` and `hash_sum` are as `min`, `max` and `sum` of the column `row_hash` of
/// its ticks give them.
pub(crate) fn index(cell: &str, day: &DayIndex) -> Result<RecordBatch> {
    let DayIndex { rows, hash_min: min, hash_max: max, hash_sum: sum, .. } = *day;
    let [min, max, sum] = Digest { rows, hashes: RowHashes { min, max, sum } }.as_numbers();
    let count = |number: u64| whole(Some(i64::try_from(number).unwrap_or(i64::MAX)));
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("cell", text(cell), false),
        ("rows", count(rows), false),
        ("first_ns", whole(day.first_ns), true),
        ("last_ns", whole(day.last_ns), true),
        ("close_oi", float(day.close_oi), true),
        ("volume", float(day.volume), true),
        ("l5_present", Arc::new(BooleanArray::from(vec![day.l5_present])), false),
        ("hash_min", whole(Some(min)), true),
        ("hash_max", whole(Some(max)), true),
        ("hash_sum", whole(Some(sum)), true),
        ("duplicates", count(day.duplicates), false),
        ("replaced", count(day.replaced), false),
        ("off_session", count(day.off_session), false),
        ("quarantined", count(day.quarantined.values().sum()), false),
    ])?)
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// The smallest number is the server's null, and so is no number here.
fn whole(value: Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value.filter(|value| *value != i64::MIN)]))
}

fn float(value: Option<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(vec![value]))
}
