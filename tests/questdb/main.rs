//! The flow `store`, end to end: through a real QuestDB that is started for it, and through a folder; the real files where they
//! lie beside the repository. What the stores do by themselves is in `tasks/store/tests`.
//!
//! `./x test` installs the server; where it is not to be had the tests are not run, and that is said. With
//! `QUESTDB_TESTS=required` that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may fail anywhere, and this is the program that tells of it"
)]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../markets/mod.rs"]
mod markets;
mod server;
#[path = "../e2e/space.rs"]
#[allow(dead_code, reason = "what the other tests use of it")]
mod space;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use harness::Test;
use markets::{bitcoin, index_future, ran, shfe, small};
use server::Server;
use space::{Answer, Counts, Space};

type Shared = RefCell<Server>;

const TESTS: &[Test<Shared>] = &[
    ("factors_and_labels_are_those_of_the_files", factors_and_labels_are_those_of_the_files),
    ("so_are_those_of_the_real_files", so_are_those_of_the_real_files),
    ("what_somebody_changes_is_made_again", what_somebody_changes_is_made_again),
    ("a_server_that_is_away_is_no_yes", a_server_that_is_away_is_no_yes),
    ("what_a_shared_cache_has_is_asked_for_too", what_a_shared_cache_has_is_asked_for_too),
    ("two_markets_of_one_folder_name_live_side_by_side", two_markets_of_one_folder_name_live_side_by_side),
    ("market_yaml_may_say_which_store", market_yaml_may_say_which_store),
    ("what_leaves_the_market_leaves_the_store", what_leaves_the_market_leaves_the_store),
    ("secrets_are_nowhere", secrets_are_nowhere),
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness::run("QuestDB", "QUESTDB_TESTS", TESTS, || Server::start(root).map(RefCell::new), |_| {})
}

/// `ghtrader run store …`, with a name of its own for the market in the store.
fn store(space: &Space, name: &str, address: &str, args: &[&str]) -> Answer {
    named(space, name);
    let address = format!("store={address}");
    space.call(&[&["run", "store", "-p", "market=market", "-p", &address], args].concat())
}

/// Gives the market a name.
fn named(space: &Space, name: &str) {
    let market = space.read("market/market.yaml");
    let rest: Vec<&str> = market.lines().filter(|line| !line.starts_with("name:")).collect();
    space.write("market/market.yaml", &format!("name: {name}\n{}\n", rest.join("\n")));
}

/// All that is stored under a market: table, symbol, day, rows, and the aggregates of the row hashes.
fn content(server: &Server, market: &str) -> Vec<Vec<serde_json::Value>> {
    let mut all = Vec::new();
    let tables = server.rows("SELECT table_name FROM tables() WHERE table_name LIKE 'ghtrader%' ORDER BY table_name");
    for table in tables {
        let table = table[0].as_str().unwrap();
        let day = if table.contains("labels") { "build_day" } else { "trading_day" };
        let mut rows = server.rows(&format!(
            "SELECT '{table}', symbol, {day}, count(), count_distinct(row_hash), min(row_hash), max(row_hash), sum(row_hash) \
             FROM {table} WHERE market = '{market}' AND lake_version = 'v2' ORDER BY symbol, {day}"
        ));
        all.append(&mut rows);
    }
    all
}

/// The flow through a store; then `backfill`, which has nothing to do: each of its tasks has the inputs, and so the outputs,
/// that it has through the store.
fn through(server: &Server, space: &Space, name: &str) {
    let first = store(space, name, &server.address(), &[]);
    assert_eq!((first.code, first.counts().2), (0, 0), "{first:#?}");
    let files = space.call(&["run", "backfill", "-p", "market=market"]);
    let again: BTreeSet<String> = ran(&files).into_keys().collect();
    assert!(
        files.code == 0
            && ["ingest", "ledger", "schedule", "main-l5", "build"].iter().all(|task| !again.contains(*task)),
        "{files:#?}"
    );
    let before = content(server, name);
    assert!(before.iter().any(|row| row[0] == "ghtrader_features_v2"), "{before:?}");
    assert!(before.iter().all(|row| row[3] == row[4]), "no row is there twice: {before:?}");
    // Again, by somebody who knows nothing of it: all is there, and nothing changes.
    std::fs::remove_dir_all(space.path("cache")).unwrap();
    let again = store(space, name, &server.address(), &["-q"]);
    assert_eq!((again.code, again.counts().0), (0, first.counts().0), "{again:#?}");
    assert_eq!(content(server, name), before);
}

