//! What is missing is what neither a file nor the calendar accounts for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ghtrader_kit::Bench;
use ghtrader_market::{Calendar, Clock};
use ghtrader_missing::Missing;
use serde_json::{Value, json};

const MARKET: &str = "
calendar: china-futures
levels: 5
varieties:
  cu: { exchange: SHFE, files: [x.csv] }
";
const INVENTED: &str = "
calendar: china-futures
levels: 5
synthetic: { seed: 7, first_day: 2024-01-29, days: 2, rows: 300 }
varieties:
  cu: { exchange: SHFE }
";

fn cells_of(market: &str, with: Value) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    Bench::<Missing>::new()?.input_bytes("market", market)?.run(with)?.json("cells")
}

fn cells(with: Value) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    cells_of(MARKET, with)
}

#[test]
fn expected_less_what_is_there() {
    let files = [
        "market/market.yaml",
        "market/fetched/SHFE.cu2403/2024-02-07/SHFE.cu2403.2024-02-07.csv.gz",
        "market/fetched/SHFE.cu2403/2024-02-07/source.json",
        "market/fetched/SHFE.cu2403/2024-02-19/no_data.tqsdk.json",
        "market/fetched/SHFE.cu2403/2024-02-20/no_data.files.json",
        "market/ticks/cu2404_20240207_20240219.csv",
    ];
    let with = json!({ "symbols": ["SHFE.cu2403", "SHFE.cu2404", "SHFE.cu2402"], "from": "2024-02-06", "to": "2024-02-20", "root": "market", "files": files });
    let cells = cells(with).unwrap();
    // 9 to 18 February was the New Year's holiday; cu2402 could be traded until the 19th, as the 15th was closed.
    assert_eq!(cells["SHFE.cu2403"], ["2024-02-06", "2024-02-08", "2024-02-20"]);
    assert_eq!(cells["SHFE.cu2404"], ["2024-02-06", "2024-02-20"]);
    assert_eq!(cells["SHFE.cu2402"], ["2024-02-06", "2024-02-07", "2024-02-08", "2024-02-19"]);
}

#[test]
fn dates_in_the_name_of_the_market_folder_hide_no_day() {
    let root = "data/shfe-2022-02-18";
    let files =
        [format!("{root}/market.yaml"), format!("{root}/fetched/SHFE.cu2203/2022-03-01/SHFE.cu2203.2022-03-01.csv.gz")];
    let with =
        json!({ "root": root, "symbols": ["SHFE.cu2203"], "from": "2022-02-24", "to": "2022-03-02", "files": files });
    assert_eq!(cells(with).unwrap()["SHFE.cu2203"], ["2022-02-24", "2022-02-25", "2022-02-28", "2022-03-02"]);
}

#[test]
fn days_that_are_not_over_are_not_missing() {
    // Listed from 2078-12-16 to 2079-12-15.
    let with = json!({ "symbols": ["SHFE.cu7912"], "from": "2079-01-02", "to": "2079-02-01" });
    assert!(cells(with).unwrap().is_empty());
    // Only those before the present day are, and the last of them is.
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let (last, present) = (calendar.last_over(now), calendar.trading_day(now));
    let market = "{ calendar: china-futures, levels: 1, varieties: { cu: { exchange: SHFE, files: [x], listing: {
        contracts: { cu2403: { listed: 2024-01-02, last: 2090-01-02 } } } } } }";
    let with = json!({ "symbols": ["SHFE.cu2403"], "from": last.to_string(), "to": present.plus(7).to_string() });
    assert_eq!(cells_of(market, with).unwrap()["SHFE.cu2403"], [last.to_string()]);
}

#[test]
fn days_before_a_contract_was_listed_are_not_missing() {
    // By the rule: cu2303 expired on 15 March 2023.
    let with = json!({ "symbols": ["SHFE.cu2403"], "from": "2023-03-13", "to": "2023-03-17" });
    assert_eq!(cells(with.clone()).unwrap()["SHFE.cu2403"], ["2023-03-16", "2023-03-17"]);
    // What is stated goes before the rule.
    let stated = MARKET
        .replace("[x.csv]", "[x.csv], listing: { contracts: { cu2403: { listed: 2023-03-14, last: 2023-03-15 } } }");
    assert_eq!(cells_of(&stated, with).unwrap()["SHFE.cu2403"], ["2023-03-14", "2023-03-15"]);
}

#[test]
fn contracts_may_come_from_the_source() {
    let with = json!({ "source": { "name": "synthetic" }, "from": "2024-01-29", "to": "2024-01-29" });
    let cells = cells_of(INVENTED, with).unwrap();
    assert!(cells.len() > 1 && cells.contains_key("SHFE.cu2403"), "{cells:?}");
    // Of one variety all that the source has, of another what is named.
    let two = format!("{INVENTED}  au: {{ exchange: SHFE }}\n");
    let with = json!({ "source": { "name": "synthetic" }, "symbols": ["cu", "SHFE.au2404"], "from": "2024-01-29", "to": "2024-01-29" });
    let both = cells_of(&two, with).unwrap();
    let gold: Vec<&str> = both.keys().map(String::as_str).filter(|name| name.starts_with("SHFE.au")).collect();
    assert_eq!((both.len(), gold), (cells.len() + 1, vec!["SHFE.au2404"]), "{both:?}");
}

#[test]
fn what_does_not_fit_is_said() {
    let error = |with: Value| format!("{:#}", cells(with).unwrap_err());
    let turned = error(json!({ "symbols": ["SHFE.cu2403"], "from": "2024-02-06", "to": "2024-02-05" }));
    assert!(turned.contains("`from` is 2024-02-06 and `to` 2024-02-05"), "{turned}");
    for strange in ["SHFE.zn2403", "DCE.cu2403"] {
        let other = error(json!({ "symbols": [strange], "from": "2024-02-06", "to": "2024-02-06" }));
        let told = format!("`{strange}` is no variety or contract of this market, which has cu of SHFE");
        assert!(other.contains(&told), "{other}");
    }
    let no_files = error(json!({ "source": { "name": "files" }, "from": "2024-02-06", "to": "2024-02-06" }));
    assert!(no_files.contains("the input `archive`"), "{no_files}");
}

#[test]
fn thirty_six_thousand_are_counted_in_no_time() {
    let contracts: Vec<String> =
        (0..36).map(|index| format!("SHFE.zn{:02}{:02}", 24 + index / 12, index % 12 + 1)).collect();
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
    // Of zinc nobody says when it is listed: it is expected on every day.
    let market = MARKET.replace("cu: { exchange: SHFE", "zn: { exchange: SHFE, tick: 5, multiplier: 5");
    let cells =
        cells_of(&market, json!({ "symbols": contracts, "from": "2021-01-01", "to": "2024-11-01", "files": files }))
            .unwrap();
    assert!(cells.values().map(Vec::len).sum::<usize>() > 10_000);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
