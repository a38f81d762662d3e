//! The flow `fetch` against the test server: what a market lacks comes into it, once.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::markets::{project, ran};
use crate::service::{account, assert_nowhere, invented, server};
use crate::space::{Answer, Space, files_below, signal, wait_for};

const FILES: &str = "\"fetched/*/*/*.csv.gz\"";

fn fetch(space: &Space, more: &[&str]) -> Answer {
    let days = ["-p", "from=2024-01-26", "-p", "to=2024-01-31"];
    space.call(&[&["run", "fetch", "-p", "market=market"], &days[..], more].concat())
}

/// Row hashes of the main series' contracts and days, after `backfill`.
fn hashes(space: &Space) -> BTreeMap<String, Value> {
    let answer = space.call(&["run", "backfill", "-p", "market=market"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let mut found = BTreeMap::new();
    for (_, outputs) in crate::space::results(&space.path("cache")) {
        let Some(hash) = outputs.get("index").and_then(|index| index["hash"].as_str()) else { continue };
        let text = space.read(&format!("cache/v1/objects/{}/{}", &hash[..2], &hash[2..]));
        let index: Value = serde_json::from_str(&text).unwrap();
        for row in index["rows"].as_array().unwrap() {
            let name = format!("{} {}", row["contract"].as_str().unwrap(), row["day"].as_str().unwrap());
            found.insert(name, serde_json::json!([row["rows"], row["hash_min"], row["hash_max"], row["hash_sum"]]));
        }
    }
    found
}

#[test]
fn what_a_market_lacks_is_fetched_once_and_is_what_the_service_has() {
    let server = server(3, None);
    let space = account(&server, FILES);
    let answer = fetch(&space, &[]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let contracts = server.market().series.len();
    assert_eq!(ran(&answer)["fetch"], 4 * contracts, "{answer:#?}");
    // The day before the first one has no ticks: that is noted, and not asked for again.
    let marker: Value =
        serde_json::from_str(&space.read("market/fetched/SHFE.cu2403/2024-01-26/no_data.tqsdk.json")).unwrap();
    let expected =
        serde_json::json!([{ "contract": "SHFE.cu2403", "day": "2024-01-26", "reason": "tqsdk has no ticks of it" }]);
    assert_eq!(marker, expected);
    assert!(answer.out.contains("tqsdk has no ticks of it"), "{answer:#?}");
    let all: Value = serde_json::from_str(&space.read("market/fetched/no_data.json")).unwrap();
    let origin: Value = serde_json::from_str(&space.read("market/fetched/SHFE.cu2403/2024-01-29/source.json")).unwrap();
    assert_eq!(
        (&origin["source"], &origin["tier"], &origin["missing"]),
        (&"tqsdk".into(), &"historical".into(), &0.into())
    );

    let asked = server.seen();
    let again = fetch(&space, &[]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!((ran(&again).get("fetch"), server.seen().charts), (None, asked.charts), "{again:#?}");
    assert_nowhere(&space, server.account().1);
    let same: Value = serde_json::from_str(&space.read("market/fetched/no_data.json")).unwrap();
    assert!(all == same && same[0]["contract"] == "SHFE.cu2403", "{same}");

    // The same rows as those of the market that the service was made of, in all of the book.
    let direct = project();
    direct.write("market/market.yaml", &invented());
    let (ours, theirs) = (hashes(&space), hashes(&direct));
    assert!(ours.len() > 2 * contracts, "{ours:#?}");
    assert_eq!(ours, theirs);

    // One that is removed is asked for again, alone.
    std::fs::remove_dir_all(space.path("market/fetched/SHFE.cu2403/2024-01-30")).unwrap();
    let lost = fetch(&space, &[]);
    assert_eq!(lost.code, 0, "{lost:#?}");
    assert!(space.exists("market/fetched/SHFE.cu2403/2024-01-30/source.json"));
    assert_eq!(ran(&lost)["fetch"], 1, "{lost:#?}");
    assert!(server.seen().charts > asked.charts, "{lost:#?}");
}

#[test]
fn what_one_source_does_not_have_another_one_may() {
    let (whole, part) = (server(3, None), server(1, None));
    let from = account(&whole, FILES);
    let one = ["-p", "symbols=[SHFE.cu2403]"];
    assert_eq!(fetch(&from, &one).code, 0);
    let to = account(&part, FILES);
    let first = fetch(&to, &one);
    assert_eq!((first.code, ran(&first)["fetch"]), (0, 4), "{first:#?}");
    let folder = |day: &str| to.path(&format!("market/fetched/SHFE.cu2403/{day}"));
    assert!(folder("2024-01-30").join("no_data.tqsdk.json").exists());

    std::fs::rename(from.path("market/fetched"), to.path("archive")).unwrap();
    let source = ["-p", "source=files", "-p", "archive=archive"];
    let other = fetch(&to, &[&one[..], &source].concat());
    assert_eq!((other.code, ran(&other)["fetch"]), (0, 3), "the marked days alone: {other:#?}");
    assert!(
        folder("2024-01-30").join("source.json").exists() && !folder("2024-01-30").join("no_data.tqsdk.json").exists()
    );
    assert!(folder("2024-01-26").join("no_data.files.json").exists(), "neither has it");
    let marked: Value = serde_json::from_str(&to.read("market/fetched/no_data.json")).unwrap();
    let expected = serde_json::json!([{ "contract": "SHFE.cu2403", "day": "2024-01-26", "reason": "see fetched/SHFE.cu2403/2024-01-26" }]);
    assert_eq!(marked, expected);
    let again = fetch(&to, &[&one[..], &source].concat());
    assert_eq!((again.code, ran(&again).get("fetch")), (0, None), "{again:#?}");
}

#[test]
fn no_more_ask_at_once_than_the_machine_declares() {
    let server = server(3, None);
    server.fault(|faults| faults.delay = Duration::from_millis(100));
    let space = account(&server, FILES);
    let answer = fetch(&space, &["--jobs", "8", "--cpus", "8"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert_eq!(server.seen().most, 2, "tokens: {{ tqsdk: 2 }}");
}

#[test]
fn a_run_that_is_killed_goes_on_with_the_days_that_are_left() {
    let server = server(3, None);
    server.fault(|faults| faults.delay = Duration::from_millis(150));
    let space = account(&server, FILES);
    let days = ["-p", "from=2024-01-29", "-p", "to=2024-01-31", "-p", "symbols=[SHFE.cu2403,SHFE.cu2404]"];
    let args = [&["run", "fetch", "-p", "market=market"], &days[..]].concat();
    let mut runner = space.command(&args).spawn().unwrap();
    let published = || {
        let files =
            if space.exists("market/fetched") { files_below(&space.path("market/fetched")) } else { Vec::new() };
        files.iter().filter(|path| path.ends_with("source.json")).count()
    };
    wait_for("the first days", || published() >= 2);
    signal(runner.id(), "KILL");
    runner.wait().unwrap();
    let before = published();
    assert!(before < 6, "it was killed in the middle");
    let answer = space.call(&args);
    assert_eq!((answer.code, published()), (0, 6), "{answer:#?}");
    assert!(ran(&answer).get("fetch").is_some_and(|ran| *ran <= 6 - before), "{before} were there: {answer:#?}");
}

#[test]
fn breaks_of_the_connection_are_gone_on_from() {
    let server = server(2, None);
    server.fault(|faults| (faults.drops, faults.drop_after) = (2, 300));
    let space = account(&server, FILES);
    let one = ["-p", "symbols=[SHFE.cu2403]", "-p", "from=2024-01-29", "-p", "to=2024-01-29"];
    let answer = fetch(&space, &one);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let log = space.call(&["log", "last", "fetch[contract=SHFE.cu2403,day=2024-01-29]"]);
    assert!(log.out.contains("the next attempt is in"), "{log:#?}");
    assert_nowhere(&space, server.account().1);
}

#[test]
fn a_wrong_password_fails_and_leaves_no_marker() {
    let server = server(1, None);
    let space = account(&server, FILES);
    space.write(".env", "TQ_USER=tester\nTQ_PASSWORD=not-this-one-4417\n");
    let one = ["-p", "symbols=[SHFE.cu2403]", "-p", "from=2024-01-29", "-p", "to=2024-01-29"];
    let answer = fetch(&space, &one);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("the login was refused (401 invalid_grant)"), "{answer:#?}");
    assert!(!space.exists("market/fetched"), "a failure is no lack of data");
    assert_nowhere(&space, "not-this-one-4417");

    std::fs::remove_file(space.path(".env")).unwrap();
    let answer = fetch(&space, &one);
    assert!(answer.err.contains("no TQ_USER and TQ_PASSWORD") && answer.err.contains(".env"), "{answer:#?}");
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    let server = server(1, None);
    let space = account(&server, FILES);
    let flow = space.read("flows/fetch.yaml");
    space.write("flows/fetch.yaml", &flow.replace("http://127", "http://tester:hidden-5518@127"));
    let answer = fetch(&space, &[]);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("an address holds no user and no password"), "{answer:#?}");
    assert!(!answer.err.contains("hidden-5518") && !answer.out.contains("hidden-5518"), "{answer:#?}");
    assert_eq!(server.seen().logins, 0);
}

#[test]
fn a_folder_of_files_is_a_source_too() {
    let server = server(1, None);
    let from = account(&server, FILES);
    assert_eq!(fetch(&from, &[]).code, 0);
    let to = account(&server, FILES);
    std::fs::rename(from.path("market/fetched"), to.path("archive")).unwrap();
    let day = "fetched/SHFE.cu2403/2024-01-29";
    let source = ["-p", "source=files", "-p", "archive=archive", "-p", "symbols=[SHFE.cu2403]"];
    let answer = fetch(&to, &source);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let origin: Value = serde_json::from_str(&to.read(&format!("market/{day}/source.json"))).unwrap();
    assert_eq!(
        (&origin["source"], &origin["rows"]),
        (&"files".into(), &server.market().window(&window()).len().into())
    );
}

fn window() -> ghtrader_provider::Window {
    let clock = ghtrader_market::Clock::china();
    ghtrader_provider::Window::of_day("SHFE.cu2403", "2024-01-29".parse().unwrap(), &clock).unwrap()
}

#[test]
fn a_file_that_was_emptied_is_named_and_fetched_again_once_it_is_removed() {
    let server = server(1, None);
    let space = account(&server, FILES);
    let one = ["-p", "symbols=[SHFE.cu2403]", "-p", "from=2024-01-29", "-p", "to=2024-01-29"];
    assert_eq!(fetch(&space, &one).code, 0);
    let file = "market/fetched/SHFE.cu2403/2024-01-29/SHFE.cu2403.2024-01-29.csv.gz";
    std::fs::write(space.path(file), "").unwrap();
    // No file is opened to look what is missing; who reads it fails, and says what to do.
    assert_eq!(ran(&fetch(&space, &one)).get("fetch"), None);
    let answer = space.call(&["run", "backfill", "-p", "market=market"]);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("SHFE.cu2403.2024-01-29.csv.gz"), "{answer:#?}");
    assert!(answer.err.contains("the file is empty") && answer.err.contains("run `fetch` again"), "{answer:#?}");
    std::fs::remove_file(space.path(file)).unwrap();
    assert_eq!(ran(&fetch(&space, &one))["fetch"], 1);
    assert!(space.path(file).metadata().unwrap().len() > 0);
}
