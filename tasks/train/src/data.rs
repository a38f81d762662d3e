//! The rows that a model is trained and judged on: gathered features and labels of trading days, joined.
//!
//! Labels of a day's tail may lie in the next day's file, so the join is on (trading day, row). It knows no model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ghtrader_kit::Result;

use crate::table::{Table, day_text};

/// Columns of a features file that are no features.
const PLAIN: [&str; 6] = ["trading_day", "row", "datetime_ns", "segment_id", "bid_price1", "ask_price1"];

/// The key of the files' metadata that holds the hash of the features' definitions.
const FACTORS_HASH: &str = "ghtrader.factors_hash";

/// One labelled row, without its features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Trading day, in days since 1970-01-01.
    pub day: i32,
    /// Number of the row in its day, from 0.
    pub row: i32,
    /// Number of the row among all rows of the window, unlabelled ones counted.
    pub position: usize,
    /// UTC nanoseconds.
    pub datetime_ns: i64,
    /// UTC nanoseconds of the row at which the label is known.
    pub end_ns: i64,
    /// 0 down, 1 flat, 2 up.
    pub label: u8,
    /// Best bid and ask.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
    /// Best bid where the label ends.
    pub exit_bid: f64,
    /// Best ask where the label ends.
    pub exit_ask: f64,
}

/// All labelled rows of a window, in order of time.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Names of the features, in the order of the columns.
    pub features: Vec<String>,
    /// Hash of the features' definitions, where the files state it.
    pub factors_hash: Option<String>,
    /// Row-major, `rows.len()` × `features.len()`; NaN where missing (an infinite value counts as missing).
    pub x: Vec<f64>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Rows that have features and no label at this horizon.
    pub unlabelled: usize,
    next_position: usize,
}

struct Label {
    value: u8,
    end_ns: i64,
    exit_bid: f64,
    exit_ask: f64,
}

type Labels = HashMap<(i32, i32), Label>;

impl Dataset {
    /// Reads the folders that a gather of `build.features` and `build.labels` gives: `day=<date>/<name>.parquet`.
    ///
    /// # Errors
    /// Where a file cannot be read, days differ in their features, or rows are not in order.
    pub fn read(features: &Path, labels: &Path, horizon: u32) -> Result<Self> {
        let labels = read_labels(labels, horizon)?;
        let mut data = Self::default();
        for path in day_files(features)? {
            data.append(&Table::read(&path)?, &labels).with_context(|| path.display().to_string())?;
        }
        ensure!(!data.rows.is_empty(), "no row has features and a label at horizon {horizon}");
        Ok(data)
    }

    /// The features of row `index`.
    pub fn x_row(&self, index: usize) -> &[f64] {
        let width = self.features.len();
        self.x.get(index * width..(index + 1) * width).unwrap_or_default()
    }

    /// BLAKE3 of the feature names, the features, the labels and their rows: what a model has seen.
    pub fn hash(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for name in &self.features {
            hash.update(name.as_bytes()).update(b"\n");
        }
        for value in &self.x {
            hash.update(&value.to_bits().to_le_bytes());
        }
        for row in &self.rows {
            hash.update(&row.day.to_le_bytes()).update(&row.row.to_le_bytes()).update(&[row.label]);
        }
        hash.finalize().to_hex().to_string()
    }

    fn append(&mut self, table: &Table, labels: &Labels) -> Result<()> {
        let names: Vec<String> =
            table.f64_columns().into_iter().filter(|name| !PLAIN.contains(&name.as_str())).collect();
        let hash = table.metadata(FACTORS_HASH).map(str::to_owned);
        if self.features.is_empty() {
            ensure!(!names.is_empty(), "there is no feature column");
            self.features = names;
            self.factors_hash = hash;
        } else if self.features != names || self.factors_hash != hash {
            bail!("its features, or their definitions, are not those of the days before");
        }
        let columns = self.features.iter().map(|name| table.f64(name)).collect::<Result<Vec<_>>>()?;
        let (days, rows) = (table.i32("trading_day")?, table.i32("row")?);
        let (stamps, bids, asks) = (table.i64("datetime_ns")?, table.f64("bid_price1")?, table.f64("ask_price1")?);
        for index in 0..table.rows() {
            let position = self.next_position;
            self.next_position += 1;
            let (day, row) = (days[index], rows[index]);
            let Some(label) = labels.get(&(day, row)) else {
                self.unlabelled += 1;
                continue;
            };
            self.push(Row {
                day,
                row,
                position,
                datetime_ns: stamps[index],
                end_ns: label.end_ns,
                label: label.value,
                bid: bids[index],
                ask: asks[index],
                exit_bid: label.exit_bid,
                exit_ask: label.exit_ask,
            })?;
            self.x.extend(columns.iter().map(|column| finite(column[index])));
        }
        Ok(())
    }

    fn push(&mut self, row: Row) -> Result<()> {
        if let Some(before) = self.rows.last() {
            ensure!(
                (before.day, before.row) < (row.day, row.row),
                "row {} of {} follows row {} of {}: rows have to be in order",
                row.row,
                day_text(row.day),
                before.row,
                day_text(before.day)
            );
        }
        self.rows.push(row);
        Ok(())
    }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}

fn read_labels(folder: &Path, horizon: u32) -> Result<Labels> {
    let mut labels = Labels::new();
    for path in day_files(folder)? {
        let table = Table::read(&path)?;
        add_labels(&table, horizon, &mut labels).with_context(|| path.display().to_string())?;
    }
    Ok(labels)
}

fn add_labels(table: &Table, horizon: u32, labels: &mut Labels) -> Result<()> {
    let (days, rows) = (table.i32("trading_day")?, table.i32("row")?);
    let values = table.optional_i8(&format!("label_{horizon}"))?;
    let ends = table.i64(&format!("end_ns_{horizon}"))?;
    let (bids, asks) = (table.f64(&format!("exit_bid_{horizon}"))?, table.f64(&format!("exit_ask_{horizon}"))?);
    for index in 0..table.rows() {
        let Some(value) = values[index] else { continue };
        let value = match value {
            -1 => 0,
            0 => 1,
            1 => 2,
            other => bail!("label {other} is none of -1, 0, 1"),
        };
        let label = Label { value, end_ns: ends[index], exit_bid: bids[index], exit_ask: asks[index] };
        if labels.insert((days[index], rows[index]), label).is_some() {
            bail!("row {} of {} has two labels", rows[index], day_text(days[index]));
        }
    }
    Ok(())
}

/// The Parquet files of a gather over days, in order of the days.
fn day_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for day in sorted(folder)? {
        let in_day: Vec<PathBuf> =
            sorted(&day)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")).collect();
        ensure!(in_day.len() == 1, "{} has {} Parquet files instead of one", day.display(), in_day.len());
        files.extend(in_day);
    }
    Ok(files)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
