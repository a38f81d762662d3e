//! The kind on files of a data set with a planted signal.

use std::path::Path;

use ghtrader_kit::{Bench, Done};
use ghtrader_train::Train;
use ghtrader_train::oof::{self, Prediction};
use ghtrader_train::planted::Planted;
use ghtrader_train::sidecar::{self, Splits};
use serde_json::{Value, json};
use tempfile::TempDir;

fn planted(planted: Planted) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    planted.write(folder.path()).unwrap();
    folder
}

fn train(folder: &Path, params: Value) -> Done {
    let bench = Bench::<Train>::new().unwrap();
    bench.input("features", folder.join("features")).input("labels", folder.join("labels")).run(params).unwrap()
}

fn mean_logloss(predictions: &[Prediction]) -> f64 {
    let sum: f64 = predictions.iter().map(|p| -p.p[usize::from(p.row.label)].ln()).sum();
    sum / predictions.len() as f64
}

fn quick(model: &str) -> Value {
    json!({ "model": model, "horizon": 5, "lightgbm": { "num_iterations": 20, "num_leaves": 7, "min_data_in_leaf": 50 } })
}

#[test]
fn both_families_learn_what_was_planted() {
    let folder = planted(Planted::default());
    for model in ["logistic", "lightgbm"] {
        let done = train(folder.path(), quick(model));
        let predictions = oof::read(done.path("oof")).unwrap();
        let splits: Splits = done.json("splits").unwrap();
        // ⌊8/6⌋ = 1 day a test part; the last five rows of the last day have no label yet.
        assert_eq!(predictions.len(), 5 * 600 - 5);
        let rows: Vec<usize> = splits.splits.iter().map(|split| split.test_rows).collect();
        assert_eq!(rows, [600, 600, 600, 600, 595]);
        let prior: f64 = predictions
            .iter()
            .map(|p| -splits.splits[p.split as usize].prior[usize::from(p.row.label)].ln() / predictions.len() as f64)
            .sum();
        assert!(mean_logloss(&predictions) < 0.9 * prior, "{model}: {} {prior}", mean_logloss(&predictions));
    }
}

#[test]
fn the_tail_of_a_day_has_its_label_from_the_next_day_s_file() {
    let folder = planted(Planted { days: 7, rows: 200, ..Planted::default() });
    let done = train(folder.path(), quick("logistic"));
    let loaded = sidecar::load(done.path("model")).unwrap();
    assert_eq!((loaded.sidecar.rows, loaded.sidecar.unlabelled), (7 * 200 - 5, 5));
    // Without the last day's files, five rows of the day before lose theirs.
    for part in ["features", "labels"] {
        std::fs::remove_dir_all(folder.path().join(part).join("day=2022-02-20")).unwrap();
    }
    let loaded = sidecar::load(train(folder.path(), quick("logistic")).path("model")).unwrap();
    assert_eq!((loaded.sidecar.rows, loaded.sidecar.unlabelled), (6 * 200 - 5, 5));
    assert_eq!(loaded.sidecar.days, ["2022-02-14", "2022-02-19"]);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let folder = planted(Planted { rows: 300, ..Planted::default() });
    for model in ["logistic", "lightgbm"] {
        let [one, two] = [(); 2].map(|()| train(folder.path(), quick(model)));
        for output in ["oof", "splits"] {
            assert!(one.bytes(output).unwrap() == two.bytes(output).unwrap(), "{model}: {output}");
        }
        let mut files = 0;
        for entry in std::fs::read_dir(one.path("model")).unwrap() {
            let name = entry.unwrap().file_name();
            let [left, right] = [&one, &two].map(|done| std::fs::read(done.path("model").join(&name)).unwrap());
            assert!(left == right, "{model}: {name:?}");
            files += 1;
        }
        assert_eq!(files, 3);
    }
}

#[test]
fn a_model_is_loaded_with_its_answers_checked() {
    let folder = planted(Planted { rows: 300, ..Planted::default() });
    let done = train(folder.path(), quick("logistic"));
    let loaded = sidecar::load(done.path("model")).unwrap();
    assert_eq!(loaded.sidecar.features, ["signal", "echo", "noise0", "noise1", "noise2"]);
    assert!(loaded.check.len() >= 100 * 5);
    let path = done.path("model").join("logistic.json");
    let mut model: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    model["intercepts"][0] = json!(0.123);
    std::fs::write(&path, model.to_string()).unwrap();
    let error = sidecar::load(done.path("model")).err().unwrap().to_string();
    assert!(error.contains("does not give the answers"), "{error}");
}

#[test]
fn shuffled_labels_leave_nothing_to_learn() {
    let folder = planted(Planted::default());
    let prior_share = |params: Value| {
        let done = train(folder.path(), params);
        let predictions = oof::read(done.path("oof")).unwrap();
        let splits: Splits = done.json("splits").unwrap();
        let prior = |p: &Prediction| -splits.splits[p.split as usize].prior[usize::from(p.row.label)].ln();
        mean_logloss(&predictions) / (predictions.iter().map(prior).sum::<f64>() / predictions.len() as f64)
    };
    for seed in 1..=3 {
        let mut params = quick("logistic");
        params["null_labels"] = json!(seed);
        let share = prior_share(params);
        assert!((0.99..1.05).contains(&share), "seed {seed}: {share}");
    }
}

#[test]
fn two_days_are_split_by_blocks_of_rows() {
    let folder = planted(Planted { days: 2, rows: 900, ..Planted::default() });
    let splits: Value = train(folder.path(), quick("logistic")).json("splits").unwrap();
    assert_eq!(splits["unit"], "rows");
    assert_eq!(splits["flags"], json!(["splits_reduced", "row_blocks"]));
    assert_eq!(splits["splits"].as_array().unwrap().len(), 5);
    assert!(splits["splits"].as_array().unwrap().iter().all(|split| split["purged_rows"].as_u64() >= Some(5)));
}

#[test]
fn a_horizon_without_labels_is_an_error_that_names_the_column() {
    let folder = planted(Planted { days: 3, rows: 200, ..Planted::default() });
    let bench = Bench::<Train>::new().unwrap();
    let bench = bench.input("features", folder.path().join("features")).input("labels", folder.path().join("labels"));
    let error = format!("{:#}", bench.run(json!({ "horizon": 7 })).err().unwrap());
    assert!(error.contains("`label_7`"), "{error}");
}
