//! `market.yaml`: what a market folder says about itself.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Calendar, CalendarRule, Clock, CostSpec, Day, Error, Expiry, Lifetime, ListingRule, ListingSpec, NANOS_PER_DAY,
    Product, Regime, Result, Reuse, RollRule, RollSpec, Session, Sessions, Specs, Switch, TickOverride, TickRule,
    TickSize, TicksSpec, TimeOfDay,
};
use crate::{Contract, GivenRule, OiRule};

/// A market: its calendar and its varieties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarketFile {
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Its name in a store, which may hold several markets; a market without one cannot be stored.
    #[serde(default)]
    pub name: String,
    /// The address of the store that the flow `store` writes to.
    #[serde(default)]
    pub store: String,
    /// `china-futures`, `utc-day` or `weekdays`.
    pub calendar: CalendarRule,
    /// Hours that local time is ahead of UTC: by default 8 for `china-futures`, else 0.
    #[serde(default)]
    pub utc_offset: Option<i32>,
    /// The zone of local time (`America/Chicago`), instead of `utc_offset`.
    #[serde(default)]
    pub zone: Option<String>,
    /// Closed days beyond the calendar's own.
    #[serde(default)]
    pub closed: Vec<Day>,
    /// Levels of the book that count, 1 or 5; a variety may say otherwise.
    pub levels: u8,
    /// Columns of the tick files that are none of ours, to be left out.
    #[serde(default)]
    pub ignore_columns: Vec<String>,
    /// By name: the product part of the contracts' codes (`cu`, `IF`, `BTCUSDT`).
    pub varieties: BTreeMap<String, VarietyFile>,
    /// Ticks are invented rather than read.
    #[serde(default)]
    pub synthetic: Option<SyntheticFile>,
}

/// One variety.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VarietyFile {
    /// `SHFE`.
    pub exchange: String,
    /// Patterns of its tick files, relative to the market folder: `ticks/cu*.csv.gz`. A file of several varieties may be
    /// named by each. Not for a synthetic market.
    #[serde(default)]
    pub files: Vec<String>,
    /// Levels, where they differ from the market's.
    #[serde(default)]
    pub levels: Option<u8>,
    /// The price step; of products that the contract master knows, that is the default, with those of older contracts.
    #[serde(default)]
    pub tick: Option<TickSize>,
    /// Price steps of older contracts.
    #[serde(default)]
    pub tick_until: Vec<TickOverride>,
    /// Units of the commodity in one lot; may be left out as `tick` may.
    #[serde(default)]
    pub multiplier: Option<f64>,
    /// Whether volumes may be fractions of a lot.
    #[serde(default)]
    pub fractional_volume: bool,
    /// Sessions in the order of trading, the night's first; an empty list: always open. By default those that the contract master
    /// knows, or always open.
    #[serde(default)]
    pub sessions: Option<Vec<Session>>,
    /// The last local time whose row gives the close open interest: by default 15:00:00.999 for `china-futures`.
    #[serde(default)]
    pub close_cutoff: Option<TimeOfDay>,
    /// How the main contract is chosen.
    #[serde(default)]
    pub roll: RollFile,
    /// When contracts are listed; by default as the contract master knows, or not known. `{}`: not known.
    #[serde(default)]
    pub listing: Option<ListingFile>,
    /// What trading costs.
    #[serde(default)]
    pub cost: CostFile,
}

/// The rule of the main contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollFile {
    /// `oi` (by default) or `given`.
    pub rule: RuleName,
    /// `oi`: `[11, 10]`, another contract takes over at more than 1.1 times the open interest.
    pub ratio: Option<[u32; 2]>,
    /// `oi`: whether a contract may be main again: `forbid` (by default) or `allow`.
    pub reuse: Option<Reuse>,
    /// `oi`: least close open interest of a candidate.
    pub min_oi: Option<f64>,
    /// `oi`: least volume of a candidate.
    pub min_volume: Option<f64>,
    /// `oi`: whether a day without open interest of the main contract is an error.
    pub strict: Option<bool>,
    /// When contracts expire: `fifteenth` or `third-friday`.
    pub expiry: Option<Expiry>,
    /// `given`: the main contract before the first switch.
    pub first: Option<String>,
    /// `given`: the switches, where they are not in `rolls/<variety>.json`.
    pub switches: Option<Vec<Switch>>,
}

