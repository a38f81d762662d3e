//! `main-l5` on small days.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ghtrader_kit::Bench;
use ghtrader_main_l5::{MainL5, Manifest, check, splice};
use ghtrader_market::{Day, Entry, Tick, Ticks, VALUES};
use serde_json::json;

fn day() -> Day {
    "2022-02-18".parse().unwrap()
}

fn entry() -> Entry {
    let (contract, cell) = ("SHFE.cu2203".to_owned(), "ticks.csv".to_owned());
    Entry { contract, cell, segment: 3, previous: None, hash: "ab".repeat(32), flags: Vec::new() }
}

/// Some rows with fractions, nulls and a negative zero.
fn raw() -> Ticks {
    let mut ticks = Ticks::new("SHFE.cu2203");
    for row in 0..5_i64 {
        let mut values: [f64; VALUES] = std::array::from_fn(|column| 0.1 * (row * 31 + column as i64) as f64);
        values[(row % 7) as usize] = f64::NAN;
        values[25] = -0.0;
        ticks.push(&Tick { trading_day: day(), datetime_ns: 1_645_154_403_000_000_000 + row * 500_000_000, values });
    }
    ticks
}

fn bench(ticks: &Ticks, entry: &Entry) -> Bench<MainL5> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.parquet");
    ticks.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let bench = Bench::<MainL5>::new().unwrap().input_json("entry", entry).unwrap();
    bench.input_bytes("ticks", bytes).unwrap().axis("variety", "cu").axis("day", "2022-02-18")
}

#[test]
fn every_value_is_that_of_the_contract() {
    let done = bench(&raw(), &entry()).run(json!({})).unwrap();
    let spliced = Ticks::read(done.path("ticks")).unwrap();
    assert_eq!(spliced.symbol, "KQ.m@SHFE.cu");
    assert_eq!(spliced.len(), 5);
    for (before, after) in raw().columns().into_iter().zip(spliced.columns()) {
        let bits = |column: &[f64]| column.iter().map(|v| (v.is_nan(), v.to_bits())).collect::<Vec<_>>();
        assert_eq!(before.len(), after.len());
        for (a, b) in bits(before).into_iter().zip(bits(after)) {
            assert!(a.0 && b.0 || a == b);
        }
    }
    let main = spliced.main.unwrap();
    assert!(main.segment_id.iter().all(|segment| *segment == 3));
    assert!(main.underlying_contract.iter().all(|contract| **contract == *"SHFE.cu2203"));
    assert!(main.schedule_hash.iter().all(|hash| **hash == *"ab".repeat(32)));
    let manifest: Manifest = done.json("manifest").unwrap();
    let sum = raw().row_hashes("SHFE.cu2203").fold(0, u64::wrapping_add);
    assert_eq!((manifest.rows, manifest.hash_sum.0), (5, sum), "the hash of the day index");
    assert_eq!(manifest.last_ns - manifest.first_ns, 2_000_000_000);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let run = || bench(&raw(), &entry()).run(json!({})).unwrap();
    let (one, two) = (run(), run());
    for output in ["ticks", "manifest"] {
        assert_eq!(one.bytes(output).unwrap(), two.bytes(output).unwrap(), "{output}");
    }
}

#[test]
fn rows_of_another_contract_or_day_are_refused() {
    let refusal = |ticks: &Ticks| bench(ticks, &entry()).run(json!({})).err().map(|error| format!("{error:#}"));
    let other = Ticks { symbol: "SHFE.cu2204".to_owned(), ..raw() };
    assert!(refusal(&other).unwrap().contains("the main contract of 2022-02-18 is SHFE.cu2203"));
    let mut late = raw();
    late.trading_day[4] = late.trading_day[4].plus(3);
    assert!(refusal(&late).unwrap().contains("2022-02-21, not of 2022-02-18"));
    assert!(refusal(&Ticks::new("SHFE.cu2203")).unwrap().contains("has no row"));
    assert!(refusal(&raw()).is_none());
}

#[test]
fn the_check_finds_every_difference() {
    let (raw, entry) = (raw(), entry());
    let good = splice(&raw, &entry, day(), "cu").unwrap();
    check(&raw, &good, &entry).unwrap();
    for column in 0..VALUES {
        let mut bad = good.clone();
        bad.for_each_column(|index, values| {
            if index == column {
                values[2] = f64::from_bits(values[2].to_bits() ^ 1);
            }
        });
        let null = good.columns()[column][2].is_nan();
        assert_eq!(check(&raw, &bad, &entry).is_err(), !null, "one bit of column {column}");
    }
    let mut bad = good.clone();
    bad.datetime_ns[1] += 1;
    assert!(check(&raw, &bad, &entry).is_err(), "a stamp");
    assert!(check(&raw, &good.slice(0..4), &entry).is_err(), "a row less");
    let mut bad = good;
    bad.main.as_mut().unwrap().segment_id[0] = 2;
    assert!(check(&raw, &bad, &entry).is_err(), "a segment");
}
