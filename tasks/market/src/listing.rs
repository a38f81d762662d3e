//! From when to when a contract is traded: its listing day and its last trading day.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Clock, Contract, Day, Error, Expiry, Result};

/// Which months of delivery are listed at a time, counted from the nearest month that has not expired.
///
/// A contract is listed on the trading day after the last trading day of the month that has to make room for it: with
/// `months: 12`, of the same month a year before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingRule {
    /// All of so many months.
    pub months: u16,
    /// And of `within` months those that this divides: 2 the even ones, 3 the quarters' last; 0: no others.
    #[serde(default)]
    pub every: u16,
    /// See `every`.
    #[serde(default)]
    pub within: u16,
}

/// From when to when a contract is traded, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetime {
    /// The first trading day.
    pub listed: Option<Day>,
    /// The last trading day.
    pub last: Option<Day>,
}

/// Which contracts of a variety there are, and when each is traded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListingSpec {
    /// `cu`.
    pub variety: String,
    /// `SHFE`.
    pub exchange: String,
    /// Calendar.
    pub clock: Clock,
    /// When contracts expire; none: they do not, or it is not known.
    #[serde(default)]
    pub expiry: Option<Expiry>,
    /// Which months are listed; none: not known.
    #[serde(default)]
    pub rule: Option<ListingRule>,
    /// By code (`cu2203`): what is stated of single contracts, which goes before the rule.
    #[serde(default)]
    pub contracts: BTreeMap<String, Lifetime>,
}

impl ListingRule {
    /// All of the nearest months.
    pub const fn nearest(months: u16) -> Self {
        Self { months, every: 0, within: 0 }
    }

    /// Among how many months, counted from the nearest, a month of delivery (1 to 12) is listed; `None`: among none.
    fn among(self, month: i8) -> Option<u16> {
        let other = self.every > 0 && u16::from(month.unsigned_abs()).is_multiple_of(self.every);
        Some(if other { self.months.max(self.within) } else { self.months }).filter(|among| *among > 0)
    }

    /// What cannot be meant.
    ///
    /// # Errors
    /// A text for people.
    pub fn check(self) -> std::result::Result<(), String> {
        if (self.every == 0) != (self.within == 0) || self.every > 12 {
            return Err(
                "`every` and `within` belong together: { months: 3, every: 2, within: 13 } lists the three nearest \
                        months, and the even ones of the thirteen nearest"
                    .to_owned(),
            );
        }
        if self.months.max(self.within) > 120 {
            return Err("`months` and `within` count months of delivery, at most 120".to_owned());
        }
        Ok(())
    }
}

impl ListingSpec {
    /// The calendar, ready for use.
    ///
    /// # Errors
    /// As [`Calendar::new`].
    pub fn calendar(&self) -> Result<Calendar> {
        Calendar::new(&self.clock)
    }

    /// From when to when a contract is traded: as stated, else by the rules, else not known.
    ///
    /// # Errors
    /// Where there is no such month.
    pub fn lifetime(&self, contract: &Contract, calendar: &Calendar) -> Result<Lifetime> {
        let stated = self.contracts.get(&contract.code).copied().unwrap_or_default();
        let listed = match stated.listed {
            Some(day) => Some(day),
            None => self.listed_by_rule(contract, calendar)?,
        };
        let last = match (stated.last, self.expiry, contract.delivery) {
            (Some(day), ..) => Some(day),
            (None, Some(expiry), Some(month)) => Some(expiry.last_trading_day(month, calendar)?),
            _ => None,
        };
        Ok(Lifetime { listed, last })
    }

    /// The trading day after the last one of the month that makes room.
    fn listed_by_rule(&self, contract: &Contract, calendar: &Calendar) -> Result<Option<Day>> {
        let (Some(rule), Some(expiry), Some((year, month))) = (self.rule, self.expiry, contract.delivery) else {
            return Ok(None);
        };
        let Some(among) = rule.among(month) else { return Ok(None) };
        let before = month_of(index_of((year, month)) - i32::from(among));
        Ok(Some(calendar.next(expiry.last_trading_day(before, calendar)?)))
    }

    /// The contracts that are known to be traded on any day of these, by name (`SHFE.cu2203`).
    ///
    /// # Errors
    /// As [`ListingSpec::lifetime`].
    pub fn traded(&self, from: Day, to: Day, calendar: &Calendar) -> Result<BTreeMap<String, Lifetime>> {
        let mut codes: Vec<String> = self.contracts.keys().cloned().collect();
        if let Some(rule) = self.rule {
            let [first, last] = [from, to].map(|day| index_of((day.date().year(), day.date().month())));
            // In a month whose contract has expired, the nearest is the next one.
            for index in first..=last + i32::from(rule.months.max(rule.within)) + 1 {
                let (year, month) = month_of(index);
                codes.push(format!("{}{:02}{month:02}", self.variety, year.rem_euclid(100)));
            }
        }
        let mut traded = BTreeMap::new();
        for code in codes {
            let contract = Contract::parse(&format!("{}.{code}", self.exchange))?;
            let life = self.lifetime(&contract, calendar)?;
            let known = life.listed.is_some() || self.contracts.contains_key(&code);
            if known && life.listed.is_none_or(|day| day <= to) && life.last.is_none_or(|day| day >= from) {
                traded.insert(contract.to_string(), life);
            }
        }
        Ok(traded)
    }

