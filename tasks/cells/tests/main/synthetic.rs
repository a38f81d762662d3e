//! Cells of synthetic markets, and the market files that are in the repository.

use super::*;

const SYNTHETIC: &str = include_str!("../../../../examples/synthetic/market.yaml");

fn days(params: Value) -> Vec<String> {
    run_with(SYNTHETIC, None, params).unwrap().json::<Cells>("cells").unwrap()["cu"].keys().cloned().collect()
}

#[test]
fn cells_are_trading_days() {
    let all = days(json!({ "root": "examples/synthetic", "files": ["examples/synthetic/market.yaml"] }));
    assert_eq!(all.len(), 12);
    let (eve, after) = (all.iter().position(|day| day == "2024-02-08"), all.iter().position(|day| day == "2024-02-19"));
    assert_eq!(eve.map(|eve| eve + 1), after, "the Spring Festival is no trading day");
    let some = days(json!({ "from": "2024-02-05", "to": "2024-02-06" }));
    assert_eq!(some, ["2024-02-05", "2024-02-06"]);
}

#[test]
fn more_days_leave_the_earlier_cells_as_they_were() {
    let cells = |market: &str| run_with(market, None, json!({})).unwrap().json::<Cells>("cells").unwrap();
    let (short, long) = (cells(SYNTHETIC), cells(&SYNTHETIC.replace("days: 12", "days: 13")));
    assert!(short["au"].iter().all(|(name, cell)| long["au"][name] == *cell));
    assert_eq!(long["au"].len(), short["au"].len() + 1);
}

#[test]
fn a_market_is_either_files_or_synthetic() {
    let both = SYNTHETIC.replacen("    tick: 10", "    files: [\"*.csv\"]\n    tick: 10", 1);
    assert!(error(run_with(&both, None, json!({}))).contains("exclude each other"));
    let closed = SYNTHETIC.replace("2024-01-29", "2024-02-10");
    assert!(error(run_with(&closed, None, json!({}))).contains("no trading day"));
    assert!(error(run_with(SYNTHETIC, None, json!({ "from": "2025-01-01" }))).contains("widen"));
}

#[test]
fn the_market_files_of_the_repository_fit() {
    let files = |pattern: &str| json!({ "root": "m", "files": [format!("m/{pattern}")] });
    for (market, file) in [
        (include_str!("../../../../tests/markets/if/market.yaml"), "ticks/2021-01-04.csv.gz"),
        (include_str!("../../../../tests/markets/btc/market.yaml"), "ticks/a.csv.gz"),
        (include_str!("../../../../examples/own-market/market.yaml"), "ticks/2024-05-06.csv"),
    ] {
        run_with(market, None, files(file)).unwrap();
    }
    let shfe = include_str!("../../../../tests/markets/shfe/market.yaml");
    let tq = ["cu2203", "au2206", "ag2206"].map(|name| format!("m/ticks/tq_{name}_20220218.csv"));
    let done = run_with(shfe, None, json!({ "root": "m", "files": tq })).unwrap();
    let cells: Cells = done.json("cells").unwrap();
    assert!(cells.values().all(|cells| cells.len() == 1), "each variety has its own file: {cells:?}");
}
