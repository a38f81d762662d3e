//! The report as a page, complete in one file.

use std::collections::{BTreeMap, BTreeSet};

use ghtrader_check_ticks::Severity;
use ghtrader_market::Day;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Report, Summed};

const STYLE: &str = "
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { padding: .2rem .6rem; text-align: left; vertical-align: top }
.findings td { border-top: 1px solid #ddd } .number { text-align: right }
.error { color: #a40000 } .warning { color: #8a5a00 } .good { color: #1a6b1a }
.map { font-size: 11px } .map td { padding: 0; min-width: 9px; height: 14px; border: 1px solid #fff }
.map th { padding: 0 .4rem 0 0; font-weight: normal; white-space: nowrap } .map thead th { writing-mode: vertical-rl }
.c0 { background: #b2182b } .c1 { background: #ef8a62 } .c2 { background: #fddbc7 } .c3 { background: #d1e5f0 }
.lacking { outline: 1px solid #b2182b; outline-offset: -2px } .c4 { background: #67a9cf } .c5 { background: #2166ac } .scroll { overflow-x: auto }
li { margin: .1rem 0 } @media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } .map td { border-color: #181818 } }
";

/// From this part of the minutes on, a cell of the map has the colour of this number.
const STEPS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The page of a variety.
pub fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Audit of " (report.variety) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Audit of " (report.variety) ": " (verdict(report)) }
                p {
                    (report.rows) " rows of " (report.coverage.len()) " contracts and " (report.main_rows)
                    " of the main series; " (report.errors) " errors, " (report.warnings) " warnings."
                }
                h2 { "Findings" }
                @if report.findings.is_empty() { p { "None." } } @else { (findings(&report.findings)) }
                h2 { "Coverage" }
                p {
                    "The part of the minutes of each day's sessions in which a contract has a row. Framed: it should have \
                     ticks, and there are none."
                }
                (map(report))
            }
        }
    }
}

fn verdict(report: &Report) -> Markup {
    if report.green {
        html! { span.good { "green" } }
    } else {
        html! { span.error { "not green" } }
    }
}

fn findings(findings: &[Summed]) -> Markup {
    html! {
        table.findings {
            thead { tr { th { "check" } th { "severity" } th.number { "cases" } th.number { "places" } th { "the first of each place" } } }
            tbody {
                @for finding in findings {
                    @let class = if finding.severity == Severity::Error { "error" } else { "warning" };
                    tr {
                        td { (finding.check) }
                        td class=(class) { (class) }
                        td.number { (finding.count) }
                        td.number { (finding.places) }
                        td {
                            details open[finding.cases.len() < 4] {
                                summary { (finding.cases.len()) " listed" }
                                ul { @for case in &finding.cases { li { (case) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The heat map: contracts down, days across.
fn map(report: &Report) -> Markup {
    let days: BTreeSet<Day> = report
        .coverage
        .values()
        .flat_map(BTreeMap::keys)
        .chain(report.lacking.values().flatten())
        .chain(&report.missing)
        .copied()
        .collect();
    let none = BTreeMap::new();
    let contracts: BTreeSet<&String> = report.coverage.keys().chain(report.lacking.keys()).collect();
    html! {
        div.scroll {
            table.map {
                thead { tr { th {} @for day in &days { th { (day) } } } }
                tbody {
                    @for contract in contracts {
                        @let covered = report.coverage.get(contract).unwrap_or(&none);
                        @let lacking = report.lacking.get(contract);
                        tr {
                            th { (contract) }
                            @for day in &days {
                                @match covered.get(day) {
                                    Some(part) => td class=(colour(*part)) title={ (contract) " " (day) ": " (percent(*part)) } {},
                                    None if lacking.is_some_and(|days| days.contains(day)) => td.lacking title={ (contract) " " (day) ": missing" } {},
                                    None => td title={ (contract) " " (day) ": nothing expected" } {},
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn colour(part: f64) -> String {
    format!("c{}", STEPS.iter().filter(|step| part >= **step).count())
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}
