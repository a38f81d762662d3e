//! What the task kinds share about a market: ticks, prices, calendar, sessions, contracts, specifications, day index.
//!
//! | module | holds |
//! |---|---|
//! | [`Ticks`] | the canonical tick table and its Parquet file |
//! | [`table`] | any Parquet table with our fixed writer settings |
//! | [`TickSize`] | exact prices: integer counts of a rational tick |
//! | [`Day`], [`Calendar`], [`Sessions`] | trading days, holidays, night sessions |
//! | [`Contract`] | `SHFE.cu2203` taken apart |
//! | [`TicksSpec`], [`RollSpec`], [`CostSpec`] | what `market.yaml` says, one part per task that needs it |
//! | [`MarketFile`] | `market.yaml` itself |
//! | [`Product`] | the contract master: what is known beforehand of SHFE copper, gold and silver |
//! | [`Cells`], [`CellIndex`], [`DayIndex`], [`Entry`] | what tasks hand to each other as JSON |
//!
//! It knows no flow and no task. Stores beside Parquet (a database, say) will be a trait next to [`Ticks`].

mod calendar;
mod cell;
mod contract;
mod day;
mod entry;
mod error;
mod index;
mod market_file;
mod master;
mod price;
mod row_hash;
mod sessions;
mod spec;
pub mod table;
mod ticks;
mod ticks_parquet;
mod time;

pub use calendar::{Calendar, CalendarRule, Clock};
pub use cell::{Cell, Cells, SyntheticCell};
pub use contract::{Contract, main_symbol};
pub use day::Day;
pub use entry::*;
pub use error::{Error, Result};
pub use index::{Cause, CellIndex, DayIndex, Hash64, Quarantined};
pub use market_file::{CostFile, MarketFile, RollFile, RuleName, SyntheticFile, VarietyFile};
pub use master::Product;
pub use price::TickSize;
pub use row_hash::{RowHashes, row_hash};
pub use sessions::{Session, Sessions};
pub use spec::{
    AllSpecs, CostSpec, Expiry, GivenRule, OiRule, Regime, Reuse, RollRule, RollSpec, Specs, Switch, TickOverride,
    TickRule, TicksSpec,
};
pub use ticks::{LEVELS, Level, MainColumns, Tick, Ticks, VALUES, Values, value_names};
pub use time::{NANOS_PER_DAY, NANOS_PER_SECOND, TimeOfDay};
