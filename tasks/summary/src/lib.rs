//! Kind `summary`: the decisions of a run as one table, a row per variety and horizon.

use std::path::Path;

use anyhow::Context as _;
use ghtrader_kit::{InputFolder, Job, OutputJson, Result, Task};
use ghtrader_promote::Decision;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct Summary;

/// It has none.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// What it reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The decisions of `promote`: variety=<name>/horizon=<N>/decision.json
    decisions: InputFolder,
}

/// What it writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// A list of flat objects, by variety and horizon
    #[schemars(extend("path" = "table.json"))]
    table: OutputJson<Vec<Row>>,
}

/// One row; numbers are rounded for reading, the decision has them in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The variety.
    pub variety: String,
    /// The horizon in rows.
    pub horizon: u32,
    /// `promoted` or `refused`.
    pub verdict: String,
    /// The chosen model, or the best of those refused.
    pub model: String,
    /// Accuracy.
    pub accuracy: Option<f64>,
    /// Accuracy of the most frequent class.
    pub floor: Option<f64>,
    /// Logloss skill against the class frequencies.
    pub skill: Option<f64>,
    /// That gain in standard errors.
    pub z: Option<f64>,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// Net result of a round trip, in ticks.
    pub net_ticks: Option<f64>,
    /// Its cost, in ticks.
    pub cost_ticks: Option<f64>,
    /// Why.
    pub why: String,
}

impl From<Decision> for Row {
    fn from(decision: Decision) -> Self {
        let figures = decision.figures;
        let verdict = if decision.promote { "promoted" } else { "refused" };
        Self {
            variety: decision.variety,
            horizon: decision.horizon,
            verdict: verdict.to_owned(),
            model: decision.best,
            accuracy: rounded(figures.accuracy, 3),
            floor: rounded(figures.majority_floor, 3),
            skill: rounded(figures.logloss_skill, 4),
            z: rounded(figures.skill_z, 1),
            ece: rounded(figures.ece, 3),
            net_ticks: rounded(figures.mean_net_ticks, 2),
            cost_ticks: rounded(figures.cost_ticks, 2),
            why: decision.why,
        }
    }
}

impl Task for Summary {
    const NAME: &'static str = "summary";
    const ABOUT: &'static str = "The decisions of promote as one table";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(_: Params, inputs: Inputs, outputs: Outputs, _: &Job) -> Result<()> {
        let mut rows = Vec::new();
        collect(inputs.decisions.path(), &mut rows)?;
        rows.sort_by(|left, right| (&left.variety, left.horizon).cmp(&(&right.variety, right.horizon)));
        outputs.table.write(&rows)
    }
}

/// Adds the decisions in a folder and below it.
fn collect(folder: &Path, rows: &mut Vec<Row>) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), rows)?;
        } else if entry.path().extension().is_some_and(|end| end == "json") {
            let text = fs_err::read_to_string(entry.path())?;
            let decision: Decision =
                serde_json::from_str(&text).with_context(|| format!("{} is not a decision", entry.path().display()))?;
            rows.push(decision.into());
        }
    }
    Ok(())
}

fn rounded(value: Option<f64>, digits: i32) -> Option<f64> {
    let scale = 10f64.powi(digits);
    value.map(|value| (value * scale).round() / scale)
}