fn factors_and_labels_are_those_of_the_files(server: &Shared) {
    let space = small();
    through(&server.borrow(), &space, "invented");
    let second = store(&space, "invented", &server.borrow().address(), &[]);
    assert_eq!(second.counts().0, 0, "{second:#?}");
    // And through a folder, the same bytes.
    let lake = tempfile::tempdir().unwrap();
    let folder = store(&space, "invented", &format!("parquet::{}", lake.path().display()), &[]);
    let tasks: Vec<String> = ran(&folder).into_keys().collect();
    assert_eq!((folder.code, tasks), (0, ["features", "labels", "main", "no-data", "raw"].map(str::to_owned).to_vec()));
}

fn so_are_those_of_the_real_files(server: &Shared) {
    for (name, space) in [("shfe", shfe()), ("if", index_future()), ("btc", bitcoin())] {
        if let Some(space) = space {
            through(&server.borrow(), &space, name);
            println!("  {name}");
        }
    }
}

fn what_somebody_changes_is_made_again(server: &Shared) {
    let server = server.borrow();
    let space = small();
    let address = server.address();
    assert_eq!(store(&space, "changed", &address, &["-q"]).code, 0);
    let before = content(&server, "changed");
    let (ticks, labels) = ("ghtrader_ticks_raw_v2", "ghtrader_labels_v2");
    let found = server.rows(&format!("SELECT datetime_ns, symbol FROM {ticks} WHERE market = 'changed' LIMIT 1"));
    let stamp = found[0][0].as_i64().unwrap();
    server.execute(
        &format!("UPDATE {ticks} SET bid_volume3 = 77777 WHERE market = 'changed' AND datetime_ns = {stamp}"),
        ticks,
    );
    let dry = store(&space, "changed", &address, &["-n"]);
    assert!(dry.err.contains("runs     raw[") && dry.err.contains("has other values"), "{dry:#?}");
    let mended = store(&space, "changed", &address, &[]);
    assert_eq!(
        (mended.code, ran(&mended).get("raw"), mended.counts().0),
        (0, Some(&1), 1),
        "nothing else: {mended:#?}"
    );
    assert_eq!(content(&server, "changed"), before);

    let day = server.rows(&format!("SELECT build_day FROM {labels} WHERE market = 'changed' LIMIT 1"))[0][0].clone();
    let day = &day.as_str().unwrap()[..10];
    server.execute(
        &format!("UPDATE {labels} SET lake_version = 'gone' WHERE market = 'changed' AND build_day = '{day}'"),
        labels,
    );
    let dry = store(&space, "changed", &address, &["-n"]);
    assert!(dry.err.contains("runs     labels[") && dry.err.contains("is gone"), "{dry:#?}");
    assert_eq!(store(&space, "changed", &address, &[]).counts().0, 1);
    assert_eq!(content(&server, "changed"), before);
    assert_eq!(store(&space, "changed", &address, &[]).counts().0, 0);
}

fn a_server_that_is_away_is_no_yes(server: &Shared) {
    let space = small();
    let address = format!("{}retry_timeout=500;", server.borrow().address());
    assert_eq!(store(&space, "away", &address, &["-q"]).code, 0);
    server.borrow_mut().kill();
    let answer = store(&space, "away", &address, &[]);
    assert_eq!(answer.code, 4, "{answer:#?}");
    assert!(answer.err.contains("cannot be reached") && answer.err.contains("./x questdb start"), "{answer:#?}");
    // Where nothing is recorded yet, the tasks fail and say the same.
    let fresh = small();
    let answer = store(&fresh, "away", &address, &[]);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("cannot be reached"), "{answer:#?}");
    server.borrow_mut().start_again();
    assert_eq!(store(&space, "away", &address, &[]).counts().0, 0, "all is there");
}

/// What the outputs say lies in a bucket only: a machine that has none of them asks nevertheless.
fn what_a_shared_cache_has_is_asked_for_too(server: &Shared) {
    let address = server.borrow().address();
    let bucket = tempfile::tempdir().unwrap();
    let machine = || {
        let space = small();
        space.write("ghtrader.yaml", &format!("cache: {}\n", bucket.path().display()));
        space
    };
    assert_eq!(store(&machine(), "shared", &address, &["-q"]).code, 0);
    let other = machine();
    assert_eq!(store(&other, "shared", &address, &[]).counts().0, 0);
    server.borrow().execute(
        "UPDATE ghtrader_features_v2 SET lake_version = 'gone' WHERE market = 'shared'",
        "ghtrader_features_v2",
    );
    let third = machine();
    let dry = store(&third, "shared", &address, &["-n"]);
    let Counts(ran, ..) = dry.counts();
    assert!(ran > 0 && dry.err.contains("is gone"), "{dry:#?}");
    assert_eq!(store(&third, "shared", &address, &[]).counts().0, ran);
}

