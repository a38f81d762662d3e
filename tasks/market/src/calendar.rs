//! Which trading day a moment belongs to, and which days are trading days.
//!
//! Chinese futures: local time is UTC+8, without summer time; from 18:00 on a row belongs to the next day; Saturdays,
//! Sundays and statutory holidays belong to the next trading day. So Friday 21:00 and Saturday 00:30 are Monday's
//! (TqSdk `_get_trading_day_from_timestamp`, with holidays, which it skips only on weekends). The trading day T spans
//! \[previous trading day 18:00, T 18:00). Elsewhere the local date is the trading day: every one, or Monday to Friday.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Day, Error, NANOS_PER_DAY, NANOS_PER_SECOND, Result, TimeOfDay};

/// Holidays on weekdays, 2003 to 2026; source and licence in `data/NOTICE`.
const CHINESE_HOLIDAYS: &str = include_str!("../data/chinese_holidays.json");
/// From this local time on, a moment belongs to the next trading day.
const BOUNDARY: TimeOfDay = TimeOfDay::at(18, 0);
/// Before this local time, a moment belongs to the night session of the evening before.
const MORNING: TimeOfDay = TimeOfDay::at(6, 0);
/// Evenings without a night session although no holiday follows: the exchanges suspended them in the spring of 2020.
const SUSPENDED: [&str; 2] = ["2020-02-03", "2020-05-05"];

/// How moments become trading days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CalendarRule {
    /// Night sessions belong to the next trading day; weekends and Chinese holidays are closed.
    ChinaFutures,
    /// Every local date is a trading day, round the clock.
    UtcDay,
    /// Every local date from Monday to Friday is a trading day; no session goes on after midnight.
    Weekdays,
}

/// A market's calendar, as its specification states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// The rule.
    pub calendar: CalendarRule,
    /// Hours that local time is ahead of UTC, where no zone is named.
    pub utc_offset: i32,
    /// The zone of local time, as the IANA database names it: `America/Chicago`, with its summer time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Closed days beyond those that the rule knows.
    #[serde(default)]
    pub closed: Vec<Day>,
}

/// A calendar ready for use.
#[derive(Clone, Debug)]
pub struct Calendar {
    rule: CalendarRule,
    offset: Offset,
    /// Sorted.
    closed: Vec<Day>,
    first: Day,
    last: Day,
    suspended: [Day; 2],
}

/// How far local time is ahead of UTC.
#[derive(Clone, Debug)]
enum Offset {
    /// Always by so many nanoseconds.
    Fixed(i64),
    /// As a zone's law says.
    Zone(TimeZone),
}

impl Offset {
    fn of(clock: &Clock) -> Result<Self> {
        match &clock.zone {
            None => Ok(Self::Fixed(i64::from(clock.utc_offset) * 3600 * NANOS_PER_SECOND)),
            // The program's own copy: the machine's may be of another year.
            Some(name) => match TimeZoneDatabase::bundled().get(name) {
                Ok(zone) => Ok(Self::Zone(zone)),
                Err(_) => Err(Error::Zone(name.clone())),
            },
        }
    }

    /// At a moment.
    fn at(&self, ns: i64) -> i64 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Zone(zone) => {
                // 64 bits of nanoseconds are the years 1677 to 2262, all of which a timestamp can be.
                let moment = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
                i64::from(zone.to_offset(moment).seconds()) * NANOS_PER_SECOND
            }
        }
    }
}

impl Calendar {
    /// The calendar that a clock describes.
    ///
    /// # Errors
    /// Where there is no such zone, or the holiday list is damaged.
    pub fn new(clock: &Clock) -> Result<Self> {
        let listed: Vec<Day> = match clock.calendar {
            CalendarRule::ChinaFutures => {
                serde_json::from_str(CHINESE_HOLIDAYS).map_err(|error| Error::Day(error.to_string()))?
            }
            CalendarRule::UtcDay | CalendarRule::Weekdays => Vec::new(),
        };
        let (first, last) = match (listed.first(), listed.last()) {
            (Some(first), Some(last)) => (Day::of(first.date().year(), 1, 1)?, Day::of(last.date().year(), 12, 31)?),
            _ => (Day(i32::MIN), Day(i32::MAX)),
        };
        let mut closed = listed;
        closed.extend(&clock.closed);
        closed.sort_unstable();
        let offset = Offset::of(clock)?;
        let suspended = [SUSPENDED[0].parse()?, SUSPENDED[1].parse()?];
        Ok(Self { rule: clock.calendar, offset, closed, first, last, suspended })
    }

    /// Local date and time of day of a moment (UTC nanoseconds).
    pub fn local(&self, ns: i64) -> (Day, TimeOfDay) {
        let local = ns.saturating_add(self.offset.at(ns));
        // A count of days since 1970 in 64-bit nanoseconds is below 10⁶.
        (Day(local.div_euclid(NANOS_PER_DAY) as i32), TimeOfDay(local.rem_euclid(NANOS_PER_DAY)))
    }

