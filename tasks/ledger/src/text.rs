//! The ledger in a few lines.

use std::fmt::Write as _;

use ghtrader_market::Known;

use crate::{ContractLedger, Counts, Ledger, Span, State, Stretch};

/// So many contracts are named, and of each so many spans.
const CONTRACTS: usize = 12;
const SPANS: usize = 3;

/// What is there of a variety, and of each contract that is not complete the first days that are not.
pub fn text(ledger: &Ledger) -> String {
    let Counts { expected, .. } = ledger.counts;
    let mut text = match (ledger.from, ledger.to) {
        (Some(from), Some(to)) => format!(
            "{}: {} of {expected} expected days of {} complete{}, {from} to {to}\n",
            ledger.variety,
            ledger.counts.complete,
            counted(ledger.contracts.len(), "contract"),
            others(&ledger.counts)
        ),
        _ => format!("{}: no ticks, and no days asked for\n", ledger.variety),
    };
    let told: Vec<(&String, String)> =
        ledger.contracts.iter().filter_map(|(name, contract)| Some((name, of_contract(contract)?))).collect();
    for (name, told) in told.iter().take(CONTRACTS) {
        // A String takes whatever is written to it.
        let _ = writeln!(text, "  {name}  {told}");
    }
    if told.len() > CONTRACTS {
        let _ = writeln!(text, "  and {} more: see ledger.json", counted(told.len() - CONTRACTS, "contract"));
    }
    for marker in ledger.idle.iter().take(CONTRACTS) {
        let _ = writeln!(
            text,
            "  WARNING: the marker {} {}{} ({}) speaks of no day on which that contract is traded: is it mistyped?",
            marker.contract,
            marker.day,
            marker.to.map_or_else(String::new, |to| format!(" to {to}")),
            marker.reason
        );
    }
    if ledger.idle.len() > CONTRACTS {
        let _ = writeln!(
            text,
            "  WARNING: so do {} more: see ledger.json",
            counted(ledger.idle.len() - CONTRACTS, "marker")
        );
    }
    for Stretch { from, to } in &ledger.guessed {
        let _ = writeln!(
            text,
            "  WARNING: the list of holidays says nothing of {from} to {to}: all weekdays are expected there but those that \
             `closed` of market.yaml names"
        );
    }
    let guessed = ledger.contracts.values().filter(|contract| contract.listed.known == Known::Ticks).count();
    if guessed > 0 {
        let _ = writeln!(
            text,
            "  of {} the listing day is not known: ticks are expected from the first ones on",
            counted(guessed, "contract")
        );
    }
    text
}

/// `, 7 missing, 2 no_data`.
fn others(counts: &Counts) -> String {
    let Counts { missing, stale, unindexed, no_data, .. } = *counts;
    let parts =
        [(missing, State::Missing), (stale, State::Stale), (unindexed, State::Unindexed), (no_data, State::NoData)];
    parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!(", {count} {}", name(state)))
        .collect()
}

/// What is not complete of a contract; `None` where all is.
fn of_contract(contract: &ContractLedger) -> Option<String> {
    let spans: Vec<&Span> = contract.spans.iter().filter(|span| span.state != State::Complete).collect();
    let mut parts: Vec<String> = spans.iter().take(SPANS).map(|span| of_span(span)).collect();
    if spans.len() > SPANS {
        let days: u64 = spans.iter().skip(SPANS).map(|span| span.days).sum();
        parts.push(format!("{} more", counted(days as usize, "day")));
    }
    for (days, what) in [
        (&contract.unexpected, "with ticks outside of its life"),
        (&contract.contradicted, "with ticks although marked as having none"),
    ] {
        if let Some(first) = days.first() {
            parts.push(format!("{} {what}, from {first}", counted(days.len(), "day")));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `missing 2022-03-01 to 2022-04-20 (33 days)`.
fn of_span(span: &Span) -> String {
    let Span { state, reason, from, to, days } = span;
    let when = if days == &1 { from.to_string() } else { format!("{from} to {to} ({days} days)") };
    let why = reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} {when}{why}", name(*state))
}

/// `1 day`, `2 days`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn name(state: State) -> &'static str {
    match state {
        State::Complete => "complete",
        State::Missing => "missing",
        State::Stale => "stale",
        State::Unindexed => "unindexed",
        State::NoData => "no data",
    }
}
