//! On which days a contract should have ticks: one rule for all who ask what is missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Contract, Day, Error, Lifetime, ListingSpec, Result};

/// How an end of a contract's life is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// `market.yaml` states it.
    Stated,
    /// By the rules of listing and expiry.
    Rule,
    /// Where ticks are asked for, they say so.
    Source,
    /// Not at all: it is the first or last day on which the market has ticks of the contract, so what is missing outside
    /// cannot be told.
    Ticks,
    /// There is none: the contract is stated and does not expire; or nobody knows one, and it is asked for on every day.
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

/// From when to when ticks of a contract are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The first day.
    pub listed: Bound,
    /// The last day.
    pub last: Bound,
}

impl ListingSpec {
    /// A contract's life: as stated, else by the rules of listing and expiry, else as the caller knows.
    ///
    /// # Errors
    /// Where the rules need a month of delivery and the contract's code does not say it.
    pub fn life(&self, contract: &Contract, calendar: &Calendar, otherwise: Life) -> Result<Life> {
        let stated = self.contracts.get(&contract.code);
        if self.rule.is_some() && contract.delivery.is_none() && stated.is_none() {
            return Err(Error::Delivery { contract: contract.to_string(), variety: self.variety.clone() });
        }
        let Lifetime { listed, last } = self.lifetime(contract, calendar)?;
        let known = |day: Option<Day>, said: Option<Day>| {
            day.map(|day| Bound { day: Some(day), known: if said.is_some() { Known::Stated } else { Known::Rule } })
        };
        let open = stated.map(|_| Bound { day: None, known: Known::Open });
        Ok(Life {
            listed: known(listed, stated.and_then(|life| life.listed)).unwrap_or(otherwise.listed),
            last: known(last, stated.and_then(|life| life.last)).or(open).unwrap_or(otherwise.last),
        })
    }
}

impl Life {
    /// The trading days of it among these.
    pub fn days(&self, from: Day, to: Day, calendar: &Calendar) -> Vec<Day> {
        let not_known = |bound: Bound| bound.day.is_none() && bound.known != Known::Open;
        if not_known(self.listed) || not_known(self.last) {
            return Vec::new();
        }
        let first = self.listed.day.map_or(from, |day| day.max(from));
        let last = self.last.day.map_or(to, |day| day.min(to));
        let mut days = Vec::new();
        let mut day = calendar.next(first.plus(-1));
        while day <= last {
            days.push(day);
            day = calendar.next(day);
        }
        days
    }
}
