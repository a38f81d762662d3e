//! A folder of tick files as a source.
//!
//! Files are found by their names ([`file_names`]): a path that holds a contract's code (`cu2403`), and a date in its last
//! part (`20240129`, `2024-01-29`), is a file of that contract and day; of two dates, of all days between. A name without a
//! date may hold any day; a path without a contract's code is not looked at, nor JSON, which is what lies beside tick files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ghtrader_market::{Calendar, Contract, Day, MarketFile, Regime, file_names};

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

fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
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
        let code = |word: &str| Contract::parse(&format!("{exchange}.{word}")).ok();
        let codes = self.files.iter().flat_map(|file| words(file)).filter_map(code);
        let mut found: Vec<String> =
            codes.filter(|contract| contract.product == product).map(|contract| contract.to_string()).collect();
        found.sort();
        found.dedup();
        Ok(found.into_iter().map(|contract| Listing { contract, last_day: None }).collect())
    }
}
