//! The task: reads the day indexes of a variety's cells, writes the schedule.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use ghtrader_kit::{InputFolder, InputJson, Job, OutputJson, Result, Task};
use ghtrader_market::{CellIndex, Day, Days, RollSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Facts, Params, Row, schedule};

/// The kind `schedule`.
pub struct Schedule;

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The day index of every cell: a folder `cell=…/index.json`.
    index: InputFolder,
    /// The roll rule and the calendar.
    roll: InputJson<RollSpec>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Outputs {
    /// By trading day: contract, cell, segment, the day before in the segment, hash, flags.
    #[schemars(extend("path" = "days.json"))]
    days: OutputJson<Days>,
    /// Windows of days by name: `train`.
    #[schemars(extend("path" = "windows.json"))]
    windows: OutputJson<BTreeMap<String, Window>>,
    /// Every day that was looked at, with the open interest of every contract at its close.
    #[schemars(extend("path" = "table.json"))]
    table: OutputJson<Vec<Row>>,
    /// The hash of the schedule.
    #[schemars(extend("path" = "hash.json"))]
    hash: OutputJson<HashFile>,
}

/// Some of the scheduled days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days, ascending.
    pub days: Vec<Day>,
}

/// The output `hash`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashFile {
    /// The rule's name and version.
    pub rule: String,
    /// BLAKE3 of the rule, its parameters, the calendar, and the open interest of every contract on every day.
    pub hash: String,
}

impl Task for Schedule {
    const NAME: &'static str = "schedule";
    const ABOUT: &'static str = "The main contract of every trading day, by open interest or as given";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let facts = Facts::new(&cells(&inputs.index)?, &params)?;
        let schedule = schedule(&inputs.roll.read()?, &facts)?;
        job.metric("days", schedule.days.len() as f64);
        let days: Vec<Day> = schedule.days.keys().copied().collect();
        let skipped = if params.train_days == 0 { 0 } else { days.len().saturating_sub(params.train_days) };
        let train = Window { days: days.into_iter().skip(skipped).collect() };
        outputs.days.write(&schedule.days)?;
        outputs.windows.write(&BTreeMap::from([("train".to_owned(), train)]))?;
        outputs.table.write(&schedule.table)?;
        outputs.hash.write(&HashFile { rule: schedule.rule.to_owned(), hash: schedule.hash })
    }
}

/// The cells in the order of their folders.
fn cells(index: &InputFolder) -> Result<Vec<CellIndex>> {
    let folders = fs_err::read_dir(index.path())?;
    let mut files: Vec<_> = folders.map(|folder| Ok(folder?.path().join("index.json"))).collect::<Result<_>>()?;
    files.sort();
    if files.is_empty() {
        bail!("there is no cell: the market holds no tick file of this variety");
    }
    files.iter().map(|file| cell(file)).collect()
}

fn cell(file: &Path) -> Result<CellIndex> {
    let text = fs_err::read_to_string(file)?;
    serde_json::from_str(&text).with_context(|| format!("{} is no day index of a cell", file.display()))
}
