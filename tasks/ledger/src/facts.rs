//! What is there: by contract and day, what the index says, and whether the ticks are so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ghtrader_kit::Result;
use ghtrader_market::{CellIndex, Day, DayIndex, Ticks, tick_files};

/// What is known of one (contract, day) of which there is something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Rows, as the index says.
    Rows,
    /// The index knows the day, and every row was put aside: why.
    NoRows(String),
    /// The ticks are not those that the index speaks of: how they differ.
    Stale(String),
    /// Ticks of which no index knows.
    Unindexed,
}

/// By contract and trading day.
#[derive(Clone, Debug, Default)]
pub struct Facts(pub(crate) BTreeMap<String, BTreeMap<Day, Fact>>);

impl Facts {
    /// From the gathered indexes, and from the gathered ticks where these are to be compared with them.
    ///
    /// # Errors
    /// Where a file is not what it should be; names it.
    pub fn read(index: Option<&Path>, ticks: Option<&Path>) -> Result<Self> {
        let mut facts = Self::default();
        let (indexes, folders) = (cells(index, "index.json")?, cells(ticks, "ticks")?);
        for (name, path) in &indexes {
            let text = fs_err::read_to_string(path)?;
            let index: CellIndex = serde_json::from_str(&text)
                .with_context(|| format!("the index of {name} is not what `ingest` writes"))?;
            // Without ticks there is nothing to compare with; a cell without a folder of them has lost them.
            let mut files = match (ticks, folders.get(name)) {
                (None, _) => None,
                (Some(_), None) => Some(BTreeMap::new()),
                (Some(_), Some(folder)) => Some(tick_files(folder)?),
            };
            for entry in &index.rows {
                let file = files.as_mut().map(|files| files.remove(&(entry.contract.clone(), entry.day)));
                facts.add(&entry.contract, entry.day, fact(entry, file));
            }
            files.into_iter().flatten().for_each(|((contract, day), _)| facts.add(&contract, day, Fact::Unindexed));
        }
        for (_, folder) in folders.iter().filter(|(name, _)| !indexes.contains_key(*name)) {
            tick_files(folder)?.into_keys().for_each(|(contract, day)| facts.add(&contract, day, Fact::Unindexed));
        }
        Ok(facts)
    }

    /// Two cells may speak of one day, each of a part: the part with rows counts, and what is wrong goes before it.
    fn add(&mut self, contract: &str, day: Day, fact: Fact) {
        let rank = |fact: &Fact| match fact {
            Fact::Stale(_) => 3,
            Fact::Unindexed => 2,
            Fact::Rows => 1,
            Fact::NoRows(_) => 0,
        };
        let days = self.0.entry(contract.to_owned()).or_default();
        match days.get(&day) {
            Some(there) if rank(there) >= rank(&fact) => {}
            _ => _ = days.insert(day, fact),
        }
    }

    /// The days of a contract on which it has ticks.
    pub(crate) fn with_ticks(&self, contract: &str) -> impl DoubleEndedIterator<Item = Day> {
        let days = self.0.get(contract).into_iter().flatten();
        days.filter(|(_, fact)| !matches!(fact, Fact::NoRows(_))).map(|(day, _)| *day)
    }
}

/// What an entry of the index says, beside the file: not asked for, not there, or there.
fn fact(entry: &DayIndex, file: Option<Option<PathBuf>>) -> Fact {
    match (entry.rows, file) {
        (0, None | Some(None)) => {
            let causes: Vec<String> =
                entry.quarantined.iter().map(|(cause, count)| format!("{cause}: {count}")).collect();
            Fact::NoRows(format!("no row could be kept ({})", causes.join(", ")))
        }
        (_, None) => Fact::Rows,
        (rows, Some(None)) => Fact::Stale(format!("the index says {rows} rows, and there is no file")),
        (_, Some(Some(path))) => match Ticks::read(&path) {
            Err(error) => Fact::Stale(error.to_string().replace(&path.display().to_string(), "the file")),
            Ok(ticks) => match entry.differences(&ticks).first() {
                None => Fact::Rows,
                Some((name, says, is)) => Fact::Stale(format!("{name}: the index says {says}, the file {is}")),
            },
        },
    }
}

/// What a gather holds, by instance: `cell=a.csv/index.json`.
fn cells(folder: Option<&Path>, part: &str) -> Result<BTreeMap<String, PathBuf>> {
    let Some(folder) = folder else { return Ok(BTreeMap::new()) };
    let instance = |entry: std::io::Result<fs_err::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.path().join(part)))
    };
    fs_err::read_dir(folder)?.map(instance).collect()
}