/// When contracts are listed: a rule, and what is stated of single contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListingFile {
    /// All of the nearest so many months of delivery.
    pub months: Option<u16>,
    /// And of the nearest `within` months those that this divides: 2 the even ones, 3 the quarters' last.
    pub every: u16,
    /// See `every`.
    pub within: u16,
    /// By code (`au2206`): the first and the last trading day.
    pub contracts: BTreeMap<String, Lifetime>,
}

/// The name of a roll rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// By open interest.
    #[default]
    Oi,
    /// By a list of switches.
    Given,
}

/// What trading costs; nothing by default but the spread, which is in the quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CostFile {
    /// Fee of one lot and side, in money.
    pub fee_fixed: f64,
    /// Fee of one side, as a part of the value traded.
    pub fee_ratio: f64,
    /// Slippage of one side, in ticks.
    pub slippage_ticks: f64,
}

/// The synthetic market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticFile {
    /// Everything follows from it.
    pub seed: u64,
    /// The first trading day.
    pub first_day: Day,
    /// How many trading days.
    pub days: u32,
    /// Rows of the main contract in a day, about.
    #[serde(default = "default_rows")]
    pub rows: u32,
    /// How strongly the book's imbalance leads the mid: 0 not at all, 1 as stated in the README of `ingest`.
    #[serde(default = "default_strength")]
    pub strength: f64,
}

fn default_rows() -> u32 {
    7_000
}

fn default_strength() -> f64 {
    1.0
}