    /// The moment (UTC nanoseconds) of a local date and time; the time may run past midnight. Of a time that occurs twice
    /// when summer time ends, one of both; of one that does not occur when it begins, one within an hour.
    pub fn moment(&self, day: Day, time: TimeOfDay) -> i64 {
        let local = i64::from(day.0).saturating_mul(NANOS_PER_DAY).saturating_add(time.0);
        // The offset at about that moment, and then at that moment: it changes twice a year.
        let about = local.saturating_sub(self.offset.at(local));
        local.saturating_sub(self.offset.at(about))
    }

    /// The trading day that a moment (UTC nanoseconds) belongs to.
    pub fn trading_day(&self, ns: i64) -> Day {
        let (date, time) = self.local(ns);
        match self.rule {
            CalendarRule::UtcDay => date,
            CalendarRule::Weekdays => self.on_or_after(date),
            CalendarRule::ChinaFutures => self.on_or_after(if time >= BOUNDARY { date.plus(1) } else { date }),
        }
    }

    /// Whether there is trading on a day. Where the holiday list does not cover it ([`Calendar::covers`]), weekdays count.
    pub fn is_trading_day(&self, day: Day) -> bool {
        let weekend = self.rule != CalendarRule::UtcDay && day.is_weekend();
        !weekend && self.closed.binary_search(&day).is_err()
    }

    /// Whether the holiday list says something of the year of a day, so that what is said of it is no guess.
    pub fn covers(&self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }

    /// The first and the last day of which the holiday list says something.
    pub fn covered(&self) -> (Day, Day) {
        (self.first, self.last)
    }

    /// The trading day after a day.
    pub fn next(&self, day: Day) -> Day {
        self.on_or_after(day.plus(1))
    }

    /// The trading day before a day.
    pub fn previous(&self, day: Day) -> Day {
        let mut day = day.plus(-1);
        while !self.is_trading_day(day) {
            day = day.plus(-1);
        }
        day
    }

    /// The last trading day that is over at a moment (UTC nanoseconds): nothing of it can come any more.
    pub fn last_over(&self, ns: i64) -> Day {
        self.previous(self.trading_day(ns))
    }

    fn on_or_after(&self, mut day: Day) -> Day {
        while !self.is_trading_day(day) {
            day = day.plus(1);
        }
        day
    }

    /// Whether the exchange opens a night session in the evening of a day: it is a trading day, and until the next one
    /// there is nothing but a weekend (there is none on the eve of a holiday, and was none in spring 2020).
    pub fn has_night(&self, evening: Day) -> bool {
        let suspended =
            self.rule == CalendarRule::ChinaFutures && (self.suspended[0]..=self.suspended[1]).contains(&evening);
        if suspended || !self.is_trading_day(evening) {
            return false;
        }
        let mut day = evening.plus(1);
        while day.is_weekend() {
            day = day.plus(1);
        }
        self.is_trading_day(day)
    }

    /// Whether the exchange can have sent anything at a moment: not on closed days, not in a night that has no session.
    /// `nights` says whether the variety has night sessions at all.
    pub fn is_open(&self, ns: i64, nights: bool) -> bool {
        let (date, time) = self.local(ns);
        if self.rule != CalendarRule::ChinaFutures {
            return self.is_trading_day(date);
        }
        if time >= BOUNDARY {
            nights && self.has_night(date)
        } else if time < MORNING {
            nights && self.has_night(date.plus(-1))
        } else {
            self.is_trading_day(date)
        }
    }

    /// Whether a moment lies in the day part of its trading day (from 06:00 on, on the day itself) and not after `cutoff`:
    /// the rows that close open interest may come from.
    pub fn in_day_part(&self, ns: i64, trading_day: Day, cutoff: Option<TimeOfDay>) -> bool {
        let (date, time) = self.local(ns);
        let begun = self.rule != CalendarRule::ChinaFutures || time >= MORNING;
        date == trading_day && begun && cutoff.is_none_or(|cutoff| time <= cutoff)
    }

    /// Hash (hexadecimal BLAKE3) of the rule and of every closed day.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let offset = match &self.offset {
            Offset::Fixed(offset) => offset.to_string(),
            Offset::Zone(zone) => zone.iana_name().unwrap_or_default().to_owned(),
        };
        hasher.update(format!("{:?} {offset}", self.rule).as_bytes());
        for day in &self.closed {
            hasher.update(&day.0.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl Clock {
    /// The clock of the Chinese futures exchanges.
    pub fn china() -> Self {
        Self { calendar: CalendarRule::ChinaFutures, utc_offset: 8, zone: None, closed: Vec::new() }
    }
}
