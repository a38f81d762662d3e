//! Kind `ingest`: one cell of a market (a tick file, or an invented day) to one canonical Parquet file per contract and
//! trading day, and a day index.
//!
//! The way of a row: [`source`] or [`synthetic`] gives it as it stands, [`check`] judges it by itself, [`clean`] beside
//! the rows before it, [`days`] puts it into a file; [`pipeline`] has this go on on several cores. After an error the
//! runner takes none of the files. It knows no roll and no feature.

mod check;
mod clean;
mod days;
mod pipeline;
mod row;
mod source;
pub mod synthetic;

use std::path::Path;

use anyhow::bail;
use days::Files;
use ghtrader_kit::{InputFile, InputJson, Job, OutputFolder, OutputJson, Result, Task};
use ghtrader_market::{Cell, CellIndex, TicksSpec};
use rayon::ThreadPoolBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use row::{Raw, SourceError};

/// Gives the rows of a tick file as they stand, in their order; `file` is its name for messages.
///
/// # Errors
/// Names the file, and the line where there is one. Those of `each`.
pub fn rows(file: &str, path: &Path, spec: &TicksSpec, each: &mut dyn FnMut(&Raw) -> Result<()>) -> Result<()> {
    source::open(file, path, spec)?.try_for_each(|piece| piece?.rows(&mut |row| each(row)))
}

/// The kind.
pub struct Ingest;

/// What a flow says with `with`: nothing, all is in the specification.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The cell: {file, synthetic}
    cell: InputJson<Cell>,
    /// How the variety's ticks are to be read
    spec: InputJson<TicksSpec>,
    /// The cell's tick file: CSV, gzipped CSV or Parquet with TqSdk's column names; none for an invented day
    ticks: Option<InputFile>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// <contract>/<trading day>.parquet
    ticks: OutputFolder,
    /// What each (contract, trading day) holds, and what was dropped or quarantined
    #[schemars(extend("path" = "index.json"))]
    index: OutputJson<CellIndex>,
}

impl Task for Ingest {
    const NAME: &'static str = "ingest";
    const ABOUT: &'static str = "A tick file (or an invented day) to canonical ticks per contract and trading day";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(_: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (cell, spec) = (inputs.cell.read()?, inputs.spec.read()?);
        let name: String = job.axis("cell")?;
        let calendar = spec.calendar()?;
        let (source, pieces) = match (&cell.file, &cell.synthetic, &inputs.ticks) {
            (Some(file), None, Some(ticks)) => (file.as_str(), source::open(file, ticks.path(), &spec)?),
            (None, Some(synthetic), None) => {
                ("the invented day", source::known(synthetic::invent(synthetic, &spec)?.rows))
            }
            (Some(file), None, None) => bail!("the cell is the file `{file}`, but the input `ticks` is not there"),
            (None, Some(_), Some(_)) => bail!("an invented cell takes no input `ticks`: give null"),
            _ => bail!("the cell `{name}` has to have either `file` or `synthetic`"),
        };
        let files = Files { folder: outputs.ticks.path(), spec: &spec, calendar: &calendar };
        let threads = ThreadPoolBuilder::new().num_threads(job.threads()).build()?;
        let cleaned = threads.install(|| pipeline::run(source, pieces, files))?;
        report(job, &cleaned);
        let clean::Cleaned { read, foreign, days, quarantine } = cleaned;
        outputs.index.write(&CellIndex { cell: name, read, foreign, rows: days, quarantine })
    }
}

fn report(job: &Job, cleaned: &clean::Cleaned) {
    let kept: u64 = cleaned.days.iter().map(|day| day.rows).sum();
    job.metric("rows_read", cleaned.read as f64);
    job.metric("rows_kept", kept as f64);
}
