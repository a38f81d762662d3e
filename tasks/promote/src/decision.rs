//! The record of a decision: every gate's figure, bound and verdict, of every candidate.

use ghtrader_kit::Result;
use ghtrader_market::Regime;
use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::judge::Judged;
use crate::params::{Op, Verdict};

/// A decision; nothing in it depends on when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Whether the chosen model goes into service.
    pub promote: bool,
    /// The variety.
    pub variety: String,
    /// The horizon in rows.
    pub horizon: u32,
    /// The regime that the flow declares.
    pub regime: Regime,
    /// The candidate that goes into service; null where none passes.
    pub chosen: Option<String>,
    /// The best candidate, chosen or not: those that pass come first, then the least logloss counts.
    pub best: String,
    /// One sentence for people.
    pub why: String,
    /// Every gate of the best candidate.
    pub gates: Vec<GateVerdict>,
    /// The main figures of the best candidate.
    pub figures: Figures,
    /// The best candidate against the model in service; null where there is none.
    pub incumbent: Option<Comparison>,
    /// All candidates, by name.
    pub candidates: Vec<CandidateVerdict>,
}

/// One gate of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateVerdict {
    /// Its name.
    pub gate: String,
    /// The number that it asks for.
    pub metric: String,
    /// That number; null where there is none.
    pub figure: Option<f64>,
    /// The comparison.
    pub op: Option<Op>,
    /// What the number is compared with.
    pub bound: Option<f64>,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What else there is to say.
    pub note: Option<String>,
}

/// A candidate and its gates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateVerdict {
    /// Its name.
    pub name: String,
    /// Whether it passes all gates.
    pub verdict: Verdict,
    /// Mean logloss over its splits; null where the report has none.
    pub logloss: Option<f64>,
    /// Its gates.
    pub gates: Vec<GateVerdict>,
}

/// Two models on the days that both were judged on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The family of the model in service.
    pub model: String,
    /// The days.
    pub common_days: Vec<String>,
    /// Mean logloss of the candidate on them.
    pub candidate_logloss: Option<f64>,
    /// Mean logloss of the model in service.
    pub incumbent_logloss: Option<f64>,
    /// The latter less the former.
    pub gain: Option<f64>,
}

/// The figures that a summary shows; null where the report has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Rows with an out-of-fold prediction.
    pub rows: Option<f64>,
    /// Mean accuracy over the splits.
    pub accuracy: Option<f64>,
    /// Mean share of the most frequent class.
    pub majority_floor: Option<f64>,
    /// Mean logloss skill against the prior.
    pub logloss_skill: Option<f64>,
    /// The gain over the prior in standard errors.
    pub skill_z: Option<f64>,
    /// Mean expected calibration error.
    pub ece: Option<f64>,
    /// Round trips of the strategy.
    pub trades: Option<f64>,
    /// Net result of a round trip, in ticks.
    pub mean_net_ticks: Option<f64>,
    /// Its cost, in ticks.
    pub cost_ticks: Option<f64>,
    /// Daily Sharpe ratio, by the year.
    pub sharpe_daily: Option<f64>,
    /// Days that it rests on.
    pub observation_days: Option<f64>,
}

impl Figures {
    /// Read from a report.
    ///
    /// # Errors
    /// Where the report is of another shape.
    pub(crate) fn of(candidate: &Candidate) -> Result<Self> {
        Ok(Self {
            rows: candidate.figure("rows")?,
            accuracy: candidate.figure("mean.accuracy")?,
            majority_floor: candidate.figure("mean.majority_floor")?,
            logloss_skill: candidate.figure("mean.logloss_skill")?,
            skill_z: candidate.figure("skill.z")?,
            ece: candidate.figure("mean.ece")?,
            trades: candidate.figure("trading.trades")?,
            mean_net_ticks: candidate.figure("trading.mean_net_ticks")?,
            cost_ticks: candidate.figure("trading.cost_ticks")?,
            sharpe_daily: candidate.figure("sharpe.sharpe_daily")?,
            observation_days: candidate.figure("sharpe.observation_days")?,
        })
    }
}

impl From<&Judged<'_>> for CandidateVerdict {
    fn from(judged: &Judged<'_>) -> Self {
        Self {
            name: judged.candidate.name.clone(),
            verdict: Verdict::of(judged.passes()),
            logloss: judged.logloss.is_finite().then_some(judged.logloss),
            gates: judged.gates.clone(),
        }
    }
}

/// `all 7 gates hold`, or which do not and by what figures.
pub(crate) fn why(gates: &[GateVerdict]) -> String {
    let failed: Vec<String> = gates.iter().filter(|gate| gate.verdict == Verdict::Fail).map(sentence).collect();
    if failed.is_empty() { format!("all {} gates hold", gates.len()) } else { failed.join("; ") }
}

fn sentence(gate: &GateVerdict) -> String {
    match (gate.figure, gate.op, gate.bound, &gate.note) {
        (Some(figure), Some(op), Some(bound), _) => {
            // The operator's own spelling is what stands in the flow.
            let op = serde_json::to_value(op).ok().and_then(|op| op.as_str().map(str::to_owned)).unwrap_or_default();
            format!("{}: {} = {figure:.4}, not {op} {bound}", gate.gate, gate.metric)
        }
        (.., Some(note)) => format!("{}: {note}", gate.gate),
        _ => gate.gate.clone(),
    }
}
