//! The parameters of `promote` (`with`): the gates, with their defaults.

use ghtrader_market::Regime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a candidate has to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The regime of data whose reports count. A model in service of a more trusted regime is never replaced.
    pub regime: Regime,
    /// Conditions on the report, all of which have to hold.
    pub gates: Vec<Gate>,
    /// The comparison with the model in service.
    pub incumbent: IncumbentParams,
}

/// One condition: `metric op bound`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Its name in the decision.
    pub gate: String,
    /// A number in the report, by its path: `mean.logloss_skill`.
    pub metric: String,
    /// The comparison.
    pub op: Op,
    /// What the number is compared with.
    pub bound: f64,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Op {
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// More than.
    #[serde(rename = ">")]
    Above,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// Less than.
    #[serde(rename = "<")]
    Below,
    /// The same as.
    #[serde(rename = "==")]
    Equal,
}

/// How a candidate has to stand against the model in service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IncumbentParams {
    /// Incumbent's logloss less the candidate's on their common days, in nats, at least; 0: not worse.
    pub min_gain: f64,
    /// Common days needed for a comparison.
    pub min_days: u32,
    /// What counts where they have fewer.
    pub if_incomparable: Verdict,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
}

impl Verdict {
    /// Pass where `holds`.
    pub fn of(holds: bool) -> Self {
        if holds { Self::Pass } else { Self::Fail }
    }
}

impl Op {
    /// Whether `figure op bound`; false where `figure` is no number.
    pub fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => figure >= bound,
            Self::Above => figure > bound,
            Self::AtMost => figure <= bound,
            Self::Below => figure < bound,
            Self::Equal => figure == bound,
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        let gate =
            |gate: &str, metric: &str, op, bound| Gate { gate: gate.to_owned(), metric: metric.to_owned(), op, bound };
        Self {
            regime: Regime::Historical,
            gates: vec![
                gate("baseline", "mean.logloss_skill", Op::AtLeast, 0.005),
                gate("baseline_splits", "share.skill_positive", Op::AtLeast, 0.6),
                gate("luck", "skill.z", Op::AtLeast, 3.0),
                gate("majority", "share.at_majority_floor", Op::AtLeast, 0.6),
                gate("calibration", "mean.ece", Op::AtMost, 0.1),
            ],
            incumbent: IncumbentParams::default(),
        }
    }
}

impl Default for IncumbentParams {
    fn default() -> Self {
        Self { min_gain: 0.0, min_days: 1, if_incomparable: Verdict::Pass }
    }
}
