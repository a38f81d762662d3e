//! The kind on the files of a cell.

use ghtrader_check_ticks::{CellChecks, Check, CheckTicks};
use ghtrader_ingest::Ingest;
use ghtrader_kit::Bench;
use ghtrader_market::{CellIndex, MarketFile};
use serde_json::json;

use crate::day::{clean, index_of, short};

#[test]
fn a_file_that_the_index_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("SHFE.cu2203")).unwrap();
    for name in ["SHFE.cu2203/2022-02-18.parquet", "SHFE.cu2203/2022-02-21.parquet", "left.tmp"] {
        clean().write(&folder.path().join(name)).unwrap();
    }
    let index = CellIndex {
        cell: "a.csv".into(),
        read: 600,
        foreign: 0,
        rows: vec![index_of(&clean(), &short())],
        quarantine: Vec::new(),
    };
    let bench = Bench::<CheckTicks>::new().unwrap().input("ticks", folder.path());
    let bench = bench.input_json("index", &index).unwrap().input_json("spec", &short()).unwrap();
    let checks: CellChecks = bench.run(json!({})).unwrap().json("checks").unwrap();
    assert_eq!(
        checks.findings.iter().map(|finding| (finding.check, finding.count)).collect::<Vec<_>>(),
        [(Check::Index, 2)]
    );
    assert_eq!(checks.days.len(), 1);
    assert_eq!(checks.days[0].findings, []);
}

#[test]
fn a_file_without_a_row_of_the_variety() {
    let folder = tempfile::tempdir().unwrap();
    let told = |foreign: u64| {
        let index = CellIndex { cell: "a.csv".into(), read: 600, foreign, rows: Vec::new(), quarantine: Vec::new() };
        let bench = Bench::<CheckTicks>::new().unwrap().input("ticks", folder.path());
        let bench = bench.input_json("index", &index).unwrap().input_json("spec", &short()).unwrap();
        let checks: CellChecks = bench.run(json!({})).unwrap().json("checks").unwrap();
        checks.findings.iter().map(|finding| (finding.check, finding.first.clone())).collect::<Vec<_>>()
    };
    let said = "not one of 600 rows of a.csv is of cu of SHFE: do `exchange` and `files` fit?";
    assert_eq!(told(600), [(Check::Foreign, said.to_owned())]);
    assert_eq!(told(599), []);
}

/// Of an invented day, only the rows are told that ingestion had to put aside, as many as there were.
#[test]
fn an_invented_day_is_clean() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/synthetic/market.yaml");
    let market = MarketFile::read(&path).unwrap();
    for variety in ["cu", "au", "ag"] {
        let spec = market.specs(variety, &market.varieties[variety], None).unwrap().ticks;
        let cell = json!({ "file": null, "synthetic": cell(&market) });
        let bench = Bench::<Ingest>::new().unwrap().input_json("cell", &cell).unwrap().axis("cell", "day");
        let day = bench.input_json("spec", &spec).unwrap().run(json!({})).unwrap();
        let index: CellIndex = day.json("index").unwrap();
        let bench = Bench::<CheckTicks>::new().unwrap().input("ticks", day.path("ticks"));
        let bench = bench.input_json("index", &index).unwrap().input_json("spec", &spec).unwrap();
        let checks: CellChecks = bench.run(json!({})).unwrap().json("checks").unwrap();
        assert_eq!(checks.findings, []);
        assert!(index.rows.len() > 1);
        for (day, index) in checks.days.iter().zip(&index.rows) {
            assert_eq!((&day.contract, day.rows), (&index.contract, index.rows));
            assert!(day.findings.iter().all(|finding| finding.check == Check::Quarantine), "{:?}", day.findings);
            let told: u64 = day.findings.iter().map(|finding| finding.count).sum();
            assert_eq!(told, index.quarantined.values().sum::<u64>(), "{}", day.contract);
        }
        let best = checks.days.iter().map(|day| day.coverage).fold(0.0, f64::max);
        assert!(best > 0.95, "the main contract of {variety} has rows in {best} of all minutes");
    }
}

fn cell(market: &MarketFile) -> serde_json::Value {
    let synthetic = market.synthetic.as_ref().unwrap();
    json!({
        "seed": synthetic.seed, "first_day": synthetic.first_day, "day": synthetic.first_day,
        "rows": synthetic.rows, "strength": synthetic.strength,
    })
}
