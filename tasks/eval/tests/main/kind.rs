//! The kind on the predictions of models trained on planted data.

use std::path::Path;

use ghtrader_eval::Eval;
use ghtrader_kit::{Bench, Done};
use ghtrader_train::planted::Planted;
use ghtrader_train::{Train, oof};
use serde_json::{Value, json};

fn train(planted: Planted, params: &Value) -> Done {
    let folder = tempfile::tempdir().unwrap();
    planted.write(folder.path()).unwrap();
    let bench = Bench::<Train>::new().unwrap();
    let bench = bench.input("features", folder.path().join("features")).input("labels", folder.path().join("labels"));
    bench.run(params.clone()).unwrap()
}

fn eval(model: &Path, oof: &Path, calendar: &str) -> anyhow::Result<Done> {
    let cost = json!({ "tick": 1, "multiplier": 10.0, "fee_fixed": 0.5, "fee_ratio": 0.0, "slippage_ticks": 0.0 });
    let clock = json!({ "calendar": calendar, "utc_offset": 8, "closed": [] });
    let bench = Bench::<Eval>::new()?.input("model", model).input("oof", oof);
    bench.input_json("cost", &cost)?.input_json("clock", &clock)?.run(json!({ "latency_samples": 200 }))
}

fn reported(trained: &Done) -> Value {
    eval(trained.path("model"), trained.path("oof"), "china-futures").unwrap().json("report").unwrap()
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap()
}

#[test]
fn a_planted_signal_shows_in_every_figure() {
    let report = reported(&train(Planted::default(), &json!({ "horizon": 5 })));
    assert_eq!(report["splits"].as_array().unwrap().len(), 5);
    assert!(number(&report, "/mean/logloss_skill") > 0.1);
    assert!(number(&report, "/mean/accuracy_lift") > 0.05);
    assert!(number(&report, "/skill/z") > 5.0);
    assert_eq!(number(&report, "/share/skill_positive"), 1.0);
    assert!(number(&report, "/trading/mean_gross_ticks") > 0.5);
    // A spread of one tick and fees of 2 · 0.5 / 10 a round trip.
    assert!((number(&report, "/trading/cost_ticks") - 1.1).abs() < 1e-9);
    assert_eq!(number(&report, "/sharpe/observation_days"), 5.0);
    assert_eq!(report["sharpe"]["insufficient_observation"], true);
    assert_eq!(report["sharpe"]["sharpe_method"], "daily_agg_cn_v1");
}

#[test]
fn means_and_deviations_are_those_of_the_splits() {
    let report = reported(&train(Planted { rows: 300, ..Planted::default() }, &json!({ "horizon": 5 })));
    for metric in ["accuracy", "logloss", "ece", "prior_logloss"] {
        let of = |split: &Value| number(split, &format!("/metrics/{metric}"));
        let values: Vec<f64> = report["splits"].as_array().unwrap().iter().map(of).collect();
        let mean = values.iter().sum::<f64>() / 5.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4.0;
        assert!((number(&report, &format!("/mean/{metric}")) - mean).abs() < 1e-12);
        assert!((number(&report, &format!("/std/{metric}")) - variance.sqrt()).abs() < 1e-12);
    }
    // Days and splits are one here, so the days' losses average to the pooled one, weighted by rows.
    let days = report["days"].as_array().unwrap();
    let sum: f64 = days.iter().map(|day| number(day, "/logloss") * number(day, "/rows")).sum();
    assert!((sum / number(&report, "/rows") - number(&report, "/pooled/logloss")).abs() < 1e-12);
}

#[test]
fn a_model_of_shuffled_labels_has_no_skill() {
    let report = reported(&train(Planted::default(), &json!({ "horizon": 5, "null_labels": 4 })));
    assert!(number(&report, "/mean/logloss_skill") < 0.002);
    assert!(number(&report, "/skill/z") < 3.0);
    assert_eq!(report["null_labels"], 4);
}

#[test]
fn days_are_utc_days_round_the_clock() {
    let trained = train(Planted { rows: 300, ..Planted::default() }, &json!({ "horizon": 5 }));
    let done = eval(trained.path("model"), trained.path("oof"), "utc-day").unwrap();
    let report: Value = done.json("report").unwrap();
    assert_eq!(report["sharpe"]["sharpe_method"], "daily_agg_v1");
}

#[test]
fn the_report_has_the_same_bytes_and_latency_is_beside_it() {
    let trained = train(Planted { rows: 300, ..Planted::default() }, &json!({ "horizon": 5, "model": "lightgbm" }));
    let run = || eval(trained.path("model"), trained.path("oof"), "china-futures").unwrap();
    let (one, two) = (run(), run());
    assert!(one.bytes("report").unwrap() == two.bytes("report").unwrap());
    let latency: Value = one.json("latency").unwrap();
    assert!(number(&latency, "/p50_us") > 0.0 && number(&latency, "/p50_us") <= number(&latency, "/p99_us"));
    assert_eq!(latency["samples"], 200);
}

#[test]
fn predictions_of_another_model_are_refused() {
    let trained = train(Planted { rows: 300, ..Planted::default() }, &json!({ "horizon": 5 }));
    let mut predictions = oof::read(trained.path("oof")).unwrap();
    predictions.pop();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("oof.parquet");
    oof::write(&other, &predictions).unwrap();
    let error = eval(trained.path("model"), &other, "china-futures").err().unwrap().to_string();
    assert!(error.contains("not those of the model's 5 splits"), "{error}");
}
