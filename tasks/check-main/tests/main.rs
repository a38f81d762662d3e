//! `check-main` on a small day.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ghtrader_check_main::{CheckMain, MainChecks};
use ghtrader_check_ticks::Check;
use ghtrader_kit::Bench;
use ghtrader_main_l5::{MainL5, Manifest};
use ghtrader_market::{Entry, Tick, Ticks, VALUES};
use serde_json::json;

fn entry() -> Entry {
    let (contract, cell) = ("SHFE.cu2203".to_owned(), "ticks.csv".to_owned());
    Entry { contract, cell, segment: 3, previous: None, hash: "ab".repeat(32), flags: Vec::new() }
}

fn raw() -> Ticks {
    let mut ticks = Ticks::new("SHFE.cu2203");
    for row in 0..5_i64 {
        let values: [f64; VALUES] = std::array::from_fn(|column| (row * 31 + column as i64) as f64);
        let trading_day = "2022-02-18".parse().unwrap();
        ticks.push(&Tick { trading_day, datetime_ns: 1_645_154_403_000_000_000 + row * 500_000_000, values });
    }
    ticks
}

/// What is found after a change of the raw rows, the main series, its manifest or the entry: nothing else.
fn found(change: impl FnOnce(&mut Ticks, &mut Ticks, &mut Manifest, &mut Entry)) -> Vec<(Check, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.parquet");
    raw().write(&path).unwrap();
    let bench = Bench::<MainL5>::new().unwrap().input_json("entry", &entry()).unwrap().input("ticks", &path);
    let done = bench.axis("variety", "cu").axis("day", "2022-02-18").run(json!({})).unwrap();
    let (mut raw, mut main, mut entry) = (raw(), Ticks::read(done.path("ticks")).unwrap(), entry());
    let mut manifest: Manifest = done.json("manifest").unwrap();
    change(&mut raw, &mut main, &mut manifest, &mut entry);
    let main_path = folder.path().join("main.parquet");
    raw.write(&path).unwrap();
    main.write(&main_path).unwrap();
    let bench = Bench::<CheckMain>::new().unwrap().input("raw", &path).input("ticks", &main_path);
    let bench = bench.input_json("manifest", &manifest).unwrap().input_json("entry", &entry).unwrap();
    let done = bench.axis("variety", "cu").axis("day", "2022-02-18").run(json!({})).unwrap();
    let checks: MainChecks = done.json("check").unwrap();
    checks.findings.iter().map(|finding| (finding.check, finding.count)).collect()
}

#[test]
fn what_main_l5_wrote_is_right() {
    assert_eq!(found(|_, _, _, _| {}), []);
}

#[test]
fn rows_that_are_not_the_contracts() {
    let hash_too = [(Check::Index, 1), (Check::Main, 1)];
    assert_eq!(found(|_, main, _, _| main.book[3].ask_volume[2] += 1.0), hash_too);
    assert_eq!(found(|raw, _, _, _| raw.last_price[0] += 1.0), [(Check::Main, 1)], "the contract was made again");
    assert_eq!(found(|raw, _, _, _| *raw = raw.slice(0..4)), [(Check::Main, 1)]);
    assert_eq!(found(|raw, _, _, _| raw.symbol = "SHFE.cu2204".into()), [(Check::Main, 1)]);
}

#[test]
fn provenance() {
    let segment = found(|_, main, _, _| main.main.as_mut().unwrap().segment_id[1] = 2);
    assert_eq!(segment, [(Check::Main, 1)]);
    let schedule = found(|_, _, _, entry| entry.hash = "cd".repeat(32));
    assert_eq!(schedule, [(Check::Index, 1), (Check::Main, 1)], "the schedule decided anew");
    assert_eq!(found(|_, main, _, _| main.symbol = "SHFE.cu2203".into()), [(Check::Index, 1), (Check::Main, 1)]);
    assert_eq!(found(|_, main, _, _| main.main = None), [(Check::Main, 1)]);
    assert_eq!(found(|_, _, manifest, _| manifest.rows = 4), [(Check::Index, 1)]);
    assert_eq!(found(|_, _, manifest, _| manifest.day = manifest.day.plus(1)), [(Check::Index, 1)]);
}
