//! The day index: what `ingest` says about each (contract, trading day) of a cell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Calendar, Day, Error, RowHashes, Ticks, TicksSpec, tick_files};

/// `index.json`: one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellIndex {
    /// The cell's name.
    pub cell: String,
    /// Rows read: rows kept, duplicates, replaced, quarantined and foreign together.
    pub read: u64,
    /// Rows of other varieties, left out.
    pub foreign: u64,
    /// One per (contract, day), in this order; a day whose rows were all quarantined has `rows: 0` and no tick file.
    pub rows: Vec<DayIndex>,
    /// The quarantined rows in the order of the source, at most 1,000 of them; the counts are complete.
    pub quarantine: Vec<Quarantined>,
}

/// One (contract, trading day).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DayIndex {
    /// `SHFE.cu2203`.
    pub contract: String,
    /// The trading day.
    pub day: Day,
    /// Rows kept.
    pub rows: u64,
    /// Stamp of the first row kept, UTC nanoseconds.
    pub first_ns: Option<i64>,
    /// Stamp of the last row kept.
    pub last_ns: Option<i64>,
    /// Open interest of the last row of the day session with a positive one, not after the close cutoff.
    pub close_oi: Option<f64>,
    /// Cumulative volume of the last row that states one.
    pub volume: Option<f64>,
    /// Whether any price or volume of levels 2 to 5 is positive.
    pub l5_present: bool,
    /// Smallest row hash.
    pub hash_min: Hash64,
    /// Largest row hash.
    pub hash_max: Hash64,
    /// Sum of the row hashes, modulo 2⁶⁴.
    pub hash_sum: Hash64,
    /// Rows dropped since an identical one was there.
    pub duplicates: u64,
    /// Rows dropped since a later one has the same stamp.
    pub replaced: u64,
    /// Rows kept although they lie outside every session (auctions, after the close).
    pub off_session: u64,
    /// Rows quarantined, by cause.
    pub quarantined: BTreeMap<Cause, u64>,
}

impl CellIndex {
    /// The index of tick files that have none, from what is in them: `<contract>/<trading day>.parquet`.
    ///
    /// What was dropped or quarantined when they were written cannot be known: it is 0 here.
    ///
    /// # Errors
    /// Where a file does not lie so, is not the canonical table, or holds rows of another contract or day.
    pub fn from_ticks(cell: &str, folder: &Path, spec: &TicksSpec) -> crate::Result<Self> {
        let calendar = spec.calendar()?;
        let mut rows = Vec::new();
        for ((contract, day), path) in tick_files(folder)? {
            let ticks = Ticks::read(&path)?;
            let wrong = |what: String| Error::Table { path: path.clone(), what };
            if ticks.symbol != contract {
                return Err(wrong(format!("it holds {}, and lies under {contract}", ticks.symbol)));
            }
            if let Some(other) = ticks.trading_day.iter().find(|other| **other != day) {
                return Err(wrong(format!("it holds rows of {other}, and is named {day}")));
            }
            rows.push(DayIndex::of(&contract, day, &ticks, spec, &calendar));
        }
        let read = rows.iter().map(|day| day.rows).sum();
        Ok(Self { cell: cell.to_owned(), read, foreign: 0, rows, quarantine: Vec::new() })
    }
}

impl DayIndex {
    /// What the rows of a (contract, day) say; none of them dropped or quarantined.
    pub fn of(contract: &str, day: Day, ticks: &Ticks, spec: &TicksSpec, calendar: &Calendar) -> Self {
        let hashes = RowHashes::of(ticks, contract);
        let off = |ns: &&i64| !spec.sessions.contain(calendar.local(**ns).1);
        Self {
            contract: contract.to_owned(),
            day,
            rows: ticks.len() as u64,
            first_ns: ticks.datetime_ns.first().copied(),
            last_ns: ticks.datetime_ns.last().copied(),
            close_oi: close_oi(spec, calendar, ticks),
            volume: ticks.volume.iter().rev().copied().find(|volume| !volume.is_nan()),
            l5_present: l5_present(ticks),
            hash_min: hashes.min,
            hash_max: hashes.max,
            hash_sum: hashes.sum,
            duplicates: 0,
            replaced: 0,
            off_session: ticks.datetime_ns.iter().filter(off).count() as u64,
            quarantined: BTreeMap::new(),
        }
    }