impl MarketFile {
    /// Reads and checks `market.yaml`.
    ///
    /// # Errors
    /// Names the file, the place in it, and what would be right.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(path, &text)
    }

    /// Checks the text of `market.yaml`; `path` is for messages.
    ///
    /// # Errors
    /// As [`MarketFile::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |what: String| Error::Market { path: path.to_owned(), what };
        let market: Self = serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))?;
        market.check().map_err(wrong)?;
        Ok(market)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.varieties.is_empty() {
            return Err("`varieties` is empty: name at least one".to_owned());
        }
        if self.name != self.name.trim() {
            return Err(format!("`name` is `{}`: a name begins and ends with no space", self.name));
        }
        if self.utc_offset.is_some_and(|hours| !(-12..=14).contains(&hours)) {
            return Err("`utc_offset` is in hours, −12 to 14; of other zones, say `zone: Asia/Kolkata`".to_owned());
        }
        if self.zone.is_some() && self.utc_offset.is_some() {
            return Err("`utc_offset` and `zone` exclude each other: leave one out".to_owned());
        }
        Calendar::new(&self.clock()).map_err(|error| error.to_string())?;
        self.varieties.iter().try_for_each(|(name, variety)| {
            self.check_variety(name, variety).map_err(|what| format!("`varieties.{name}`: {what}"))
        })
    }

    fn check_variety(&self, name: &str, variety: &VarietyFile) -> std::result::Result<(), String> {
        let code = format!("{}.{name}", variety.exchange);
        if Contract::parse(&code).map_or(true, |contract| contract.product != name) {
            return Err(format!("`{code}` is not the beginning of a contract such as SHFE.cu2203"));
        }
        if !matches!(variety.levels.unwrap_or(self.levels), 1 | 5) {
            return Err("`levels` is 1 or 5".to_owned());
        }
        if variety.multiplier.is_some_and(|multiplier| !(multiplier.is_finite() && multiplier > 0.0)) {
            return Err("`multiplier` is a positive number".to_owned());
        }
        if variety.tick.is_none() && !variety.tick_until.is_empty() {
            return Err("`tick_until` needs `tick`, the price step of the later contracts".to_owned());
        }
        variety.facts(name)?;
        match (&self.synthetic, variety.files.is_empty()) {
            (None, true) => return Err("`files` is empty: give a pattern such as ticks/*.csv".to_owned()),
            (Some(_), false) => return Err("`files` and `synthetic` exclude each other: leave one out".to_owned()),
            _ => {}
        }
        let sessions = Sessions(variety.sessions.clone().unwrap_or_default());
        sessions.check().map_err(|error| error.to_string())?;
        if self.calendar != CalendarRule::ChinaFutures && sessions.has_night() {
            return Err(
                "a session that opens from 18:00 on is a night of the next trading day, which only the calendar \
                        `china-futures` has"
                    .to_owned(),
            );
        }
        let midnight = TimeOfDay(NANOS_PER_DAY);
        if self.calendar != CalendarRule::ChinaFutures && sessions.0.iter().any(|session| session.1 > midnight) {
            return Err(
                "a session that goes on after midnight lies in two local dates, of which each is a trading day here; \
                        only the calendar `china-futures` has nights: end it at 24:00:00"
                    .to_owned(),
            );
        }
        variety.tick_until.iter().try_for_each(|rule| check_override(&variety.exchange, name, rule))?;
        self.listing(name, variety)?;
        variety.roll.check()
    }

    /// The market's calendar.
    pub fn clock(&self) -> Clock {
        let usual = if self.calendar == CalendarRule::ChinaFutures { 8 } else { 0 };
        let mut closed = self.closed.clone();
        closed.sort_unstable();
        let (utc_offset, zone) = match &self.zone {
            Some(zone) => (0, Some(zone.clone())),
            None => (self.utc_offset.unwrap_or(usual), None),
        };
        Clock { calendar: self.calendar, utc_offset, zone, closed }
    }

    /// The specifications of a variety; `given` are the switches of `rolls/<variety>.json`, if there is such a file.
    ///
    /// # Errors
    /// A text that says what is missing.
    pub fn specs(
        &self,
        name: &str,
        variety: &VarietyFile,
        given: Option<Vec<Switch>>,
    ) -> std::result::Result<Specs, String> {
        let facts = variety.facts(name)?;
        let ticks = self.ticks(name, variety)?;
        let roll = RollSpec {
            variety: name.to_owned(),
            exchange: variety.exchange.clone(),
            levels: ticks.levels,
            clock: self.clock(),
            expiry: variety.roll.expiry.or(facts.expiry),
            rule: variety.roll.rule(&variety.exchange, given)?,
        };
        let CostFile { fee_fixed, fee_ratio, slippage_ticks } = variety.cost;
        for (name, value) in [("fee_fixed", fee_fixed), ("fee_ratio", fee_ratio), ("slippage_ticks", slippage_ticks)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(format!("`cost.{name}` is {value}: a cost is a number that is not negative"));
            }
        }
        let cost =
            CostSpec { tick: ticks.tick.default, multiplier: facts.multiplier, fee_fixed, fee_ratio, slippage_ticks };
        let regime = if self.synthetic.is_some() { Regime::Synthetic } else { Regime::Historical };
        let listing = self.listing(name, variety)?;
        Ok(Specs { ticks, roll, cost, regime, listing })
    }

    /// The varieties with their exchanges: `("SHFE", "cu")`.
    pub fn varieties(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.varieties.iter().map(|(name, variety)| (variety.exchange.as_str(), name.as_str()))
    }

    /// How ticks of a contract are to be read.
    ///
    /// # Errors
    /// Where the market has no such variety of this exchange.
    pub fn ticks_of(&self, contract: &Contract) -> Result<TicksSpec> {
        self.of(contract, Self::ticks)
    }

    /// From when to when a contract and others of its variety are traded.
    ///
    /// # Errors
    /// Where the market has no such variety of this exchange.
    pub fn listing_of(&self, contract: &Contract) -> Result<ListingSpec> {
        self.of(contract, Self::listing)
    }

    /// What is said of a contract's variety.
    fn of<T>(
        &self,
        contract: &Contract,
        what: impl FnOnce(&Self, &str, &VarietyFile) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let variety = self.varieties.get(&contract.product);
        let Some(variety) = variety.filter(|variety| variety.exchange == contract.exchange) else {
            let there = self.varieties().map(|(exchange, name)| format!("{name} of {exchange}"));
            let there = there.collect::<Vec<_>>().join(", ");
            return Err(Error::Symbol { symbol: contract.to_string(), there });
        };
        let wrong =
            |what| Error::Market { path: "market.yaml".into(), what: format!("`{}`: {what}", contract.product) };
        what(self, &contract.product, variety).map_err(wrong)
    }

    fn ticks(&self, name: &str, variety: &VarietyFile) -> std::result::Result<TicksSpec, String> {
        let cutoff = match self.calendar {
            CalendarRule::ChinaFutures => Some(TimeOfDay(TimeOfDay::at(15, 0).0 + 999_000_000)),
            CalendarRule::UtcDay | CalendarRule::Weekdays => None,
        };
        let facts = variety.facts(name)?;
        Ok(TicksSpec {
            variety: name.to_owned(),
            exchange: variety.exchange.clone(),
            levels: variety.levels.unwrap_or(self.levels),
            tick: facts.tick,
            multiplier: facts.multiplier,
            fractional_volume: variety.fractional_volume,
            clock: self.clock(),
            sessions: facts.sessions,
            ignore_columns: self.ignore_columns.clone(),
            close_cutoff: variety.close_cutoff.or(cutoff),
        })
    }

    /// When contracts are listed, and when they expire. What is invented is listed nowhere: there, nothing is known but
    /// what is said.
    fn listing(&self, name: &str, variety: &VarietyFile) -> std::result::Result<ListingSpec, String> {
        let known = if self.synthetic.is_some() { None } else { Some(variety.facts(name)?) };
        let usual = known.as_ref().and_then(|known| known.listing);
        let rule = match &variety.listing {
            Some(said) => {
                if said.months.is_none() && (said.every, said.within) != (0, 0) {
                    return Err("`listing`: `every` and `within` need `months`; `months: 0` lists no others".to_owned());
                }
                said.months.map(|months| ListingRule { months, every: said.every, within: said.within })
            }
            None => usual,
        };
        let listing = ListingSpec {
            variety: name.to_owned(),
            exchange: variety.exchange.clone(),
            clock: self.clock(),
            expiry: if self.synthetic.is_some() && rule.is_none() {
                None
            } else {
                variety.roll.expiry.or(known.and_then(|known| known.expiry))
            },
            rule,
            contracts: variety.listing.as_ref().map(|said| said.contracts.clone()).unwrap_or_default(),
        };
        listing.check()?;
        Ok(listing)
    }
}

