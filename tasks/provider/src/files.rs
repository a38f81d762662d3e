//! A folder of tick files as a source.
//!
//! Files are found by their names ([`file_names`]): a path that holds a contract's code (`cu2403`), and a date in its last
//! part (`20240129`, `2024-01-29`), is a file of that contract and day; of two dates, of all days between. A name without a
//! date may hold any day; a path without a contract's code is not looked at, nor JSON, which is what lies beside tick files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ghtrader_market::{Calendar, CalendarRule, Contract, Day, MarketFile, Regime, file_names};

use crate::{Error, Follow, Listing, LiveSink, Provider, Result, Sink, SourceTick, Window};

/// A folder of tick files.
pub struct Files {
    folder: PathBuf,
    /// Relative to the folder, sorted.
    files: Vec<String>,
    market: MarketFile,
}

impl Files {
    /// Looks for the files in a folder.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn new(folder: &Path, market: MarketFile) -> Result<Self> {
        let mut files = Vec::new();
        list(folder, "", &mut files).with_context(|| format!("looking for tick files in {}", folder.display()))?;
        files.sort();
        Ok(Self { folder: folder.to_owned(), files, market })
    }
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else if !name.ends_with(".json") {
            files.push(name);
        }
    }
    Ok(())
}

/// Whether a code ends with a month of delivery, of four digits or of three (CZCE): `cu2403`, and not `cu2413`.
fn has_month(code: &str) -> bool {
    let month = code.len().checked_sub(2).and_then(|at| code.get(at..)).and_then(|month| month.parse().ok());
    month.is_some_and(|month| (1..=12).contains(&month))
}

impl Provider for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn tier(&self) -> Regime {
        Regime::Historical
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        let contract = Contract::parse(&window.contract)?;
        let spec = self.market.ticks_of(&contract)?;
        let calendar: Calendar = spec.calendar()?;
        let (from, to) = (calendar.local(window.from_ns).0, calendar.local(window.to_ns).0);
        let near = |file: &&String| file_names::days(file).is_none_or(|(first, last)| first <= to && last >= from);
        let mut id = 0;
        for file in self.files.iter().filter(|file| file_names::names(file, &contract)).filter(near) {
            ghtrader_ingest::rows(file, &self.folder.join(file), &spec, &mut |row| {
                if row.contract != window.contract {
                    return Ok(());
                }
                id += 1;
                let wanted = (window.from_ns..window.to_ns).contains(&row.datetime_ns);
                if !wanted || window.after.is_some_and(|after| id <= after) {
                    return Ok(());
                }
                let contract = Arc::clone(&window.contract);
                sink(SourceTick { contract, id, datetime_ns: row.datetime_ns, values: row.values })
            })?;
        }
        Ok(())
    }

    fn live(&mut self, _: &[Follow], _: LiveSink<'_>) -> Result<()> {
        Err(Error::Unsupported { source_name: "files".to_owned(), what: "live ticks".to_owned() })
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        Ok(self.market.closed.clone())
    }

    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>> {
        let listing = self.market.listing_of(&Contract::parse(&format!("{exchange}.{product}"))?)?;
        let codes = self.files.iter().flat_map(|file| file_names::codes(file, product)).filter(|code| has_month(code));
        // However a name writes the letters, the market writes them so.
        let dated = codes.map(|code| format!("{exchange}.{product}{}", &code[product.len()..]));
        // A word without a month may be anything, such as a folder of the variety. It counts where market.yaml states such
        // a contract, or has contracts that are never delivered.
        let endless = self.market.calendar == CalendarRule::UtcDay && listing.expiry.is_none();
        let plain = listing.contracts.keys().cloned().chain(endless.then(|| product.to_owned()));
        let plain = plain.filter_map(|code| Contract::parse(&format!("{exchange}.{code}")).ok());
        let plain = plain.filter(|contract| self.files.iter().any(|file| file_names::names(file, contract)));
        let found: BTreeSet<String> = dated.chain(plain.map(|contract| contract.to_string())).collect();
        Ok(found.into_iter().map(|contract| Listing { contract, last_day: None }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contracts(market: &str, product: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "ticks/cu/20240129.csv",
            "cu2413.csv",
            "cu2403_20240129.csv",
            "CU2404.csv",
            "BTCUSDT_20240129.csv",
            "au.csv",
        ] {
            fs_err::create_dir_all(folder.path().join("ticks/cu")).unwrap();
            fs_err::write(folder.path().join(file), "").unwrap();
        }
        let market = MarketFile::parse(Path::new("market.yaml"), market).unwrap();
        let listings = Files::new(folder.path(), market).unwrap().contracts("X", product).unwrap();
        listings.into_iter().map(|listing| listing.contract).collect()
    }

    #[test]
    fn only_what_can_be_a_contract_is_one() {
        let china = "{ calendar: china-futures, levels: 1, varieties: {
            cu: { exchange: X, tick: 1, multiplier: 1, files: [x] },
            au: { exchange: X, tick: 1, multiplier: 1, files: [x], listing: { contracts: { au: {}, au2406: {} } } } } }";
        assert_eq!(contracts(china, "cu"), ["X.cu2403", "X.cu2404"], "neither the folder `cu` nor a month 13");
        assert_eq!(contracts(china, "au"), ["X.au"], "it is stated, and there is a file of it");
        let crypto = "{ calendar: utc-day, levels: 1, varieties: { BTCUSDT: { exchange: X, tick: 1, multiplier: 1, files: [x] } } }";
        assert_eq!(contracts(crypto, "BTCUSDT"), ["X.BTCUSDT"]);
    }
}
