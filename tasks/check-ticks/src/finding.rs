//! What can be found in ticks.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It may be so in a market, or was dealt with: somebody should look.
    Warning,
    /// It cannot be right.
    Error,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The file is the canonical table of its contract and day.
    Schema,
    /// Stamps strictly increase.
    Order,
    /// The calendar gives each stamp the day that its row states.
    TradingDay,
    /// The best ask is not below the best bid, and each level lies behind the one before it.
    Crossed,
    /// No volume, amount or open interest is negative.
    Negative,
    /// Each price is a multiple of the tick.
    OffGrid,
    /// Prices are positive, and no two last prices of a day too far apart.
    Limit,
    /// The volume of the day so far never falls.
    Volume,
    /// The day index says what the file holds, and there is a file for each of its days.
    Index,
    /// The main series is that of its contract, and says so.
    Main,
    /// Of the rows of a day, all but a few can be kept.
    Lost,
    /// Most rows of a day lie in its sessions.
    Sessions,
    /// Not too many rows of the source stood there twice.
    Duplicates,
    /// Ingestion had no row to put aside.
    Quarantine,
    /// Some row of the source is of the variety.
    Foreign,
    /// The last price lies between the day's lowest and highest so far.
    Extremes,
    /// No long silence within a session.
    Gap,
    /// Quotes move while there is trade.
    Stale,
    /// No price leaps away and back.
    Spike,
    /// Holidays are known of the day's year; where not, every weekday is taken for a trading day.
    Calendar,
    /// Each trading day has ticks of some contract.
    Missing,
    /// A day has rows in as many minutes as others do.
    Thin,
}

impl Check {
    /// How bad it is where this does not hold.
    pub fn severity(self) -> Severity {
        match self {
            Self::Duplicates
            | Self::Quarantine
            | Self::Foreign
            | Self::Extremes
            | Self::Gap
            | Self::Stale
            | Self::Spike
            | Self::Calendar
            | Self::Missing
            | Self::Thin => Severity::Warning,
            Self::Schema
            | Self::Order
            | Self::TradingDay
            | Self::Crossed
            | Self::Negative
            | Self::OffGrid
            | Self::Limit
            | Self::Volume
            | Self::Index
            | Self::Main
            | Self::Lost
            | Self::Sessions => Severity::Error,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "not the canonical table",
            Self::Order => "stamps that do not increase",
            Self::TradingDay => "another trading day than the calendar's",
            Self::Crossed => "crossed book",
            Self::Negative => "negative amount",
            Self::OffGrid => "price between two ticks",
            Self::Limit => "price out of its limits",
            Self::Volume => "falling volume",
            Self::Index => "index and data differ",
            Self::Main => "main series and contract differ",
            Self::Lost => "many rows that could not be kept",
            Self::Sessions => "rows outside the sessions",
            Self::Foreign => "no row of the variety",
            Self::Thin => "fewer rows than on other days",
            Self::Duplicates => "many duplicates",
            Self::Quarantine => "rows put aside",
            Self::Extremes => "last price outside the day's extremes",
            Self::Gap => "gap in a session",
            Self::Stale => "quotes that stand still",
            Self::Spike => "spike",
            Self::Calendar => "day outside the holiday list",
            Self::Missing => "trading day without ticks",
        })
    }
}

/// What was found of one kind in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What does not hold.
    pub check: Check,
    /// How bad that is.
    pub severity: Severity,
    /// How often.
    pub count: u64,
    /// The first case: where, and which values.
    pub first: String,
}

/// Counts what is found and keeps the first case of each.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<Check, Finding>);

impl Findings {
    /// One more case; only the first is put into words.
    pub fn add(&mut self, check: Check, case: impl FnOnce() -> String) {
        self.add_many(check, 1, case);
    }

    /// So many cases at once.
    pub fn add_many(&mut self, check: Check, count: u64, case: impl FnOnce() -> String) {
        let first = || Finding { check, severity: check.severity(), count: 0, first: case() };
        self.0.entry(check).or_insert_with(first).count += count;
    }

    /// Errors first, then by check.
    pub fn into_list(self) -> Vec<Finding> {
        let mut list: Vec<Finding> = self.0.into_values().collect();
        list.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        list
    }
}
