//! Kind `train`: fits a classifier of the mid's direction on every walk-forward split and on all rows, and writes the
//! out-of-fold predictions and the model. It judges nothing: that is `eval`'s.

pub mod data;
pub mod models;
pub mod oof;
mod params;
#[cfg(feature = "testing")]
pub mod planted;
pub mod random;
pub mod sidecar;
pub mod split;
pub mod table;

use ghtrader_kit::{InputFolder, Job, OutputFile, OutputFolder, OutputJson, Result, Task};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::params::{Family, Params, Window};
use crate::data::{Dataset, Row};
use crate::models::{CLASSES, Model, Probabilities, Sample};
use crate::oof::Prediction;
use crate::random::SplitMix64;
use crate::sidecar::{CHECK_ROWS, RowName, Sidecar, SplitRecord, Splits};
use crate::split::{Plan, Split};
use crate::table::day_text;

/// The kind.
pub struct Train;

/// What it reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Features of the window's days: day=<date>/features.parquet
    features: InputFolder,
    /// Labels of the window's days: day=<date>/labels.parquet
    labels: InputFolder,
    /// The window, where a flow needs it to choose the days; not read.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the contract with flows: `where` takes the days from it")]
    window: Option<ghtrader_kit::InputJson<serde_json::Value>>,
}

/// What it writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The model fitted on all rows, its sidecar, and rows with known answers
    model: OutputFolder,
    /// Out-of-fold predictions with labels and quotes
    #[schemars(extend("path" = "oof.parquet"))]
    oof: OutputFile,
    /// The walk-forward splits
    #[schemars(extend("path" = "splits.json"))]
    splits: OutputJson<Splits>,
}

impl Task for Train {
    const NAME: &'static str = "train";
    const ABOUT: &'static str = "Walk-forward training of a classifier, out-of-fold predictions, and the model";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let data = Dataset::read(inputs.features.path(), inputs.labels.path(), params.horizon)?;
        let plan = split::walk_forward(&data.rows, &params)?;
        let total = plan.splits.len() as u64 + 1;
        let (mut predictions, mut records) = (Vec::new(), Vec::new());
        for (number, split) in plan.splits.iter().enumerate() {
            job.progress(number as u64, total, "splits fitted");
            let part = Part::of(&data, split.train.clone(), &params, number as u64);
            let model = models::fit(&params, &part.sample(&data), job.threads())?;
            predictions.extend(predict(&data, split, number, model.as_ref())?);
            records.push(record(&data.rows, split, number, &part));
        }
        job.progress(total - 1, total, "splits fitted; now all rows");
        let splits = Splits { unit: plan.unit, flags: plan.flags.clone(), splits: records };
        let part = Part::of(&data, 0..data.rows.len(), &params, plan.splits.len() as u64);
        let model = models::fit(&params, &part.sample(&data), job.threads())?;
        let sidecar = describe(&data, params, splits.clone(), &part, model.as_ref());
        sidecar::save(outputs.model.path(), &sidecar, model.as_ref(), &check_rows(&data, &plan))?;
        oof::write(outputs.oof.path(), &predictions)?;
        outputs.splits.write(&splits)
    }
}

/// The rows of a train part after the stride, with their labels, shuffled where the parameters say so.
struct Part {
    x: Vec<f64>,
    labels: Vec<u8>,
}

impl Part {
    fn of(data: &Dataset, rows: std::ops::Range<usize>, params: &Params, number: u64) -> Self {
        let chosen: Vec<usize> = rows.step_by(params.stride.max(1) as usize).collect();
        let x = chosen.iter().flat_map(|&index| data.x_row(index)).copied().collect();
        let mut labels: Vec<u8> = chosen.iter().map(|&index| data.rows[index].label).collect();
        if let Some(seed) = params.null_labels {
            // Another order in every split, so that no two of them share their luck.
            SplitMix64::new(seed.wrapping_mul(1_000_003).wrapping_add(number)).shuffle(&mut labels);
        }
        Self { x, labels }
    }

    fn sample<'a>(&'a self, data: &'a Dataset) -> Sample<'a> {
        Sample { features: &data.features, x: &self.x, labels: &self.labels }
    }

    fn prior(&self) -> Probabilities {
        let mut counts = [0.0; 3];
        for &label in &self.labels {
            counts[usize::from(label.min(2))] += 1.0;
        }
        counts.map(|count| count / self.labels.len() as f64)
    }
}

fn predict(data: &Dataset, split: &Split, number: usize, model: &dyn Model) -> Result<Vec<Prediction>> {
    let number = i32::try_from(number)?;
    let rows = split.test.clone().map(|index| {
        let p = model.predict(data.x_row(index))?;
        Ok(Prediction { row: data.rows[index], split: number, p })
    });
    rows.collect()
}

fn record(rows: &[Row], split: &Split, number: usize, part: &Part) -> SplitRecord {
    let name = |index: usize| RowName { day: day_text(rows[index].day), row: rows[index].row };
    SplitRecord {
        split: number,
        train: [name(split.train.start), name(split.train.end - 1)],
        test: [name(split.test.start), name(split.test.end - 1)],
        train_rows: part.labels.len(),
        test_rows: split.test.len(),
        purged_rows: split.purged,
        embargoed_rows: split.embargoed,
        prior: part.prior(),
    }
}

fn describe(data: &Dataset, params: Params, splits: Splits, part: &Part, model: &dyn Model) -> Sidecar {
    let missing = match params.model {
        Family::Logistic => "a missing or infinite value becomes the train part's mean",
        Family::LightGbm => "a missing or infinite value takes the side of a split that fitted best in training",
    };
    let day = |row: Option<&Row>| row.map(|row| day_text(row.day)).unwrap_or_default();
    Sidecar {
        format: 1,
        family: params.model,
        classes: CLASSES.map(str::to_owned),
        features: data.features.clone(),
        factors_hash: data.factors_hash.clone(),
        horizon: params.horizon,
        missing: missing.to_owned(),
        data_hash: data.hash(),
        days: [day(data.rows.first()), day(data.rows.last())],
        rows: data.rows.len(),
        unlabelled: data.unlabelled,
        trained_rows: part.labels.len(),
        fit: model.notes(),
        params,
        splits,
    }
}

/// Raw features of rows spread evenly over the last test part.
fn check_rows(data: &Dataset, plan: &Plan) -> Vec<f64> {
    let test = plan.splits.last().map(|split| split.test.clone()).unwrap_or_default();
    let step = test.len().div_ceil(CHECK_ROWS).max(1);
    test.step_by(step).flat_map(|index| data.x_row(index)).copied().collect()
}
