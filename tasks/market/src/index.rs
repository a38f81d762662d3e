//! The day index: what `ingest` says about each (contract, trading day) of a cell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Day;

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
