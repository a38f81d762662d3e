//! The states of contracts' days: expected, less what is there, less what is known not to exist.

use std::collections::{BTreeMap, BTreeSet};

use ghtrader_kit::Result;
use ghtrader_market::{Bound, Calendar, Contract, Day, Error, Known, Life, ListingSpec, NoData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Facts;
use crate::facts::Fact;

/// The days that the ledger speaks of, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub from: Day,
    /// The last.
    pub to: Day,
}

/// What is missing: by contract, the days.
pub type Missing = BTreeMap<String, Vec<Day>>;

/// The state of a (contract, day) on which there should be ticks, or are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The index knows rows of it, and the ticks, where they were compared, are those.
    Complete,
    /// It is expected, and there is nothing of it and no marker.
    Missing,
    /// The ticks are not those that the index speaks of.
    Stale,
    /// There are ticks of which no index knows.
    Unindexed,
    /// There is nothing to be had: marked so, or every row was put aside.
    NoData,
}

/// How many days are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// All of them.
    pub expected: u64,
    /// See [`State`].
    pub complete: u64,
    /// See [`State`].
    pub missing: u64,
    /// See [`State`].
    pub stale: u64,
    /// See [`State`].
    pub unindexed: u64,
    /// See [`State`].
    pub no_data: u64,
}

/// Trading days on end in one state, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The state.
    pub state: State,
    /// Why, where it is `stale` or `no_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// How many trading days.
    pub days: u64,
}

/// One contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractLedger {
    /// The first day of its life.
    pub listed: Bound,
    /// The last day of its life.
    pub last: Bound,
    /// How many days are in which state.
    pub counts: Counts,
    /// The days, in order.
    pub spans: Vec<Span>,
    /// Days within the window with ticks, although the contract is not expected to be traded: the rule of listing does not hold
    /// for it, or the ticks are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unexpected: Vec<Day>,
    /// Days that are marked as having no data, and have ticks all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradicted: Vec<Day>,
    /// The missing days; in the output `missing`.
    #[serde(skip)]
    missing: Vec<Day>,
}

/// Days from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
}

/// The output `ledger`: one variety.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// `cu`.
    pub variety: String,
    /// The first day of the window; none where nothing is there and none was asked for.
    pub from: Option<Day>,
    /// The last day.
    pub to: Option<Day>,
    /// The parts of the window of which the list of holidays says nothing: there, every weekday is expected that `closed` of
    /// market.yaml does not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guessed: Vec<Stretch>,
    /// Markers of this variety that speak of no day on which their contract is traded: it is mistyped, or the day is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<NoData>,
    /// All contracts together.
    pub counts: Counts,
    /// By contract (`SHFE.cu2203`), those with an expected day, or with ticks, in the window.
    pub contracts: BTreeMap<String, ContractLedger>,
}

impl Window {
    /// The days asked for, else those from the first to the last with ticks; `None` where there are neither.
    pub fn of(from: Option<Day>, to: Option<Day>, facts: &Facts) -> Option<Self> {
        let days = || facts.0.values().flat_map(|days| days.keys().copied());
        Some(Self { from: from.or_else(|| days().min())?, to: to.or_else(|| days().max())? })
    }

    /// The parts of it of which the list of holidays says nothing.
    fn guessed(self, calendar: &Calendar) -> Vec<Stretch> {
        if calendar.covers(self.from) && calendar.covers(self.to) {
            return Vec::new();
        }
        let (first, last) = calendar.covered();
        let before = Stretch { from: self.from, to: self.to.min(first.plus(-1)) };
        let after = Stretch { from: self.from.max(last.plus(1)), to: self.to };
        [before, after].into_iter().filter(|part| part.from <= part.to).collect()
    }