/// What `market.yaml` says of a variety's contracts, or else the contract master.
struct Facts {
    tick: TickRule,
    multiplier: f64,
    sessions: Sessions,
    expiry: Option<Expiry>,
    listing: Option<ListingRule>,
}

impl VarietyFile {
    fn facts(&self, name: &str) -> std::result::Result<Facts, String> {
        let known = Product::known(&self.exchange, name).map_err(|error| error.to_string())?;
        let missing = |key: &str| {
            format!(
                "`{key}` is missing: the contract master knows SHFE.ag, SHFE.au and SHFE.cu only, not {}.{name}",
                self.exchange
            )
        };
        let own = self.tick.map(|tick| TickRule { default: tick, overrides: self.tick_until.clone() });
        let tick = own.or_else(|| known.as_ref().map(|known| known.tick.clone()));
        let multiplier = self.multiplier.or(known.as_ref().map(|known| known.multiplier));
        let sessions = self.sessions.clone().map(Sessions);
        Ok(Facts {
            tick: tick.ok_or_else(|| missing("tick"))?,
            multiplier: multiplier.ok_or_else(|| missing("multiplier"))?,
            sessions: sessions.or_else(|| known.as_ref().map(|known| known.sessions.clone())).unwrap_or_default(),
            expiry: known.as_ref().map(|known| known.expiry),
            listing: known.map(|known| known.listing),
        })
    }
}

