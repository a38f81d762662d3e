//! The flow `backfill` end to end: what is missing is told and not tried again, one cell is as stale as its own content, and a
//! flow can fetch what is missing without overrunning its source.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::fmt::Write as _;

use serde_json::Value;

use crate::markets::{project, ran, small};
use crate::running::full::Small;
use crate::space::{Answer, Space, results};

/// Two contracts of copper and one of gold, whose lives are stated.
const MARKET: &str = "calendar: china-futures
levels: 1
varieties:
  cu:
    exchange: SHFE
    files: ['ticks/cu*.csv']
    listing: { contracts: { cu2203: { listed: 2022-02-14 }, cu2204: { listed: 2022-02-16 } } }
  au:
    exchange: SHFE
    files: ['ticks/au*.csv']
    listing: { contracts: { au2206: { listed: 2022-02-17 } } }
";
/// 00:00 in UTC of Monday, 2022-02-14.
const MONDAY_NS: i64 = 1_644_796_800_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
const FLOW: [&str; 8] = ["run", "backfill", "-p", "market=market", "-p", "from=2022-02-14", "-p", "to=2022-02-18"];

/// A contract's ticks of a day of that week: 0 is Monday. Rows at nine, ten and three o'clock in Shanghai.
fn write_day(space: &Space, code: &str, day: i64, price: i64) {
    let mut text =
        "symbol,datetime_ns,last_price,volume,open_interest,bid_price1,bid_volume1,ask_price1,ask_volume1\n".to_owned();
    for (row, seconds) in [3_600, 7_200, 25_199].into_iter().enumerate() {
        let ns = MONDAY_NS + day * DAY_NS + seconds * 1_000_000_000;
        writeln!(text, "SHFE.{code},{ns},{price},{row},1000,{},3,{price},4", price - 10).unwrap();
    }
    space.write(&format!("market/ticks/{code}_202202{}.csv", 14 + day), &text);
}

/// All of the week but one day of cu2203.
fn market() -> Space {
    let space = project();
    space.write("market/market.yaml", MARKET);
    (0..5).filter(|day| *day != 2).for_each(|day| write_day(&space, "cu2203", day, 70_000));
    (2..5).for_each(|day| write_day(&space, "cu2204", day, 70_100));
    (3..5).for_each(|day| write_day(&space, "au2206", day, 380));
    space
}

fn backfill(space: &Space, args: &[&str]) -> Answer {
    let answer = space.call(&[&FLOW[..], args].concat());
    assert_eq!(answer.code, 0, "{answer:#?}");
    answer
}

#[test]
fn what_is_missing_is_told_and_a_second_run_tries_nothing() {
    let space = market();
    let first = backfill(&space, &[]);
    assert_eq!(ran(&first)["ingest"], 9, "{first:#?}");
    let told = "au: 2 of 2 expected days of 1 contract complete, 2022-02-14 to 2022-02-18
cu: 7 of 8 expected days of 2 contracts complete, 1 missing, 2022-02-14 to 2022-02-18
  SHFE.cu2203  missing 2022-02-16\n";
    assert_eq!(first.out, told);
    let second = backfill(&space, &[]);
    assert_eq!((second.counts().0, second.out), (0, told.to_owned()), "the gap is told again, and nothing is tried");

    // What is known not to exist is marked, and no longer missing.
    space.write("market/no_data.yaml", "- { contract: SHFE.cu2203, day: 2022-02-16, reason: the recorder was down }\n");
    let marked = backfill(&space, &[]);
    assert!(
        marked.out.contains("1 no data") && marked.out.contains("no data 2022-02-16: the recorder was down"),
        "{marked:#?}"
    );
    let mut tasks = ran(&marked);
    // A file more is another list of files.
    assert_eq!((tasks.remove("cells"), tasks.remove("ledger")), (Some(1), Some(2)), "{marked:#?}");
    assert!(tasks.is_empty(), "{marked:#?}");
    assert_eq!(backfill(&space, &[]).counts().0, 0);

    // It turns up after all.
    write_day(&space, "cu2203", 2, 70_000);
    let filled = backfill(&space, &[]);
    assert_eq!((ran(&filled)["ingest"], ran(&filled)["ledger"]), (1, 1), "{filled:#?}");
    assert!(filled.out.contains("cu: 8 of 8") && filled.out.contains("although marked as having none"), "{filled:#?}");
}

