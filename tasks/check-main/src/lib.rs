//! Kind `check-main`: whether a day of the main series is that of its contract, row by row, and says so.
//!
//! `main-l5` compares what it wrote before it ends; this one asks again, of the files as they are now.

use std::path::Path;

use ghtrader_check_ticks::{Check, Finding, Findings};
use ghtrader_kit::{InputFile, InputJson, Job, OutputJson, Result, Task};
use ghtrader_main_l5::Manifest;
use ghtrader_market::{Contract, Day, Entry, RowHashes, Ticks, main_symbol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct CheckMain;

/// It has none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The day's entry of the schedule
    entry: InputJson<Entry>,
    /// The entry's contract on that day, as `ingest` wrote it
    raw: InputFile,
    /// The day of the main series
    ticks: InputFile,
    /// What `main-l5` says of it
    manifest: InputJson<Manifest>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// What was found
    #[schemars(extend("path" = "check.json"))]
    check: OutputJson<MainChecks>,
}

/// The output `check`: one day of a main series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MainChecks {
    /// The trading day.
    pub day: Day,
    /// The main contract, as the schedule says.
    pub contract: String,
    /// Rows of the main series.
    pub rows: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Task for CheckMain {
    const NAME: &'static str = "check-main";
    const ABOUT: &'static str = "Whether a day of the main series is that of its contract, with the right provenance";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(_: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (variety, day): (String, Day) = (job.axis("variety")?, job.axis("day")?);
        let (entry, manifest) = (inputs.entry.read()?, inputs.manifest.read()?);
        let mut findings = Findings::default();
        let raw = read(inputs.raw.path(), "the contract's file", &mut findings);
        let ticks = read(inputs.ticks.path(), "the main series' file", &mut findings);
        if let (Some(raw), Some(ticks)) = (&raw, &ticks) {
            let symbol = main_symbol(&Contract::parse(&entry.contract)?.exchange, &variety);
            compare(raw, ticks, &entry, day, &symbol, &mut findings);
            describe(ticks, &entry, day, &manifest, &mut findings);
        }
        let rows = ticks.map_or(0, |ticks| ticks.len() as u64);
        outputs.check.write(&MainChecks { day, contract: entry.contract, rows, findings: findings.into_list() })
    }
}

fn read(path: &Path, name: &str, findings: &mut Findings) -> Option<Ticks> {
    Ticks::read(path)
        .map_err(|error| {
            let what = error.to_string().replace(&path.display().to_string(), name);
            findings.add(Check::Schema, || what);
        })
        .ok()
}

/// The rows beside those of the contract.
fn compare(raw: &Ticks, ticks: &Ticks, entry: &Entry, day: Day, symbol: &str, findings: &mut Findings) {
    if raw.symbol != entry.contract {
        findings
            .add(Check::Main, || format!("the raw rows are of {}, the schedule says {}", raw.symbol, entry.contract));
    }
    if ticks.symbol != symbol {
        findings.add(Check::Main, || format!("the series is called {}, not {symbol}", ticks.symbol));
    }
    for other in ticks.trading_day.iter().filter(|other| **other != day) {
        findings.add(Check::Main, || format!("a row is of {other}"));
    }
    if let Err(error) = ghtrader_main_l5::check(raw, ticks, entry) {
        findings.add(Check::Main, || error.to_string());
    }
}

/// The manifest beside the rows.
fn describe(ticks: &Ticks, entry: &Entry, day: Day, manifest: &Manifest, findings: &mut Findings) {
    let hashes = RowHashes::of(ticks, &entry.contract);
    let stamps = (ticks.datetime_ns.first().copied(), ticks.datetime_ns.last().copied());
    let facts = [
        ("the day", manifest.day == day),
        ("the symbol", manifest.symbol == ticks.symbol),
        ("the entry of the schedule", manifest.entry == *entry),
        ("the number of rows", manifest.rows == ticks.len() as u64),
        ("the first and last stamp", (Some(manifest.first_ns), Some(manifest.last_ns)) == stamps),
        (
            "the row hashes",
            (manifest.hash_min, manifest.hash_max, manifest.hash_sum) == (hashes.min, hashes.max, hashes.sum),
        ),
    ];
    for (name, _) in facts.into_iter().filter(|(_, same)| !same) {
        findings.add(Check::Index, || format!("the manifest of the main series is wrong about {name}"));
    }
}
