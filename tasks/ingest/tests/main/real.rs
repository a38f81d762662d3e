//! The real data of `../shared/data`, where it lies: every row is accounted for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ghtrader_market::{Cause, DayIndex};

use super::*;

const IF: &str = include_str!("../../../../tests/markets/if/market.yaml");
const BTC: &str = include_str!("../../../../tests/markets/btc/market.yaml");

/// A folder of the real data; says so where it is not there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().contains(".csv"));
    files.sort();
    files
}

#[test]
fn thirteen_contracts_of_shfe() {
    let Some(folder) = data("shfe-2022-02-18") else { return };
    let mut all: BTreeMap<String, DayIndex> = BTreeMap::new();
    let mut read = 0;
    for file in files(&folder) {
        let variety = &file.file_name().unwrap().to_string_lossy()[3..5];
        let done = ingest(&file, &spec_of(MARKET, variety)).unwrap();
        let index = index(&done);
        assert_eq!(index.read, defects::accounted(&index));
        read += index.read;
        assert_eq!(index.rows.len(), 1, "one contract and day in {}", file.display());
        let day = index.rows.into_iter().next().unwrap();
        let first = ticks(&done, &day.contract, "2022-02-18");
        assert!(first.book[0].bid_price[0] > 0.0, "{} begins with a quote", day.contract);
        all.insert(day.contract.clone(), day);
    }
    assert_eq!((all.len(), read), (13, 27_280));
    assert_eq!(all.values().map(|day| day.rows).sum::<u64>(), 27_278);
    let defects: Vec<_> = all.values().filter(|day| !day.quarantined.is_empty()).collect();
    let names: Vec<_> = defects.iter().map(|day| day.contract.as_str()).collect();
    assert_eq!(names, ["SHFE.au2208", "SHFE.cu2206"], "the two known defects, and no other");
    assert!(defects.iter().all(|day| day.quarantined == BTreeMap::from([(Cause::EmptyBook, 1)])));
    assert_eq!(all["SHFE.cu2203"].close_oi, Some(116_096.0));
    assert_eq!(all["SHFE.cu2204"].close_oi, Some(108_039.0));
    assert!(all.values().all(|day| !day.l5_present && day.duplicates == 0 && day.off_session == 0));
}

#[test]
fn prices_with_noise_are_snapped() {
    let Some(folder) = data("shfe-2022-02-18") else { return };
    let done = ingest(&folder.join("tq_cu2203_20220218.csv"), &copper()).unwrap();
    let ticks = ticks(&done, "SHFE.cu2203", "2022-02-18");
    assert!(ticks.columns()[..3].iter().copied().flatten().all(|price| price % 10.0 == 0.0));
    assert!(ticks.book[0].ask_price.iter().all(|price| price % 10.0 == 0.0), "71510.00000000001 is 71510");
}

#[test]
fn eleven_days_of_an_index_future() {
    let Some(folder) = data("if-2021-01") else { return };
    let temporary = tempfile::tempdir().unwrap();
    let mut days = Vec::new();
    for file in split_by_day(&files(&folder)[0], temporary.path()) {
        let index = index(&ingest(&file, &spec_of(IF, "IF")).unwrap());
        assert_eq!((index.read, index.rows.len()), (index.rows[0].rows, 1), "nothing is dropped");
        assert!(file.to_string_lossy().contains(&index.rows[0].day.to_string()));
        days.push(index.rows.into_iter().next().unwrap());
    }
    assert_eq!(days.len(), 11);
    assert_eq!(days.iter().map(|day| day.rows).sum::<u64>(), 303_475);
    assert!(days[..10].iter().all(|day| day.contract == "CFFEX.IF2101"));
    assert_eq!((days[10].contract.as_str(), days[10].day.to_string().as_str()), ("CFFEX.IF2102", "2021-01-18"));
    // 28 rows after the close, and the row of the auction at 09:29 on all days but the last; counted with Python too.
    assert_eq!(days.iter().map(|day| day.off_session).sum::<u64>(), 28 + 10);
    // 2021-01-04 closes with 84,531 lots at 15:00:00.400.
    assert_eq!(days[0].close_oi, Some(84_531.0));
    assert!(days.iter().all(|day| !day.l5_present));
}

