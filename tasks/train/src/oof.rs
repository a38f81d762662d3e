//! Out-of-fold predictions: every row of a test part, predicted by the model of its split, with all that is needed to
//! judge them (label, quotes at entry and where the label ends).

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use arrow_array::{ArrayRef, Date32Array, Float64Array, Int8Array, Int32Array, Int64Array};
use ghtrader_kit::Result;

use crate::data::Row;
use crate::models::Probabilities;
use crate::table::{self, Table};

/// One predicted row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The row; its `position` is lost in a file (0).
    pub row: Row,
    /// Number of the split.
    pub split: i32,
    /// Probabilities of down, flat, up.
    pub p: Probabilities,
}

/// Writes predictions, in their order.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let float = |value: fn(&Prediction) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(predictions.iter().map(value)))
    };
    let nano = |value: fn(&Prediction) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(predictions.iter().map(value)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trading_day", Arc::new(Date32Array::from_iter_values(predictions.iter().map(|p| p.row.day)))),
        ("row", Arc::new(Int32Array::from_iter_values(predictions.iter().map(|p| p.row.row)))),
        ("datetime_ns", nano(|p| p.row.datetime_ns)),
        ("split", Arc::new(Int32Array::from_iter_values(predictions.iter().map(|p| p.split)))),
        ("label", Arc::new(Int8Array::from_iter_values(predictions.iter().map(|p| p.row.label.cast_signed() - 1)))),
        ("p_down", float(|p| p.p[0])),
        ("p_flat", float(|p| p.p[1])),
        ("p_up", float(|p| p.p[2])),
        ("bid_price1", float(|p| p.row.bid)),
        ("ask_price1", float(|p| p.row.ask)),
        ("end_ns", nano(|p| p.row.end_ns)),
        ("exit_bid", float(|p| p.row.exit_bid)),
        ("exit_ask", float(|p| p.row.exit_ask)),
    ];
    table::write(path, columns)
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// Where the file is missing, damaged, or not of this shape.
pub fn read(path: &Path) -> Result<Vec<Prediction>> {
    let table = Table::read(path)?;
    let (days, rows, splits) = (table.i32("trading_day")?, table.i32("row")?, table.i32("split")?);
    let (stamps, ends) = (table.i64("datetime_ns")?, table.i64("end_ns")?);
    let labels = table.optional_i8("label")?;
    let [down, flat, up] = ["p_down", "p_flat", "p_up"].map(|name| table.f64(name));
    let (down, flat, up) = (down?, flat?, up?);
    let (bids, asks) = (table.f64("bid_price1")?, table.f64("ask_price1")?);
    let (exit_bids, exit_asks) = (table.f64("exit_bid")?, table.f64("exit_ask")?);
    (0..table.rows())
        .map(|index| {
            let Some(label @ -1..=1) = labels[index] else { bail!("row {index} has no label") };
            let row = Row {
                day: days[index],
                row: rows[index],
                position: 0,
                datetime_ns: stamps[index],
                end_ns: ends[index],
                label: (label + 1).cast_unsigned(),
                bid: bids[index],
                ask: asks[index],
                exit_bid: exit_bids[index],
                exit_ask: exit_asks[index],
            };
            Ok(Prediction { row, split: splits[index], p: [down[index], flat[index], up[index]] })
        })
        .collect()
}
