//! The task: the files of a cell in, what is wrong with them out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ghtrader_kit::{InputFolder, InputJson, Job, OutputJson, Result, Task};
use ghtrader_market::{CellIndex, Day, TicksSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Check, Finding, Findings, check_day};

/// The kind.
pub struct CheckTicks;

/// From where on something is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Seconds of trading without a row; of a quiet contract, at least 30 times its mean time between rows
    #[schemars(range(min = 0))]
    pub max_gap_s: f64,
    /// Seconds of trading in which the best quotes stay as they are while lots are traded
    #[schemars(range(min = 0))]
    pub max_stale_s: f64,
    /// How far a price leaps away from its neighbours, as a part of it
    #[schemars(range(min = 0))]
    pub spike: f64,
    /// How far the last prices of a day may lie apart, as a part of the lowest
    #[schemars(range(min = 0))]
    pub max_range: f64,
    /// The part of a day's rows that may stand in the source twice
    #[schemars(range(min = 0, max = 1))]
    pub max_duplicates: f64,
    /// The part of a day's rows that may be put aside, or lose their place to another row of the same stamp
    #[schemars(range(min = 0, max = 1))]
    pub max_lost: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_gap_s: 600.0,
            max_stale_s: 120.0,
            spike: 0.005,
            max_range: 0.35,
            max_duplicates: 0.01,
            max_lost: 0.05,
        }
    }
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// <contract>/<trading day>.parquet, as `ingest` wrote them
    ticks: InputFolder,
    /// What `ingest` says of them
    index: InputJson<CellIndex>,
    /// How the variety's ticks are to be read
    spec: InputJson<TicksSpec>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// What was found in each (contract, trading day)
    #[schemars(extend("path" = "checks.json"))]
    checks: OutputJson<CellChecks>,
}

/// The output `checks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellChecks {
    /// The cell's name.
    pub cell: String,
    /// What was found of the cell as a whole.
    pub findings: Vec<Finding>,
    /// One per (contract, day) of the index.
    pub days: Vec<DayChecks>,
}

/// What was found in one (contract, trading day).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DayChecks {
    /// `SHFE.cu2203`.
    pub contract: String,
    /// The trading day.
    pub day: Day,
    /// Rows in the file.
    pub rows: u64,
    /// The part of the minutes of the sessions in which there is a row, 0 to 1.
    pub coverage: f64,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
}

impl Task for CheckTicks {
    const NAME: &'static str = "check-ticks";
    const ABOUT: &'static str = "What is wrong with the ticks of a cell: schema, order, sanity, gaps, index";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (index, spec) = (inputs.index.read()?, inputs.spec.read()?);
        let calendar = spec.calendar()?;
        let mut left = files(inputs.ticks.path())?;
        let mut days = Vec::with_capacity(index.rows.len());
        for entry in &index.rows {
            let name = format!("{}/{}.parquet", entry.contract, entry.day);
            left.remove(&name);
            days.push(check_day(&inputs.ticks.path().join(name), entry, &spec, &calendar, &params)?);
        }
        let mut findings = Findings::default();
        if index.foreign > 0 && index.foreign == index.read {
            let CellIndex { cell, foreign, .. } = &index;
            let TicksSpec { variety, exchange, .. } = &spec;
            findings.add_many(Check::Foreign, *foreign, || {
                format!(
                    "not one of {foreign} rows of {cell} is of {variety} of {exchange}: do `exchange` and `files` fit?"
                )
            });
        }
        for name in left.keys() {
            findings.add(Check::Index, || format!("the index does not know the file {name}"));
        }
        let all = days.iter().map(|day| day.findings.len()).sum::<usize>();
        job.metric("findings", all as f64);
        outputs.checks.write(&CellChecks { cell: index.cell, findings: findings.into_list(), days })
    }
}

/// All files in the folders of a folder, by their relative names.
fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for contract in fs_err::read_dir(folder)? {
        let contract = contract?;
        let name = contract.file_name().to_string_lossy().into_owned();
        if !contract.file_type()?.is_dir() {
            files.insert(name, contract.path());
            continue;
        }
        for day in fs_err::read_dir(contract.path())? {
            let day = day?;
            files.insert(format!("{name}/{}", day.file_name().to_string_lossy()), day.path());
        }
    }
    Ok(files)
}