    fn contains(self, day: Day) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

impl Counts {
    fn add(&mut self, state: State, days: u64) {
        self.expected += days;
        *match state {
            State::Complete => &mut self.complete,
            State::Missing => &mut self.missing,
            State::Stale => &mut self.stale,
            State::Unindexed => &mut self.unindexed,
            State::NoData => &mut self.no_data,
        } += days;
    }
}

impl Ledger {
    /// The ledger of a variety; `asked` names its contracts where not all are asked for.
    ///
    /// # Errors
    /// Where a contract's code does not say what the rule of listing needs, or the calendar is damaged.
    pub fn of(
        listing: &ListingSpec,
        facts: &Facts,
        markers: &[NoData],
        window: Option<Window>,
        asked: Option<BTreeSet<String>>,
    ) -> Result<Self> {
        let mut ledger = Self {
            variety: listing.variety.clone(),
            from: window.map(|window| window.from),
            to: window.map(|window| window.to),
            guessed: Vec::new(),
            idle: Vec::new(),
            counts: Counts::default(),
            contracts: BTreeMap::new(),
        };
        let calendar = listing.calendar()?;
        for marker in markers {
            if is_idle(marker, listing, &calendar)? {
                ledger.idle.push(marker.clone());
            }
        }
        let Some(window) = window else { return Ok(ledger) };
        ledger.guessed = window.guessed(&calendar);
        let names = match asked {
            Some(asked) => asked,
            None => {
                let traded = listing.traded(window.from, window.to, &calendar)?;
                traded.into_keys().chain(facts.0.keys().cloned()).collect()
            }
        };
        for name in names {
            let contract = Contract::parse(&name)?;
            let ticks = |day| Bound { day, known: Known::Ticks };
            let (first, last) = (facts.with_ticks(&name).next(), facts.with_ticks(&name).next_back());
            let life = listing.life(&contract, &calendar, Life { listed: ticks(first), last: ticks(last) })?;
            let expected = life.days(window.from, window.to, &calendar);
            let contract = contract_ledger(life, &name, &expected, window, facts, markers);
            if contract.counts.expected > 0 || !contract.unexpected.is_empty() {
                contract.spans.iter().for_each(|span| ledger.counts.add(span.state, span.days));
                ledger.contracts.insert(name, contract);
            }
        }
        Ok(ledger)
    }

    /// What is missing.
    pub fn missing(&self) -> Missing {
        let mut missing = Missing::new();
        for (name, contract) in &self.contracts {
            if !contract.missing.is_empty() {
                missing.insert(name.clone(), contract.missing.clone());
            }
        }
        missing
    }
}

/// Whether a marker of this variety speaks of no day on which its contract is traded, as far as that is known.
fn is_idle(marker: &NoData, listing: &ListingSpec, calendar: &Calendar) -> Result<bool> {
    let contract = Contract::parse(&marker.contract)?;
    if contract.product != listing.variety || contract.exchange != listing.exchange {
        return Ok(false);
    }
    let open = Bound { day: None, known: Known::Open };
    match listing.life(&contract, calendar, Life { listed: open, last: open }) {
        Ok(life) => Ok(life.days(marker.day, marker.to.unwrap_or(marker.day), calendar).is_empty()),
        // There is no such month of delivery.
        Err(Error::Delivery { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn contract_ledger(
    Life { listed, last }: Life,
    name: &str,
    expected: &[Day],
    window: Window,
    facts: &Facts,
    markers: &[NoData],
) -> ContractLedger {
    let none = BTreeMap::new();
    let there = facts.0.get(name).unwrap_or(&none);
    let markers: Vec<&NoData> = markers.iter().filter(|marker| marker.contract == name).collect();
    let mut ledger = ContractLedger {
        listed,
        last,
        counts: Counts::default(),
        spans: Vec::new(),
        unexpected: Vec::new(),
        contradicted: Vec::new(),
        missing: Vec::new(),
    };
    for day in expected {
        let (state, reason) = state(there.get(day), *day, &markers);
        ledger.counts.add(state, 1);
        if state == State::Missing {
            ledger.missing.push(*day);
        }
        match ledger.spans.last_mut() {
            Some(span) if span.state == state && span.reason == reason => (span.to, span.days) = (*day, span.days + 1),
            _ => ledger.spans.push(Span { state, reason, from: *day, to: *day, days: 1 }),
        }
    }
    for day in facts.with_ticks(name).filter(|day| window.contains(*day)) {
        if expected.binary_search(&day).is_err() {
            ledger.unexpected.push(day);
        }
        if markers.iter().any(|marker| marker.covers(day)) {
            ledger.contradicted.push(day);
        }
    }
    ledger
}

/// The state of an expected day, and why.
fn state(fact: Option<&Fact>, day: Day, markers: &[&NoData]) -> (State, Option<String>) {
    match fact {
        Some(Fact::Rows) => (State::Complete, None),
        Some(Fact::Stale(how)) => (State::Stale, Some(how.clone())),
        Some(Fact::Unindexed) => (State::Unindexed, None),
        Some(Fact::NoRows(_)) | None => match (markers.iter().find(|marker| marker.covers(day)), fact) {
            (Some(marker), _) => (State::NoData, Some(marker.reason.clone())),
            (None, Some(Fact::NoRows(why))) => (State::NoData, Some(why.clone())),
            (None, _) => (State::Missing, None),
        },
    }
}
