//! From checked rows to canonical days: duplicates dropped, late rows and those that cannot be quarantined with their
//! cause, everything counted.
//!
//! After the checks of a row by itself come those beside the rows before it, in this order:
//!
//! 5. same stamp as a row kept: identical → duplicate, otherwise it takes the place of that row, which is replaced
//! 6. stamp before that of a row kept → non-monotonic

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use ghtrader_kit::Result;
use ghtrader_market::{Cause, DayIndex, Quarantined, Tick, TicksSpec};

use crate::check::{Checked, Refusal, same};
use crate::days::{CleanDay, Days, Files};

/// Quarantined rows that the index lists; all are counted.
const LISTED: usize = 1_000;

/// Fewer refused rows are no reason to refuse a file.
const MANY: u64 = 20;

/// A cell after cleaning.
pub(crate) struct Cleaned {
    pub(crate) read: u64,
    pub(crate) foreign: u64,
    /// By contract and day.
    pub(crate) days: Vec<DayIndex>,
    pub(crate) quarantine: Vec<Quarantined>,
}

/// Takes rows and keeps the days.
pub(crate) struct Cleaner<'a> {
    spec: &'a TicksSpec,
    contracts: BTreeMap<Arc<str>, Known>,
    pub(crate) days: Days<'a>,
    read: u64,
    foreign: u64,
    quarantine: Vec<Quarantined>,
}

/// What is known of a contract.
struct Known {
    /// Stamp of the last row kept.
    last_ns: i64,
    /// The empty row just before, by its place in the list: the next row may show that it was late too.
    empty: Option<usize>,
}

impl<'a> Cleaner<'a> {
    /// For the rows of one variety.
    pub(crate) fn new(files: Files<'a>) -> Self {
        let (contracts, days) = (BTreeMap::new(), Days::new(files));
        Self { spec: files.spec, contracts, days, read: 0, foreign: 0, quarantine: Vec::new() }
    }

    /// Counts rows of other varieties.
    pub(crate) fn foreign(&mut self, rows: u64) {
        self.read += rows;
        self.foreign += rows;
    }

    /// Takes one row, in the order of the source.
    ///
    /// # Errors
    /// Where the disk does not give back a day.
    pub(crate) fn push(&mut self, row: Checked) -> Result<()> {
        self.read += 1;
        let Checked { line, contract, tick, refusal } = row;
        let known = self.contracts.entry(Arc::clone(&contract)).or_insert(Known { last_ns: i64::MIN, empty: None });
        note_late_empty(known.empty.take(), tick.datetime_ns, &mut self.quarantine);
        let refusal = match refusal {
            Some(refusal) => Some(refusal),
            None => keep(&tick, &mut known.last_ns, self.days.day(&contract, tick.trading_day)?),
        };
        let Some(Refusal(cause, detail)) = refusal else { return Ok(()) };
        self.days.put_aside(&contract, tick.trading_day, cause);
        if self.quarantine.len() < LISTED {
            known.empty = (cause == Cause::EmptyBook).then_some(self.quarantine.len());
            let (contract, datetime_ns) = (contract.to_string(), tick.datetime_ns);
            self.quarantine.push(Quarantined { line, contract, datetime_ns, cause, detail });
        }
        Ok(())
    }

    /// What was kept.
    ///
    /// # Errors
    /// Where no row can be kept, or most of many cannot: then the specification, or one row that all others are measured
    /// by, is wrong rather than the rows. Where the disk refuses a day.
    pub(crate) fn finish(self) -> Result<Cleaned> {
        let Self { spec, read, foreign, quarantine, .. } = self;
        let cleaned = Cleaned { read, foreign, days: self.days.finish()?, quarantine };
        let kept: u64 = cleaned.days.iter().map(|day| day.rows).sum();
        let refused = cleaned.days.iter().flat_map(|day| &day.quarantined);
        let refused: u64 = refused.filter(|(cause, _)| **cause != Cause::EmptyBook).map(|(_, count)| count).sum();
        let what = match kept {
            0 => format!("not one of {} rows can be kept", cleaned.read),
            _ if refused >= MANY && refused > kept => {
                format!("{refused} of {} rows cannot be kept", cleaned.read)
            }
            _ => return Ok(cleaned),
        };
        let first = cleaned.quarantine.iter().find(|row| row.cause != Cause::EmptyBook);
        let Some(Quarantined { line, contract, cause, detail, .. }) = first else { return Ok(cleaned) };
        bail!(
            "{what}; row {line} of `{contract}`: {cause}, {detail}; check that row and the one before it, and tick, \
             sessions and calendar of `{}` in market.yaml",
            spec.variety,
        )
    }
}

/// Puts a row into its day, or says why not; `last_ns` is the stamp of the contract's last row kept.
fn keep(tick: &Tick, last_ns: &mut i64, day: &mut CleanDay) -> Option<Refusal> {
    if tick.datetime_ns > *last_ns {
        day.ticks.push(tick);
        *last_ns = tick.datetime_ns;
        return None;
    }
    match day.ticks.datetime_ns.binary_search(&tick.datetime_ns) {
        Ok(index) if day.ticks.row(index).is_some_and(|kept| same(&kept.values, &tick.values)) => {
            day.duplicates += 1;
            None
        }
        Ok(index) => {
            day.replaced += 1;
            day.ticks.for_each_column(|column, values| {
                values.splice(index..=index, [tick.values[column]]);
            });
            None
        }
        Err(_) => {
            let late = last_ns.saturating_sub(tick.datetime_ns) / 1_000_000;
            Some(Refusal(Cause::NonMonotonic, format!("{late} ms before a row that came earlier")))
        }
    }
}

/// Says of the empty row before this one that its stamp is later, if it is: both defects stand in the list.
fn note_late_empty(empty: Option<usize>, next_ns: i64, quarantine: &mut [Quarantined]) {
    let Some(empty) = empty.and_then(|index| quarantine.get_mut(index)) else { return };
    let ahead = empty.datetime_ns.saturating_sub(next_ns);
    if ahead > 0 {
        empty.detail = format!("{}; and {} ms after the row that follows", empty.detail, ahead / 1_000_000);
    }
}
