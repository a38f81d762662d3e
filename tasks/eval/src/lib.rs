//! Kind `eval`: the report of a model on its out-of-fold predictions. It decides nothing: that is `promote`'s.

pub mod calibration;
pub mod classify;
mod latency;
pub mod metrics;
mod params;
pub mod report;
pub mod sharpe;
pub mod skill;
pub mod trading;

use ghtrader_kit::{InputFile, InputFolder, InputJson, Job, OutputJson, Result, Task};
use ghtrader_market::{Clock, CostSpec};
use ghtrader_train::{oof, sidecar};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::params::{Params, SharpeParams, TradingParams};
use crate::latency::Latency;
use crate::report::Report;

/// The kind.
pub struct Eval;

/// What it reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The model folder of `train`
    model: InputFolder,
    /// Its out-of-fold predictions
    oof: InputFile,
    /// What trading costs: `cells.specs` at <variety>/cost
    cost: InputJson<CostSpec>,
    /// The calendar, for what a day is: `cells.specs` at <variety>/ticks/clock
    clock: InputJson<Clock>,
}

/// What it writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Metrics by split, mean and deviation, calibration, trading, Sharpe ratios
    #[schemars(extend("path" = "report.json"))]
    report: OutputJson<Report>,
    /// Time of a single prediction, measured
    #[schemars(extend("path" = "latency.json", "measured" = true))]
    latency: OutputJson<Latency>,
}

impl Task for Eval {
    const NAME: &'static str = "eval";
    const ABOUT: &'static str = "The report of a model: classification, calibration, trading after costs, latency";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let loaded = sidecar::load(inputs.model.path())?;
        let predictions = oof::read(inputs.oof.path())?;
        let (cost, clock) = (inputs.cost.read()?, inputs.clock.read()?);
        let report = report::report(&predictions, &loaded.sidecar, &cost, clock.calendar, &params)?;
        job.metric("logloss_skill", report.mean.logloss_skill);
        job.metric("accuracy", report.mean.accuracy);
        outputs.report.write(&report)?;
        outputs.latency.write(&latency::measure(&loaded, params.latency_samples)?)
    }
}
