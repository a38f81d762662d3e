//! What a market folder holds, and what is said where it does not fit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of tests fails them by panicking"
)]

mod files;
mod synthetic;

use ghtrader_cells::ListCells;
use ghtrader_kit::{Bench, Done, Result};
use ghtrader_market::{AllSpecs, Cells, GivenRule, RollRule};
use serde_json::{Value, json};

/// Two varieties, levels 1, the roll given for one of them.
const MARKET: &str = r#"
calendar: china-futures
levels: 1
varieties:
  cu:
    exchange: SHFE
    files: ["ticks/cu*.csv", "ticks/night/**/*.parquet"]
    tick: 10
    multiplier: 5
    roll: {rule: given}
  au:
    exchange: SHFE
    files: ["ticks/au*.csv"]
    tick: 0.02
    multiplier: 1000
"#;
const ROLLS: &str = r#"[
    {"date": "20220117", "from": "cu2202", "to": "cu2203", "oldclse": 70170.0, "newclose": 70190.0},
    {"date": "20220223", "from": "cu2203", "to": "cu2204"}
]"#;
const FILES: [&str; 6] = [
    "markets/m/README.md",
    "markets/m/market.yaml",
    "markets/m/ticks/au2206.csv",
    "markets/m/ticks/cu2203_20220217.csv",
    "markets/m/ticks/cu2203_20220218.csv",
    "markets/m/ticks/night/a/x.parquet",
];

/// Runs the kind with a folder of rolls.
fn run_with(market: &str, rolls: Option<&str>, params: Value) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let mut bench = Bench::<ListCells>::new()?.input_bytes("market", market)?;
    if let Some(rolls) = rolls {
        std::fs::write(folder.path().join("cu.json"), rolls)?;
        bench = bench.input("rolls", folder.path());
    }
    bench.run(params)
}

fn run(market: &str, params: Value) -> Result<Done> {
    run_with(market, Some(ROLLS), params)
}

fn params() -> Value {
    json!({ "root": "markets/m", "files": FILES, "from": null, "to": null })
}

/// The error's text, with all its causes.
fn error(done: Result<Done>) -> String {
    format!("{:#}", done.err().expect("the market does not fit"))
}
