//! What is missing is what neither a file nor the calendar accounts for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ghtrader_kit::Bench;
use ghtrader_missing::Missing;
use serde_json::{Value, json};

const MARKET: &str = "
calendar: china-futures
levels: 5
synthetic: { seed: 7, first_day: 2024-01-29, days: 2, rows: 300 }
varieties:
  cu: { exchange: SHFE }
";

fn cells(with: Value) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    Bench::<Missing>::new()?.input_bytes("market", MARKET)?.run(with)?.json("cells")
}

#[test]
fn expected_less_what_is_there() {
    let files = [
        "market/market.yaml",
        "market/fetched/SHFE.cu2403/2024-02-07/SHFE.cu2403.2024-02-07.csv.gz",
        "market/fetched/SHFE.cu2403/2024-02-07/source.json",
        "market/fetched/SHFE.cu2403/2024-02-19/no_data.json",
        "market/ticks/cu2404_20240207_20240219.csv",
    ];
    let with = json!({ "contracts": ["SHFE.cu2403", "SHFE.cu2404", "SHFE.cu2402"], "from": "2024-02-06", "to": "2024-02-20", "root": "market", "files": files });
    let cells = cells(with).unwrap();
    // 9 to 18 February was the New Year's holiday; cu2402 could be traded until the 19th, as the 15th was closed.
    assert_eq!(cells["SHFE.cu2403"], ["2024-02-06", "2024-02-08", "2024-02-20"]);
    assert_eq!(cells["SHFE.cu2404"], ["2024-02-06", "2024-02-20"]);
    assert_eq!(cells["SHFE.cu2402"], ["2024-02-06", "2024-02-07", "2024-02-08", "2024-02-19"]);
}

#[test]
fn dates_in_the_name_of_the_market_folder_hide_no_day() {
    let root = "data/shfe-2022-02-18";
    let files = [format!("{root}/market.yaml"), format!("{root}/fetched/SHFE.cu2203/2022-03-01/SHFE.cu2203.2022-03-01.csv.gz")];
    let with = json!({ "root": root, "contracts": ["SHFE.cu2203"], "from": "2022-02-24", "to": "2022-03-02", "files": files });
    assert_eq!(cells(with).unwrap()["SHFE.cu2203"], ["2022-02-24", "2022-02-25", "2022-02-28", "2022-03-02"]);
}

#[test]
fn days_that_are_not_over_are_not_missing() {
    let with = |from: &str, to: &str| json!({ "contracts": ["SHFE.cu9912"], "from": from, "to": to });
    assert!(cells(with("2090-01-02", "2090-02-01")).unwrap().is_empty());
}

#[test]
fn contracts_may_come_from_the_source() {
    let with = json!({ "source": { "name": "synthetic" }, "from": "2024-01-29", "to": "2024-01-29" });
    let cells = cells(with).unwrap();
    assert!(cells.len() > 1 && cells.contains_key("SHFE.cu2403"), "{cells:?}");
}

#[test]
fn what_does_not_fit_is_said() {
    let error = |with: Value| format!("{:#}", cells(with).unwrap_err());
    let turned = error(json!({ "contracts": ["SHFE.cu2403"], "from": "2024-02-06", "to": "2024-02-05" }));
    assert!(turned.contains("`from` is 2024-02-06 and `to` 2024-02-05"), "{turned}");
    let other = error(json!({ "contracts": ["SHFE.zn2403"], "from": "2024-02-06", "to": "2024-02-06" }));
    assert!(other.contains("SHFE.zn2403 is of no variety of market.yaml, which has cu"), "{other}");
    let no_files = error(json!({ "source": { "name": "files" }, "from": "2024-02-06", "to": "2024-02-06" }));
    assert!(no_files.contains("the input `archive`"), "{no_files}");
}

#[test]
fn thirty_six_thousand_are_counted_in_no_time() {
    let contracts: Vec<String> =
        (0..36).map(|index| format!("SHFE.cu{:02}{:02}", 24 + index / 12, index % 12 + 1)).collect();
    let day = |index: i32| ghtrader_market::Day(18_628 + index);
    let files: Vec<String> = contracts
        .iter()
        .flat_map(|contract| {
            (0..1_400)
                .step_by(2)
                .map(move |index| format!("m/fetched/{contract}/{0}/{contract}.{0}.csv.gz", day(index)))
        })
        .collect();
    let begun = Instant::now();
    let cells =
        cells(json!({ "contracts": contracts, "from": "2021-01-01", "to": "2024-11-01", "files": files })).unwrap();
    assert!(cells.values().map(Vec::len).sum::<usize>() > 10_000);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
