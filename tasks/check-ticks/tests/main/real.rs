//! The real data of `../shared/data`, where it lies: what is found in them, as it came out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ghtrader_check_ticks::{CellChecks, Check, CheckTicks};
use ghtrader_ingest::Ingest;
use ghtrader_kit::Bench;
use ghtrader_market::MarketFile;
use serde_json::json;

/// A folder of the real data; says so where it is not there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// What is found in a file: by contract and check.
fn found(file: &Path, market: &str, variety: &str) -> BTreeMap<(String, Check), u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/markets").join(market).join("market.yaml");
    let market = MarketFile::read(&path).unwrap();
    let spec = market.specs(variety, &market.varieties[variety], Some(Vec::new())).unwrap().ticks;
    let cell = json!({ "file": file.file_name().unwrap().to_string_lossy(), "synthetic": null });
    let bench = Bench::<Ingest>::new().unwrap().input_json("cell", &cell).unwrap().axis("cell", "file");
    let day = bench.input_json("spec", &spec).unwrap().input("ticks", file).run(json!({})).unwrap();
    let bench = Bench::<CheckTicks>::new().unwrap().input("ticks", day.path("ticks")).input("index", day.path("index"));
    let done = bench.input_json("spec", &spec).unwrap().run(json!({})).unwrap();
    let checks: CellChecks = done.json("checks").unwrap();
    assert_eq!(checks.findings, []);
    let mut found = BTreeMap::new();
    for day in &checks.days {
        for finding in &day.findings {
            println!("{} {}: {} × {}: {}", day.contract, day.day, finding.count, finding.check, finding.first);
            *found.entry((day.contract.clone(), finding.check)).or_default() += finding.count;
        }
    }
    found
}

#[test]
fn thirteen_contracts_of_shfe() {
    let Some(folder) = data("shfe-2022-02-18") else { return };
    let mut all = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let variety = file.file_name().unwrap().to_string_lossy()[3..5].to_owned();
        all.extend(found(&file, "shfe", &variety));
    }
    let of = |wanted: Check| -> Vec<(&str, u64)> {
        let these = all.iter().filter(|((_, check), _)| *check == wanted);
        these.map(|((contract, _), count)| (contract.as_str(), *count)).collect()
    };
    assert_eq!(of(Check::Quarantine), [("SHFE.au2208", 1), ("SHFE.cu2206", 1)], "the two known defects");
    // In the files of quiet contracts the day's highest comes late: rows trade above it.
    let late =
        [("SHFE.ag2204", 24), ("SHFE.ag2205", 17), ("SHFE.ag2206", 4), ("SHFE.ag2207", 29), ("SHFE.cu2207", 134)];
    assert_eq!(of(Check::Extremes), late);
    // Recorded from 11:20 into the early afternoon: the night and morning before, and the rest of the day.
    assert!(of(Check::Gap).len() == 13 && of(Check::Gap).iter().all(|(_, count)| *count == 2), "{all:?}");
    let told = [Check::Quarantine, Check::Extremes, Check::Gap];
    assert!(all.keys().all(|(_, check)| told.contains(check)), "{all:?}");
}

#[test]
fn eleven_days_of_if() {
    let Some(folder) = data("if-2021-01") else { return };
    let all = found(&folder.join("if_hot_20210104_20210118_l1.csv.gz"), "if", "IF");
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn a_book_round_the_clock() {
    let Some(folder) = data("btcusdt-l5") else { return };
    let all = found(&folder.join("derived_btcusdt_usdm_20240718-19_l5_event.csv.gz"), "btc", "BTCUSDT");
    let gaps = [(("BINANCE.BTCUSDT".to_owned(), Check::Gap), 2)];
    assert_eq!(all, gaps.into(), "five minutes before midnight and five after, of two days");
}
