//! What each task has to know of a variety, one type per task, so that a change reruns only what reads it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Clock, Contract, Day, ListingSpec, Result, Sessions, TickSize, TimeOfDay};

/// `specs.json`: by variety.
pub type AllSpecs = BTreeMap<String, Specs>;

/// One variety's specifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Specs {
    /// For `ingest` and `build`.
    pub ticks: TicksSpec,
    /// For `schedule`.
    pub roll: RollSpec,
    /// For `eval`.
    pub cost: CostSpec,
    /// Where its ticks come from: for `eval` and `promote`.
    pub regime: Regime,
    /// For `ledger`.
    pub listing: ListingSpec,
}

/// Where data come from, the less trusted first. A model is judged within its regime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Invented.
    Synthetic,
    /// Recorded in the past and read from files.
    #[default]
    Historical,
    /// Recorded live by the running system.
    ProdLive,
}

impl std::fmt::Display for Regime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Synthetic => "synthetic",
            Self::Historical => "historical",
            Self::ProdLive => "prod_live",
        })
    }
}

/// How ticks of a variety are to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicksSpec {
    /// `cu`: the product part of its contracts' codes.
    pub variety: String,
    /// `SHFE`.
    pub exchange: String,
    /// Levels of the book that count: 1 or 5.
    pub levels: u8,
    /// The price step.
    pub tick: TickRule,
    /// Units of the commodity in one lot.
    pub multiplier: f64,
    /// Whether volumes may be fractions of a lot.
    #[serde(default)]
    pub fractional_volume: bool,
    /// Calendar.
    pub clock: Clock,
    /// Sessions in the order of trading; none: always open.
    #[serde(default)]
    pub sessions: Sessions,
    /// Columns of the tick files to leave out.
    #[serde(default)]
    pub ignore_columns: Vec<String>,
    /// The last local time whose row gives the close open interest; none: the end of the day.
    #[serde(default)]
    pub close_cutoff: Option<TimeOfDay>,
}

impl TicksSpec {
    /// The tick of a contract.
    pub fn tick_of(&self, contract: &Contract) -> TickSize {
        self.tick.of(contract)
    }

    /// The symbol of the main series.
    pub fn main_symbol(&self) -> String {
        crate::main_symbol(&self.exchange, &self.variety)
    }

    /// The calendar, ready for use.
    ///
    /// # Errors
    /// As [`Calendar::new`].
    pub fn calendar(&self) -> Result<Calendar> {
        Calendar::new(&self.clock)
    }
}

/// A price step that may differ between contracts of a variety (SHFE gold: 0.05 up to au1911, 0.02 from au1912 on).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TickRule {
    /// The tick of every contract that no override names.
    pub default: TickSize,
    /// Ticks of contracts up to a month of delivery; the first that fits counts.
    #[serde(default)]
    pub overrides: Vec<TickOverride>,
}

/// The tick of the contracts with delivery up to that of `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TickOverride {
    /// A contract's code, `au1911`: the last one with this tick.
    pub to: String,
    /// Its tick.
    pub tick: TickSize,
}

impl TickRule {
    /// One tick for all.
    pub fn flat(tick: TickSize) -> Self {
        Self { default: tick, overrides: Vec::new() }
    }

    /// The tick of a contract.
    pub fn of(&self, contract: &Contract) -> TickSize {
        let until = |rule: &&TickOverride| {
            let last = Contract::parse(&format!("{}.{}", contract.exchange, rule.to)).ok().and_then(|to| to.delivery);
            matches!((contract.delivery, last), (Some(delivery), Some(last)) if delivery <= last)
        };
        self.overrides.iter().find(until).map_or(self.default, |rule| rule.tick)
    }
}

/// How the main contract is chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollSpec {
    /// `cu`.
    pub variety: String,
    /// `SHFE`.
    pub exchange: String,
    /// Levels of the book that count: with 5, the schedule begins at the first day whose main contract has them.
    pub levels: u8,
    /// Calendar.
    pub clock: Clock,
    /// When contracts expire; none: they do not.
    #[serde(default)]
    pub expiry: Option<Expiry>,
    /// The rule.
    pub rule: RollRule,
}

impl RollSpec {
    /// The calendar, ready for use.
    ///
    /// # Errors
    /// As [`Calendar::new`].
    pub fn calendar(&self) -> Result<Calendar> {
        Calendar::new(&self.clock)
    }

    /// The last trading day of a contract; `None` where it does not expire, or its code does not say the month.
    ///
    /// # Errors
    /// Where there is no such month.
    pub fn last_trading_day(&self, contract: &Contract, calendar: &Calendar) -> Result<Option<Day>> {
        let (Some(expiry), Some(month)) = (self.expiry, contract.delivery) else { return Ok(None) };
        expiry.last_trading_day(month, calendar).map(Some)
    }
}

/// The last trading day of a contract in its month of delivery; on a closed day, the next trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// The 15th (SHFE metals).
    Fifteenth,
    /// The third Friday (CFFEX index futures).
    ThirdFriday,
}

/// The rule of the main contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RollRule {
    /// By open interest, `oi_1p1_v1`.
    Oi(OiRule),
    /// By a list of switches.
    Given(GivenRule),
}

/// Parameters of the rule by open interest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OiRule {
    /// `[a, b]`: another contract takes over where b·oi(other) > a·oi(main); 11 and 10 say 1.1 times.
    pub ratio: [u32; 2],
    /// Whether a contract may be main again.
    pub reuse: Reuse,
    /// Least close open interest of a candidate.
    pub min_oi: f64,
    /// Least volume of the day of a candidate.
    pub min_volume: f64,
    /// Whether a day without open interest of the main contract is an error rather than a flag.
    pub strict: bool,
}

impl Default for OiRule {
    fn default() -> Self {
        Self { ratio: [11, 10], reuse: Reuse::Forbid, min_oi: 0.0, min_volume: 0.0, strict: false }
    }
}

/// Whether a contract may be main again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// Once only (RQData's rule 0).
    #[default]
    Forbid,
    /// Again and again.
    Allow,
}

/// A list of switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenRule {
    /// The main contract before the first switch: `SHFE.cu2203`.
    pub first: String,
    /// The switches by day, strictly ascending; each begins where the one before ended.
    #[serde(default)]
    pub switches: Vec<Switch>,
}

/// One switch: on `day`, night session included, `to` is main.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// The first trading day of `to`.
    pub day: Day,
    /// The main contract until then.
    pub from: String,
    /// The main contract from then on.
    pub to: String,
}

/// What trading costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostSpec {
    /// The price step.
    pub tick: TickSize,
    /// Units of the commodity in one lot.
    pub multiplier: f64,
    /// Fee of one lot and side, in money.
    #[serde(default)]
    pub fee_fixed: f64,
    /// Fee of one side, as a part of the value traded.
    #[serde(default)]
    pub fee_ratio: f64,
    /// Slippage of one side, in ticks.
    #[serde(default)]
    pub slippage_ticks: f64,
}
