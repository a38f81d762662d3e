//! A row by itself: whose it is, which day's, whether its values can be; prices snapped to integer ticks. What a row is
//! beside the rows before it is [`clean`](crate::clean)'s to say, so rows can be checked on several cores.
//!
//! The order of the checks decides what a row is counted as, and it is part of the result:
//!
//! 1. another variety → foreign
//! 2. no quote on either side and no last price → empty book. It comes before the order of time, because such a row may
//!    carry a stamp *after* the row that follows it (the first rows of au2208 and cu2206 on 2022-02-18 do): it must not
//!    make the true rows look late.
//! 3. exchange closed; the stated trading day is another than the calendar's
//! 4. impossible value; price between two ticks

mod values;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cause, Contract, Day, Tick, TickSize, TicksSpec};

use crate::Raw;
pub(crate) use values::same;

/// What a calendar says changes at a quarter of an hour only: days and nights begin and end on the hour, and zones are ahead of
/// UTC, and change, by quarters.
const QUARTER_NS: i64 = 900_000_000_000;

/// A row of the variety, checked by itself.
pub(crate) struct Checked {
    /// Its line in the source.
    pub(crate) line: u64,
    pub(crate) contract: Arc<str>,
    /// With the calendar's trading day and canonical values.
    pub(crate) tick: Tick,
    /// Why it cannot be kept, where it cannot.
    pub(crate) refusal: Option<Refusal>,
}

/// Why a row is not kept.
pub(crate) struct Refusal(pub(crate) Cause, pub(crate) String);

/// Checks rows; remembers what neighbours share.
pub(crate) struct Checker<'a> {
    spec: &'a TicksSpec,
    calendar: &'a Calendar,
    nights: bool,
    /// The tick of each contract; none for another variety's.
    ticks: HashMap<Arc<str>, Option<TickSize>>,
    quarter: Option<Quarter>,
}

/// What the calendar says of a quarter of an hour.
#[derive(Clone, Copy)]
struct Quarter {
    /// Since 1970.
    number: i64,
    day: Day,
    open: bool,
}

impl<'a> Checker<'a> {
    /// For the rows of one variety.
    pub(crate) fn new(spec: &'a TicksSpec, calendar: &'a Calendar) -> Self {
        Self { spec, calendar, nights: spec.sessions.has_night(), ticks: HashMap::new(), quarter: None }
    }

    /// Checks a row, whose values become canonical; none where it is another variety's.
    ///
    /// # Errors
    /// Where the symbol is no contract, or the stamp none of a tick.
    pub(crate) fn check(&mut self, row: &mut Raw) -> Result<Option<Checked>> {
        let size = self.size(&row.contract).with_context(|| format!("row {} of `{}`", row.line, row.contract))?;
        let Some(size) = size else { return Ok(None) };
        let quarter =
            self.quarter(row.datetime_ns).with_context(|| format!("row {} of `{}`", row.line, row.contract))?;
        let refusal = self.refusal(row, quarter, size);
        let tick = Tick { trading_day: quarter.day, datetime_ns: row.datetime_ns, values: row.values };
        Ok(Some(Checked { line: row.line, contract: Arc::clone(&row.contract), tick, refusal }))
    }

    /// The tick of a contract; none for another variety's.
    fn size(&mut self, contract: &Arc<str>) -> Result<Option<TickSize>> {
        if let Some(known) = self.ticks.get(contract) {
            return Ok(*known);
        }
        let parsed = Contract::parse(contract)?;
        let ours = parsed.exchange == self.spec.exchange && parsed.product == self.spec.variety;
        let size = ours.then(|| self.spec.tick_of(&parsed));
        self.ticks.insert(Arc::clone(contract), size);
        Ok(size)
    }

    fn quarter(&mut self, ns: i64) -> Result<Quarter> {
        let number = ns.div_euclid(QUARTER_NS);
        match self.quarter {
            Some(quarter) if quarter.number == number => Ok(quarter),
            _ => {
                let (date, time) = self.calendar.local(ns);
                ensure!(
                    date.is_plausible(),
                    "the stamp {ns} is {date} {time}: nanoseconds since 1970 in UTC are wanted; is it in another unit, or a \
                     row that was never filled?"
                );
                let (day, open) = (self.calendar.trading_day(ns), self.calendar.is_open(ns, self.nights));
                Ok(*self.quarter.insert(Quarter { number, day, open }))
            }
        }
    }

    /// The checks in the order above.
    fn refusal(&self, row: &mut Raw, quarter: Quarter, size: TickSize) -> Option<Refusal> {
        values::normalise(&mut row.values, self.spec.levels);
        if values::is_empty(&row.values) {
            return Some(Refusal(Cause::EmptyBook, "no quote on either side and no last price".to_owned()));
        }
        if !quarter.open {
            let (date, time) = self.calendar.local(row.datetime_ns);
            return Some(Refusal(Cause::Closed, format!("no session at {date} {time}")));
        }
        if let Some(stated) = row.day.filter(|stated| *stated != quarter.day) {
            return Some(Refusal(Cause::TradingDay, format!("the file says {stated}, the calendar {}", quarter.day)));
        }
        let refused = values::check(&mut row.values, size, self.spec.fractional_volume);
        refused.map(|(cause, detail)| Refusal(cause, detail))
    }
}
