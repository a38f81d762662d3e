//! The contract master: what is known beforehand of the contracts of an exchange.
//!
//! SHFE copper, gold and silver; source and licence in `data/NOTICE`. It is a default: `market.yaml` says otherwise where it does.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Contract, Day, Error, Expiry, ListingRule, Result, Session, Sessions, TickOverride, TickRule, TickSize};

/// The records, by contract.
const SHFE: &str = include_str!("../data/shfe_contracts.json");

/// Copper and silver: the twelve nearest months (SHFE's contract specifications, as of 2017 to 2024).
const MONTHLY: ListingRule = ListingRule::nearest(12);
/// Gold: the three nearest months, and the even ones of the thirteen nearest (SHFE's gold futures rules of 2024, article 6).
const GOLD: ListingRule = ListingRule { months: 3, every: 2, within: 13 };

/// What is known of a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Price steps: that of the latest contract, and those of older ones.
    pub tick: TickRule,
    /// Units of the commodity in one lot.
    pub multiplier: f64,
    /// Sessions in the order of trading, the night's first.
    pub sessions: Sessions,
    /// The rule of the last trading day.
    pub expiry: Expiry,
    /// Which months are listed.
    pub listing: ListingRule,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    tick: TickSize,
    multiplier: f64,
    /// What the rule of expiry says too (`tests/main/calendar.rs`).
    #[serde(rename = "last_day")]
    _last_day: Day,
    night: Vec<Session>,
    day: Vec<Session>,
}

impl Product {
    /// What is known of a product of an exchange; `None` where nothing is.
    ///
    /// # Errors
    /// Where the records are damaged.
    pub fn known(exchange: &str, variety: &str) -> Result<Option<Self>> {
        let all: BTreeMap<String, Record> =
            serde_json::from_str(SHFE).map_err(|error| Error::Contract(error.to_string()))?;
        let mut records = Vec::new();
        for (code, record) in all {
            let contract = Contract::parse(&code)?;
            if contract.exchange == exchange && contract.product == variety {
                records.push((contract, record));
            }
        }
        records.sort_by_key(|(contract, _)| contract.delivery);
        Ok(Self::of(&records))
    }

    /// From its records in the order of delivery.
    fn of(records: &[(Contract, Record)]) -> Option<Self> {
        let (contract, latest) = records.last()?;
        let mut overrides = Vec::new();
        for pair in records.windows(2) {
            if let [(before, old), (_, new)] = pair
                && old.tick != new.tick
            {
                overrides.push(TickOverride { to: before.code.clone(), tick: old.tick });
            }
        }
        // In the spring of 2020, when these were recorded, the nights were suspended: the contracts listed then have none.
        let night = records.iter().rev().map(|(_, record)| &record.night).find(|night| !night.is_empty());
        let sessions = night.into_iter().flatten().chain(&latest.day).copied().collect();
        Some(Self {
            tick: TickRule { default: latest.tick, overrides },
            multiplier: latest.multiplier,
            sessions: Sessions(sessions),
            expiry: Expiry::Fifteenth,
            listing: if contract.product == "au" { GOLD } else { MONTHLY },
        })
    }
}
