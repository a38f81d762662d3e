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
    ("secrets_are_nowhere", secrets_are_nowhere),
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness::run("QuestDB", "QUESTDB_TESTS", TESTS, || Server::start(root).map(RefCell::new), |_| {})
}

/// `ghtrader run store …`, with a name of its own for the market in the store: a folder `market`, reached through a link.
fn store(space: &Space, name: &str, address: &str, args: &[&str]) -> Answer {
    let link = space.path(name);
    if !link.exists() {
        std::os::unix::fs::symlink("market", link).unwrap();
    }
    let (address, market) = (format!("store={address}"), format!("market={name}"));
    space.call(&[&["run", "store", "-p", &address, "-p", &market], args].concat())
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
    let files = space.call(&["run", "backfill", "-p", &format!("market={name}")]);
    let again: BTreeSet<String> = ran(&files).into_keys().collect();
    assert!(
        files.code == 0 && ["ingest", "schedule", "main-l5", "build"].iter().all(|task| !again.contains(*task)),
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
    assert_eq!(
        (folder.code, tasks),
        (0, vec!["features".to_owned(), "labels".to_owned(), "main".to_owned(), "raw".to_owned()])
    );
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

fn secrets_are_nowhere(server: &Shared) {
    let space = small();
    let address = server.borrow().address();
    let secret = "not-to-be-seen-71";
    std::os::unix::fs::symlink("market", space.path("secret")).unwrap();
    let (store, market) = (format!("store={address}"), "market=secret");
    let mut command = space.command(&["run", "store", "-p", &store, "-p", market]);
    let answer = space::answer(command.env("QUESTDB_USER", "desk").env("QUESTDB_PASSWORD", secret));
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.err.contains(secret) && !answer.out.contains(secret));
    for file in space::files_below(&space.path("cache")) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", file.display());
    }
    let refused = space.call(&["run", "store", "-p", &format!("{store}password={secret};"), "-p", market]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.err.contains("QUESTDB_PASSWORD"), "{refused:#?}");
}
