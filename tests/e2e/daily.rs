//! The flow `daily` end to end: on a small synthetic market, and on the real ones where they lie beside the project.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::space::{Answer, Space, results};

/// The smallest market on which a model is better than chance beyond doubt.
const SMALL: &str = include_str!("../markets/small/market.yaml");

/// One horizon and one model, so that a test takes seconds.
const QUICK: [&str; 6] = ["-p", "market=market", "-p", "horizons=[10]", "-p", "models=[logistic]"];

pub(crate) fn project() -> Space {
    let tasks = Path::new(env!("CARGO_BIN_EXE_ghtrader")).with_file_name("ghtrader-tasks");
    assert!(tasks.is_file(), "{} is not built: run ./x test, or ./x build first", tasks.display());
    let space = Space::new();
    for flow in ["daily.yaml", "backfill.yaml", "audit.yaml", "fetch.yaml", "record.yaml"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("flows").join(flow), space.path("flows").join(flow))
            .unwrap();
    }
    space
}

pub(crate) fn small() -> Space {
    let space = project();
    space.write("market/market.yaml", SMALL);
    space
}

fn daily(space: &Space, args: &[&str]) -> Answer {
    let answer = space.call(&[&["run", "daily"], &QUICK[..], args].concat());
    assert_eq!(answer.code, 0, "{answer:#?}");
    answer
}

/// The tasks that ran, each with the number of its instances.
pub(crate) fn ran(answer: &Answer) -> BTreeMap<String, usize> {
    let mut ran = BTreeMap::new();
    for line in answer.err.lines().filter_map(|line| line.strip_prefix("ran      ")) {
        let name = line.split(['[', ' ']).next().unwrap_or_default();
        *ran.entry(name.to_owned()).or_default() += 1;
    }
    ran
}

