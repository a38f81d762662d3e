//! The synthetic market: every planted defect is found, days do not depend on each other, and there is something to learn.

use std::collections::BTreeSet;
use std::time::Instant;

use ghtrader_ingest::synthetic::{Invented, invent};
use ghtrader_market::{Calendar, Cause, Clock, Day, SyntheticCell, SyntheticFile, TimeOfDay};

use super::*;

const SYNTHETIC: &str = include_str!("../../../../examples/synthetic/market.yaml");

fn market() -> SyntheticFile {
    MarketFile::parse(Path::new("market.yaml"), SYNTHETIC).unwrap().synthetic.unwrap()
}

fn days() -> Vec<Day> {
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let next = |day: &Day| Some(calendar.next(*day));
    std::iter::successors(Some(market().first_day), next).take(market().days as usize).collect()
}

fn cell(day: Day) -> SyntheticCell {
    let SyntheticFile { seed, first_day, rows, strength, .. } = market();
    SyntheticCell { seed, first_day, day, rows, strength }
}

fn run(variety: &str, cell: &SyntheticCell) -> Result<Done> {
    Bench::<Ingest>::new()?
        .input_json("cell", &json!({ "file": null, "synthetic": cell }))?
        .input_json("spec", &spec_of(SYNTHETIC, variety))?
        .axis("cell", cell.day.to_string())
        .run(json!({}))
}

#[test]
fn cleaning_finds_exactly_what_was_planted() {
    let mut found = BTreeSet::new();
    for variety in ["cu", "au", "ag"] {
        for day in days().into_iter().take(4) {
            let Invented { rows, planted } = invent(&cell(day), &spec_of(SYNTHETIC, variety)).unwrap();
            let index = index(&run(variety, &cell(day)).unwrap());
            assert_eq!(index.read, rows.len() as u64);
            assert_eq!(index.read, defects::accounted(&index));
            assert_eq!(index.rows.len(), planted.len());
            for row in &index.rows {
                let planted = &planted[&row.contract];
                let counted = (row.duplicates, row.replaced, &row.quarantined);
                assert_eq!(counted, (planted.duplicates, planted.replaced, &planted.quarantined), "{variety} {day}");
                found.extend(row.quarantined.keys().copied());
            }
        }
    }
    assert_eq!(found, BTreeSet::from([Cause::EmptyBook, Cause::NonMonotonic, Cause::OffTick]));
}

#[test]
fn a_day_is_the_same_whenever_it_is_invented() {
    let one = |market_day: Day| run("cu", &cell(market_day)).unwrap().bytes("index").unwrap();
    let [first, .., last] = days()[..] else { panic!("there are days") };
    let (late, early) = (one(last), one(first));
    assert_eq!((one(first), one(last)), (early, late));
    let other = SyntheticCell { seed: 2, ..cell(first) };
    assert_ne!(run("cu", &other).unwrap().bytes("index").unwrap(), one(first), "the seed counts");
}

/// Changes of the generator change every synthetic result: this hash says when that happened, and that it is the same
/// on every machine.
#[test]
fn the_bytes_are_pinned() {
    let sum = |variety: &str| {
        let index = index(&run(variety, &cell(days()[0])).unwrap());
        index.rows.iter().fold(0, |sum: u64, row| sum.wrapping_add(row.hash_sum.0))
    };
    let sums = ["cu", "au", "ag"].map(|variety| format!("{:016x}", sum(variety)));
    assert_eq!(sums, ["f27ffb96953f1f63", "9187fe808137e41e", "00a76c21381c788c"]);
}

#[test]
fn it_looks_like_the_exchange() {
    for variety in ["cu", "au", "ag"] {
        let spec = spec_of(SYNTHETIC, variety);
        let done = run(variety, &cell(days()[1])).unwrap();
        let index = index(&done);
        let main = index.rows.iter().max_by_key(|row| row.rows).unwrap();
        assert!((5_500..8_500).contains(&main.rows), "{variety}: {} rows", main.rows);
        assert!(main.l5_present && main.off_session == 0, "{variety}");
        let ticks = ticks(&done, &main.contract, &main.day.to_string());
        assert!(ticks.datetime_ns.iter().all(|ns| ns % HALF_SECOND == 0));
        let tick = spec.tick.default.value();
        let spreads: Vec<f64> =
            (0..ticks.len()).map(|row| ticks.book[0].ask_price[row] - ticks.book[0].bid_price[row]).collect();
        assert!(spreads.iter().all(|spread| *spread > 0.5 * tick), "{variety}: bid below ask");
        let narrow = spreads.iter().filter(|spread| **spread < 1.5 * tick).count() as f64 / ticks.len() as f64;
        assert!((0.6..0.99).contains(&narrow), "{variety}: {narrow}");
        for level in 1..5 {
            let (better, worse) = (&ticks.book[level - 1], &ticks.book[level]);
            assert!(better.bid_price.iter().zip(&worse.bid_price).all(|(better, worse)| better > worse));
            assert!(better.ask_price.iter().zip(&worse.ask_price).all(|(better, worse)| better < worse));
        }
        assert!(ticks.volume.windows(2).all(|pair| pair[0] <= pair[1]), "{variety}: volume accumulates");
    }
}