    /// What this says that does not follow from its rows, where these are the ones that it speaks of: each with what this
    /// says, and what another index of the same rows does.
    pub fn contradictions(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let number = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        let mut facts = vec![
            ("the open interest at the close", number(self.close_oi), number(other.close_oi)),
            ("the volume", number(self.volume), number(other.volume)),
            ("levels 2 to 5", self.l5_present.to_string(), other.l5_present.to_string()),
            ("rows outside every session", self.off_session.to_string(), other.off_session.to_string()),
        ];
        facts.retain(|(_, says, is)| says != is);
        facts
    }

    /// What rows differ in from what this says of them: each with what this says, and what they are.
    pub fn differences(&self, ticks: &Ticks) -> Vec<(&'static str, String, String)> {
        let hashes = RowHashes::of(ticks, &self.contract);
        let stamp = |ns: Option<&i64>| ns.map_or_else(|| "none".to_owned(), i64::to_string);
        let mut facts = vec![
            ("rows", self.rows.to_string(), ticks.len().to_string()),
            ("the first stamp", stamp(self.first_ns.as_ref()), stamp(ticks.datetime_ns.first())),
            ("the last stamp", stamp(self.last_ns.as_ref()), stamp(ticks.datetime_ns.last())),
            ("the smallest row hash", self.hash_min.to_string(), hashes.min.to_string()),
            ("the largest row hash", self.hash_max.to_string(), hashes.max.to_string()),
            ("the sum of the row hashes", self.hash_sum.to_string(), hashes.sum.to_string()),
        ];
        facts.retain(|(_, says, is)| says != is);
        facts
    }
}

/// The open interest of the last row with a positive one in the day part, at or before the cutoff.
fn close_oi(spec: &TicksSpec, calendar: &Calendar, ticks: &Ticks) -> Option<f64> {
    let rows = ticks.datetime_ns.iter().zip(&ticks.trading_day).zip(&ticks.open_interest);
    let counts = |((ns, day), _): &((&i64, &Day), &f64)| calendar.in_day_part(**ns, **day, spec.close_cutoff);
    rows.rev().filter(|row| *row.1 > 0.0).find(counts).map(|(_, oi)| *oi)
}

/// Whether any price or volume of levels 2 to 5 is positive.
fn l5_present(ticks: &Ticks) -> bool {
    let columns = ticks.columns();
    columns.iter().skip(10).any(|column| column.iter().any(|value| *value > 0.0))
}

/// Why a row was quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No quote on either side and no last price.
    EmptyBook,
    /// Its stamp is before one that came earlier in the file.
    NonMonotonic,
    /// A price that is no multiple of the tick.
    OffTick,
    /// The exchange was closed: a holiday, or a night without a session.
    Closed,
    /// The file states a trading day that the calendar does not give.
    TradingDay,
    /// A negative or (where lots are whole) fractional volume, or a negative amount or open interest.
    BadValue,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyBook => "empty book",
            Self::NonMonotonic => "stamp before an earlier row's",
            Self::OffTick => "price between two ticks",
            Self::Closed => "exchange closed",
            Self::TradingDay => "another trading day than the calendar's",
            Self::BadValue => "impossible value",
        })
    }
}

/// One quarantined row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Its line in the source (the header is line 1), or for Parquet its row, from 1.
    pub line: u64,
    /// The contract.
    pub contract: String,
    /// Its stamp, UTC nanoseconds.
    pub datetime_ns: i64,
    /// Why, the first cause that applies: it is counted under this one.
    pub cause: Cause,
    /// What exactly.
    pub detail: String,
}

/// A 64-bit hash, written as 16 hexadecimal digits (JSON numbers lose bits beyond 2⁵³).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash64(pub u64);

impl fmt::Display for Hash64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Hash64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = digits.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| serde::de::Error::custom("a hash has 16 hexadecimal digits"))
    }
}

impl JsonSchema for Hash64 {
    fn schema_name() -> Cow<'static, str> {
        "Hash64".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
}
