//! Projects with a market in them: a small invented one, and the real ones where they lie beside the repository.

#![allow(dead_code, reason = "each program of tests uses some of it")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::space::{Answer, Space};

/// The smallest market on which a model is better than chance beyond doubt.
const SMALL: &str = include_str!("small/market.yaml");

pub(crate) fn project() -> Space {
    let tasks = Path::new(env!("CARGO_BIN_EXE_ghtrader")).with_file_name("ghtrader-tasks");
    assert!(tasks.is_file(), "{} is not built: run ./x test, or ./x build first", tasks.display());
    let space = Space::new();
    for flow in ["daily.yaml", "backfill.yaml", "audit.yaml", "store.yaml", "fetch.yaml", "record.yaml"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("flows").join(flow), space.path("flows").join(flow))
            .unwrap();
    }
    space
}

pub(crate) fn small() -> Space {
    let space = project();
    space.write("market/market.yaml", SMALL);
    space
}

/// The tasks that ran, each with the number of its instances.
pub(crate) fn ran(answer: &Answer) -> BTreeMap<String, usize> {
    let mut ran = BTreeMap::new();
    for line in answer.err.lines().filter_map(|line| line.strip_prefix("ran      ")) {
        let name = line.split(['[', ' ']).next().unwrap_or_default();
        *ran.entry(name.to_owned()).or_default() += 1;
    }
    ran
}

/// The folder of real data, or a message that the test is skipped.
pub(crate) fn real(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}

pub(crate) fn market_file(space: &Space, market: &str) {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/markets").join(market).join("market.yaml"),
    );
    space.write("market/market.yaml", &text.unwrap());
}

/// The IF file, split by day: a source file is the unit of ingest.
pub(crate) fn if_days(source: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(source.join("if_hot_20210104_20210118_l1.csv.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut days: BTreeMap<String, String> = BTreeMap::new();
    for row in rows.lines() {
        let day = row.split(',').nth(2).unwrap().to_owned();
        let text = days.entry(day).or_insert_with(|| format!("{header}\n"));
        text.push_str(row);
        text.push('\n');
    }
    days
}

pub(crate) fn write_day(space: &Space, day: &str, text: &str) {
    let path = space.path(&format!("market/ticks/if_{day}.csv.gz"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

/// The files of a folder, in the market.
pub(crate) fn take_in(space: &Space, files: impl IntoIterator<Item = PathBuf>) {
    std::fs::create_dir_all(space.path("market/ticks")).unwrap();
    for file in files {
        std::fs::copy(&file, space.path("market/ticks").join(file.file_name().unwrap())).unwrap();
    }
}

/// The 13 files of SHFE, of one trading day.
pub(crate) fn shfe() -> Option<Space> {
    let source = real("shfe-2022-02-18")?;
    let space = project();
    market_file(&space, "shfe");
    take_in(&space, std::fs::read_dir(source).unwrap().map(|file| file.unwrap().path()));
    Some(space)
}

/// The 11 days of IF, a file each.
pub(crate) fn index_future() -> Option<Space> {
    let source = real("if-2021-01")?;
    let space = project();
    market_file(&space, "if");
    if_days(&source).iter().for_each(|(day, text)| write_day(&space, day, text));
    Some(space)
}

/// The book of BTCUSDT.
pub(crate) fn bitcoin() -> Option<Space> {
    let source = real("btcusdt-l5")?;
    let space = project();
    market_file(&space, "btc");
    take_in(&space, [source.join("derived_btcusdt_usdm_20240718-19_l5_event.csv.gz")]);
    Some(space)
}