#[test]
fn a_day_of_which_no_row_can_be_kept_is_no_data_and_says_why() {
    let space = market();
    let header = "symbol,datetime_ns,last_price,volume,open_interest,bid_price1,bid_volume1,ask_price1,ask_volume1\n";
    let row = format!("SHFE.cu2203,{},0,0,1000,0,0,0,0\n", MONDAY_NS + 2 * DAY_NS + 3_600_000_000_000);
    space.write("market/ticks/cu2203_20220216.csv", &(header.to_owned() + &row));
    let answer = backfill(&space, &[]);
    assert!(
        answer.out.contains("SHFE.cu2203  no data 2022-02-16: no row could be kept (empty book: 1)"),
        "{answer:#?}"
    );
}

#[test]
fn each_cell_is_as_stale_as_its_own_content() {
    let space = market();
    backfill(&space, &[]);
    write_day(&space, "cu2204", 3, 70_200);
    let edited = backfill(&space, &[]);
    assert_eq!(ran(&edited)["ingest"], 1, "{edited:#?}");
    let text = space.read("market/ticks/cu2204_20220217.csv");
    space.write("market/ticks/cu2204_20220217.csv", &text);
    assert_eq!(backfill(&space, &[]).counts().0, 0, "the same bytes once more");
}

#[test]
fn some_varieties_or_contracts_alone() {
    let space = market();
    let gold = backfill(&space, &["-p", "symbols=[au]"]);
    assert_eq!((ran(&gold)["ingest"], ran(&gold)["schedule"]), (2, 1), "{gold:#?}");
    assert!(gold.out.starts_with("au: 2 of 2") && !gold.out.contains("cu:"), "{gold:#?}");
    let contract = backfill(&space, &["-p", "symbols=[au, SHFE.cu2203]"]);
    assert_eq!(ran(&contract).get("ingest"), Some(&4), "{contract:#?}");
    assert_eq!(ran(&contract).get("schedule"), None, "of one contract there is no main one: {contract:#?}");
    assert!(contract.out.contains("cu: 4 of 5 expected days of 1 contract"), "{contract:#?}");
    let all = backfill(&space, &[]);
    assert_eq!((ran(&all)["ingest"], ran(&all)["schedule"]), (3, 1), "what was read is there: {all:#?}");
    let wrong = space.call(&[&FLOW[..], &["-p", "symbols=[zn]"]].concat());
    assert_eq!(wrong.code, 1, "{wrong:#?}");
    assert!(
        wrong.err.contains("`zn` is no variety or contract of this market, which has au of SHFE, cu of SHFE"),
        "{wrong:#?}"
    );
}

/// What a flow declares that fetches from somewhere: a task for each missing day, so many of them at a time as the source allows.
const FETCH: &str = r#"
params: { market: market, from: 2022-02-14, to: 2022-02-18 }
tasks:
  data:
    flow: backfill
    with: { market: "${{ params.market }}", from: "${{ params.from }}", to: "${{ params.to }}" }
  fetch:
    matrix:
      variety: { from: data/cells.cells }
      contract: { from: data/ledger.missing }
      day: { from: data/ledger.missing, at: "${{ contract }}" }
    run: |
      touch "@/at/$$" && ls "@/at" | wc -l >>"@/seen" && sleep 0.1 && rm "@/at/$$"
      echo "$MATRIX_CONTRACT $MATRIX_DAY" >"$OUTPUT_ANSWER"
    outputs: { answer: answer.txt }
    resources: { cpu: 0, source: 1 }
"#;

