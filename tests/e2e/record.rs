//! The flow `record` against the test server: no tick is lost, and none stands twice, whoever is killed.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::io::Read as _;
use std::path::Path;

use ghtrader_provider::server::{Play, Server};
use serde_json::Value;

use crate::markets::ran;
use crate::service::{account, assert_nowhere, on, server};
use crate::space::{Answer, Space, signal, wait_for};

/// No recording here lasts until the end of its day.
const DAY: &str = "market/recorded/2024-01-29/unfinished/SHFE.cu2403.2024-01-29";
const FILES: &str = "\"recorded/*/unfinished/*.csv.gz\"";

fn live() -> Server {
    server(1, Some(Play { from: 200, per_second: 60.0 }))
}

/// A project with the account of the server, on the first day that it has.
fn recorder(server: &Server) -> Space {
    let space = account(server, FILES);
    on(&space, None, "2024-01-29");
    space
}

fn record(minutes: &str) -> Vec<&str> {
    let contracts = ["-p", "market=market", "-p", "contracts=[SHFE.cu2403,SHFE.cu2404]"];
    [&["run", "record", "-p", minutes], &contracts[..]].concat()
}

fn run(space: &Space, minutes: &str) -> Answer {
    let answer = space.call(&record(&format!("minutes={minutes}")));
    assert_eq!(answer.code, 0, "{answer:#?}");
    answer
}

/// The ids of the recorded ticks.
fn ids(path: &Path) -> Vec<i64> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect()
}

/// All from the first tick on, each once.
fn assert_whole(space: &Space, server: &Server, at_least: usize) -> usize {
    let ids = ids(&space.path(&format!("{DAY}.csv.gz")));
    let first = server.market().first_id;
    assert!(ids.len() >= at_least, "{} ticks", ids.len());
    assert_eq!(ids, (first..first + ids.len() as i64).collect::<Vec<_>>());
    let origin: Value = serde_json::from_str(&space.read(&format!("{DAY}.source.json"))).unwrap();
    assert_eq!((&origin["tier"], &origin["missing"]), (&"prod_live".into(), &0.into()), "{origin}");
    assert_eq!(origin["rows"], ids.len());
    ids.len()
}

#[test]
fn what_comes_live_is_published_and_gone_on_with() {
    let server = live();
    let space = recorder(&server);
    run(&space, "0.05");
    let first = assert_whole(&space, &server, 300);
    server.fault(|faults| (faults.drops, faults.drop_after) = (1, 100));
    run(&space, "0.08");
    let second = assert_whole(&space, &server, first + 100);
    assert!(second > first);
    assert_nowhere(&space, server.account().1);
    // What ingest makes of it.
    let answer = space.call(&["run", "backfill", "ingest", "-p", "market=market"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert_eq!(ran(&answer)["ingest"], 2, "a file of each contract: {answer:#?}");
}

#[test]
fn a_recorder_that_is_killed_goes_on_where_it_ended() {
    let server = live();
    let space = recorder(&server);
    let spool = space.path("spool/market/2024-01-29/SHFE.cu2403.csv");
    for _ in 0..3 {
        let before = std::fs::metadata(&spool).map_or(0, |file| file.len());
        let mut runner = space.command(&record("minutes=5")).spawn().unwrap();
        wait_for("more ticks", || std::fs::metadata(&spool).is_ok_and(|file| file.len() > before + 20_000));
        signal(runner.id(), "KILL");
        runner.wait().unwrap();
        assert!(!space.exists("market/recorded"), "nothing half of it is published");
    }
    run(&space, "0.02");
    assert_whole(&space, &server, 500);
}

#[test]
fn a_day_that_was_left_over_is_handed_over_on_the_next() {
    let server = live();
    let space = recorder(&server);
    let spool = space.path("spool/market/2024-01-29/SHFE.cu2403.csv");
    let mut runner = space.command(&record("minutes=5")).spawn().unwrap();
    wait_for("some ticks", || std::fs::metadata(&spool).is_ok_and(|file| file.len() > 20_000));
    signal(runner.id(), "KILL");
    runner.wait().unwrap();

    on(&space, Some("2024-01-29"), "2024-01-30");
    let next = ["run", "record", "-p", "market=market", "-p", "contracts=[SHFE.cu2403]", "-p", "minutes=0.02"];
    let answer = space.call(&next);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert_eq!(ran(&answer)["record"], 2, "{answer:#?}");
    assert_whole(&space, &server, 50);
    let again = space.call(&next);
    assert_eq!((again.code, ran(&again)["record"]), (0, 1), "{again:#?}");
}
