//! Kind `index`: the day index of ticks that have none, from the ticks themselves.
//!
//! For canonical tick files that came without their index: from another machine, or from a store that lost it.

use ghtrader_kit::{InputFolder, InputJson, Job, OutputJson, Result, Task};
use ghtrader_market::{CellIndex, TicksSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct Index;

/// It has none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// <contract>/<trading day>.parquet, as `ingest` writes them
    ticks: InputFolder,
    /// How the variety's ticks are to be read
    spec: InputJson<TicksSpec>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// What each (contract, trading day) holds, as `ingest` would say it
    #[schemars(extend("path" = "index.json"))]
    index: OutputJson<CellIndex>,
}

impl Task for Index {
    const NAME: &'static str = "index";
    const ABOUT: &'static str = "The day index of canonical ticks that have none";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(_: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let cell: String = job.axis("cell")?;
        outputs.index.write(&CellIndex::from_ticks(&cell, inputs.ticks.path(), &inputs.spec.read()?)?)
    }
}
