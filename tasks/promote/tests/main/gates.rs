//! The rules, on reports made up for them.

use std::path::Path;

use ghtrader_kit::{Bench, Done};
use ghtrader_promote::{Decision, Promote, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A report that passes every default gate, with this mean logloss.
fn report(logloss: f64) -> Value {
    json!({
        "model": "logistic", "horizon": 10, "regime": "historical", "rows": 1000,
        "mean": { "logloss": logloss, "logloss_skill": 0.05, "accuracy": 0.6, "majority_floor": 0.5, "ece": 0.02 },
        "share": { "skill_positive": 1.0, "at_majority_floor": 0.8 },
        "skill": { "z": 8.0 },
        "trading": { "trades": 7, "mean_net_ticks": -0.2, "cost_ticks": 1.0 },
        "sharpe": { "sharpe_daily": null, "observation_days": 2 },
        "days": [
            { "day": "2022-02-17", "rows": 400, "logloss": logloss, "prior_logloss": 1.0 },
            { "day": "2022-02-18", "rows": 600, "logloss": logloss, "prior_logloss": 1.0 },
        ],
    })
}

struct Files(TempDir);

impl Files {
    fn new(candidates: &[(&str, Value)]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for (name, report) in candidates {
            let folder = files.0.path().join(format!("reports/model={name}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("report.json"), report.to_string()).unwrap();
            let folder = files.0.path().join(format!("models/model={name}/model"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("weights"), name).unwrap();
        }
        files
    }

    fn promote(&self, incumbent: Option<&Path>, params: Value) -> anyhow::Result<Done> {
        let folder = |name: &str| self.0.path().join(name);
        let bench = Bench::<Promote>::new()?.input("reports", folder("reports")).input("models", folder("models"));
        let bench = incumbent.into_iter().fold(bench, |bench, path| bench.input("incumbent", path));
        bench.axis("variety", "cu").axis("horizon", 10).run(params)
    }

    fn decision(&self, incumbent: Option<&Path>, params: Value) -> Decision {
        self.promote(incumbent, params).unwrap().json("decision").unwrap()
    }
}

fn with(mut report: Value, path: &str, value: Value) -> Value {
    *report.pointer_mut(path).unwrap() = value;
    report
}

fn failed(decision: &Decision) -> Vec<&str> {
    decision.gates.iter().filter(|gate| gate.verdict == Verdict::Fail).map(|gate| gate.gate.as_str()).collect()
}

#[test]
fn the_least_logloss_among_those_that_pass_is_chosen() {
    let best_but_uncalibrated = with(report(0.7), "/mean/ece", json!(0.3));
    let files = Files::new(&[("a", report(0.9)), ("b", report(0.8)), ("c", best_but_uncalibrated)]);
    let done = files.promote(None, json!({})).unwrap();
    let decision: Decision = done.json("decision").unwrap();
    assert!(decision.promote);
    assert_eq!((decision.chosen.as_deref(), decision.variety.as_str(), decision.horizon), (Some("b"), "cu", 10));
    assert_eq!(decision.why, "all 7 gates hold");
    assert_eq!(std::fs::read_to_string(done.path("model").join("weights")).unwrap(), "b");
    let verdicts: Vec<_> = decision.candidates.iter().map(|candidate| candidate.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Fail]);
}

#[test]
fn every_gate_can_refuse_alone_and_says_by_what_figure() {
    let broken = [
        ("baseline", "/mean/logloss_skill", json!(0.004)),
        ("baseline_splits", "/share/skill_positive", json!(0.4)),
        ("luck", "/skill/z", json!(2.9)),
        ("majority", "/share/at_majority_floor", json!(0.4)),
        ("calibration", "/mean/ece", json!(0.11)),
        ("regime", "/regime", json!("synthetic")),
    ];
    for (gate, path, value) in broken {
        let done = Files::new(&[("a", with(report(0.9), path, value))]).promote(None, json!({})).unwrap();
        let decision: Decision = done.json("decision").unwrap();
        assert_eq!((decision.promote, decision.chosen.as_deref(), failed(&decision)), (false, None, vec![gate]));
        assert!(decision.why.starts_with(gate), "{}", decision.why);
        assert_eq!(std::fs::read_dir(done.path("model")).unwrap().count(), 0);
    }
}

#[test]
fn an_invented_market_never_replaces_what_real_ticks_put_in_service() {
    let service = Files::new(&[("old", report(0.85))]).promote(None, json!({})).unwrap();
    let synthetic = || with(report(0.5), "/regime", json!("synthetic"));
    let better = Files::new(&[("a", synthetic())]);
    let decision = better.decision(Some(service.path("model")), json!({ "regime": "synthetic" }));
    assert_eq!((decision.promote, failed(&decision)), (false, vec!["regime"]));

    let invented = Files::new(&[("old", synthetic())]).promote(None, json!({ "regime": "synthetic" })).unwrap();
    let real = Files::new(&[("a", report(0.4))]);
    assert!(real.decision(Some(invented.path("model")), json!({})).promote);
}

#[test]
fn a_figure_that_is_not_there_fails_and_a_misspelt_metric_is_an_error() {
    let files = Files::new(&[("a", with(report(0.9), "/skill/z", Value::Null))]);
    assert_eq!(failed(&files.decision(None, json!({}))), ["luck"]);
    let misspelt = json!({ "gates": [{ "gate": "x", "metric": "mean.logloss_skil", "op": ">=", "bound": 0.0 }] });
    let error = files.promote(None, misspelt).err().unwrap().to_string();
    assert!(error.contains("`mean.logloss_skil`"), "{error}");
}

#[test]
fn the_incumbent_has_to_be_beaten_on_common_days() {
    let service = Files::new(&[("old", report(0.85))]).promote(None, json!({})).unwrap();
    let incumbent = service.path("model");
    let better = Files::new(&[("a", report(0.84))]);
    let decision = better.decision(Some(incumbent), json!({}));
    let comparison = decision.incumbent.clone().unwrap();
    assert!(decision.promote);
    assert!((comparison.gain.unwrap() - 0.01).abs() < 1e-12);
    assert_eq!(comparison.common_days, ["2022-02-17", "2022-02-18"]);
    assert!(!better.decision(Some(incumbent), json!({ "incumbent": { "min_gain": 0.02 } })).promote);
    let worse = Files::new(&[("a", report(0.86))]).decision(Some(incumbent), json!({}));
    assert_eq!((worse.promote, failed(&worse)), (false, vec!["beats_incumbent"]));
}

#[test]
fn days_count_only_with_the_same_rows_and_weigh_by_them() {
    let service = Files::new(&[("old", report(0.85))]).promote(None, json!({})).unwrap();
    let incumbent = service.path("model");
    let other = |rows: u32, day: &str| {
        let report = with(report(0.80), "/days/0/rows", json!(rows));
        Files::new(&[("a", with(report, "/days/1/day", json!(day)))])
    };
    let one = other(400, "2022-02-21").decision(Some(incumbent), json!({}));
    assert_eq!(one.incumbent.unwrap().common_days, ["2022-02-17"]);
    let none = other(399, "2022-02-21").decision(Some(incumbent), json!({}));
    assert!(none.promote && none.incumbent.unwrap().common_days.is_empty());
    let strict = json!({ "incumbent": { "if_incomparable": "fail" } });
    assert!(!other(399, "2022-02-21").decision(Some(incumbent), strict).promote);
}

#[test]
fn a_report_of_another_horizon_is_an_error() {
    let error = Files::new(&[("a", with(report(0.9), "/horizon", json!(50)))]).promote(None, json!({}));
    assert!(error.err().unwrap().to_string().contains("horizon 50, not 10"));
}
