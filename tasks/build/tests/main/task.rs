//! The task, as the runner runs it.

use std::path::Path;

use arrow_array::{Array as _, Float64Array, Int8Array, Int32Array};
use ghtrader_build::{Build, DayCounts, FACTORS_HASH, LEVELS, Row, State};
use ghtrader_kit::{Bench, Done, Result};
use ghtrader_market::{Day, Entry, MainColumns, Tick, Ticks, table};
use serde_json::{Value, json};

use crate::invented::{CONTRACT, day, spec};

fn ticks(rows: &[Row], segment: i32) -> Ticks {
    let mut ticks = Ticks::new("KQ.m@SHFE.cu");
    for row in rows {
        let mut values = vec![row.last, row.last, row.last, row.volume, row.amount, 1000.0];
        for level in 0..LEVELS {
            let (bid, ask) = (row.bids[level], row.asks[level]);
            values.extend([bid.price, bid.volume, ask.price, ask.volume]);
        }
        let values = values.try_into().unwrap();
        ticks.push(&Tick { trading_day: row.day, datetime_ns: row.ns, values });
    }
    ticks.main = Some(MainColumns::repeat(rows.len(), CONTRACT, segment, "00"));
    ticks
}

fn entry(previous: Option<&str>) -> Entry {
    let previous = previous.map(|day| day.parse().unwrap());
    let (contract, cell, hash) = (CONTRACT.to_owned(), "a.csv".to_owned(), "00".to_owned());
    Entry { contract, cell, segment: 2, previous, hash, flags: Vec::new() }
}

fn run(rows: &[Row], date: &str, entry: &Entry, state: Option<&State>, with: Value) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ticks.parquet");
    ticks(rows, 2).write(&path)?;
    let bench = Bench::<Build>::new()?.axis("variety", "cu").axis("day", date).input("ticks", path);
    let bench = bench.input_json("entry", entry)?.input_json("spec", &spec(5))?;
    match state {
        Some(state) => bench.input_json("state", state)?.run(with),
        None => bench.run(with),
    }
}

fn column<A: arrow_array::Array + Clone + 'static>(path: &Path, name: &str) -> A {
    let (batch, _) = table::read(path).unwrap();
    table::column::<A>(path, &batch, name).unwrap().clone()
}

#[test]
fn two_days_of_a_segment() {
    let (first, second) = (day(1, "2022-02-17", 2, 300), day(2, "2022-02-18", 2, 300));
    let one = run(&first, "2022-02-17", &entry(None), None, json!({})).unwrap();
    let state: State = one.json("state").unwrap();
    let two = run(&second, "2022-02-18", &entry(Some("2022-02-17")), Some(&state), json!({})).unwrap();

    let path = one.path("features");
    let (batch, metadata) = table::read(path).unwrap();
    assert_eq!(batch.num_rows(), 300);
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names[..6], ["trading_day", "row", "datetime_ns", "segment_id", "bid_price1", "ask_price1"]);
    let factors: Value = one.json("factors").unwrap();
    assert_eq!(json!(names[6..]), factors["features"]);
    assert!(metadata.contains(&(FACTORS_HASH.to_owned(), factors["hash"].as_str().unwrap().to_owned())));
    let ofi: Float64Array = column(path, "ofi_200");
    assert!(ofi.is_null(200) && ofi.is_valid(201), "row 0 is no event; the window is full 200 transitions after row 1");
    assert!(column::<Float64Array>(two.path("features"), "ofi_200").is_valid(1), "carried into the second day");

    let label: Int8Array = column(two.path("labels"), "label_200");
    let rows: Int32Array = column(two.path("labels"), "row");
    let carried = rows.values().iter().take_while(|row| **row > 0).count();
    assert!(
        (150..=200).contains(&carried),
        "the last 200 events of the first day come first, less those without quotes"
    );
    assert!((0..carried - 1).all(|row| rows.value(row) < rows.value(row + 1)));
    assert_eq!(label.len(), 300 + carried);
    let counts: DayCounts = two.json("counts").unwrap();
    assert_eq!((counts.day, counts.rows), ("2022-02-18".parse::<Day>().unwrap(), 300));
    let valid = label.len() - label.null_count();
    let sum = |counts: &ghtrader_build::Counts| counts.down + counts.flat + counts.up;
    assert_eq!(valid as u64, sum(&counts.horizons[&200].today) + sum(&counts.horizons[&200].carried));
}

#[test]
fn the_same_day_gives_the_same_bytes_and_another_parameter_others() {
    let rows = day(1, "2022-02-17", 2, 120);
    let run = |with| run(&rows, "2022-02-17", &entry(None), None, with).unwrap();
    let (one, two) = (run(json!({})), run(json!({})));
    for output in ["features", "labels", "factors", "counts", "state"] {
        assert_eq!(one.bytes(output).unwrap(), two.bytes(output).unwrap(), "{output}");
    }
    let other = run(json!({ "factors": { "ofi": { "windows": [1, 10, 50, 60] } } }));
    assert_ne!(one.bytes("features").unwrap(), other.bytes("features").unwrap());
    assert_eq!(one.bytes("labels").unwrap(), other.bytes("labels").unwrap());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let rows = day(1, "2022-02-17", 2, 20);
    let state = || {
        let done = run(&rows, "2022-02-17", &entry(None), None, json!({})).unwrap();
        done.json::<State>("state").unwrap()
    };
    let refusal = |date: &str, entry: &Entry, state: Option<&State>, with: Value| {
        run(&rows, date, entry, state, with).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let none = entry(None);
    let missing = refusal("2022-02-17", &entry(Some("2022-02-16")), None, json!({}));
    assert!(missing.contains("continues from 2022-02-16"), "{missing}");
    let extra = refusal("2022-02-17", &none, Some(&state()), json!({}));
    assert!(extra.contains("a segment begins"), "{extra}");
    let other = refusal("2022-02-17", &entry(Some("2022-02-16")), Some(&state()), json!({}));
    assert!(other.contains("the state is of 2022-02-17"), "{other}");
    assert!(refusal("2022-02-18", &none, None, json!({})).contains("a row is of 2022-02-17, not of 2022-02-18"));
    let moved = Entry { segment: 3, ..none.clone() };
    assert!(refusal("2022-02-17", &moved, None, json!({})).contains("not of segment 3"));
    let changed = Entry { contract: "SHFE.cu2204".to_owned(), ..none.clone() };
    assert!(refusal("2022-02-17", &changed, None, json!({})).contains("not of SHFE.cu2204"));
    assert!(refusal("2022-02-17", &none, None, json!({ "horizon": [1] })).contains("parameters"));
}
