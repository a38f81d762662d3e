//! Rule `given`: the main contract by a list of switches.
//!
//! The day of a switch is the first trading day of the new contract, its night session included: the switch IF2101 →
//! IF2102 of 2021-01-18 means that all of 2021-01-15 is IF2101 and all of 2021-01-18 is IF2102.

use anyhow::bail;
use ghtrader_kit::Result;
use ghtrader_market::{Day, GivenRule};

use crate::facts::Facts;
use crate::table::Chosen;

/// The main contract of every day.
///
/// # Errors
/// Where the days of the switches do not ascend, or one leaves another contract than the one that is main.
pub(crate) fn choose(rule: &GivenRule, facts: &Facts) -> Result<Vec<Chosen>> {
    check(rule)?;
    let chosen = facts.0.keys().map(|day| Chosen {
        day: *day,
        decided_on: None,
        contract: Some(main_on(rule, *day).to_owned()),
        flags: Vec::new(),
    });
    Ok(chosen.collect())
}

fn main_on(rule: &GivenRule, day: Day) -> &str {
    let past = rule.switches.partition_point(|switch| switch.day <= day);
    past.checked_sub(1).and_then(|last| rule.switches.get(last)).map_or(&rule.first, |switch| &switch.to)
}

fn check(rule: &GivenRule) -> Result<()> {
    let mut main = (&rule.first, None);
    for switch in &rule.switches {
        if switch.from != *main.0 {
            bail!("the switch of {} leaves `{}`, but `{}` is main then", switch.day, switch.from, main.0);
        }
        if main.1.is_some_and(|last| switch.day <= last) {
            bail!("the switch of {} comes after one of a later day, or of the same: days have to ascend", switch.day);
        }
        main = (&switch.to, Some(switch.day));
    }
    Ok(())
}