/// Two projects whose market folders have one name, in one store.
fn two_markets_of_one_folder_name_live_side_by_side(server: &Shared) {
    let server = server.borrow();
    let address = server.address();
    let (one, other) = (small(), small());
    assert_eq!(store(&one, "desk_a", &address, &["-q"]).code, 0);
    let before = content(&server, "desk_a");
    let text = other.read("market/market.yaml");
    let seed = text.replace("seed: ", "seed: 7");
    assert_ne!(text, seed);
    other.write("market/market.yaml", &seed);
    assert_eq!(store(&other, "desk_b", &address, &["-q"]).code, 0);
    assert_ne!(content(&server, "desk_b"), before);
    assert_eq!(content(&server, "desk_a"), before);
    assert_eq!(store(&one, "desk_a", &address, &[]).counts().0, 0);
    assert_eq!(store(&other, "desk_b", &address, &[]).counts().0, 0);

    // A name is nothing that could be guessed.
    let nameless = small();
    let answer = nameless.call(&["run", "store", "-p", "market=market", "-p", &format!("store={address}")]);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("the market has no name") && answer.err.contains("`name: shfe`"), "{answer:#?}");
}

fn market_yaml_may_say_which_store(_: &Shared) {
    let space = small();
    named(&space, "said");
    let call = || space.call(&["run", "store", "raw", "-p", "market=market"]);
    let nowhere = call();
    assert_eq!(nowhere.code, 1, "{nowhere:#?}");
    assert!(nowhere.err.contains("no store is given") && nowhere.err.contains("market.yaml"), "{nowhere:#?}");
    let lake = tempfile::tempdir().unwrap();
    let market = space.read("market/market.yaml");
    space.write("market/market.yaml", &format!("store: 'parquet::{}'\n{market}", lake.path().display()));
    let answer = call();
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!in_folder(lake.path(), "said").is_empty());
    assert_eq!(call().counts().0, 0);
}

/// Copper, and the days without data that somebody knows of.
const COPPER: &str = "name: copper
calendar: china-futures
levels: 1
varieties:
  cu:
    exchange: SHFE
    files: ['ticks/cu*.csv']
    listing: { contracts: { cu2203: { listed: 2022-02-14 }, cu2204: { listed: 2022-02-14 } } }
";

/// One file of copper: three rows of each (contract, day of that week), or one that has to be put aside.
fn week(space: &Space, days: &[(&str, i64, bool)]) {
    let mut text =
        "symbol,datetime_ns,last_price,volume,open_interest,bid_price1,bid_volume1,ask_price1,ask_volume1\n".to_owned();
    // By the clock, as a recorder writes them.
    for (row, seconds) in [3_600, 7_200, 25_199].into_iter().enumerate() {
        for (code, day, good) in days {
            let ns = (1_644_796_800 + day * 86_400 + seconds) * 1_000_000_000;
            let book = if *good { "70000,1,1000,69990,3,70000,4" } else { "0,0,1000,0,0,0,0" };
            if *good || row == 0 {
                text += &format!("SHFE.{code},{ns},{book}\n");
            }
        }
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].sort_by_key(|line| line.split(',').nth(1).unwrap().to_owned());
    space.write("market/ticks/cu.csv", &(lines.join("\n") + "\n"));
}

/// Table, symbol and day of all that a folder holds of a market.
fn in_folder(lake: &Path, market: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in space::files_below(lake).iter().filter(|file| file.extension().is_some_and(|end| end == "parquet")) {
        let parts: Vec<&str> = file.strip_prefix(lake).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
        assert_eq!((parts.len(), parts[1]), (4, market));
        found.insert(format!("{} {} {}", parts[0], parts[2], parts[3].trim_end_matches(".parquet")));
    }
    found
}

