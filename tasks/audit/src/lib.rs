//! Kind `audit`: what was found in the data of a variety, as a report for programs and a page for people.
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | the findings of all cells and days, summed up; coverage; days without ticks |
//! | [`page`] | the same as HTML, with a heat map of coverage (contract × day) |
//!
//! It reads no tick: `check-ticks` and `check-main` do, cell by cell and day by day, so that a new day costs that day.

mod page;
mod report;

use ghtrader_kit::{InputFolder, InputJson, Job, OutputFile, OutputJson, Result, Task};
use ghtrader_ledger::Ledger;
use ghtrader_market::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use page::page;
pub use report::{Coverage, Report, Summed};

/// The kind.
pub struct Audit;

/// What is demanded.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Whether a warning is as bad as an error
    pub strict: bool,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// What `check-ticks` found, by cell
    ticks: InputFolder,
    /// What `check-main` found, by day
    main: InputFolder,
    /// The variety's calendar
    clock: InputJson<Clock>,
    /// Which contracts' days there should be, of kind `ledger`; without it, only days without any contract are missing
    ledger: Option<InputJson<Ledger>>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// What was found; `green` says whether all is well
    #[schemars(extend("path" = "report.json"))]
    report: OutputJson<Report>,
    /// The same to read
    #[schemars(extend("path" = "page.html"))]
    page: OutputFile,
}

impl Task for Audit {
    const NAME: &'static str = "audit";
    const ABOUT: &'static str = "What was found in the data of a variety: a report, and a page with a map of coverage";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let variety: String = job.axis("variety")?;
        let cells = report::gather(inputs.ticks.path())?;
        let main = report::gather(inputs.main.path())?;
        let ledger = inputs.ledger.as_ref().map(InputJson::read).transpose()?;
        let report = Report::of(variety, &cells, &main, &inputs.clock.read()?, ledger.as_ref(), params.strict)?;
        job.metric("errors", report.errors as f64);
        job.metric("warnings", report.warnings as f64);
        fs_err::write(outputs.page.path(), page(&report).into_string())?;
        outputs.report.write(&report)
    }
}
