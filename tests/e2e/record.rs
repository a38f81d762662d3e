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

fn record_of(space: &Space, contracts: &str, more: &[&str]) -> Answer {
    let contracts = format!("contracts={contracts}");
    let args = ["run", "record", "-p", "market=market", "-p", "minutes=0.02", "-p", &contracts];
    space.call(&[&args[..], more].concat())
}

#[test]
fn what_was_published_of_a_day_is_kept_whatever_becomes_of_the_spool() {
    let server = live();
    let space = recorder(&server);
    let first = record_of(&space, "[SHFE.cu2403]", &[]);
    assert_eq!(first.code, 0, "{first:#?}");
    let before = assert_whole(&space, &server, 200);
    std::fs::remove_dir_all(space.path("spool")).unwrap();
    let removed = record_of(&space, "[SHFE.cu2404]", &[]);
    assert_eq!(removed.code, 0, "{removed:#?}");
    assert!(space.exists(&format!("{}.csv.gz", DAY.replace("cu2403", "cu2404"))));
    assert!(assert_whole(&space, &server, 200) >= before);
    let other = record_of(&space, "[SHFE.cu2404]", &["-p", "spool=another"]);
    assert_eq!(other.code, 0, "{other:#?}");
    assert!(space.exists(&format!("{}.csv.gz", DAY.replace("cu2403", "cu2404"))));
    assert!(assert_whole(&space, &server, 200) >= before);
}

#[test]
fn who_records_nothing_is_told() {
    let server = live();
    let space = recorder(&server);
    for strange in ["[nonsense]", "[../../../x]", "[SHFE.cu2403/../../y]", "[]"] {
        let answer = record_of(&space, strange, &[]);
        assert_eq!(answer.code, 2, "{strange}: {answer:#?}");
        assert!(answer.err.contains("the parameter `contracts` of `record` is not what its kind takes"), "{answer:#?}");
        assert!(answer.err.contains("Contracts, such as SHFE.cu2403"), "{answer:#?}");
    }
    let unknown = record_of(&space, "[SHFE.zn2403]", &[]);
    assert_eq!(unknown.code, 1, "{unknown:#?}");
    assert!(unknown.err.contains("`SHFE.zn2403` is no variety or contract of this market"), "{unknown:#?}");
    let over = record_of(&space, "[SHFE.cu2312]", &[]);
    assert_eq!(over.code, 1, "{over:#?}");
    assert!(over.err.contains("the last trading day was that of SHFE.cu2312 on 2023-12-15"), "{over:#?}");
    assert_eq!(server.seen().logins, 0, "nobody was asked");
    let none = record_of(&space, "[SHFE.cu2501]", &[]);
    assert_eq!(none.code, 1, "{none:#?}");
    assert!(none.err.contains("no tick of SHFE.cu2501 came on 2024-01-29"), "{none:#?}");
    assert!(!space.exists("market/recorded"));
    let some = record_of(&space, "[SHFE.cu2403,SHFE.cu2501]", &[]);
    assert_eq!(some.code, 0, "{some:#?}");
    assert!(some.out.contains("SHFE.cu2501: WARNING: no tick came"), "{some:#?}");
}

#[test]
fn what_can_be_known_is_told_before_anything_runs() {
    let server = live();
    let space = recorder(&server);
    let error = |more: &[&str], said: &str| {
        for dry in [&[][..], &["-n"]] {
            let answer = record_of(&space, "[SHFE.cu2403]", &[more, dry].concat());
            assert_eq!(answer.code, 2, "{answer:#?}");
            assert!(answer.err.contains(said), "{answer:#?}");
        }
    };
    error(&["-p", "source=foo"], "the choices are tqsdk");
    error(&["-p", "until=25:99"], "Ends at this local time, 11:30:00");
    assert!(!space.exists("spool"));
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
    // All of the first day, and the begin of the next one.
    let server = server(2, Some(Play { from: 1_600, per_second: 60.0 }));
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
    assert!(space.exists("market/recorded/2024-01-30/unfinished/SHFE.cu2403.2024-01-30.csv.gz"));
    let again = space.call(&next);
    assert_eq!((again.code, ran(&again)["record"]), (0, 1), "{again:#?}");
}
