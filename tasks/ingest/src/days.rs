//! The days of a cell, on their way into files: of each contract two are open, the others lie on the disk.
//!
//! So memory holds two days of each contract, however many days a file has. A row of a day that is closed opens it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cause, Day, DayIndex, Ticks, TicksSpec};

/// So many days of a contract are open: rows of two that are mixed send none of them to the disk and back.
const OPEN: usize = 2;

/// One (contract, trading day) while rows come.
#[derive(Default)]
pub(crate) struct CleanDay {
    pub(crate) ticks: Ticks,
    pub(crate) duplicates: u64,
    pub(crate) replaced: u64,
    pub(crate) quarantined: BTreeMap<Cause, u64>,
}

/// All days.
pub(crate) struct Days<'a> {
    folder: &'a Path,
    spec: &'a TicksSpec,
    calendar: &'a Calendar,
    open: BTreeMap<Arc<str>, BTreeMap<Day, CleanDay>>,
    closed: BTreeMap<(Arc<str>, Day), DayIndex>,
}

impl<'a> Days<'a> {
    /// None yet; their files go to `<folder>/<contract>/<day>.parquet`.
    pub(crate) fn new(folder: &'a Path, spec: &'a TicksSpec, calendar: &'a Calendar) -> Self {
        Self { folder, spec, calendar, open: BTreeMap::new(), closed: BTreeMap::new() }
    }

    /// A day of a contract, open.
    ///
    /// # Errors
    /// Where the disk refuses a day that was open, or this one's file.
    pub(crate) fn day(&mut self, contract: &Arc<str>, day: Day) -> Result<&mut CleanDay> {
        let open = self.open.entry(Arc::clone(contract)).or_default();
        if !open.contains_key(&day) {
            let over = if open.len() >= OPEN { open.pop_first() } else { None };
            if let Some((over, clean)) = over {
                self.close(contract, over, clean)?;
            }
            let opened = self.reopen(contract, day)?;
            self.open.entry(Arc::clone(contract)).or_default().insert(day, opened);
        }
        Ok(self.open.entry(Arc::clone(contract)).or_default().entry(day).or_default())
    }

    /// A row of a day is put aside, which needs no day to be open.
    pub(crate) fn put_aside(&mut self, contract: &Arc<str>, day: Day, cause: Cause) {
        let open = self.open.get_mut(contract).and_then(|open| open.get_mut(&day));
        let counts = match open {
            Some(open) => &mut open.quarantined,
            None => {
                let (spec, calendar) = (self.spec, self.calendar);
                let none = || facts(contract, day, spec, calendar, CleanDay::default());
                &mut self.closed.entry((Arc::clone(contract), day)).or_insert_with(none).quarantined
            }
        };
        *counts.entry(cause).or_default() += 1;
    }

    /// Closes all; gives what there is, by contract and day.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn finish(mut self) -> Result<Vec<DayIndex>> {
        for (contract, open) in std::mem::take(&mut self.open) {
            for (day, clean) in open {
                self.close(&contract, day, clean)?;
            }
        }
        Ok(self.closed.into_values().collect())
    }

    fn path(&self, contract: &str, day: Day) -> PathBuf {
        self.folder.join(contract).join(format!("{day}.parquet"))
    }

    fn close(&mut self, contract: &Arc<str>, day: Day, clean: CleanDay) -> Result<()> {
        if !clean.ticks.is_empty() {
            fs_err::create_dir_all(self.folder.join(&**contract))?;
            clean.ticks.write(&self.path(contract, day))?;
        }
        let facts = facts(contract, day, self.spec, self.calendar, clean);
        self.closed.insert((Arc::clone(contract), day), facts);
        Ok(())
    }

    /// A new day, or one that was closed.
    fn reopen(&mut self, contract: &Arc<str>, day: Day) -> Result<CleanDay> {
        let Some(facts) = self.closed.remove(&(Arc::clone(contract), day)) else {
            return Ok(CleanDay { ticks: Ticks::new(contract.as_ref()), ..CleanDay::default() });
        };
        let DayIndex { rows, duplicates, replaced, quarantined, .. } = facts;
        let ticks = if rows == 0 { Ticks::new(contract.as_ref()) } else { Ticks::read(&self.path(contract, day))? };
        Ok(CleanDay { ticks, duplicates, replaced, quarantined })
    }
}

fn facts(contract: &str, day: Day, spec: &TicksSpec, calendar: &Calendar, clean: CleanDay) -> DayIndex {
    let CleanDay { ticks, duplicates, replaced, quarantined } = clean;
    let facts = DayIndex::of(contract, day, &ticks, spec, calendar);
    DayIndex { duplicates, replaced, quarantined, ..facts }
}
