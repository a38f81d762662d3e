//! What lies beside a model so that it can be used and judged elsewhere: `sidecar.json`, and rows with known answers.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use arrow_array::{ArrayRef, Float64Array};
use ghtrader_kit::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::models::{self, CLASSES, Model, Probabilities};
use crate::params::{Family, Params};
use crate::split::{Flag, Unit};
use crate::table::{self, Table};

const FILE: &str = "sidecar.json";
const CHECK_FILE: &str = "check.parquet";
/// Rows with known answers in a model folder.
pub const CHECK_ROWS: usize = 256;

/// How a model came about, and what it has to be fed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// The version of this file's shape.
    pub format: u32,
    /// The family, which names the model's file.
    pub family: Family,
    /// Classes, in the order of the probabilities.
    pub classes: [String; 3],
    /// The features, in the order in which the model takes them.
    pub features: Vec<String>,
    /// Hash of the features' definitions, where the features files state it.
    pub factors_hash: Option<String>,
    /// Label horizon in rows.
    pub horizon: u32,
    /// All parameters after defaults.
    pub params: Params,
    /// What becomes of missing values.
    pub missing: String,
    /// BLAKE3 of all features and labels of the window.
    pub data_hash: String,
    /// First and last trading day.
    pub days: [String; 2],
    /// Labelled rows of the window.
    pub rows: usize,
    /// Rows without a label at this horizon, which were left out.
    pub unlabelled: usize,
    /// Rows that the final model was fitted on.
    pub trained_rows: usize,
    /// What the final fit says of itself.
    pub fit: Value,
    /// The walk-forward splits of the out-of-fold predictions.
    pub splits: Splits,
}

/// The walk-forward splits, as written to `splits.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// What they are made of.
    pub unit: Unit,
    /// What to know of them.
    pub flags: Vec<Flag>,
    /// The splits in order of time.
    pub splits: Vec<SplitRecord>,
}

/// One split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// Its number, from 0; column `split` of the predictions.
    pub split: usize,
    /// First and last row trained on.
    pub train: [RowName; 2],
    /// First and last row predicted.
    pub test: [RowName; 2],
    /// Rows trained on (after the stride).
    pub train_rows: usize,
    /// Rows predicted.
    pub test_rows: usize,
    /// Rows purged.
    pub purged_rows: usize,
    /// Rows of embargo days.
    pub embargoed_rows: usize,
    /// Frequencies of down, flat and up among the rows trained on: the forecast of one who knows nothing else.
    pub prior: Probabilities,
}

/// Names a row of the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowName {
    /// Trading day.
    pub day: String,
    /// Number in the day.
    pub row: i32,
}

/// A model as it lies in a folder.
pub struct Loaded {
    /// Its sidecar.
    pub sidecar: Sidecar,
    /// The model.
    pub model: Box<dyn Model>,
    /// Rows of raw features, row-major.
    pub check: Vec<f64>,
}

/// Writes a model folder: the model's files, the sidecar, and `rows` (raw features, row-major) with the model's answers.
///
/// # Errors
/// Where a file cannot be written.
pub fn save(folder: &Path, sidecar: &Sidecar, model: &dyn Model, rows: &[f64]) -> Result<()> {
    model.save(folder)?;
    let mut text = serde_json::to_string_pretty(sidecar)?;
    text.push('\n');
    fs_err::write(folder.join(FILE), text)?;
    let width = sidecar.features.len();
    let answers = rows.chunks_exact(width).map(|row| model.predict(row)).collect::<Result<Vec<_>>>()?;
    let column = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from_iter_values(values)) };
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    for (index, name) in sidecar.features.iter().enumerate() {
        // A missing value stays NaN: null and NaN mean the same here.
        columns.push((name, column(rows.iter().skip(index).step_by(width).copied().collect())));
    }
    let names = CLASSES.map(answer_column);
    for (class, name) in names.iter().enumerate() {
        columns.push((name, column(answers.iter().map(|p| p[class]).collect())));
    }
    table::write(&folder.join(CHECK_FILE), columns)
}

/// Loads a model folder and checks that the model gives the answers that were stored with it, bit for bit.
///
/// # Errors
/// Where a file is missing or damaged, or an answer differs (another version of a library, say).
pub fn load(folder: &Path) -> Result<Loaded> {
    let path = folder.join(FILE);
    let sidecar: Sidecar =
        serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    let model = models::load(sidecar.family, folder)?;
    let table = Table::read(&folder.join(CHECK_FILE))?;
    let features = sidecar.features.iter().map(|name| table.f64(name)).collect::<Result<Vec<_>>>()?;
    let answers = CLASSES.map(answer_column).iter().map(|name| table.f64(name)).collect::<Result<Vec<_>>>()?;
    let mut check = Vec::with_capacity(table.rows() * features.len());
    for index in 0..table.rows() {
        let start = check.len();
        check.extend(features.iter().map(|column| column[index]));
        let p = model.predict(&check[start..])?;
        let same = p.iter().zip(&answers).all(|(p, column)| p.to_bits() == column[index].to_bits());
        ensure!(same, "the model in {} does not give the answers stored with it (row {index})", folder.display());
    }
    Ok(Loaded { sidecar, model, check })
}

fn answer_column(class: &str) -> String {
    format!("answer p_{class}")
}
