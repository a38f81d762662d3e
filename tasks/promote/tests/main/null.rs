//! The gates on real models: trained on true labels they pass, trained on shuffled labels they do not, by a margin.
//!
//! The null models differ from the true one in nothing but the order of their labels in training: same features, same
//! rows, judged on the same true labels. So what the gates tell apart is what was learned.

use std::path::Path;

use ghtrader_eval::Eval;
use ghtrader_kit::{Bench, Done};
use ghtrader_promote::{Decision, GateVerdict, Promote, Verdict};
use ghtrader_train::Train;
use ghtrader_train::planted::Planted;
use serde_json::{Value, json};

const SEEDS: u64 = 12;

/// Trains, reports and asks for promotion.
fn judged(data: &Path, params: &Value) -> (Decision, Done) {
    let bench = Bench::<Train>::new().unwrap();
    let trained = bench.input("features", data.join("features")).input("labels", data.join("labels"));
    let trained = trained.run(params.clone()).unwrap();
    let eval = Bench::<Eval>::new().unwrap().input("model", trained.path("model")).input("oof", trained.path("oof"));
    let eval = eval.input_json("cost", &json!({ "tick": 1, "multiplier": 1.0 })).unwrap();
    let eval = eval.input_json("clock", &json!({ "calendar": "china-futures", "utc_offset": 8 })).unwrap();
    let eval = eval.run(json!({ "regime": "synthetic", "latency_samples": 10 })).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports/model=one");
    let models = folder.path().join("models/model=one");
    std::fs::create_dir_all(&reports).unwrap();
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(eval.path("report"), reports.join("report.json")).unwrap();
    copy(trained.path("model"), &models.join("model"));
    let bench = Bench::<Promote>::new().unwrap().axis("variety", "cu").axis("horizon", 10);
    let bench = bench.input("reports", folder.path().join("reports")).input("models", folder.path().join("models"));
    let done = bench.run(json!({ "regime": "synthetic" })).unwrap();
    (done.json("decision").unwrap(), done)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A weak signal among much noise: the true model's skill is about two per cent.
fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let planted = Planted { days: 8, rows: 3000, horizon: 10, strength: 0.3, noise: 10, seed: 1 };
    planted.write(folder.path()).unwrap();
    folder
}

fn params(model: &str, null_labels: Option<u64>) -> Value {
    json!({
        "horizon": 10, "model": model, "null_labels": null_labels,
        "lightgbm": { "num_iterations": 20, "num_leaves": 7, "min_data_in_leaf": 100 },
    })
}

fn gate<'a>(decision: &'a Decision, name: &str) -> &'a GateVerdict {
    decision.gates.iter().find(|gate| gate.gate == name).unwrap()
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() - 1) as f64).sqrt())
}

#[test]
fn logistic_regression_passes_on_true_labels_and_is_refused_on_shuffled_ones() {
    true_labels_pass_and_shuffled_labels_are_refused("logistic");
}

#[test]
fn lightgbm_passes_on_true_labels_and_is_refused_on_shuffled_ones() {
    true_labels_pass_and_shuffled_labels_are_refused("lightgbm");
}

fn true_labels_pass_and_shuffled_labels_are_refused(model: &str) {
    let data = data();
    let (decision, done) = judged(data.path(), &params(model, None));
    assert!(decision.promote, "{model}: {}", decision.why);
    assert!(ghtrader_train::sidecar::load(done.path("model")).is_ok());
    let bound = gate(&decision, "baseline").bound.unwrap();
    assert!(decision.figures.logloss_skill.unwrap() > 3.0 * bound, "{model}: {:?}", decision.figures);

    let nulls = (1..=SEEDS).map(|seed| judged(data.path(), &params(model, Some(seed))).0);
    let nulls: Vec<Decision> = nulls.collect();
    assert!(nulls.iter().all(|decision| !decision.promote && decision.chosen.is_none()));
    assert!(nulls.iter().all(|decision| gate(decision, "baseline").verdict == Verdict::Fail));
    // Not only below the bound: four standard deviations below it, so that one null model in thousands would pass.
    let skills: Vec<f64> = nulls.iter().map(|decision| decision.figures.logloss_skill.unwrap()).collect();
    let (mean, deviation) = mean_and_deviation(&skills);
    assert!(deviation > 0.0 && mean + 4.0 * deviation < bound, "{model}: {mean} ± {deviation}, bound {bound}");
}