#[test]
fn the_whole_file_at_once_is_quick() {
    let Some(folder) = data("if-2021-01") else { return };
    let begin = Instant::now();
    let index = index(&ingest(&files(&folder)[0], &spec_of(IF, "IF")).unwrap());
    let seconds = begin.elapsed().as_secs_f64();
    println!("{} rows in {seconds:.2} s", index.read);
    assert_eq!((index.read, index.rows.len()), (303_475, 11));
    // Two seconds on a quiet machine; the tests share theirs.
    assert!(seconds < 10.0, "{seconds} s");
}

#[test]
fn a_market_without_sessions() {
    let Some(folder) = data("btcusdt-l5") else { return };
    let mut rows = Vec::new();
    for file in files(&folder) {
        let index = index(&ingest(&file, &spec_of(BTC, "BTCUSDT")).unwrap());
        assert_eq!(index.read, defects::accounted(&index));
        let days: Vec<_> = index.rows.iter().map(|row| row.day.to_string()).collect();
        assert_eq!(days, ["2024-07-18", "2024-07-19"], "midnight UTC");
        assert!(index.rows.iter().all(|row| row.l5_present && row.close_oi.is_none() && row.off_session == 0));
        rows.push((index.read, index.rows.iter().map(|row| row.rows).sum::<u64>()));
    }
    assert_eq!(rows, [(956, 956), (9_013, 9_013)], "500 ms samples, events");
}

#[test]
fn every_value_is_that_of_the_file() {
    let Some(folder) = data("btcusdt-l5") else { return };
    let file = folder.join("derived_btcusdt_usdm_20240718-19_l5_event.csv.gz");
    let done = ingest(&file, &spec_of(BTC, "BTCUSDT")).unwrap();
    let mut all = ticks(&done, "BINANCE.BTCUSDT", "2024-07-18");
    all.append(&ticks(&done, "BINANCE.BTCUSDT", "2024-07-19")).unwrap();
    let mut csv = csv::Reader::from_reader(MultiGzDecoder::new(std::fs::File::open(file).unwrap()));
    let header = csv.headers().unwrap().clone();
    for (row, record) in csv.records().map(|record| record.unwrap()).enumerate() {
        let tick = all.row(row).unwrap();
        for (name, value) in ghtrader_market::value_names().iter().zip(tick.values) {
            let text = header.iter().position(|other| other == name).and_then(|at| record.get(at)).unwrap_or_default();
            let same = if text.is_empty() { value.is_nan() } else { text.parse() == Ok(value) };
            assert!(same, "row {row}, {name}: {value} is not `{text}`");
        }
    }
}

/// One gzipped file per value of the column `trading_day`, with the header repeated.
fn split_by_day(file: &Path, to: &Path) -> Vec<PathBuf> {
    let lines = BufReader::new(MultiGzDecoder::new(std::fs::File::open(file).unwrap())).lines();
    let mut lines = lines.map(|line| line.unwrap());
    let header = lines.next().unwrap();
    let mut days: BTreeMap<String, GzEncoder<Vec<u8>>> = BTreeMap::new();
    for line in lines {
        let day = line.split(',').nth(2).unwrap();
        let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
        let gz = days.entry(day).or_insert_with(|| {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            writeln!(gz, "{header}").unwrap();
            gz
        });
        writeln!(gz, "{line}").unwrap();
    }
    let write = |(day, gz): (String, GzEncoder<Vec<u8>>)| {
        let path = to.join(format!("{day}.csv.gz"));
        std::fs::write(&path, gz.finish().unwrap()).unwrap();
        path
    };
    days.into_iter().map(write).collect()
}
