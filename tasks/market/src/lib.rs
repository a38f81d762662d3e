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
//! | [`ListingSpec`], [`Life`], [`Symbols`] | which contracts there are, on which days; which are asked for |
//! | [`file_names`] | which contract and days the name of a tick file says that it holds |
//! | [`NoData`] | days of which it is known that there is nothing |
//! | [`Product`] | the contract master: what is known beforehand of SHFE copper, gold and silver |
//! | [`Cells`], [`CellIndex`], [`DayIndex`], [`Entry`] | what tasks hand to each other as JSON |
//!
//! It knows no flow, no task and no store beside files (these are in `ghtrader-store`).

mod calendar;
mod cell;
mod contract;
mod day;
mod entry;
mod error;
pub mod file_names;
mod index;
mod life;
mod listing;
mod market_file;
mod master;
mod no_data;
mod price;
mod row_hash;
mod sessions;
mod spec;
pub mod table;
mod tick_files;
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
pub use life::{Bound, Known, Life};
pub use listing::{Lifetime, ListingRule, ListingSpec, Symbols};
pub use market_file::{CostFile, ListingFile, MarketFile, RollFile, RuleName, SyntheticFile, VarietyFile};
pub use master::Product;
pub use no_data::{NoData, read_no_data};
pub use price::TickSize;
pub use row_hash::{RowHashes, row_hash};
pub use sessions::{Session, Sessions};
pub use spec::{
    AllSpecs, CostSpec, Expiry, GivenRule, OiRule, Regime, Reuse, RollRule, RollSpec, Specs, Switch, TickOverride,
    TickRule, TicksSpec,
};
pub use tick_files::tick_files;
pub use ticks::{LEVELS, Level, MainColumns, Tick, Ticks, VALUES, Values, value_names};
pub use time::{NANOS_PER_DAY, NANOS_PER_SECOND, TimeOfDay};
