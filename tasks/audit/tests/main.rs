//! `audit` on what checks found.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ghtrader_audit::{Audit, Report};
use ghtrader_check_main::MainChecks;
use ghtrader_check_ticks::{CellChecks, Check, DayChecks, Finding};
use ghtrader_kit::{Bench, Done};
use ghtrader_ledger::Ledger;
use ghtrader_market::Clock;
use serde_json::json;

fn finding(check: Check, count: u64, first: &str) -> Finding {
    Finding { check, severity: check.severity(), count, first: first.into() }
}

fn day(contract: &str, day: &str, coverage: f64, findings: &[Finding]) -> DayChecks {
    DayChecks { contract: contract.into(), day: day.parse().unwrap(), rows: 100, coverage, findings: findings.into() }
}

fn cell(name: &str, days: &[DayChecks]) -> CellChecks {
    CellChecks { cell: name.into(), findings: Vec::new(), days: days.into() }
}

fn main(day: &str, findings: &[Finding]) -> MainChecks {
    MainChecks { day: day.parse().unwrap(), contract: "SHFE.cu2203".into(), rows: 50, findings: findings.into() }
}

/// With the gathers as the runner lays them out.
fn audit(cells: &[CellChecks], days: &[MainChecks], params: serde_json::Value) -> Done {
    audit_beside(None, cells, days, params)
}

/// And a ledger.
fn audit_beside(ledger: Option<&Ledger>, cells: &[CellChecks], days: &[MainChecks], params: serde_json::Value) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let put = |gather: &str, instance: String, file: &str, text: String| {
        let path = folder.path().join(gather).join(instance);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(file), text).unwrap();
    };
    for gather in ["ticks", "main"] {
        std::fs::create_dir_all(folder.path().join(gather)).unwrap();
    }
    for cell in cells {
        put("ticks", format!("cell={}", cell.cell), "checks.json", serde_json::to_string(cell).unwrap());
    }
    for day in days {
        put("main", format!("day={}", day.day), "check.json", serde_json::to_string(day).unwrap());
    }
    let at = |gather: &str| folder.path().join(gather);
    let bench = Bench::<Audit>::new().unwrap().input("ticks", at("ticks")).input("main", at("main"));
    let bench = bench.input_json("clock", &Clock::china()).unwrap().axis("variety", "cu");
    let bench = match ledger {
        Some(ledger) => bench.input_json("ledger", ledger).unwrap(),
        None => bench,
    };
    bench.run(params).unwrap()
}

fn report(done: &Done) -> Report {
    done.json("report").unwrap()
}

#[test]
fn clean_data_are_green() {
    let (a, b) = (day("SHFE.cu2203", "2022-02-18", 0.9, &[]), day("SHFE.cu2203", "2022-02-21", 1.0, &[]));
    let done = audit(&[cell("a", &[a]), cell("b", &[b])], &[main("2022-02-21", &[])], json!({ "strict": true }));
    let report = report(&done);
    assert!(report.green && report.findings.is_empty() && report.missing.is_empty());
    assert_eq!((report.rows, report.main_rows, report.errors, report.warnings), (200, 50, 0, 0));
    assert_eq!(report.coverage["SHFE.cu2203"].values().copied().collect::<Vec<_>>(), [0.9, 1.0], "Friday and Monday");
}

#[test]
fn an_error_is_not_green_and_a_warning_only_where_that_is_demanded() {
    let warned = [cell("a", &[day("SHFE.cu2203", "2022-02-18", 1.0, &[finding(Check::Gap, 2, "700 s")])])];
    assert!(report(&audit(&warned, &[], json!({}))).green);
    assert!(!report(&audit(&warned, &[], json!({ "strict": true }))).green);
    let wrong = report(&audit(&warned, &[main("2022-02-18", &[finding(Check::Main, 1, "a row")])], json!({})));
    assert!(!wrong.green);
    assert_eq!((wrong.errors, wrong.warnings), (1, 2));
    let cases: Vec<&str> = wrong.findings.iter().flat_map(|sum| &sum.cases).map(String::as_str).collect();
    assert_eq!(cases, ["main series of 2022-02-18: a row", "SHFE.cu2203 2022-02-18: 700 s"], "errors first");
}

#[test]
fn a_trading_day_without_ticks_is_missing() {
    // The Spring Festival of 2022 is from 31 January to 4 February.
    let days = ["2022-01-28", "2022-02-08"].map(|on| day("SHFE.cu2203", on, 1.0, &[]));
    let report = report(&audit(&[cell("a", &days)], &[], json!({})));
    assert_eq!(report.missing, ["2022-02-07".parse().unwrap()]);
    assert_eq!((report.green, report.warnings, report.findings[0].check), (true, 1, Check::Missing));
}

