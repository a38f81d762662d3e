//! From rows as they stand to canonical days: prices snapped to integer ticks, duplicates dropped, impossible rows
//! quarantined with their cause, everything counted.
//!
//! The order of the checks decides what a row is counted as, and it is part of the result:
//!
//! 1. another variety → foreign
//! 2. no quote on either side and no last price → empty book. It comes before the order of time, because such a row may
//!    carry a stamp *after* the row that follows it (the first rows of au2208 and cu2206 on 2022-02-18 do): it must not
//!    make the true rows look late.
//! 3. exchange closed; the stated trading day is another than the calendar's
//! 4. impossible value; price between two ticks
//! 5. same stamp as a row kept: identical → duplicate, otherwise it takes the place of that row, which is replaced
//! 6. stamp before that of a row kept → non-monotonic

mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cause, Contract, Day, DayIndex, Quarantined, Tick, TickSize, TicksSpec};

use crate::Raw;
use crate::days::Days;

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
    calendar: &'a Calendar,
    contracts: BTreeMap<Arc<str>, Known>,
    days: Days<'a>,
    read: u64,
    foreign: u64,
    quarantine: Vec<Quarantined>,
}

/// What is known of a symbol.
struct Known {
    /// Its tick; none for another variety's.
    tick: Option<TickSize>,
    /// Stamp of the last row kept.
    last_ns: i64,
    /// The empty row just before, by its place in the list: the next row may show that it was late too.
    empty: Option<usize>,
}

/// Why a row is not kept.
struct Refusal(Cause, String);

impl<'a> Cleaner<'a> {
    /// For the rows of one variety; the files go into `folder`.
    pub(crate) fn new(spec: &'a TicksSpec, calendar: &'a Calendar, folder: &'a Path) -> Self {
        let days = Days::new(folder, spec, calendar);
        Self { spec, calendar, contracts: BTreeMap::new(), days, read: 0, foreign: 0, quarantine: Vec::new() }
    }

    /// Takes one row, in the order of the source.
    ///
    /// # Errors
    /// Where the symbol is no contract, or the disk refuses a day.
    pub(crate) fn push(&mut self, mut row: Raw) -> Result<()> {
        self.read += 1;
        let tick = self.tick(&row.contract).with_context(|| format!("row {} of `{}`", row.line, row.contract))?;
        let Some(tick) = tick else {
            self.foreign += 1;
            return Ok(());
        };
        let day = self.calendar.trading_day(row.datetime_ns);
        self.note_late_empty(&row);
        match self.check(&mut row, tick, day) {
            Some(refusal) => self.quarantine(&row, day, refusal),
            None => self.keep(&row, day)?,
        }
        Ok(())
    }

    /// What was kept.
    ///
    /// # Errors
    /// Where no row can be kept, or most of many cannot: then the specification, or one row that all others are measured
    /// by, is wrong rather than the rows.
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

    /// The tick of a contract; none for another variety's.
    fn tick(&mut self, contract: &Arc<str>) -> Result<Option<TickSize>> {
        if let Some(known) = self.contracts.get(contract) {
            return Ok(known.tick);
        }
        let parsed = Contract::parse(contract)?;
        let ours = parsed.exchange == self.spec.exchange && parsed.product == self.spec.variety;
        let tick = ours.then(|| self.spec.tick_of(&parsed));
        self.contracts.insert(Arc::clone(contract), Known { tick, last_ns: i64::MIN, empty: None });
        Ok(tick)
    }

    /// The checks of a row by itself, in the order above; its values become canonical on the way.
    fn check(&self, row: &mut Raw, tick: TickSize, day: Day) -> Option<Refusal> {
        values::normalise(&mut row.values, self.spec.levels);
        if values::is_empty(&row.values) {
            return Some(Refusal(Cause::EmptyBook, "no quote on either side and no last price".to_owned()));
        }
        if !self.calendar.is_open(row.datetime_ns, self.spec.sessions.has_night()) {
            let (date, time) = self.calendar.local(row.datetime_ns);
            return Some(Refusal(Cause::Closed, format!("no session at {date} {time}")));
        }
        if let Some(stated) = row.day.filter(|stated| *stated != day) {
            return Some(Refusal(Cause::TradingDay, format!("the file says {stated}, the calendar {day}")));
        }
        let refused = values::check(&mut row.values, tick, self.spec.fractional_volume);
        refused.map(|(cause, detail)| Refusal(cause, detail))
    }

    fn keep(&mut self, row: &Raw, trading_day: Day) -> Result<()> {
        let tick = Tick { trading_day, datetime_ns: row.datetime_ns, values: row.values };
        let last_ns = self.contracts.get(&row.contract).map_or(i64::MIN, |known| known.last_ns);
        let day = self.days.day(&row.contract, trading_day)?;
        if row.datetime_ns > last_ns {
            day.ticks.push(&tick);
            if let Some(known) = self.contracts.get_mut(&row.contract) {
                known.last_ns = row.datetime_ns;
            }
            return Ok(());
        }
        match day.ticks.datetime_ns.binary_search(&row.datetime_ns) {
            Ok(index) if day.ticks.row(index).is_some_and(|kept| values::same(&kept.values, &row.values)) => {
                day.duplicates += 1;
            }
            Ok(index) => {
                day.replaced += 1;
                day.ticks.for_each_column(|column, values| {
                    values.splice(index..=index, [tick.values[column]]);
                });
            }
            Err(_) => {
                let late = last_ns.saturating_sub(row.datetime_ns) / 1_000_000;
                let detail = format!("{late} ms before a row that came earlier");
                self.quarantine(row, trading_day, Refusal(Cause::NonMonotonic, detail));
            }
        }
        Ok(())
    }

    fn quarantine(&mut self, row: &Raw, day: Day, Refusal(cause, detail): Refusal) {
        self.days.put_aside(&row.contract, day, cause);
        let (line, contract, datetime_ns) = (row.line, row.contract.to_string(), row.datetime_ns);
        if self.quarantine.len() >= LISTED {
            return;
        }
        self.quarantine.push(Quarantined { line, contract, datetime_ns, cause, detail });
        if let (Cause::EmptyBook, Some(known)) = (cause, self.contracts.get_mut(&row.contract)) {
            known.empty = Some(self.quarantine.len() - 1);
        }
    }

    /// Says of an empty row before this one that its stamp is later, if it is: both defects stand in the list.
    fn note_late_empty(&mut self, row: &Raw) {
        let empty = self.contracts.get_mut(&row.contract).and_then(|known| known.empty.take());
        let Some(empty) = empty.and_then(|index| self.quarantine.get_mut(index)) else { return };
        let ahead = empty.datetime_ns.saturating_sub(row.datetime_ns);
        if ahead > 0 {
            empty.detail = format!("{}; and {} ms after the row that follows", empty.detail, ahead / 1_000_000);
        }
    }
}
