//! The splice of one day, and what has to hold of it.

use anyhow::bail;
use ghtrader_kit::Result;
use ghtrader_market::{Contract, Day, Entry, MainColumns, Ticks, main_symbol, value_names};

/// The rows of the day's main contract as rows of the variety's main series: another symbol, and three columns more.
///
/// # Errors
/// Where the rows are of another contract, or one is of another day.
pub fn splice(raw: &Ticks, entry: &Entry, day: Day, variety: &str) -> Result<Ticks> {
    if raw.is_empty() {
        bail!("the main contract {} has no row on {day}", entry.contract);
    }
    if raw.symbol != entry.contract {
        bail!("the rows are of {}, but the main contract of {day} is {}", raw.symbol, entry.contract);
    }
    if let Some(other) = raw.trading_day.iter().find(|other| **other != day) {
        bail!("a row of {} is of {other}, not of {day}", entry.contract);
    }
    let symbol = main_symbol(&Contract::parse(&entry.contract)?.exchange, variety);
    let main = MainColumns::repeat(raw.len(), &entry.contract, entry.segment, &entry.hash);
    Ok(Ticks { symbol, main: Some(main), ..raw.clone() })
}

/// Compares a spliced table with the raw rows: as many, with the same days and stamps, every value the same 64 bits (null
/// is null), and the entry's contract, segment and hash on every row.
///
/// # Errors
/// Names the first column and row that differ.
pub fn check(raw: &Ticks, spliced: &Ticks, entry: &Entry) -> Result<()> {
    if raw.len() != spliced.len() {
        bail!("{} rows came of {}", spliced.len(), raw.len());
    }
    if raw.trading_day != spliced.trading_day || raw.datetime_ns != spliced.datetime_ns {
        bail!("the days or stamps of the rows are not those of {}", entry.contract);
    }
    for ((name, before), after) in value_names().iter().zip(raw.columns()).zip(spliced.columns()) {
        let differs = |(a, b): (&f64, &f64)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
        if before.len() != after.len() {
            bail!("the column `{name}` has {} values for {} rows", after.len(), before.len());
        }
        if let Some(row) = before.iter().zip(after).position(differs) {
            bail!("`{name}` of row {row} is not that of {}", entry.contract);
        }
    }
    let expected = MainColumns::repeat(raw.len(), &entry.contract, entry.segment, &entry.hash);
    if spliced.main.as_ref() != Some(&expected) {
        bail!("contract, segment or hash of a row are not those of the day's entry");
    }
    Ok(())
}