#[test]
fn a_day_that_may_have_been_cut_off_is_told() {
    let on = |name: &str, parts: [f64; 4]| {
        let days = ["2022-02-15", "2022-02-16", "2022-02-17", "2022-02-18"];
        days.into_iter().zip(parts).map(|(on, part)| day(name, on, part, &[])).collect::<Vec<_>>()
    };
    let thin = |days: &[DayChecks]| {
        let report = report(&audit(&[cell("a", days)], &[], json!({})));
        assert!(report.green && report.findings.iter().all(|sum| sum.check == Check::Thin));
        report.findings.into_iter().flat_map(|sum| sum.cases).collect::<Vec<_>>()
    };
    let main = on("SHFE.cu2203", [0.9, 1.0, 0.9, 1.0]);
    let with = |parts: [f64; 4]| [main.clone(), on("SHFE.cu2204", parts)].concat();
    let said = "SHFE.cu2204 2022-02-17: rows in 10.0 % of the minutes, and mostly in 80.0 % of the minutes";
    assert_eq!(thin(&with([0.9, 0.8, 0.1, 0.7])), [said]);
    assert_eq!(thin(&with([0.15, 0.15, 0.0, 0.15])), [""; 0], "that hardly trades");
    let said = "2022-02-18: the contract with the most rows has some in 1.2 % of the minutes";
    assert_eq!(thin(&on("SHFE.cu2203", [0.9, 1.0, 0.9, 0.012])[3..]), [said]);
}

#[test]
fn the_page_says_what_the_report_says_and_escapes_it() {
    let findings = [finding(Check::Crossed, 3, "<b>bid & ask</b>")];
    let days = [day("SHFE.cu2203", "2022-02-18", 0.42, &findings), day("SHFE.cu2204", "2022-02-21", 0.0, &[])];
    let done = audit(&[cell("a", &days)], &[], json!({}));
    let page = String::from_utf8(done.bytes("page").unwrap()).unwrap();
    for text in ["not green", "crossed book", "&lt;b&gt;bid &amp; ask&lt;/b&gt;", "SHFE.cu2203 2022-02-18: 42 %"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("class=\"c2\"") && page.contains("class=\"c0\"") && !page.contains("<b>"));
    assert!(!page.contains("http"), "one file, complete");
}

#[test]
fn days_that_a_contract_lacks_are_told_by_the_ledger() {
    let days = ["2022-01-28", "2022-02-08"].map(|on| day("SHFE.cu2203", on, 1.0, &[]));
    // No contract has a row on the 7th, which is told once, and cu2204 none on the 8th either.
    let span =
        |from: &str, to: &str, days: u64, state: &str| json!({ "state": state, "from": from, "to": to, "days": days });
    let contract = |missing: u64, spans: serde_json::Value| {
        let bound = json!({ "day": "2022-01-28", "known": "stated" });
        json!({ "listed": bound, "last": bound, "counts": { "missing": missing }, "spans": spans })
    };
    let cu2203 = contract(1, json!([span("2022-02-07", "2022-02-07", 1, "missing")]));
    let cu2204 = contract(
        2,
        json!([span("2022-01-28", "2022-01-28", 1, "no_data"), span("2022-02-07", "2022-02-08", 2, "missing")]),
    );
    let ledger = json!({
        "variety": "cu", "from": "2022-01-28", "to": "2022-02-08", "counts": {},
        "contracts": { "SHFE.cu2203": cu2203, "SHFE.cu2204": cu2204 },
    });
    let ledger: Ledger = serde_json::from_value(ledger).unwrap();
    let done = audit_beside(Some(&ledger), &[cell("a", &days)], &[], json!({}));
    let report = report(&done);
    assert_eq!((report.green, report.warnings), (true, 2));
    assert_eq!(
        report.findings[0].cases,
        ["2022-02-07: no contract has a row", "SHFE.cu2204: no ticks on 1 of its trading days, from 2022-02-08"]
    );
    assert_eq!(report.lacking["SHFE.cu2204"], ["2022-02-07", "2022-02-08"].map(|day| day.parse().unwrap()));
    let page = String::from_utf8(done.bytes("page").unwrap()).unwrap();
    assert!(page.contains("title=\"SHFE.cu2204 2022-02-08: missing\"") && page.contains("class=\"lacking\""));
    assert!(page.contains("title=\"SHFE.cu2204 2022-01-28: nothing expected\""));
}

#[test]
fn nothing_at_all_is_not_green() {
    let report = report(&audit(&[], &[], json!({})));
    assert_eq!((report.green, report.errors, report.findings[0].check), (false, 1, Check::Missing));
    assert!(report.findings[0].cases[0].contains("not one row"), "{:?}", report.findings);
}