#[test]
fn a_flow_fetches_what_is_missing_once_and_no_more_at_a_time_than_its_source_allows() {
    let space = market();
    // Five contracts more that are not there at all.
    let more: String = (5..10).map(|month| format!(", cu220{month}: {{ listed: 2022-02-15 }}")).collect();
    space.write(
        "market/market.yaml",
        &MARKET.replace("cu2204: { listed: 2022-02-16 }", &format!("cu2204: {{ listed: 2022-02-16 }}{more}")),
    );
    space.write("flows/fetch.yaml", &FETCH.replace('@', &space.path("").display().to_string()));
    std::fs::create_dir(space.path("at")).unwrap();
    space.write("ghtrader.yaml", "machine: { tokens: { source: 2 } }\n");
    let run = || space.call(&["run", "fetch", "--jobs", "16"]);
    let answer = run();
    assert_eq!((answer.code, ran(&answer)["fetch"]), (0, 21), "{answer:#?}");
    let seen = space.read("seen");
    let most = seen.lines().map(|line| line.trim().parse::<usize>().unwrap()).max();
    assert_eq!(most, Some(2), "side by side, but no more: {seen}");
    assert_eq!(run().counts().0, 0, "what was asked for once is not asked for again");
}

#[test]
fn thousands_of_files_are_no_more_than_a_kind_can_be_told() {
    let space = market();
    // Beyond the 128 KiB that the system takes of one variable; none of them is a tick file.
    for number in 0..1_200 {
        space.write(&format!("market/attic/{}{number}.txt", "x".repeat(100)), "");
    }
    assert_eq!(ran(&backfill(&space, &[]))["ingest"], 9);
    assert_eq!(backfill(&space, &[]).counts().0, 0);
}

#[test]
fn the_ledger_of_the_real_files_says_what_was_listed_beside_them() {
    let Some(source) = crate::markets::real("shfe-2022-02-18") else { return };
    let space = project();
    crate::markets::market_file(&space, "shfe");
    std::fs::create_dir_all(space.path("market/ticks")).unwrap();
    for file in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), space.path("market/ticks").join(file.file_name())).unwrap();
    }
    let answer = space.call(&["run", "backfill", "ledger", "-p", "market=market"]);
    let lines: Vec<&str> = answer.out.lines().filter(|line| !line.starts_with(' ')).collect();
    let told = [
        "ag: 5 of 12 expected days of 12 contracts complete, 7 missing, 2022-02-18 to 2022-02-18",
        "au: 3 of 8 expected days of 8 contracts complete, 5 missing, 2022-02-18 to 2022-02-18",
        "cu: 5 of 12 expected days of 12 contracts complete, 7 missing, 2022-02-18 to 2022-02-18",
    ];
    assert_eq!((answer.code, lines), (0, told.to_vec()), "{answer:#?}");
    let got = space.call(&["get", "backfill:ledger[variety=au].missing", "-o", "missing.json"]);
    assert_eq!(got.code, 0, "{got:#?}");
    let missing: Value = serde_json::from_str(&space.read("missing.json")).unwrap();
    let contracts: Vec<&String> = missing.as_object().unwrap().keys().collect();
    assert_eq!(contracts, ["SHFE.au2203", "SHFE.au2205", "SHFE.au2210", "SHFE.au2212", "SHFE.au2302"]);
}

#[test]
fn a_disk_that_is_full_leaves_nothing_half_ingested() {
    let space = small();
    let Some(disk) = Small::mount(&space, "1500k") else { return };
    let run =
        |args: &[&str]| space.call(&[&["run", "backfill", "-p", "market=market", "--cache", "small"], args].concat());
    let answer = run(&["-k"]);
    assert!(answer.code == 1 || answer.code == 4, "{answer:#?}");
    assert!(answer.err.contains("No space left on device"), "{answer:#?}");
    disk.grow("100m");
    let answer = run(&[]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    // The same as where there was room from the beginning.
    let other = small();
    assert_eq!(other.call(&["run", "backfill", "-p", "market=market"]).code, 0);
    assert_eq!(results(&space.path("small")), results(&other.path("cache")));
}
