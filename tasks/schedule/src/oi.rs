//! Rule `oi`, `oi_1p1_v1`: the main contract by open interest at the close.
//!
//! Source: the two sentences of RQData's documentation of futures (ricequant.com/doc/rqdata/python/futures-mod.html): the
//! first main contract is the one with the largest open interest; another one takes over from the next trading day when
//! its open interest at the close is more than 1.1 times the main's. No change within a day.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Day, Flag, OiRule, Reuse, RollSpec};

use crate::facts::{Close, Facts};
use crate::table::Chosen;

/// The rule with what it has to remember.
struct Roll<'a> {
    rule: &'a OiRule,
    spec: &'a RollSpec,
    calendar: &'a Calendar,
    main: Option<String>,
    used: BTreeSet<String>,
}

/// The main contract of every day but the first, each from the close of the day before it.
///
/// # Errors
/// In strict mode, where the main contract has no open interest.
pub(crate) fn choose(rule: &OiRule, spec: &RollSpec, calendar: &Calendar, facts: &Facts) -> Result<Vec<Chosen>> {
    let mut roll = Roll { rule, spec, calendar, main: None, used: BTreeSet::new() };
    let days = facts.0.keys().skip(1);
    facts.0.iter().zip(days).map(|((known, closes), day)| roll.decide(*known, closes, *day)).collect()
}

impl Roll<'_> {
    /// The main contract of `day`, from the closes of `known`, the last day with ticks before it.
    fn decide(&mut self, known: Day, closes: &BTreeMap<String, Close>, day: Day) -> Result<Chosen> {
        let mut flags = Vec::new();
        let eligible = self.eligible(closes, day)?;
        let next = match self.main.clone() {
            Some(main) if !self.is_over(&main, closes, day)? => match closes.get(&main).and_then(|close| close.oi) {
                Some(oi) if oi > 0 => largest(eligible.into_iter().filter(|(_, other)| self.exceeds(*other, oi))),
                _ if self.rule.strict => bail!("{main} is main, but has no open interest at the close of {known}"),
                _ => {
                    flags.push(Flag::OiMissing);
                    None
                }
            }
            .or(Some(main)),
            _ => largest(eligible.into_iter()),
        };
        self.used.extend(next.clone());
        self.main.clone_from(&next);
        Ok(Chosen { day, decided_on: Some(known), contract: next, flags })
    }

    /// b·oi(other) > a·oi(main) in integers: equality does not switch.
    fn exceeds(&self, other: u64, main: u64) -> bool {
        let [more, than] = self.rule.ratio;
        u128::from(than) * u128::from(other) > u128::from(more) * u128::from(main)
    }

    /// The contracts that may become main on a day, with their open interest.
    fn eligible<'c>(&self, closes: &'c BTreeMap<String, Close>, day: Day) -> Result<Vec<(&'c Close, u64)>> {
        let mut eligible = Vec::new();
        for (name, close) in closes {
            let used = self.rule.reuse == Reuse::Forbid && self.used.contains(name);
            let candidate = self.main.as_ref() != Some(name) && !used && close.volume >= self.rule.min_volume;
            let oi = close.oi.filter(|oi| candidate && *oi > 0 && *oi as f64 >= self.rule.min_oi);
            if let Some(oi) = oi
                && self.last_day(close, day)?.is_none_or(|last| last > day)
            {
                eligible.push((close, oi));
            }
        }
        Ok(eligible)
    }

    /// Whether the main contract has expired before a day. One without ticks is judged by its name.
    fn is_over(&self, main: &str, closes: &BTreeMap<String, Close>, day: Day) -> Result<bool> {
        let close = match closes.get(main) {
            Some(close) => close.clone(),
            None => Close::named(main)?,
        };
        Ok(self.last_day(&close, day)?.is_some_and(|last| last < day))
    }

    /// The last trading day of a contract where it may lie near a day; `None` where it is later, or there is none.
    ///
    /// A contract is over after its month of delivery even where the market does not say when it expires.
    fn last_day(&self, close: &Close, day: Day) -> Result<Option<Day>> {
        let Some((year, month)) = close.contract.delivery else { return Ok(None) };
        let (first, date) = (Day::of(year, month, 1)?, day.date());
        if day < first {
            // What is said of days beyond the holiday list is a guess.
            return Ok(None);
        }
        let listed = self.spec.last_trading_day(&close.contract, self.calendar)?;
        let past = (date.year(), date.month()) > (year, month);
        Ok(listed.or_else(|| past.then_some(first)))
    }
}

/// Largest open interest; ties go to the earlier delivery, then to the lesser code.
fn largest<'c>(candidates: impl Iterator<Item = (&'c Close, u64)>) -> Option<String> {
    candidates
        .max_by_key(|(close, oi)| (*oi, Reverse(close.contract.order())))
        .map(|(close, _)| close.contract.to_string())
}
