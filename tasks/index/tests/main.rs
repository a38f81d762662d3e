//! The index of ticks that have none is the one that ingestion wrote of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ghtrader_index::Index;
use ghtrader_ingest::Ingest;
use ghtrader_kit::Bench;
use ghtrader_market::{CellIndex, MarketFile, TicksSpec};
use serde_json::json;

fn spec() -> TicksSpec {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/synthetic/market.yaml");
    let market = MarketFile::read(&path).unwrap();
    market.specs("cu", &market.varieties["cu"], None).unwrap().ticks
}

#[test]
fn it_says_of_the_rows_what_ingestion_said() {
    let spec = spec();
    let cell = json!({ "seed": 1, "first_day": "2024-01-29", "day": "2024-01-29", "rows": 500, "strength": 1.0 });
    let cell = json!({ "file": null, "synthetic": cell });
    let bench = Bench::<Ingest>::new().unwrap().input_json("cell", &cell).unwrap().axis("cell", "day");
    let ingested = bench.input_json("spec", &spec).unwrap().run(json!({})).unwrap();
    let mut said: CellIndex = ingested.json("index").unwrap();
    let bench = Bench::<Index>::new().unwrap().axis("cell", "day").input("ticks", ingested.path("ticks"));
    let made = bench.input_json("spec", &spec).unwrap().run(json!({})).unwrap();
    let made: CellIndex = made.json("index").unwrap();

    assert!(said.rows.len() > 1 && said.rows.iter().all(|day| day.rows > 0));
    // What was dropped and put aside is not in the ticks.
    said.quarantine.clear();
    (said.read, said.foreign) = (said.rows.iter().map(|day| day.rows).sum(), 0);
    for day in &mut said.rows {
        (day.duplicates, day.replaced) = (0, 0);
        day.quarantined.clear();
    }
    assert_eq!(made, said);
}

#[test]
fn a_file_under_another_name_is_refused() {
    let spec = spec();
    let folder = tempfile::tempdir().unwrap();
    let mut ticks = ghtrader_market::Ticks::new("SHFE.cu2403");
    let trading_day = "2024-01-29".parse().unwrap();
    let datetime_ns = 1_706_490_000_000_000_000;
    ticks.push(&ghtrader_market::Tick { trading_day, datetime_ns, values: [70_000.0; ghtrader_market::VALUES] });
    let error = |contract: &str, file: &str| {
        let _ = fs_err::remove_dir_all(folder.path().join(contract));
        fs_err::create_dir_all(folder.path().join(contract)).unwrap();
        ticks.write(&folder.path().join(contract).join(file)).unwrap();
        let error = CellIndex::from_ticks("a", folder.path(), &spec).unwrap_err().to_string();
        fs_err::remove_dir_all(folder.path().join(contract)).unwrap();
        error
    };
    assert!(error("SHFE.cu2404", "2024-01-29.parquet").contains("it holds SHFE.cu2403, and lies under SHFE.cu2404"));
    assert!(
        error("SHFE.cu2403", "2024-01-30.parquet").contains("it holds rows of 2024-01-29, and is named 2024-01-30")
    );
    assert!(error("SHFE.cu2403", "yesterday.parquet").contains("<contract>/<trading day>.parquet"));
    assert!(error("cu2403", "2024-01-29.parquet").contains("<contract>/<trading day>.parquet"));
}
