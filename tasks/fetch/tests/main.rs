//! What a source gives becomes a file that says where it comes from; what it lacks, a marker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

use ghtrader_fetch::Fetch;
use ghtrader_kit::{Bench, Done, Result};
use ghtrader_market::{Calendar, Clock, NoData};
use ghtrader_provider::Origin;
use serde_json::json;

const MARKET: &str = "
calendar: china-futures
levels: 5
synthetic: { seed: 7, first_day: 2024-01-29, days: 2, rows: 300 }
varieties:
  cu: { exchange: SHFE }
";

fn fetch(contract: &str, day: &str) -> Result<Done> {
    let bench = Bench::<Fetch>::new()?.input_bytes("market", MARKET)?.axis("contract", contract).axis("day", day);
    bench.run(json!({ "source": { "name": "synthetic" } }))
}

#[test]
fn ticks_and_where_they_come_from() {
    let done = fetch("SHFE.cu2403", "2024-01-30").unwrap();
    let file = std::fs::File::open(done.path("ticks").join("SHFE.cu2403.2024-01-30.csv.gz")).unwrap();
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    let origin: Origin =
        serde_json::from_slice(&std::fs::read(done.path("ticks").join("source.json")).unwrap()).unwrap();
    assert_eq!(text.lines().count() as u64, origin.rows + 1);
    let about = json!([origin.source, origin.tier, origin.contract, origin.day]);
    assert_eq!(about, json!(["synthetic", "synthetic", "SHFE.cu2403", "2024-01-30"]));
    assert_eq!(done.json::<Vec<NoData>>("no_data").unwrap(), []);
    let again = fetch("SHFE.cu2403", "2024-01-30").unwrap();
    let bytes = |done: &Done| std::fs::read(done.path("ticks").join("SHFE.cu2403.2024-01-30.csv.gz")).unwrap();
    assert!(bytes(&done) == bytes(&again), "the same bytes");
}

#[test]
fn what_a_source_lacks_is_marked() {
    let done = fetch("SHFE.cu2403", "2024-01-26").unwrap();
    let marked: Vec<NoData> = done.json("no_data").unwrap();
    assert_eq!(
        serde_json::to_value(&marked).unwrap(),
        json!([{ "contract": "SHFE.cu2403", "day": "2024-01-26", "reason": "synthetic has no ticks of it" }])
    );
    let names: Vec<_> =
        std::fs::read_dir(done.path("ticks")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["no_data.synthetic.json"]);
}

#[test]
fn an_empty_answer_soon_after_the_day_is_no_marker() {
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let last = calendar.last_over(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap());
    let names = |done: &Done| -> Vec<_> {
        std::fs::read_dir(done.path("ticks")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let soon = fetch("SHFE.cu2403", &last.to_string()).unwrap();
    assert_eq!(soon.json::<Vec<NoData>>("no_data").unwrap(), [], "the trading day after it is not over");
    assert_eq!(names(&soon), ["not_yet.synthetic.json"]);
    let later = fetch("SHFE.cu2403", &calendar.previous(last).to_string()).unwrap();
    assert_eq!(later.json::<Vec<NoData>>("no_data").unwrap().len(), 1);
    assert_eq!(names(&later), ["no_data.synthetic.json"]);
}

#[test]
fn a_contract_of_another_market_is_refused() {
    let error = format!("{:#}", fetch("DCE.cu2403", "2024-01-30").err().unwrap());
    assert!(error.contains("`DCE.cu2403` is no variety or contract of this market, which has cu of SHFE"), "{error}");
}

#[test]
fn a_day_that_cannot_be_whole_is_refused() {
    let error = |day: &str| format!("{:#}", fetch("SHFE.cu2403", day).err().unwrap());
    assert!(error("2024-02-09").contains("2024-02-09 is no trading day"));
    assert!(error("2090-01-03").contains("is not over yet"));
}
