//! The task: one day in, one day out, and a manifest of it.

use anyhow::Context as _;
use ghtrader_kit::{InputFile, InputJson, Job, OutputFile, OutputJson, Result, Task};
use ghtrader_market::{Day, Entry, Hash64, RowHashes, Ticks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{check, splice};

/// The kind `main-l5`.
pub struct MainL5;

/// There are no parameters: the roll rule is the schedule's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The day's entry of the schedule.
    entry: InputJson<Entry>,
    /// The day's rows of the entry's contract.
    ticks: InputFile,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Outputs {
    /// The day's rows of the main series.
    #[schemars(extend("path" = "ticks.parquet"))]
    ticks: OutputFile,
    /// What they are, and that they were checked.
    #[schemars(extend("path" = "manifest.json"))]
    manifest: OutputJson<Manifest>,
}

/// The output `manifest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The symbol of the main series.
    pub symbol: String,
    /// The trading day.
    pub day: Day,
    /// The day's entry of the schedule.
    pub entry: Entry,
    /// Rows.
    pub rows: u64,
    /// Stamp of the first row, UTC nanoseconds.
    pub first_ns: i64,
    /// Stamp of the last row.
    pub last_ns: i64,
    /// Smallest, largest and summed hash of the rows as rows of the contract: those of the day index.
    pub hash_min: Hash64,
    /// Largest.
    pub hash_max: Hash64,
    /// Sum.
    pub hash_sum: Hash64,
}

impl Task for MainL5 {
    const NAME: &'static str = "main-l5";
    const ABOUT: &'static str = "The main series of one trading day, equal to the main contract's rows";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(_: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (variety, day): (String, Day) = (job.axis("variety")?, job.axis("day")?);
        let entry = inputs.entry.read()?;
        let raw = Ticks::read(inputs.ticks.path())?;
        let spliced = splice(&raw, &entry, day, &variety)?;
        spliced.write(outputs.ticks.path())?;
        // The file counts, not what was meant to be in it.
        let written = Ticks::read(outputs.ticks.path())?;
        check(&raw, &written, &entry).context("the main series is not equal to the raw rows")?;
        job.metric("rows", written.len() as f64);
        outputs.manifest.write(&manifest(&written, entry, day))
    }
}

fn manifest(ticks: &Ticks, entry: Entry, day: Day) -> Manifest {
    let hashes = RowHashes::of(ticks, &entry.contract);
    let stamp = |stamp: Option<&i64>| stamp.copied().unwrap_or_default();
    Manifest {
        symbol: ticks.symbol.clone(),
        day,
        entry,
        rows: ticks.len() as u64,
        first_ns: stamp(ticks.datetime_ns.first()),
        last_ns: stamp(ticks.datetime_ns.last()),
        hash_min: hashes.min,
        hash_max: hashes.max,
        hash_sum: hashes.sum,
    }
}
