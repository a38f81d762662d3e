//! Numbers of independent implementations on real ticks, the whole way: `ingest`, `schedule` (given), `main-l5`, `build`.
//!
//! The numbers are in `oracle/golden.json`; the tick files do not ship, and where they are not there these tests say so.

use std::path::{Path, PathBuf};

use ghtrader_build::{Build, DayCounts, Excluded, State};
use ghtrader_ingest::Ingest;
use ghtrader_kit::{Bench, Done};
use ghtrader_main_l5::MainL5;
use ghtrader_market::{Day, Days, table};
use ghtrader_schedule::Schedule;
use serde_json::{Value, json};

/// A file of the shared data; `None`, with a message, where it is not there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../oracle/golden.json")).unwrap()
}

/// What one variety of a market says, and the main contract that is given.
struct Market {
    ticks: Value,
    roll: Value,
}

fn market(contract: &str, levels: u8, tick: f64, multiplier: f64, clock: Value, sessions: Value) -> Market {
    let (exchange, code) = contract.split_once('.').unwrap();
    let variety = code.trim_end_matches(|c: char| c.is_ascii_digit());
    let ticks = json!({
        "variety": variety, "exchange": exchange, "levels": levels, "tick": { "default": tick }, "multiplier": multiplier,
        "fractional_volume": levels == 5, "clock": clock, "sessions": sessions,
    });
    let roll = json!({
        "variety": variety, "exchange": exchange, "levels": levels, "clock": clock,
        "rule": { "given": { "first": contract } },
    });
    Market { ticks, roll }
}

fn shfe(contract: &str, tick: f64, multiplier: f64) -> Market {
    let sessions = json!([["09:00:00", "10:15:00"], ["10:30:00", "11:30:00"], ["13:30:00", "15:00:00"]]);
    market(contract, 1, tick, multiplier, json!({ "calendar": "china-futures", "utc_offset": 8 }), sessions)
}

/// A file of ticks after `ingest` and `schedule`.
struct Pipeline<'a> {
    market: &'a Market,
    ingest: Done,
    days: Days,
}

impl<'a> Pipeline<'a> {
    fn new(file: &Path, market: &'a Market) -> Self {
        let name = file.file_name().unwrap().to_str().unwrap();
        let bench = Bench::<Ingest>::new().unwrap().axis("cell", name).input("ticks", file);
        let bench = bench.input_json("cell", &json!({ "file": name, "synthetic": null })).unwrap();
        let ingest = bench.input_json("spec", &market.ticks).unwrap().run(json!({})).unwrap();

        let index = tempfile::tempdir().unwrap();
        std::fs::create_dir(index.path().join("cell=a")).unwrap();
        std::fs::copy(ingest.path("index"), index.path().join("cell=a/index.json")).unwrap();
        let bench = Bench::<Schedule>::new().unwrap().input("index", index.path());
        let schedule = bench.input_json("roll", &market.roll).unwrap().run(json!({})).unwrap();
        Self { market, ingest, days: schedule.json("days").unwrap() }
    }

    /// `main-l5` and `build` of one day.
    fn build(&self, day: Day, state: Option<&State>, with: Value) -> Done {
        let entry = &self.days[&day];
        let raw = self.ingest.path("ticks").join(&entry.contract).join(format!("{day}.parquet"));
        let bench = Bench::<MainL5>::new().unwrap().input_json("entry", entry).unwrap().input("ticks", raw);
        let main = bench.axis("variety", "x").axis("day", day.to_string()).run(json!({})).unwrap();

        let bench = Bench::<Build>::new().unwrap().input("ticks", main.path("ticks")).axis("day", day.to_string());
        let bench = bench.input_json("entry", entry).unwrap().input_json("spec", &self.market.ticks).unwrap();
        match state {
            Some(state) => bench.input_json("state", state).unwrap().run(with).unwrap(),
            None => bench.run(with).unwrap(),
        }
    }
}

/// The first scheduled day of a file, from the source to features and counts.
fn first_day(file: &Path, market: &Market, with: Value) -> (Features, DayCounts) {
    let pipeline = Pipeline::new(file, market);
    let (day, _) = pipeline.days.first_key_value().unwrap();
    let build = pipeline.build(*day, None, with);
    (Features(table::read(build.path("features")).unwrap().0), build.json("counts").unwrap())
}

struct Features(arrow_array::RecordBatch);

impl Features {
    fn column(&self, name: &str) -> Vec<f64> {
        table::read_floats(Path::new("features"), &self.0, name).unwrap()
    }
}

#[test]
fn labels_of_four_contracts() {
    let contracts = [("cu2203", 10.0, 5.0), ("cu2204", 10.0, 5.0), ("ag2206", 1.0, 15.0), ("au2206", 0.02, 1000.0)];
    for (code, tick, multiplier) in contracts {
        let Some(file) = shared(&format!("shfe-2022-02-18/tq_{code}_20220218.csv")) else { return };
        let (_, counts) = first_day(&file, &shfe(&format!("SHFE.{code}"), tick, multiplier), json!({}));
        let expected = &golden()["labels_k1_whole_file"][code]["h"];
        for (horizon, counts) in &counts.horizons {
            let (found, expected) = (&counts.today, &expected[horizon.to_string()]);
            assert_eq!(json!([found.down, found.flat, found.up]), expected["down_flat_up"], "{code}, {horizon}");
            assert_eq!(json!(found.down + found.flat + found.up), expected["rows"], "{code}, {horizon}");
            assert_eq!(json!(found.excluded.values().sum::<u64>()), expected["nan"], "{code}, {horizon}");
        }
    }
}

