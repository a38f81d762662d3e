//! The schedule: which days count, segments, entries and hashes.

use std::collections::BTreeMap;

use anyhow::bail;
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Day, Days, Entry, Flag, RollRule, RollSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::facts::{Close, Facts};
use crate::{given, oi};

/// What a rule says about one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The day.
    pub(crate) day: Day,
    /// The day at whose close it was decided; `None` where nothing had to be known.
    pub(crate) decided_on: Option<Day>,
    /// The main contract; `None` where no contract could be it.
    pub(crate) contract: Option<String>,
    /// Remarks.
    pub(crate) flags: Vec<Flag>,
}

/// The schedule of a variety.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// The scheduled days.
    pub days: Days,
    /// Every day that was looked at.
    pub table: Vec<Row>,
    /// BLAKE3 of the rule, its parameters, the calendar, and the open interest of every contract on every day.
    pub hash: String,
    /// The rule's name and version.
    pub rule: &'static str,
}

/// One day of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The trading day.
    pub day: Day,
    /// Whether it is in the schedule, and if not, why.
    pub status: Status,
    /// The main contract.
    pub contract: Option<String>,
    /// Its segment, where the day is in the schedule.
    pub segment: Option<i32>,
    /// The day at whose close the contract was chosen.
    pub decided_on: Option<Day>,
    /// Remarks.
    pub flags: Vec<Flag>,
    /// Open interest of every contract at the close of this day.
    pub close_oi: BTreeMap<String, Option<u64>>,
}

/// Whether a day is in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Scheduled,
    /// Nothing was known before it, or no contract could be main.
    NoMain,
    /// The main contract has no ticks on it.
    NoTicks,
    /// The market has five levels, but no main contract had them yet.
    BeforeL5,
}

/// The schedule that a specification gives on these facts.
///
/// # Errors
/// Where a day is no trading day, where no day can be scheduled, and as the rules say.
pub fn schedule(spec: &RollSpec, facts: &Facts) -> Result<Scheduled> {
    let calendar = spec.calendar()?;
    for day in facts.0.keys() {
        if !calendar.is_trading_day(*day) {
            bail!("there are ticks of {day}, which is no trading day of this market's calendar");
        }
    }
    let chosen = match &spec.rule {
        RollRule::Oi(rule) => oi::choose(rule, spec, &calendar, facts)?,
        RollRule::Given(rule) => given::choose(rule, facts)?,
    };
    let (days, table) = number(spec, &calendar, facts, chosen)?;
    let (rule, parameters) = rule(spec);
    if days.is_empty() {
        bail!("{}", nothing(spec, facts));
    }
    let hash = hash(&json!([rule, parameters, switches(spec), spec.levels, calendar.hash(), close_table(facts)]));
    Ok(Scheduled { days, table, hash, rule })
}

/// Entries and table rows, with segments numbered from the first day that counts.
fn number(spec: &RollSpec, calendar: &Calendar, facts: &Facts, chosen: Vec<Chosen>) -> Result<(Days, Vec<Row>)> {
    let mut by_day: BTreeMap<Day, Chosen> = chosen.into_iter().map(|chosen| (chosen.day, chosen)).collect();
    let mut days = Days::new();
    let mut table = Vec::new();
    for (day, closes) in &facts.0 {
        let none = Chosen { day: *day, decided_on: None, contract: None, flags: Vec::new() };
        let mut chosen = by_day.remove(day).unwrap_or(none);
        let close = chosen.contract.as_ref().and_then(|contract| closes.get(contract));
        let status = match (&chosen.contract, close) {
            (None, _) => Status::NoMain,
            (_, None) => Status::NoTicks,
            (_, Some(close)) if spec.levels == 5 && days.is_empty() && !close.l5_present => Status::BeforeL5,
            _ => Status::Scheduled,
        };
        let mut segment = None;
        if let (Status::Scheduled, Some(close)) = (status, close) {
            let entry = entry(spec, calendar, &mut chosen, close, days.last_key_value())?;
            segment = Some(entry.segment);
            days.insert(*day, entry);
        }
        let Chosen { day, decided_on, contract, flags } = chosen;
        let close_oi = closes.iter().map(|(name, close)| (name.clone(), close.oi)).collect();
        table.push(Row { day, status, contract, segment, decided_on, flags, close_oi });
    }
    Ok((days, table))
}

fn entry(
    spec: &RollSpec,
    calendar: &Calendar,
    chosen: &mut Chosen,
    close: &Close,
    before: Option<(&Day, &Entry)>,
) -> Result<Entry> {
    let contract = close.contract.to_string();
    let same = before.filter(|(_, before)| before.contract == contract);
    let segment = before.map_or(0, |(_, before)| before.segment + i32::from(same.is_none()));
    let previous = same.map(|(day, _)| *day);
    if let Some(previous) = previous
        && calendar.next(previous) != chosen.day
    {
        chosen.flags.push(Flag::DayMissing);
    }
    let (rule, parameters) = rule(spec);
    let hash = hash(&json!([rule, parameters, chosen.day, contract, segment]));
    Ok(Entry { contract, cell: close.cell.clone(), segment, previous, hash, flags: chosen.flags.clone() })
}

/// The rule's name and version, and the parameters that every entry depends on.
///
/// The switches of rule `given` are not among them: a list that grows leaves the entries before as they were.
fn rule(spec: &RollSpec) -> (&'static str, Value) {
    match &spec.rule {
        RollRule::Oi(rule) => ("oi_1p1_v1", json!([rule, spec.expiry])),
        RollRule::Given(_) => ("given_v1", Value::Null),
    }
}

fn switches(spec: &RollSpec) -> Value {
    match &spec.rule {
        RollRule::Oi(_) => Value::Null,
        RollRule::Given(rule) => json!(rule),
    }
}

fn close_table(facts: &Facts) -> Vec<(Day, &str, Option<u64>)> {
    let rows = facts.0.iter().flat_map(|(day, closes)| closes.iter().map(move |(name, close)| (day, name, close)));
    rows.map(|(day, name, close)| (*day, name.as_str(), close.oi)).collect()
}

fn hash(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

fn nothing(spec: &RollSpec, facts: &Facts) -> String {
    let days = facts.0.len();
    let why = match &spec.rule {
        _ if days == 0 => "no file holds a row of it that can be kept: do `exchange` and `files` in market.yaml fit?",
        RollRule::Oi(_) if days < 2 => "rule `oi` decides at the close of one day for the next, so it needs two",
        RollRule::Oi(_) if spec.levels == 5 => "no main contract has open interest and five levels of the book",
        RollRule::Oi(_) => "no contract has open interest at a close",
        RollRule::Given(_) if spec.levels == 5 => "no given main contract has ticks with five levels of the book",
        RollRule::Given(_) => "no given main contract has ticks on its days",
    };
    format!("no day of {} can be scheduled: there are ticks of {days} trading days, and {why}", spec.variety)
}
