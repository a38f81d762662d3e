//! One file beside its entry of the day index.

use std::path::Path;

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cause, Contract, Day, DayIndex, Ticks, TicksSpec};

use crate::{Check, DayChecks, Findings, Params, course, rows};

/// Checks the file at `path`, which has to hold what `index` says.
///
/// # Errors
/// Where the contract's code is none.
pub fn check_day(
    path: &Path,
    index: &DayIndex,
    spec: &TicksSpec,
    calendar: &Calendar,
    params: &Params,
) -> Result<DayChecks> {
    let mut findings = Findings::default();
    ingestion(index, params, &mut findings);
    if !calendar.covers(index.day) {
        let (first, last) = calendar.covered();
        findings.add(Check::Calendar, || format!("holidays are known from {first} to {last}"));
    }
    let ticks = match (index.rows, path.exists()) {
        (0, false) => None,
        (_, false) => {
            findings.add(Check::Index, || format!("the index says {} rows, and there is no file", index.rows));
            None
        }
        (_, true) => Ticks::read(path)
            .map_err(|error| {
                // The path is one of the task's folder, which means nothing to who reads the report.
                let what = error.to_string().replace(&path.display().to_string(), "the file");
                findings.add(Check::Schema, || what);
            })
            .ok(),
    };
    if let Some(ticks) = &ticks {
        compare(ticks, index, spec, calendar, &mut findings);
    }
    let ticks = ticks.unwrap_or_default();
    if !ticks.is_empty() {
        names(&ticks, index, &mut findings);
        let tick = spec.tick_of(&Contract::parse(&index.contract)?);
        rows::check(&ticks, spec, calendar, tick, &mut findings);
        course::check(&ticks, index.day, spec, calendar, params, &mut findings);
    }
    Ok(DayChecks {
        contract: index.contract.clone(),
        day: index.day,
        rows: ticks.len() as u64,
        coverage: (course::coverage(&ticks, spec, calendar, index.day) * 1e4).round() / 1e4,
        findings: findings.into_list(),
    })
}

/// What ingestion dropped and put aside.
fn ingestion(index: &DayIndex, params: &Params, out: &mut Findings) {
    for (cause, count) in &index.quarantined {
        out.add_many(Check::Quarantine, *count, || format!("{cause}: {count}"));
    }
    // Rows that say nothing are no loss.
    let aside = index.quarantined.iter().filter(|(cause, _)| **cause != Cause::EmptyBook);
    let lost = index.replaced + aside.map(|(_, count)| count).sum::<u64>();
    let part = lost as f64 / (index.rows + lost).max(1) as f64;
    // A single row says nothing of the others.
    if lost > 1 && part > params.max_lost {
        out.add_many(Check::Lost, lost, || format!("{:.2} % of {} rows", 100.0 * part, index.rows + lost));
    }
    let off = index.off_session as f64 / index.rows.max(1) as f64;
    if off > 0.5 {
        out.add_many(Check::Sessions, index.off_session, || {
            format!("{:.2} % of {} rows: do `sessions` and the zone in market.yaml fit?", 100.0 * off, index.rows)
        });
    }
    let twice = index.duplicates + index.replaced;
    let rate = twice as f64 / (index.rows + twice).max(1) as f64;
    if rate > params.max_duplicates {
        out.add_many(Check::Duplicates, twice, || format!("{:.2} % of the rows", 100.0 * rate));
    }
}

/// The symbol and the day that the rows state are those under which the file lies.
fn names(ticks: &Ticks, index: &DayIndex, out: &mut Findings) {
    if ticks.symbol != index.contract {
        out.add(Check::Schema, || format!("it holds {}", ticks.symbol));
    }
    let other = |(_, day): &(usize, &Day)| **day != index.day;
    for (row, day) in ticks.trading_day.iter().enumerate().filter(other) {
        out.add(Check::Schema, || format!("row {row} is of {day}"));
    }
}

/// The rows are those of the index; and if so, it draws from them what decides which contract is the main one.
fn compare(ticks: &Ticks, index: &DayIndex, spec: &TicksSpec, calendar: &Calendar, out: &mut Findings) {
    let mut facts = index.differences(ticks);
    if facts.is_empty() {
        facts = index.contradictions(&DayIndex::of(&index.contract, index.day, ticks, spec, calendar));
    }
    for (name, says, is) in facts {
        out.add(Check::Index, || format!("{name}: the index says {says}, the file {is}"));
    }
}