#[test]
fn order_flow_imbalance_and_microprice_of_cu2204() {
    let Some(file) = shared("shfe-2022-02-18/tq_cu2204_20220218.csv") else { return };
    let (features, _) = first_day(&file, &shfe("SHFE.cu2204", 10.0, 5.0), json!({}));
    let golden = golden();
    let ofi = &features.column("ofi_1")[..500];
    assert!(ofi[0].is_nan());
    assert_eq!(json!(ofi[1..].iter().sum::<f64>()), golden["ofi"]["sum"]);
    assert_eq!(json!(ofi[1..].iter().map(|e| e.abs()).sum::<f64>()), golden["ofi"]["abs_sum"]);
    let first: Vec<Option<f64>> = golden["ofi"]["first10"].as_array().unwrap().iter().map(Value::as_f64).collect();
    assert_eq!(ofi[1..11].iter().copied().map(Some).collect::<Vec<_>>(), first);

    let expected = &golden["microprice_weighted_mid"];
    let microprice = features.column("microprice");
    for (found, expected) in microprice.iter().zip(expected["first5"].as_array().unwrap()) {
        assert!((found - expected.as_f64().unwrap()).abs() < 1e-9, "{found}, not {expected}");
    }
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len() as f64;
    let expected = expected["mean"].as_f64().unwrap();
    assert!((mean(&microprice[..500]) - expected).abs() < 1e-9, "{}, not {expected}", mean(&microprice[..500]));
}

#[test]
fn order_flow_imbalance_of_five_levels_of_btcusdt() {
    let Some(file) = shared("btcusdt-l5/derived_btcusdt_usdm_20240718-19_l5_event.csv.gz") else { return };
    let always = json!({ "calendar": "utc-day", "utc_offset": 0 });
    let market = market("BINANCE.BTCUSDT", 5, 0.1, 1.0, always, json!([]));
    let windows = json!({ "factors": { "mlofi": { "levels": [1, 2, 3, 4, 5], "windows": [1] } } });
    let (features, _) = first_day(&file, &market, windows);
    let golden = golden();
    for level in 1..=5 {
        let values = &features.column(&format!("mlofi_{level}_1"))[1..1000];
        let near = |found: f64, name: &str| {
            let expected = golden["mlofi5"][name][level - 1].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{name} of level {level}: {found}, not {expected}");
        };
        near(values.iter().sum(), "col_sums");
        near(values.iter().map(|value| value.abs()).sum(), "col_abs_sums");
    }
}

/// The roll IF2101 → IF2102 of 2021-01-18: one day on each side, and the day before, whose state is carried.
#[test]
fn a_real_roll_of_index_futures() {
    let Some(file) = shared("if-2021-01/if_hot_20210104_20210118_l1.csv.gz") else { return };
    let clock = json!({ "calendar": "china-futures", "utc_offset": 8 });
    let sessions = json!([["09:30:00", "11:30:00"], ["13:00:00", "15:00:00"]]);
    let mut market = market("CFFEX.IF2101", 1, 0.2, 300.0, clock, sessions);
    let switch = json!({ "day": "2021-01-18", "from": "CFFEX.IF2101", "to": "CFFEX.IF2102" });
    market.roll["rule"]["given"]["switches"] = json!([switch]);
    let pipeline = Pipeline::new(&file, &market);
    assert_eq!(pipeline.days.len(), 11);
    let [before, last, first] = ["2021-01-14", "2021-01-15", "2021-01-18"].map(|day| day.parse::<Day>().unwrap());
    assert_eq!((pipeline.days[&last].segment, pipeline.days[&first].segment), (0, 1));
    assert_eq!((pipeline.days[&last].previous, pipeline.days[&first].previous), (Some(before), None));

    // A state as carried, without the days before: what counts here is the passage from day to day.
    let mut pipeline = pipeline;
    pipeline.days.get_mut(&before).unwrap().previous = None;
    let day_before = pipeline.build(before, None, json!({}));
    let state = day_before.json("state").unwrap();
    let last_day = pipeline.build(last, Some(&state), json!({}));
    let first_day = pipeline.build(first, None, json!({}));

    let counts = |build: &Done| build.json::<DayCounts>("counts").unwrap();
    for (horizon, counts) in &counts(&last_day).horizons {
        assert_eq!(counts.carried.excluded.get(&Excluded::End), None, "the day before is labelled to its end");
        assert_eq!(counts.carried.rows, *horizon as u64);
        assert_eq!(counts.today.excluded[&Excluded::End], *horizon as u64, "the last rows before the roll");
        assert_eq!(counts.today.excluded[&Excluded::Session], 2, "the opening auction, and a row of 15:41");
    }
    for (horizon, counts) in &counts(&first_day).horizons {
        assert_eq!((counts.carried.rows, counts.today.excluded[&Excluded::End]), (0, *horizon as u64));
    }
    let returns = Features(table::read(first_day.path("features")).unwrap().0).column("return_1");
    assert!(returns[0].is_nan(), "the first row of the segment has no row before it");
    let largest =
        returns.iter().filter(|value| !value.is_nan()).fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // Within 2021-01-18 it is 0.000788 (pandas); from the last mid of IF2101 to the first of IF2102 it would be 0.000938.
    assert!((largest - 0.000_788_246).abs() < 1e-9, "{largest}");
}