fn expected(tasks: &[(&str, usize)]) -> BTreeMap<String, usize> {
    tasks.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn edit(space: &Space, from: &str, to: &str) {
    let text = space.read("flows/daily.yaml");
    assert!(text.contains(from), "daily.yaml has no `{from}`");
    space.write("flows/daily.yaml", &text.replace(from, to));
}

#[test]
fn a_model_is_promoted_and_the_second_run_executes_nothing() {
    let space = small();
    let first = daily(&space, &[]);
    assert!(first.out.contains("promoted"), "{first:#?}");
    let second = daily(&space, &[]);
    assert_eq!(second.counts().0, 0, "{second:#?}");
    assert_eq!(second.out, first.out, "the table is shown also when nothing ran");

    let lineage = space.call(&["lineage", "model/cu/h10/production"]).out;
    for part in ["decision", "train[variety=cu,horizon=10,model=logistic]", "with", "code train", "market/market.yaml"]
    {
        assert!(lineage.contains(part), "`{part}` is not in\n{lineage}");
    }
}

#[test]
fn a_model_trained_on_shuffled_labels_is_refused() {
    let space = small();
    for seed in ["null_labels=1", "null_labels=2", "null_labels=3"] {
        let answer = daily(&space, &["-p", seed]);
        assert!(answer.out.contains("refused") && !answer.out.contains("promoted"), "{seed}: {answer:#?}");
    }
    assert_eq!(space.call(&["refs"]).out, "no refs yet\n");
}

#[test]
fn a_factor_reruns_build_and_what_follows_and_a_gate_promote_alone() {
    let space = small();
    let days = ran(&daily(&space, &[]))["build"];
    edit(
        &space,
        "with: { horizons: \"${{ params.horizons }}\" }",
        "with: { horizons: \"${{ params.horizons }}\", factors: { ofi: { windows: [1, 10, 50, 100] } } }",
    );
    let factor = daily(&space, &[]);
    let after_build = [("build", days), ("train", 1), ("eval", 1), ("promote", 1), ("summary", 1)];
    assert_eq!(ran(&factor), expected(&after_build), "{factor:#?}");
    edit(
        &space,
        "with: { regime: \"${{ inputs.regime }}\" }\n    publish",
        "with: { regime: \"${{ inputs.regime }}\", gates: [{ gate: skill, metric: mean.logloss_skill, op: \">=\", bound: 0.9 }] }\n    publish",
    );
    let gate = daily(&space, &[]);
    assert_eq!(ran(&gate), expected(&[("promote", 1), ("summary", 1)]), "{gate:#?}");
    assert!(gate.out.contains("refused"), "{gate:#?}");
}

#[test]
fn killed_ten_times_the_flow_completes_with_the_same_results() {
    let undisturbed = small();
    daily(&undisturbed, &[]);
    let space = small();
    // Moments drawn beforehand, within the time that a run takes.
    let mut interrupted = 0;
    for delay in [30, 310, 90, 470, 250, 170, 380, 60, 540, 210] {
        let mut child = space.command(&[&["run", "daily"], &QUICK[..]].concat()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        interrupted += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(interrupted >= 5, "only {interrupted} of the runs were still running when they were killed");
    daily(&space, &[]);
    assert_eq!(results(&space.path("cache")), results(&undisturbed.path("cache")));
}

/// The folder of real data, or a message that the test is skipped.
pub(crate) fn real(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}

pub(crate) fn market_file(space: &Space, market: &str) {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/markets").join(market).join("market.yaml"),
    );
    space.write("market/market.yaml", &text.unwrap());
}

/// The IF file, split by day: a source file is the unit of ingest.
fn if_days(source: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(source.join("if_hot_20210104_20210118_l1.csv.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut days: BTreeMap<String, String> = BTreeMap::new();
    for row in rows.lines() {
        let day = row.split(',').nth(2).unwrap().to_owned();
        let text = days.entry(day).or_insert_with(|| format!("{header}\n"));
        text.push_str(row);
        text.push('\n');
    }
    days
}

fn write_day(space: &Space, day: &str, text: &str) {
    let path = space.path(&format!("market/ticks/if_{day}.csv.gz"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

#[test]
fn on_real_if_ticks_a_new_day_runs_that_day_alone_and_gives_the_same_hashes_as_the_whole() {
    let Some(source) = real("if-2021-01") else { return };
    let days = if_days(&source);
    assert_eq!(days.len(), 11);
    let last = days.keys().next_back().unwrap().clone();

    let grown = project();
    market_file(&grown, "if");
    days.iter().filter(|(day, _)| **day != last).for_each(|(day, text)| write_day(&grown, day, text));
    let first = daily(&grown, &[]);
    assert_eq!((ran(&first)["ingest"], ran(&first)["build"]), (10, 10), "{first:#?}");
    write_day(&grown, &last, &days[&last]);
    let second = daily(&grown, &[]);
    let once = ["cells", "ingest", "schedule", "main-l5", "build", "train", "eval", "promote"].map(|task| (task, 1));
    let mut second = ran(&second);
    // The table of decisions is the same bytes, or not, as the decision comes out.
    second.remove("summary");
    assert_eq!(second, expected(&once));

    let whole = project();
    market_file(&whole, "if");
    days.iter().for_each(|(day, text)| write_day(&whole, day, text));
    daily(&whole, &[]);
    let (grown, whole) = (results(&grown.path("cache")), results(&whole.path("cache")));
    let differing: Vec<_> =
        whole.iter().filter(|(key, outputs)| grown.get(*key).is_some_and(|other| other != *outputs)).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let missing = whole.keys().filter(|key| !grown.contains_key(*key)).count();
    // `promote` of the grown one compares with what the first run put in service, if it did.
    assert!(missing <= 2, "{missing} keys of the whole are not those of the grown one");
}

#[test]
fn the_defects_of_the_real_shfe_files_are_quarantined_and_counted() {
    let Some(source) = real("shfe-2022-02-18") else { return };
    let space = project();
    market_file(&space, "shfe");
    std::fs::create_dir_all(space.path("market/ticks")).unwrap();
    for file in std::fs::read_dir(source).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), space.path("market/ticks").join(file.file_name())).unwrap();
    }
    let answer = space.call(&["run", "backfill", "-p", "market=market"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let counts = ran(&answer);
    assert_eq!((counts["ingest"], counts["main-l5"], counts["build"]), (13, 3, 3), "{answer:#?}");
    let mut defects = BTreeMap::new();
    for (variety, contract) in [("au", "au2208"), ("cu", "cu2206"), ("cu", "cu2203")] {
        let name = format!("backfill:ingest[variety={variety},cell=ticks.tq_{contract}_20220218.csv].index");
        let got = space.call(&["get", &name, "-o", "index.json"]);
        assert_eq!(got.code, 0, "{got:#?}");
        let index: Value = serde_json::from_str(&space.read("index.json")).unwrap();
        let rows = index["rows"].as_array().unwrap();
        let quarantined: u64 = rows
            .iter()
            .flat_map(|row| row["quarantined"].as_object().unwrap().values())
            .map(|count| count.as_u64().unwrap())
            .sum();
        defects.insert(contract, quarantined);
    }
    assert_eq!(defects, BTreeMap::from([("au2208", 1), ("cu2203", 0), ("cu2206", 1)]));
}

#[test]
fn a_real_market_around_the_clock_runs_to_its_decision() {
    let Some(source) = real("btcusdt-l5") else { return };
    let space = project();
    market_file(&space, "btc");
    std::fs::create_dir_all(space.path("market/ticks")).unwrap();
    let file = "derived_btcusdt_usdm_20240718-19_l5_event.csv.gz";
    std::fs::copy(source.join(file), space.path("market/ticks").join(file)).unwrap();
    let answer = daily(&space, &[]);
    assert!(answer.out.contains("BTCUSDT"), "{answer:#?}");
    let got =
        space.call(&["get", "daily:train[variety=BTCUSDT,horizon=10,model=logistic].splits", "-o", "splits.json"]);
    assert_eq!(got.code, 0, "{got:#?}");
    let splits: Value = serde_json::from_str(&space.read("splits.json")).unwrap();
    assert!(splits["flags"].as_array().unwrap().iter().any(|flag| flag == "splits_reduced"), "{splits}");
    assert_eq!(
        space
            .call(&["run", "daily", "-p", "market=market", "-p", "horizons=[10]", "-p", "models=[logistic]"])
            .counts()
            .0,
        0
    );
}
