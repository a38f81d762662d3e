//! On which days a contract should have ticks.

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Contract, Day, Lifetime, ListingSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Facts, Window};

/// How an end of a contract's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// `market.yaml` states it.
    Stated,
    /// By the rules of listing and expiry.
    Rule,
    /// Not at all: it is the first or last day on which the market has ticks of the contract, so what is missing outside
    /// cannot be told.
    Ticks,
    /// The contract is stated and does not expire.
    Open,
}

/// An end of a contract's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The trading day; none where it does not expire.
    pub day: Option<Day>,
    /// How that is known.
    pub known: Known,
}

/// The ends of a contract's life.
///
/// # Errors
/// Where its month of delivery is none.
pub(crate) fn bounds(
    listing: &ListingSpec,
    contract: &Contract,
    calendar: &Calendar,
    facts: &Facts,
) -> Result<[Bound; 2]> {
    let stated = listing.contracts.get(&contract.code);
    let Lifetime { listed, last } = listing.lifetime(contract, calendar)?;
    let name = contract.to_string();
    let ticks = |day: Option<Day>| Bound { day, known: Known::Ticks };
    let known = |day: Option<Day>, said: Option<Day>| {
        day.map(|day| Bound { day: Some(day), known: if said.is_some() { Known::Stated } else { Known::Rule } })
    };
    let begin =
        known(listed, stated.and_then(|life| life.listed)).unwrap_or_else(|| ticks(facts.with_ticks(&name).next()));
    let end = known(last, stated.and_then(|life| life.last)).unwrap_or_else(|| match stated {
        Some(_) => Bound { day: None, known: Known::Open },
        None => ticks(facts.with_ticks(&name).next_back()),
    });
    Ok([begin, end])
}

/// The trading days within a contract's life and a window.
pub(crate) fn days([begin, end]: [Bound; 2], window: Window, calendar: &Calendar) -> Vec<Day> {
    let Some(first) = begin.day else { return Vec::new() };
    let last = match end {
        Bound { day: Some(day), .. } => day.min(window.to),
        Bound { known: Known::Open, .. } => window.to,
        _ => return Vec::new(),
    };
    let mut days = Vec::new();
    let mut day = calendar.next(first.max(window.from).plus(-1));
    while day <= last {
        days.push(day);
        day = calendar.next(day);
    }
    days
}
