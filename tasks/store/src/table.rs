//! The tables, and what identifies a row of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the tables' shape: the column `lake_version` of every row.
pub const LAKE_VERSION: &str = "v2";

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Ticks of contracts, as `ingest` keeps them.
    TicksRaw,
    /// Ticks of main series, with contract, segment and hash of the schedule's entry.
    TicksMainL5,
    /// What there is of each (contract, trading day).
    SymbolDayIndex,
    /// Days without data, with the reason.
    NoDataDays,
    /// The main contract of each trading day.
    MainSchedule,
    /// Factors.
    Features,
    /// Labels.
    Labels,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TicksRaw,
        Self::TicksMainL5,
        Self::SymbolDayIndex,
        Self::NoDataDays,
        Self::MainSchedule,
        Self::Features,
        Self::Labels,
    ];

    /// Its name in a store.
    pub fn name(self) -> &'static str {
        match self {
            Self::TicksRaw => "ghtrader_ticks_raw_v2",
            Self::TicksMainL5 => "ghtrader_ticks_main_l5_v2",
            Self::SymbolDayIndex => "ghtrader_symbol_day_index_v2",
            Self::NoDataDays => "ghtrader_no_data_days_v2",
            Self::MainSchedule => "ghtrader_main_schedule_v2",
            Self::Features => "ghtrader_features_v2",
            Self::Labels => "ghtrader_labels_v2",
        }
    }

    /// The column `ticks_lake`: which ticks the row is made of.
    pub fn lake(self) -> &'static str {
        match self {
            Self::TicksRaw | Self::SymbolDayIndex | Self::NoDataDays => "raw",
            Self::TicksMainL5 | Self::MainSchedule | Self::Features | Self::Labels => "main_l5",
        }
    }

    /// The column with the slice's trading day. Labels have one beside `trading_day`: a label that had to wait for the rows of
    /// the next day is a row of the next day's slice.
    pub fn day_column(self) -> &'static str {
        if self == Self::Labels { "build_day" } else { "trading_day" }
    }

    /// The column with whom a slice belongs to, who takes it out when it is no longer his: of the day index the cell, of days
    /// without data the variety.
    pub fn owner_column(self) -> Option<&'static str> {
        match self {
            Self::SymbolDayIndex => Some("cell"),
            Self::NoDataDays => Some("variety"),
            _ => None,
        }
    }

    /// Whether there may be several slices of a symbol and day: what is made of ticks by rules of which there may be several.
    pub fn has_variant(self) -> bool {
        matches!(self, Self::TicksMainL5 | Self::MainSchedule | Self::Features | Self::Labels)
    }

    /// Whether a slice has a row for each stamp (`datetime_ns`, in this order) rather than one for the day.
    pub fn by_stamp(self) -> bool {
        matches!(self, Self::TicksRaw | Self::TicksMainL5 | Self::Features | Self::Labels)
    }
}