#[test]
fn the_eve_of_a_holiday_has_no_night() {
    // 2024-02-19 is the first day after the Spring Festival: its trading begins in the morning.
    let eve = "2024-02-19".parse().unwrap();
    let first = index(&run("cu", &cell(eve)).unwrap()).rows[0].first_ns.unwrap();
    let (date, time) = Calendar::new(&Clock::china()).unwrap().local(first);
    assert_eq!((date, time >= TimeOfDay::at(9, 0)), (eve, true));
    let usual = index(&run("cu", &cell(days()[1])).unwrap()).rows[0].first_ns.unwrap();
    assert_eq!(Calendar::new(&Clock::china()).unwrap().local(usual).0, days()[0], "the evening before");
}

#[test]
fn open_interest_crosses_so_that_the_main_contract_rolls() {
    let rolls = |variety: &str| {
        let interest = |day: Day| {
            let index = index(&run(variety, &SyntheticCell { rows: 500, ..cell(day) }).unwrap());
            index.rows.into_iter().map(|row| (row.contract, row.close_oi.unwrap())).collect::<Vec<_>>()
        };
        let mut switches = Vec::new();
        let mut main: Option<String> = None;
        for day in days() {
            let today = interest(day);
            let oi = |name: &str| today.iter().find(|(contract, _)| contract == name).map_or(0.0, |(_, oi)| *oi);
            let (best, most) = today.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            match &main {
                None => main = Some(best.clone()),
                Some(old) if best != old && 10.0 * most > 11.0 * oi(old) => {
                    switches.push(day.to_string());
                    main = Some(best.clone());
                }
                Some(_) => {}
            }
        }
        switches
    };
    let contracts = |variety: &str, day: usize| {
        let index = index(&run(variety, &cell(days()[day])).unwrap());
        index.rows.into_iter().map(|row| row.contract).collect::<Vec<_>>()
    };
    assert_eq!(contracts("cu", 0), ["SHFE.cu2403", "SHFE.cu2404"]);
    assert_eq!(contracts("cu", 11), ["SHFE.cu2403", "SHFE.cu2404", "SHFE.cu2405"]);
    assert_eq!(contracts("au", 0), ["SHFE.au2404", "SHFE.au2406"], "gold has the even months");
    assert_eq!(rolls("cu"), ["2024-02-05"], "cu2403 to cu2404: main from the day after on");
    assert_eq!(rolls("au"), [] as [&str; 0]);
    assert_eq!(rolls("ag").len(), 1);
}

/// The correlation of the imbalance of levels 1 to 5 with the move of the mid over 50 rows.
fn lead(strength: f64) -> f64 {
    let done = run("cu", &SyntheticCell { strength, ..cell(days()[2]) }).unwrap();
    let main = index(&done).rows.into_iter().max_by_key(|row| row.rows).unwrap();
    let ticks = ticks(&done, &main.contract, &main.day.to_string());
    let mid = |row: usize| (ticks.book[0].bid_price[row] + ticks.book[0].ask_price[row]) / 2.0;
    let imbalance = |row: usize| {
        let (bid, ask) = ticks
            .book
            .iter()
            .fold((0.0, 0.0), |(bid, ask), level| (bid + level.bid_volume[row], ask + level.ask_volume[row]));
        (bid - ask) / (bid + ask)
    };
    let pairs: Vec<(f64, f64)> = (0..ticks.len() - 50).map(|row| (imbalance(row), mid(row + 50) - mid(row))).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.0 - x, pair.1 - y)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[test]
fn the_book_leads_the_mid_as_strongly_as_stated() {
    let (none, usual) = (lead(0.0), lead(1.0));
    assert!(none.abs() < 0.1, "without strength there is nothing to learn: {none}");
    assert!((0.15..0.5).contains(&usual), "a clear but realistic edge: {usual}");
}

#[test]
fn parameters_beyond_reason_are_refused() {
    let message = |variety: &str, cell: &SyntheticCell| format!("{:#}", run(variety, cell).err().unwrap());
    assert!(message("cu", &SyntheticCell { rows: 1, ..cell(days()[0]) }).contains("rows"));
    assert!(message("cu", &SyntheticCell { rows: 100_000, ..cell(days()[0]) }).contains("half seconds"));
    assert!(message("cu", &SyntheticCell { strength: -1.0, ..cell(days()[0]) }).contains("strength"));
    assert!(message("cu", &cell("2024-02-10".parse().unwrap())).contains("2024-02-10"));
    let zinc = SYNTHETIC.replace("  cu:", "  zn:");
    let done = Bench::<Ingest>::new().unwrap().input_json("spec", &spec_of(&zinc, "zn")).unwrap();
    let cell = json!({ "file": null, "synthetic": cell(days()[0]) });
    let error = done.input_json("cell", &cell).unwrap().axis("cell", "a").run(json!({})).err().unwrap();
    assert!(format!("{error:#}").contains("zn"));
}

/// Writes the default market for `tests/oracle/edge.py`, and says what it costs: `GHTRADER_DUMP=folder cargo test … -- --ignored`.
#[test]
#[ignore = "writes the whole market to a folder, for measuring its edge"]
fn dump() {
    let folder = std::env::var("GHTRADER_DUMP").expect("GHTRADER_DUMP names a folder");
    let begin = Instant::now();
    let mut total = 0;
    for variety in ["cu", "au", "ag"] {
        for day in days() {
            let done = run(variety, &cell(day)).unwrap();
            for row in index(&done).rows {
                total += row.rows;
                let to = Path::new(&folder).join(&row.contract);
                std::fs::create_dir_all(&to).unwrap();
                let file = format!("{}.parquet", row.day);
                std::fs::copy(done.path("ticks").join(&row.contract).join(&file), to.join(&file)).unwrap();
            }
        }
    }
    println!("{total} rows in {:?}", begin.elapsed());
}