fn check_override(exchange: &str, name: &str, rule: &TickOverride) -> std::result::Result<(), String> {
    let last = Contract::parse(&format!("{exchange}.{}", rule.to));
    if last.is_ok_and(|last| last.product == name && last.delivery.is_some()) {
        Ok(())
    } else {
        Err(format!("`tick_until`: `{}` is no contract of this variety, such as {name}1911", rule.to))
    }
}

impl RollFile {
    fn check(&self) -> std::result::Result<(), String> {
        let oi = self.ratio.is_some() || self.reuse.is_some() || self.min_oi.is_some();
        let oi = oi || self.min_volume.is_some() || self.strict.is_some();
        let given = self.first.is_some() || self.switches.is_some();
        match self.rule {
            RuleName::Oi if given => Err("`roll`: `first` and `switches` belong to `rule: given`".to_owned()),
            RuleName::Given if oi => {
                Err("`roll`: `ratio`, `reuse`, `min_oi`, `min_volume` and `strict` belong to `rule: oi`".to_owned())
            }
            _ if self.ratio.is_some_and(|[more, than]| than == 0 || more < than) => {
                Err("`roll.ratio` is [a, b] with a ≥ b > 0: [11, 10] says 1.1 times".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn rule(&self, exchange: &str, given: Option<Vec<Switch>>) -> std::result::Result<RollRule, String> {
        if self.rule == RuleName::Oi {
            let usual = OiRule::default();
            return Ok(RollRule::Oi(OiRule {
                ratio: self.ratio.unwrap_or(usual.ratio),
                reuse: self.reuse.unwrap_or(usual.reuse),
                min_oi: self.min_oi.unwrap_or(usual.min_oi),
                min_volume: self.min_volume.unwrap_or(usual.min_volume),
                strict: self.strict.unwrap_or(usual.strict),
            }));
        }
        let mut switches = self.switches.clone().or(given).unwrap_or_default();
        for switch in &mut switches {
            (switch.from, switch.to) = (qualified(exchange, &switch.from), qualified(exchange, &switch.to));
        }
        let first = self.first.as_ref().or(switches.first().map(|switch| &switch.from));
        let first = first.ok_or("`roll`: `rule: given` needs `first`, the main contract before the first switch")?;
        let first = qualified(exchange, first);
        check_switches(&first, &switches)?;
        Ok(RollRule::Given(GivenRule { first, switches }))
    }
}

/// The contract with its exchange, which lists of switches leave out.
fn qualified(exchange: &str, contract: &str) -> String {
    if contract.contains('.') { contract.to_owned() } else { format!("{exchange}.{contract}") }
}

/// Days ascend, and each switch begins with the contract that the one before ended with.
fn check_switches(first: &str, switches: &[Switch]) -> std::result::Result<(), String> {
    let mut main = first;
    let mut last: Option<Day> = None;
    for switch in switches {
        Contract::parse(&switch.to).map_err(|error| error.to_string())?;
        if switch.from != main {
            return Err(format!("switch of {}: it leaves `{}`, but `{main}` is main then", switch.day, switch.from));
        }
        if last.is_some_and(|last| switch.day <= last) {
            return Err(format!("switch of {}: the days of switches have to ascend", switch.day));
        }
        (main, last) = (&switch.to, Some(switch.day));
    }
    Contract::parse(first).map(|_| ()).map_err(|error| error.to_string())
}
