//! `explain` and `lineage` in a cache with 1,000,000 recorded results: a measurement, not a test of the suite.
//!
//!     cargo test --release -p ghtrader --test million -- --ignored --nocapture
//!
//! A small flow is run; then rows are added to the index as that many other results would have left them. Manifests are
//! there for what the measured calls read.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a measurement may fail anywhere")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

const RESULTS: u64 = 1_000_000;
const CALLS: usize = 7;

const FLOW: &str = r#"
tasks:
  cells: { run: 'echo "{\"1\": {\"v\": 1}, \"2\": {\"v\": 2}}" >$OUTPUT_CELLS', outputs: { cells: cells.json } }
  part:
    matrix: { n: { from: cells.cells } }
    run: 'cat $INPUT_CELL $INPUT_SOURCE >$OUTPUT_O'
    inputs: { cell: { from: cells.cells, at: "${{ n }}" }, source: { path: data/source.txt } }
    outputs: { o: o.txt }
  model: { run: 'cat $INPUT_O/*/* >$OUTPUT_M', inputs: { o: { from: part } }, outputs: { m: m.txt }, publish: { m: out/m.txt } }
"#;

#[test]
#[ignore = "a measurement"]
fn explain_and_lineage() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (path, text) in [("flows/test.yaml", FLOW), ("data/source.txt", "ticks")] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    call(root, &["run", "test", "-q"]);
    let begun = Instant::now();
    fill(&root.join("cache/v1/index.db"));
    let size = std::fs::metadata(root.join("cache/v1/index.db")).unwrap().len();
    println!("{RESULTS} results in {:.1} s, an index of {} MiB", begun.elapsed().as_secs_f64(), size >> 20);

    let key =
        |task: &str| call(root, &["lineage", &format!("test:{task}")]).split_whitespace().nth(2).unwrap().to_owned();
    let model = key("model");
    for args in [
        &["explain", "test", "model"][..],
        &["lineage", "out/m.txt"],
        &["lineage", "test:model.m"],
        &["lineage", &model],
        &["lineage", "data/source.txt", "--down"],
        &["lineage", "test:cells", "--down"],
        &["get", "test:model", "-o", "copy.txt"],
    ] {
        call(root, args);
        let mut times: Vec<Duration> = (0..CALLS).map(|_| time(root, args)).collect();
        times.sort();
        println!("{:6.1} ms (least {:.1})  {}", millis(times[CALLS / 2]), millis(times[0]), args.join(" "));
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn time(root: &Path, args: &[&str]) -> Duration {
    let begun = Instant::now();
    call(root, args);
    begun.elapsed()
}

fn call(root: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ghtrader")).args(args).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A chain of results, each of which read what the one before it wrote.
fn fill(index: &Path) {
    let mut connection = Connection::open(index).unwrap();
    let transaction = connection.transaction().unwrap();
    let hash = |what: &str, n: u64| blake3::hash(format!("{what} {n}").as_bytes());
    for n in 0..RESULTS {
        let (key, written, read) = (hash("key", n), hash("object", n), hash("object", n.saturating_sub(1)));
        let before = hash("key", n.saturating_sub(1));
        let outputs = format!(r#"{{"out":{{"hash":"{written}","folder":false,"size":{n}}}}}"#);
        let (task, at) = (format!("task-{}[n={n}]", n % 20), "2026-01-01T00:00:00Z");
        let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            transaction.prepare_cached(sql).unwrap().execute(values).unwrap()
        };
        let (key, written, read) = (key.as_bytes(), written.as_bytes(), read.as_bytes());
        run(
            "INSERT INTO results VALUES (?1, 0, ?2, ?3, '01RUN', ?4, ?5)",
            params![key, format!("flow-{}", n % 7), task, at, outputs],
        );
        run("INSERT INTO produced VALUES (?1, ?2, 'out')", params![written, key]);
        run("INSERT INTO consumed VALUES (?1, ?2, 'in')", params![read, key]);
        run("INSERT INTO followed VALUES (?1, ?2, 'in')", params![before.as_bytes(), key]);
        run("INSERT INTO last VALUES (?1, ?2, ?3, ?4)", params![format!("flow-{}", n % 7), task, key, at]);
        run("INSERT INTO objects VALUES (?1, 1, 1, 1, 1, 1)", params![written]);
    }
    transaction.commit().unwrap();
}
