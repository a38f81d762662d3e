//! Kind `promote`: judges the candidates of one variety and horizon by declared gates and against the model in
//! service, chooses one or none, and says why.

mod candidate;
mod decision;
mod judge;
mod params;

use anyhow::{Context as _, ensure};
use ghtrader_kit::{InputFolder, Job, OutputFolder, OutputJson, Result, Task};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::candidate::Candidate;
pub use crate::decision::{CandidateVerdict, Comparison, Decision, Figures, GateVerdict};
use crate::judge::{best, judge};
pub use crate::params::{Gate, IncumbentParams, Op, Params, Verdict};

/// The kind.
pub struct Promote;

/// What it reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The candidates' reports: model=<name>/report.json
    reports: InputFolder,
    /// The candidates' models: model=<name>/model
    models: InputFolder,
    /// The model in service, as this kind wrote it
    #[serde(default)]
    incumbent: Option<InputFolder>,
}

/// What it writes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The chosen model with its report; empty where none is chosen
    model: OutputFolder,
    /// Every gate's figure, bound and verdict, and the choice
    #[schemars(extend("path" = "decision.json"))]
    decision: OutputJson<Decision>,
}

impl Task for Promote {
    const NAME: &'static str = "promote";
    const ABOUT: &'static str =
        "Gates against the candidates' reports and the incumbent's: which model goes into service";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (variety, horizon): (String, u32) = (job.axis("variety")?, job.axis("horizon")?);
        let candidates = Candidate::gathered(inputs.reports.path(), inputs.models.path())?;
        for candidate in &candidates {
            let own = candidate.view.horizon;
            ensure!(own == horizon, "the report of `{}` is of horizon {own}, not {horizon}", candidate.name);
        }
        let incumbent = inputs.incumbent.map(|folder| Candidate::in_service(folder.path())).transpose()?;
        let judged = candidates.iter().map(|one| judge(one, incumbent.as_ref(), &params));
        let judged = judged.collect::<Result<Vec<_>>>()?;
        let best = best(&judged).context("there is no candidate")?;
        if best.passes() {
            best.candidate.copy_to(outputs.model.path())?;
        }
        outputs.decision.write(&Decision {
            promote: best.passes(),
            variety,
            horizon,
            regime: params.regime,
            chosen: best.passes().then(|| best.candidate.name.clone()),
            best: best.candidate.name.clone(),
            why: decision::why(&best.gates),
            gates: best.gates.clone(),
            figures: Figures::of(best.candidate)?,
            incumbent: best.comparison.clone(),
            candidates: judged.iter().map(CandidateVerdict::from).collect(),
        })
    }
}
