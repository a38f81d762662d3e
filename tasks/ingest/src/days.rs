//! The days of a cell, on their way into files: of each contract two are open, the others lie on the disk.
//!
//! So memory holds two days of each contract that still has rows, however many days a file has. A row of a day that is
//! closed opens it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cause, Day, DayIndex, Ticks, TicksSpec};
use rayon::prelude::*;

/// So many days of a contract are open: rows of two that are mixed send none of them to the disk and back.
const OPEN: usize = 2;
/// A day without a row among so many others is closed: its contract may have expired.
const IDLE: u64 = 1 << 17;

/// Contract and trading day.
pub(crate) type Key = (Arc<str>, Day);

/// One (contract, trading day) while rows come.
#[derive(Clone, Default)]
pub(crate) struct CleanDay {
    pub(crate) ticks: Ticks,
    pub(crate) duplicates: u64,
    pub(crate) replaced: u64,
    /// When it last had a row, in rows of all days.
    used: u64,
}

/// Where the days lie, and what is to be known of them for the index.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) spec: &'a TicksSpec,
    pub(crate) calendar: &'a Calendar,
}

/// All days.
pub(crate) struct Days<'a> {
    files: Files<'a>,
    rows: u64,
    open: BTreeMap<Arc<str>, BTreeMap<Day, CleanDay>>,
    /// Closed, and not written yet.
    overdue: BTreeMap<Key, Arc<CleanDay>>,
    /// Given out to be written.
    writing: BTreeMap<Key, Arc<CleanDay>>,
    written: BTreeMap<Key, DayIndex>,
    quarantined: BTreeMap<Key, BTreeMap<Cause, u64>>,
}

impl<'a> Files<'a> {
    fn path(&self, (contract, day): &Key) -> PathBuf {
        self.folder.join(&**contract).join(format!("{day}.parquet"))
    }

    /// Writes days, each to `<folder>/<contract>/<day>.parquet`, and says what the index is to say of them.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn write(&self, days: &BTreeMap<Key, Arc<CleanDay>>) -> Result<Vec<DayIndex>> {
        let write = |(key, clean): (&Key, &Arc<CleanDay>)| {
            let (contract, day) = key;
            if !clean.ticks.is_empty() {
                fs_err::create_dir_all(self.folder.join(&**contract))?;
                clean.ticks.write(&self.path(key))?;
            }
            Ok(facts(contract, *day, clean, self.spec, self.calendar))
        };
        days.par_iter().map(write).collect()
    }
}

impl<'a> Days<'a> {
    /// None yet.
    pub(crate) fn new(files: Files<'a>) -> Self {
        let open = BTreeMap::new();
        let (overdue, writing) = (BTreeMap::new(), BTreeMap::new());
        Self { files, rows: 0, open, overdue, writing, written: BTreeMap::new(), quarantined: BTreeMap::new() }
    }

    /// The day of a contract that a row belongs to, open.
    ///
    /// # Errors
    /// Where the file of a day that was open once cannot be read.
    pub(crate) fn day(&mut self, contract: &Arc<str>, day: Day) -> Result<&mut CleanDay> {
        self.rows += 1;
        if !self.open.get(contract).is_some_and(|open| open.contains_key(&day)) {
            self.close_idle(contract);
            let opened = self.reopen(contract, day)?;
            self.open.entry(Arc::clone(contract)).or_default().insert(day, opened);
        }
        let day = self.open.entry(Arc::clone(contract)).or_default().entry(day).or_default();
        day.used = self.rows;
        Ok(day)
    }

    /// A row of a day is put aside, which needs no day to be open.
    pub(crate) fn put_aside(&mut self, contract: &Arc<str>, day: Day, cause: Cause) {
        let causes = self.quarantined.entry((Arc::clone(contract), day)).or_default();
        *causes.entry(cause).or_default() += 1;
    }

    /// The days that are to be written now.
    pub(crate) fn take_overdue(&mut self) -> BTreeMap<Key, Arc<CleanDay>> {
        self.writing = std::mem::take(&mut self.overdue);
        self.writing.clone()
    }

    /// Those that were given out last are written.
    pub(crate) fn written(&mut self, days: Vec<DayIndex>) {
        let keys = std::mem::take(&mut self.writing).into_keys();
        self.written.extend(keys.zip(days));
    }

    /// Writes what is open; gives what there is, by contract and day.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn finish(mut self) -> Result<Vec<DayIndex>> {
        for (contract, open) in std::mem::take(&mut self.open) {
            self.overdue.extend(open.into_iter().map(|(day, clean)| ((Arc::clone(&contract), day), Arc::new(clean))));
        }
        let rest = self.take_overdue();
        self.written(self.files.write(&rest)?);
        let Files { spec, calendar, .. } = self.files;
        for (key, causes) in self.quarantined {
            let none = || facts(&key.0, key.1, &CleanDay::default(), spec, calendar);
            self.written.entry(key.clone()).or_insert_with(none).quarantined = causes;
        }
        Ok(self.written.into_values().collect())
    }

    /// Makes room for one more day of a contract; closes what no row was for in long.
    fn close_idle(&mut self, contract: &Arc<str>) {
        for (other, open) in &mut self.open {
            let full = other == contract && open.len() >= OPEN;
            let first = open.keys().next().copied().filter(|_| full);
            let idle = |day: &Day, clean: &CleanDay| first == Some(*day) || clean.used + IDLE < self.rows;
            let over = open.extract_if(.., |day, clean| idle(day, clean));
            self.overdue.extend(over.map(|(day, clean)| ((Arc::clone(other), day), Arc::new(clean))));
        }
        self.open.retain(|_, open| !open.is_empty());
    }

    /// A new day, or one that was closed.
    fn reopen(&mut self, contract: &Arc<str>, day: Day) -> Result<CleanDay> {
        let key = (Arc::clone(contract), day);
        if let Some(clean) = self.overdue.remove(&key).or_else(|| self.writing.get(&key).cloned()) {
            return Ok(Arc::unwrap_or_clone(clean));
        }
        let new = || Ticks::new(contract.as_ref());
        let (rows, duplicates, replaced) =
            self.written.get(&key).map_or((0, 0, 0), |facts| (facts.rows, facts.duplicates, facts.replaced));
        let ticks = if rows == 0 { new() } else { Ticks::read(&self.files.path(&key))? };
        Ok(CleanDay { ticks, duplicates, replaced, used: 0 })
    }
}

/// What the index says of a day; what was quarantined is added in the end.
fn facts(contract: &str, day: Day, clean: &CleanDay, spec: &TicksSpec, calendar: &Calendar) -> DayIndex {
    let CleanDay { ticks, duplicates, replaced, .. } = clean;
    let facts = DayIndex::of(contract, day, ticks, spec, calendar);
    DayIndex { duplicates: *duplicates, replaced: *replaced, ..facts }
}
