//! A folder of tick files as a source.
//!
//! Files are found by their names: a path that holds a contract's code (`cu2403`) and a date (`20240129`, `2024-01-29`)
//! is a file of that contract and day; of two dates, of all days between. A path without a date may hold any day, one
//! without a contract's code is not looked at, nor one of JSON, which is what lies beside tick files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use ghtrader_market::{Calendar, Contract, Day, MarketFile, Regime};

use crate::synthetic::spec_of;
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

/// What the names of many files say: which contracts on which days.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// First and last days by word: contracts' codes are among the words.
    days: BTreeMap<String, Vec<(Day, Day)>>,
}

impl Named {
    /// What these paths say.
    pub fn of(paths: &[String]) -> Self {
        let mut days: BTreeMap<String, Vec<(Day, Day)>> = BTreeMap::new();
        for path in paths {
            let Some(span) = self::days(path) else { continue };
            // A code ends with digits but does not begin with one.
            for word in words(path).filter(|word| !word.starts_with(|c: char| c.is_ascii_digit())) {
                days.entry(word.to_owned()).or_default().push(span);
            }
        }
        days.values_mut().for_each(|spans| spans.sort_unstable());
        Self { days }
    }

    /// Whether one of them says that it holds a contract on a day.
    pub fn holds(&self, contract: &Contract, day: Day) -> bool {
        let spans = self.days.get(&contract.code).map_or(&[][..], Vec::as_slice);
        // Most files hold one day.
        spans.binary_search(&(day, day)).is_ok()
            || spans.iter().any(|(first, last)| first < last && (*first..=*last).contains(&day))
    }
}

fn names(path: &str, contract: &Contract) -> bool {
    words(path).any(|word| word == contract.code)
}

fn words(path: &str) -> impl Iterator<Item = &str> {
    path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// The first and the last day that a path names.
fn days(path: &str) -> Option<(Day, Day)> {
    let words: Vec<&str> = words(path).collect();
    let whole = words.iter().filter(|word| word.len() == 8).filter_map(|word| word.parse::<Day>().ok());
    let parts = words.windows(3).filter(|parts| parts[0].len() == 4 && parts[1].len() == 2 && parts[2].len() == 2);
    let parts = parts.filter_map(|parts| parts.join("-").parse::<Day>().ok());
    let days: Vec<Day> = whole.chain(parts).filter(|day| (1980..=2200).contains(&day.date().year())).collect();
    Some((*days.iter().min()?, *days.iter().max()?))
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
        let spec = spec_of(&self.market, &contract)?;
        let calendar: Calendar = spec.calendar()?;
        let (from, to) = (calendar.local(window.from_ns).0, calendar.local(window.to_ns).0);
        let near = |file: &&String| days(file).is_none_or(|(first, last)| first <= to && last >= from);
        let mut id = 0;
        for file in self.files.iter().filter(|file| names(file, &contract)).filter(near) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_holds() {
        let cu = Contract::parse("SHFE.cu2403").unwrap();
        let day: Day = "2024-01-29".parse().unwrap();
        for yes in [
            "ticks/SHFE.cu2403/2024-01-29.parquet",
            "tq_cu2403_20240129.csv",
            "fetched/SHFE.cu2403/2024-01-29/SHFE.cu2403.2024-01-29.csv.gz",
            "cu2403_20240101_20240131.csv",
        ] {
            assert!(Named::of(&[yes.to_owned()]).holds(&cu, day), "{yes}");
        }
        for no in ["cu2403.csv", "cu24031_20240129.csv", "ticks/cu2404/2024-01-29.csv", "cu2403_20240130.csv"] {
            assert!(!Named::of(&[no.to_owned()]).holds(&cu, day), "{no}");
        }
    }
}
