//! The gates, and the choice. Pure: candidates and parameters in, verdicts out; no clock, no chance.

use std::collections::BTreeMap;

use ghtrader_kit::Result;

use crate::candidate::{Candidate, DayLoss};
use crate::decision::{Comparison, GateVerdict};
use crate::params::{Op, Params, Verdict};

/// A candidate with the verdict of every gate.
pub(crate) struct Judged<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) gates: Vec<GateVerdict>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) logloss: f64,
}

impl Judged<'_> {
    pub(crate) fn passes(&self) -> bool {
        self.gates.iter().all(|gate| gate.verdict == Verdict::Pass)
    }
}

/// Judges a candidate by every gate, those that hold and those that do not.
pub(crate) fn judge<'a>(
    candidate: &'a Candidate,
    incumbent: Option<&Candidate>,
    params: &Params,
) -> Result<Judged<'a>> {
    let mut gates = vec![regime(candidate, incumbent, params)];
    for gate in &params.gates {
        let figure = candidate.figure(&gate.metric)?;
        gates.push(GateVerdict {
            gate: gate.gate.clone(),
            metric: gate.metric.clone(),
            figure,
            op: Some(gate.op),
            bound: Some(gate.bound),
            verdict: Verdict::of(figure.is_some_and(|figure| gate.op.holds(figure, gate.bound))),
            note: figure.is_none().then(|| "the report has no figure".to_owned()),
        });
    }
    let comparison = incumbent.map(|incumbent| compare(candidate, incumbent));
    gates.push(beats_incumbent(comparison.as_ref(), params));
    let logloss = candidate.figure("mean.logloss")?.unwrap_or(f64::INFINITY);
    Ok(Judged { candidate, gates, comparison, logloss })
}

/// The best: those that pass before those that do not, then the least logloss, then the name.
pub(crate) fn best<'a, 'b>(judged: &'b [Judged<'a>]) -> Option<&'b Judged<'a>> {
    judged.iter().min_by(|left, right| {
        let failed = left.passes().cmp(&right.passes()).reverse();
        failed.then(left.logloss.total_cmp(&right.logloss)).then(left.candidate.name.cmp(&right.candidate.name))
    })
}

/// Only reports of the declared regime count, and none against a model in service of a more trusted one: no invented
/// market moves what real ticks put in service.
fn regime(candidate: &Candidate, incumbent: Option<&Candidate>, params: &Params) -> GateVerdict {
    let own = candidate.view.regime;
    let declared = params.regime;
    let in_service = incumbent.map(|incumbent| incumbent.view.regime);
    let mut note = format!("the report is of {own} data, the flow declares {declared}");
    if let Some(in_service) = in_service {
        note.push_str(&format!(", the model in service is of {in_service} data"));
    }
    GateVerdict {
        gate: "regime".to_owned(),
        metric: "regime".to_owned(),
        figure: None,
        op: None,
        bound: None,
        verdict: Verdict::of(own == declared && in_service.is_none_or(|in_service| own >= in_service)),
        note: Some(note),
    }
}

fn beats_incumbent(comparison: Option<&Comparison>, params: &Params) -> GateVerdict {
    let rule = &params.incumbent;
    let gain = comparison.filter(|c| c.common_days.len() >= rule.min_days as usize).and_then(|c| c.gain);
    let (verdict, note) = match (comparison, gain) {
        (None, _) => (Verdict::Pass, Some("no model is in service".to_owned())),
        (Some(c), None) => (rule.if_incomparable, Some(format!("only {} common days", c.common_days.len()))),
        (Some(_), Some(gain)) => (Verdict::of(Op::AtLeast.holds(gain, rule.min_gain)), None),
    };
    GateVerdict {
        gate: "beats_incumbent".to_owned(),
        metric: "incumbent.gain".to_owned(),
        figure: gain,
        op: Some(Op::AtLeast),
        bound: Some(rule.min_gain),
        verdict,
        note,
    }
}

/// The losses on the days that both reports have with the same number of rows, weighted by rows.
fn compare(candidate: &Candidate, incumbent: &Candidate) -> Comparison {
    let theirs: BTreeMap<&str, &DayLoss> = incumbent.view.days.iter().map(|day| (day.day.as_str(), day)).collect();
    let (mut rows, mut own_sum, mut their_sum, mut common_days) = (0.0, 0.0, 0.0, Vec::new());
    let same_horizon = candidate.view.horizon == incumbent.view.horizon;
    for own in candidate.view.days.iter().filter(|_| same_horizon) {
        let Some(their) = theirs.get(own.day.as_str()).filter(|their| their.rows == own.rows) else { continue };
        let weight = own.rows as f64;
        rows += weight;
        own_sum += weight * own.logloss;
        their_sum += weight * their.logloss;
        common_days.push(own.day.clone());
    }
    let mean = |sum: f64| (rows > 0.0).then(|| sum / rows);
    Comparison {
        model: incumbent.view.model.clone(),
        candidate_logloss: mean(own_sum),
        incumbent_logloss: mean(their_sum),
        gain: mean(their_sum - own_sum),
        common_days,
    }
}