/// What a store holds is what the market holds, whatever it held before: on both stores.
fn what_leaves_the_market_leaves_the_store(server: &Shared) {
    let server = server.borrow();
    let lake = tempfile::tempdir().unwrap();
    for address in [format!("parquet::{}", lake.path().display()), server.address()] {
        println!("  {address}");
        let held = || -> BTreeSet<String> {
            if address.starts_with("parquet") {
                return in_folder(lake.path(), "copper");
            }
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let line =
                |row: &Vec<serde_json::Value>| format!("{} {} {}", text(&row[0]), text(&row[1]), &text(&row[2])[..10]);
            content(&server, "copper").iter().map(line).collect()
        };
        let space = markets::project();
        space.write("market/market.yaml", COPPER);
        let run = |ran: usize| {
            let window = ["-p", "from=2022-02-14", "-p", "to=2022-02-18"];
            let answer = store(&space, "copper", &address, &[&window[..], &["raw", "no-data"]].concat());
            assert_eq!(answer.code, 0, "{answer:#?}");
            assert_eq!(
                ["raw", "no-data"].iter().filter(|task| markets::ran(&answer).contains_key(**task)).count(),
                ran
            );
            held()
        };
        let set = |lines: &[&str]| -> BTreeSet<String> {
            let name = |line: &&str| {
                let (table, rest) = line.split_once(' ').unwrap();
                format!("ghtrader_{table}_v2 SHFE.{rest}")
            };
            lines.iter().map(name).collect()
        };
        let whole = set(&[
            "ticks_raw cu2203 2022-02-14",
            "ticks_raw cu2203 2022-02-15",
            "ticks_raw cu2204 2022-02-14",
            "symbol_day_index cu2203 2022-02-14",
            "symbol_day_index cu2203 2022-02-15",
            "symbol_day_index cu2204 2022-02-14",
        ]);
        let part = set(&[
            "ticks_raw cu2203 2022-02-14",
            "symbol_day_index cu2203 2022-02-14",
            "symbol_day_index cu2203 2022-02-15",
            "no_data_days cu2203 2022-02-15",
        ]);
        let all_good = || week(&space, &[("cu2203", 0, true), ("cu2203", 1, true), ("cu2204", 0, true)]);
        let one_bad_one_gone = || week(&space, &[("cu2203", 0, true), ("cu2203", 1, false)]);
        all_good();
        assert_eq!(run(2), whole);
        one_bad_one_gone();
        assert_eq!(run(2), part, "a day of which no row can be kept, and a contract that left");
        // Both are recorded by now: the store alone says that it is not so any more.
        all_good();
        assert_eq!(run(2), whole, "mended: what was missing is there, and the marker is not");
        one_bad_one_gone();
        assert_eq!(run(2), part, "what is recorded is not there alone");
        assert_eq!(run(0), part);
        // What people and providers say, in the ledger's words.
        space.write(
            "market/no_data.yaml",
            "- { contract: SHFE.cu2204, day: 2022-02-16, to: 2022-02-17, reason: not traded }\n",
        );
        space.write(
            "market/fetched/no_data.json",
            r#"[{"contract":"SHFE.cu2203","day":"2022-02-18","reason":"the source has none"}]"#,
        );
        let marked = set(&[
            "no_data_days cu2204 2022-02-16",
            "no_data_days cu2204 2022-02-17",
            "no_data_days cu2203 2022-02-18",
        ]);
        assert_eq!(run(1), part.union(&marked).cloned().collect());
        if !address.starts_with("parquet") {
            let reasons = server.rows(
                "SELECT symbol, reason, variety FROM ghtrader_no_data_days_v2 WHERE market = 'copper' AND lake_version = 'v2' \
                 ORDER BY trading_day",
            );
            let reasons: Vec<&str> = reasons.iter().map(|row| row[1].as_str().unwrap()).collect();
            let why = "no row could be kept (empty book: 1)";
            assert_eq!(reasons, [why, "not traded", "not traded", "the source has none"]);
        }
        std::fs::remove_file(space.path("market/no_data.yaml")).unwrap();
        std::fs::remove_file(space.path("market/fetched/no_data.json")).unwrap();
        assert_eq!(run(1), part, "a marker that is gone");
    }
}

fn secrets_are_nowhere(_: &Shared) {
    let secret = "not-to-be-seen-71";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server =
        Server::start_with(root, &[("QDB_HTTP_USER", "desk"), ("QDB_HTTP_PASSWORD", "not-to-be-seen-71")]).unwrap();
    let space = small();
    named(&space, "secret");
    let (store, project) = (format!("store={}", server.address()), space.root().display().to_string());
    // From elsewhere: the file is the project's, not that of the folder where somebody stands.
    let call = || {
        let mut command = space.command(&["-C", &project, "run", "store", "raw", "-p", "market=market", "-p", &store]);
        space::answer(command.current_dir("/"))
    };
    let unknown = call();
    assert_eq!(unknown.code, 1, "{unknown:#?}");
    assert!(unknown.err.contains("does not know us") && unknown.err.contains(".env of the project"), "{unknown:#?}");
    space.write(".env", &format!("QUESTDB_USER=desk\nQUESTDB_PASSWORD={secret}\n"));
    let answer = call();
    assert_eq!(answer.code, 0, "{answer:#?}");
    let again = call();
    assert_eq!((again.code, again.counts().0), (0, 0), "{again:#?}");
    assert!([answer, again].iter().all(|answer| !answer.err.contains(secret) && !answer.out.contains(secret)));
    for file in space::files_below(&space.path("cache")) {
        let bytes = std::fs::read(&file).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!has(secret), "{}", file.display());
        assert!(!(has("QUESTDB_PASSWORD") && file.starts_with(space.path("cache/v1/results"))), "no part of a key");
    }
    let refused =
        space.call(&["run", "store", "raw", "-p", &format!("{store}password={secret};"), "-p", "market=market"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.err.contains("QUESTDB_PASSWORD"), "{refused:#?}");
}
