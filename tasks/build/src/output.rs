//! Features and labels as Parquet files.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Int8Array, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{Field, Schema};
use ghtrader_kit::Result;
use ghtrader_market::{Day, table};

use crate::features::Features;
use crate::labels::{Label, Labelled};
use crate::registry::Listing;

/// The key of the metadata of `features.parquet` that holds the hash of the factor set.
pub const FACTORS_HASH: &str = "ghtrader.factors_hash";
/// The key that holds the ordered list of features, as JSON.
pub const FEATURES: &str = "ghtrader.features";

/// A named column; whether it may hold nulls.
type Column = (String, bool, ArrayRef);

/// Writes the features: `trading_day`, `row`, `datetime_ns`, `segment_id`, `bid_price1`, `ask_price1`, then the features.
pub(crate) fn write_features(path: &Path, features: &Features, listing: &Listing) -> Result<()> {
    let mut columns = keys(&features.day, &features.row, &features.ns);
    columns.push(("segment_id".to_owned(), false, Arc::new(Int32Array::from(features.segment.clone()))));
    columns.push(("bid_price1".to_owned(), true, table::floats(&features.bid)));
    columns.push(("ask_price1".to_owned(), true, table::floats(&features.ask)));
    for (name, values) in listing.features.iter().zip(&features.columns) {
        columns.push((name.clone(), true, table::floats(values)));
    }
    let names = serde_json::to_string(&listing.features)?;
    write(path, columns, &[(FACTORS_HASH, listing.hash.as_str()), (FEATURES, names.as_str())])
}

/// Writes the labels: `trading_day`, `row`, `datetime_ns`, then for each horizon N `label_N` (int8), `end_ns_N`,
/// `exit_bid_N`, `exit_ask_N`, all null where there is no label.
pub(crate) fn write_labels(path: &Path, lines: &[Labelled], horizons: &[usize]) -> Result<()> {
    let days: Vec<Day> = lines.iter().map(|line| line.day).collect();
    let rows: Vec<i32> = lines.iter().map(|line| line.row).collect();
    let stamps: Vec<i64> = lines.iter().map(|line| line.ns).collect();
    let mut columns = keys(&days, &rows, &stamps);
    for (index, horizon) in horizons.iter().enumerate() {
        let labels = || lines.iter().map(move |line| line.labels.get(index).copied().flatten());
        let floats =
            |value: fn(Label) -> f64| table::floats(&labels().map(|l| l.map_or(f64::NAN, value)).collect::<Vec<_>>());
        let directions = Int8Array::from_iter(labels().map(|label| label.map(|label| label.direction)));
        let ends = Int64Array::from_iter(labels().map(|label| label.map(|label| label.end_ns)));
        columns.push((format!("label_{horizon}"), true, Arc::new(directions)));
        columns.push((format!("end_ns_{horizon}"), true, Arc::new(ends)));
        columns.push((format!("exit_bid_{horizon}"), true, floats(|label| label.exit_bid)));
        columns.push((format!("exit_ask_{horizon}"), true, floats(|label| label.exit_ask)));
    }
    write(path, columns, &[])
}

fn keys(days: &[Day], rows: &[i32], stamps: &[i64]) -> Vec<Column> {
    vec![
        ("trading_day".to_owned(), false, Arc::new(Date32Array::from_iter_values(days.iter().map(|day| day.0)))),
        ("row".to_owned(), false, Arc::new(Int32Array::from(rows.to_vec()))),
        ("datetime_ns".to_owned(), false, Arc::new(Int64Array::from(stamps.to_vec()))),
    ]
}

fn write(path: &Path, columns: Vec<Column>, metadata: &[(&str, &str)]) -> Result<()> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, nullable, array)| Field::new(name, array.data_type().clone(), *nullable)).collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    Ok(table::write(path, &batch, metadata)?)
}
