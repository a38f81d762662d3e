//! The day of the clock, and those that were left over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

use ghtrader_kit::Bench;
use ghtrader_trading_day::TradingDay;
use serde_json::{Value, json};

const MARKET: &str = "{ calendar: china-futures, levels: 1, varieties: { cu: { exchange: SHFE, files: [x.csv] } } }";

fn days(with: Value) -> Vec<String> {
    Bench::<TradingDay>::new().unwrap().input_bytes("market", MARKET).unwrap().run(with).unwrap().json("days").unwrap()
}

#[test]
fn today_comes_last_and_what_was_never_handed_over_before() {
    let spool = tempfile::tempdir().unwrap();
    let with = |files: &[&str]| json!({ "root": "market", "spool": spool.path(), "day": "2024-01-31", "files": files });
    assert_eq!(days(with(&[])), ["2024-01-31"]);
    for (day, finished) in [("2024-01-26", true), ("2024-01-29", true), ("2024-01-30", false), ("2024-01-31", false)] {
        std::fs::create_dir(spool.path().join(day)).unwrap();
        std::fs::write(spool.path().join(day).join("SHFE.cu2403.csv"), "").unwrap();
        if finished {
            std::fs::write(spool.path().join(day).join("finished"), "").unwrap();
        }
    }
    std::fs::create_dir(spool.path().join("notes")).unwrap();
    // Of the two that were finished, one has not reached the market folder.
    assert_eq!(days(with(&["market/recorded/2024-01-29/x.csv.gz"])), ["2024-01-26", "2024-01-30", "2024-01-31"]);
}

#[test]
fn the_clock_gives_a_trading_day() {
    let spool = tempfile::tempdir().unwrap();
    let days = days(json!({ "root": "market", "spool": spool.path() }));
    let calendar = ghtrader_market::Calendar::new(&ghtrader_market::Clock::china()).unwrap();
    assert!(days.len() == 1 && calendar.is_trading_day(days[0].parse().unwrap()), "{days:?}");
}