    /// What cannot be meant.
    ///
    /// # Errors
    /// A text for people, which names the key.
    pub fn check(&self) -> std::result::Result<(), String> {
        if let Some(rule) = self.rule {
            rule.check().map_err(|what| format!("`listing`: {what}"))?;
            if self.expiry.is_none() {
                return Err("`listing.months` needs `roll.expiry`: a contract is listed when another one has expired"
                    .to_owned());
            }
        }
        for (code, life) in &self.contracts {
            let contract = Contract::parse(&format!("{}.{code}", self.exchange));
            if contract.map_or(true, |contract| contract.product != self.variety) {
                return Err(format!(
                    "`listing.contracts`: `{code}` is no contract of this variety, such as {}2203",
                    self.variety
                ));
            }
            if let (Some(listed), Some(last)) = (life.listed, life.last)
                && last < listed
            {
                return Err(format!(
                    "`listing.contracts.{code}`: its last day, {last}, is before {listed}, when it was listed"
                ));
            }
        }
        Ok(())
    }
}

impl Expiry {
    /// The last trading day of the contract of a month of delivery.
    ///
    /// # Errors
    /// Where there is no such month.
    pub fn last_trading_day(self, (year, month): (i16, i8), calendar: &Calendar) -> Result<Day> {
        let day = match self {
            Self::Fifteenth => Day::of(year, month, 15)?,
            Self::ThirdFriday => {
                let first = Day::of(year, month, 1)?;
                first.plus((4 - first.weekday()).rem_euclid(7) + 14)
            }
        };
        // Both exchanges postpone to the next trading day.
        Ok(calendar.next(day.plus(-1)))
    }
}

/// Months since the year 0.
fn index_of((year, month): (i16, i8)) -> i32 {
    i32::from(year) * 12 + i32::from(month) - 1
}

fn month_of(index: i32) -> (i16, i8) {
    // Months of contracts lie within a few centuries, and a remainder of 12 is below 12.
    (index.div_euclid(12) as i16, (index.rem_euclid(12) + 1) as i8)
}

/// Which varieties and contracts are asked for; none: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    varieties: Vec<String>,
    contracts: Vec<Contract>,
}

impl Symbols {
    /// From a list such as `[cu, SHFE.au2206]`: a name with an exchange is a contract, another a variety.
    ///
    /// # Errors
    /// Where one of them cannot be a contract.
    pub fn parse(symbols: &[String]) -> Result<Self> {
        let (contracts, varieties): (Vec<&String>, Vec<&String>) =
            symbols.iter().partition(|symbol| symbol.contains('.'));
        let contracts = contracts.into_iter().map(|symbol| Contract::parse(symbol)).collect::<Result<_>>()?;
        Ok(Self { varieties: varieties.into_iter().cloned().collect(), contracts })
    }

    /// Each of them has to be of these varieties, with their exchanges.
    ///
    /// # Errors
    /// Names the one that is not.
    pub fn check<'a>(&self, varieties: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<()> {
        let known = |exchange: Option<&str>, name: &str| {
            varieties.clone().any(|(of, variety)| variety == name && exchange.is_none_or(|exchange| exchange == of))
        };
        let strange = self.varieties.iter().find(|name| !known(None, name)).cloned();
        let strange = strange.or_else(|| {
            let contract = self.contracts.iter().find(|contract| !known(Some(&contract.exchange), &contract.product));
            contract.map(Contract::to_string)
        });
        match strange {
            None => Ok(()),
            Some(symbol) => {
                let there: Vec<String> = varieties.map(|(exchange, name)| format!("{name} of {exchange}")).collect();
                Err(Error::Symbol { symbol, there: there.join(", ") })
            }
        }
    }

    /// Whether anything of a variety is asked for.
    pub fn name(&self, exchange: &str, variety: &str) -> bool {
        self.contracts(exchange, variety).is_none_or(|contracts| !contracts.is_empty())
    }

    /// The contracts of a variety that are asked for; `None`: all of them.
    pub fn contracts(&self, exchange: &str, variety: &str) -> Option<Vec<&Contract>> {
        let all = self.varieties.is_empty() && self.contracts.is_empty();
        if all || self.varieties.iter().any(|name| name == variety) {
            return None;
        }
        let of = |contract: &&Contract| contract.exchange == exchange && contract.product == variety;
        Some(self.contracts.iter().filter(of).collect())
    }
}
