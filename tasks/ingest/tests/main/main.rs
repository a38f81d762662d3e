//! Tick files of every shape, their defects, the synthetic market, and the real data where it lies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of tests fails them by panicking"
)]

mod bad_input;
mod defects;
mod formats;
mod real;
mod rules;
mod synthetic;

use std::fmt::Write as _;
use std::path::Path;

use ghtrader_ingest::Ingest;
use ghtrader_kit::{Bench, Done, Result};
use ghtrader_market::{CellIndex, MarketFile, Ticks, TicksSpec};
use serde_json::json;

/// Copper of SHFE, level 1, as the real data has it.
const MARKET: &str = include_str!("../../../../tests/markets/shfe/market.yaml");
const HEADER: &str = "symbol,datetime_ns,last_price,volume,open_interest,bid_price1,bid_volume1,ask_price1,ask_volume1";
/// 2022-02-18 09:00:00 in Shanghai, UTC nanoseconds.
const NINE: i64 = 1_645_146_000_000_000_000;
const HALF_SECOND: i64 = 500_000_000;

fn spec_of(market: &str, variety: &str) -> TicksSpec {
    let market = MarketFile::parse(Path::new("market.yaml"), market).unwrap();
    market.specs(variety, &market.varieties[variety], None).unwrap().ticks
}

fn copper() -> TicksSpec {
    spec_of(MARKET, "cu")
}

/// Runs ingest on a file that lies somewhere, as the cell `cell`.
fn ingest(path: &Path, spec: &TicksSpec) -> Result<Done> {
    Bench::<Ingest>::new()?
        .input_json("cell", &json!({ "file": "ticks/a.csv", "synthetic": null }))?
        .input_json("spec", spec)?
        .input("ticks", path)
        .axis("cell", "cell")
        .run(json!({}))
}

/// Runs ingest on these bytes.
fn ingest_bytes(bytes: impl AsRef<[u8]>, spec: &TicksSpec) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ticks");
    std::fs::write(&path, bytes)?;
    ingest(&path, spec)
}

fn index(done: &Done) -> CellIndex {
    done.json("index").unwrap()
}

fn ticks(done: &Done, contract: &str, day: &str) -> Ticks {
    Ticks::read(&done.path("ticks").join(contract).join(format!("{day}.parquet"))).unwrap()
}

/// A CSV file of copper: each row is (contract, half seconds after nine, bid).
fn csv(rows: &[(&str, i64, i64)]) -> String {
    let mut text = format!("{HEADER}\n");
    for (contract, slot, bid) in rows {
        let (ns, ask) = (NINE + slot * HALF_SECOND, bid + 10);
        writeln!(text, "SHFE.{contract},{ns},{bid},100,5000,{bid},3,{ask},4").unwrap();
    }
    text
}
