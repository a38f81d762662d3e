//! Expected, there, marked.

use ghtrader_ledger::{Counts, State};
use ghtrader_market::Known;
use serde_json::json;

use crate::bench::{Case, between, copper, day, indexed, put_aside, spans, stated, unknown};

const CU: &str = "SHFE.cu2203";

#[test]
fn what_is_expected_and_not_there_is_missing() {
    // The Spring Festival of 2022 is from 31 January to 4 February: no day of it is expected.
    let case =
        Case::new(copper()).cell("a", ["2022-01-27", "2022-01-28", "2022-02-08"].map(|on| indexed(CU, on, 3)).into());
    let ledger = case.ledger(json!({}));
    assert_eq!((ledger.from, ledger.to), (Some(day("2022-01-27")), Some(day("2022-02-08"))));
    assert_eq!(ledger.contracts.len(), 12, "cu2202 to cu2301");
    let contract = &ledger.contracts[CU];
    assert_eq!((contract.listed.day, contract.listed.known), (Some(day("2021-03-16")), Known::Rule));
    assert_eq!((contract.last.day, contract.last.known), (Some(day("2022-03-15")), Known::Rule));
    let expected = [
        (State::Complete, "", "2022-01-27".to_owned(), "2022-01-28".to_owned(), 2),
        (State::Missing, "", "2022-02-07".into(), "2022-02-07".into(), 1),
        (State::Complete, "", "2022-02-08".into(), "2022-02-08".into(), 1),
    ];
    assert_eq!(spans(contract), expected);
    assert_eq!(contract.counts, Counts { expected: 4, complete: 3, missing: 1, ..Counts::default() });
    assert_eq!(ledger.counts, Counts { expected: 48, complete: 3, missing: 45, ..Counts::default() });
    let missing: ghtrader_ledger::Missing = case.run(json!({})).unwrap().json("missing").unwrap();
    assert_eq!(missing[CU], [day("2022-02-07")]);
    assert_eq!(missing["SHFE.cu2204"].len(), 4);
}

#[test]
fn a_contract_is_expected_while_it_is_listed() {
    let ledger = Case::new(copper()).ledger(between("2022-02-14", "2022-02-17"));
    let days = |name: &str| ledger.contracts[name].counts.expected;
    // cu2202 expires on the 15th, and cu2302 comes on the 16th.
    assert_eq!((days("SHFE.cu2202"), days("SHFE.cu2203"), days("SHFE.cu2302")), (2, 4, 2));
    assert!(!ledger.contracts.contains_key("SHFE.cu2303"));
    assert_eq!(ledger.counts.missing, 48);
}

#[test]
fn what_a_source_does_not_have_is_marked_beside_what_people_say() {
    let fetched = r#"[{"contract":"SHFE.cu2203","day":"2022-02-16","reason":"the source has none"}]"#;
    let case = Case::new(stated(&[("cu2203", Some("2022-02-15"), Some("2022-02-17"))]))
        .no_data("- { contract: SHFE.cu2203, day: 2022-02-15, reason: not traded }\n")
        .fetched(fetched);
    let ledger = case.ledger(between("2022-02-01", "2022-02-28"));
    assert_eq!(ledger.contracts[CU].counts, Counts { expected: 3, missing: 1, no_data: 2, ..Counts::default() });
}

#[test]
fn a_marker_says_that_there_is_nothing_and_why() {
    let case = Case::new(stated(&[("cu2203", Some("2022-02-14"), Some("2022-02-18"))]))
        .cell("a", vec![indexed(CU, "2022-02-14", 3), put_aside(CU, "2022-02-15")])
        .no_data("- { contract: SHFE.cu2203, day: 2022-02-16, to: 2022-02-17, reason: not traded }\n");
    let ledger = case.ledger(between("2022-02-01", "2022-02-28"));
    let contract = &ledger.contracts[CU];
    let expected = [
        (State::Complete, "", "2022-02-14".to_owned(), "2022-02-14".to_owned(), 1),
        (
            State::NoData,
            "no row could be kept (empty book: 2, price between two ticks: 1)",
            "2022-02-15".into(),
            "2022-02-15".into(),
            1,
        ),
        (State::NoData, "not traded", "2022-02-16".into(), "2022-02-17".into(), 2),
        (State::Missing, "", "2022-02-18".into(), "2022-02-18".into(), 1),
    ];
    assert_eq!(spans(contract), expected);
    assert_eq!(contract.listed.known, Known::Stated);
    assert_eq!(contract.counts, Counts { expected: 5, complete: 1, missing: 1, no_data: 3, ..Counts::default() });
    assert_eq!(contract.contradicted, []);
}

#[test]
fn a_marker_that_the_ticks_contradict_is_told_and_does_not_hide_them() {
    let marker = "- { contract: SHFE.cu2203, day: 2022-02-14, reason: none }\n- { contract: SHFE.au2206, day: 2022-02-14, reason: none }";
    let case = Case::new(unknown()).cell("a", vec![indexed(CU, "2022-02-14", 3)]).no_data(marker);
    let ledger = case.ledger(json!({}));
    assert_eq!(ledger.counts, Counts { expected: 1, complete: 1, ..Counts::default() });
    assert_eq!(ledger.contracts[CU].contradicted, [day("2022-02-14")]);
    assert!(case.text(json!({})).contains("1 day with ticks although marked as having none, from 2022-02-14"));
}

#[test]
fn where_the_life_is_not_known_it_is_from_the_first_ticks_to_the_last_and_the_ledger_says_so() {
    let case = Case::new(unknown()).cell("a", vec![indexed(CU, "2022-02-14", 3), indexed(CU, "2022-02-16", 3)]);
    let ledger = case.ledger(between("2022-01-01", "2022-12-31"));
    let contract = &ledger.contracts[CU];
    assert_eq!((contract.listed.day, contract.listed.known), (Some(day("2022-02-14")), Known::Ticks));
    assert_eq!((contract.last.day, contract.last.known), (Some(day("2022-02-16")), Known::Ticks));
    assert_eq!(contract.counts, Counts { expected: 3, complete: 2, missing: 1, ..Counts::default() });
    assert!(case.text(json!({})).contains("of 1 contract the listing day is not known"));
}

#[test]
fn a_contract_that_does_not_expire_is_expected_to_the_end() {
    let listing = stated(&[("cu2203", Some("2022-02-14"), None)]);
    let ledger =
        Case::new(listing).cell("a", vec![indexed(CU, "2022-02-14", 1)]).ledger(between("2022-02-14", "2022-02-18"));
    let contract = &ledger.contracts[CU];
    assert_eq!((contract.last.day, contract.last.known), (None, Known::Open));
    assert_eq!(contract.counts, Counts { expected: 5, complete: 1, missing: 4, ..Counts::default() });
}

#[test]
fn ticks_outside_of_a_contracts_life_are_told() {
    let listing = stated(&[("cu2203", Some("2022-02-15"), Some("2022-02-15"))]);
    let case = Case::new(listing).cell("a", vec![indexed(CU, "2022-02-14", 1), indexed(CU, "2022-02-15", 1)]);
    let ledger = case.ledger(json!({}));
    assert_eq!(ledger.contracts[CU].unexpected, [day("2022-02-14")]);
    assert_eq!(ledger.counts, Counts { expected: 1, complete: 1, ..Counts::default() });
}

#[test]
fn only_what_is_asked_for_is_told() {
    let case = Case::new(copper()).cell("a", vec![indexed(CU, "2022-02-18", 3)]);
    let asked = |symbols: serde_json::Value| {
        case.ledger(json!({ "symbols": symbols })).contracts.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(asked(json!(["SHFE.cu2203", "SHFE.cu2204", "SHFE.au2206"])), ["SHFE.cu2203", "SHFE.cu2204"]);
    assert_eq!(asked(json!(["cu"])).len(), 12);
    assert!(case.run(json!({ "symbols": ["SHFE."] })).is_err());
}

#[test]
fn nothing_at_all_is_a_ledger_too() {
    let case = Case::new(copper());
    assert_eq!(case.ledger(json!({})).counts, Counts::default());
    assert_eq!(case.text(json!({})), "cu: no ticks, and no days asked for\n");
}

#[test]
fn a_code_without_a_month_needs_a_stated_life() {
    let czce = |code: &str| {
        let mut listing = copper();
        listing
            .contracts
            .insert(code.into(), ghtrader_market::Lifetime { listed: Some(day("2022-02-18")), last: None });
        Case::new(listing).cell("a", vec![indexed("SHFE.cu203", "2022-02-18", 1)])
    };
    let error = czce("cu204").run(json!({})).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("SHFE.cu203") && error.contains("listing.contracts"), "{error}");
    assert_eq!(czce("cu203").ledger(json!({})).contracts["SHFE.cu203"].counts.complete, 1);
}

#[test]
fn the_text_names_the_first_of_what_is_not_complete() {
    let case = Case::new(copper())
        .cell("a", vec![indexed(CU, "2022-02-18", 3)])
        .no_data("- { contract: SHFE.cu2204, day: 2022-02-17, reason: lost }\n");
    let text = case.text(between("2022-02-17", "2022-02-18"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "cu: 1 of 24 expected days of 12 contracts complete, 22 missing, 1 no data, 2022-02-17 to 2022-02-18"
    );
    assert_eq!(lines[1], "  SHFE.cu2203  missing 2022-02-17");
    assert_eq!(lines[2], "  SHFE.cu2204  no data 2022-02-17: lost; missing 2022-02-18");
    assert_eq!(lines[3], "  SHFE.cu2205  missing 2022-02-17 to 2022-02-18 (2 days)");
    assert_eq!(lines.len(), 13);
}

#[test]
fn days_beyond_the_list_of_holidays_are_told() {
    let case = Case::new(copper()).cell("a", vec![indexed(CU, "2022-02-18", 3)]);
    let to = ghtrader_market::Calendar::new(&copper().clock).unwrap().covered().1;
    let (first, last) = (to.plus(1), to.plus(40));
    let beyond = between("2022-02-18", &last.to_string());
    let guessed: Vec<_> = case.ledger(beyond.clone()).guessed.iter().map(|part| (part.from, part.to)).collect();
    assert_eq!(guessed, [(first, last)]);
    let said =
        format!("  WARNING: the list of holidays says nothing of {first} to {last}: all weekdays are expected there");
    assert!(case.text(beyond).contains(&said), "{said}");
    let within = between("2022-02-18", &to.to_string());
    assert!(case.ledger(within.clone()).guessed.is_empty() && !case.text(within).contains("list of holidays"));
    let before = case.ledger(between("1990-01-01", "2022-02-18")).guessed;
    assert_eq!((before.len(), before[0].from), (1, day("1990-01-01")));
}

#[test]
fn a_marker_of_no_traded_day_is_told() {
    let markers = "- { contract: SHFE.cu2213, day: 2022-02-18, reason: no such month }
- { contract: SHFE.cu2209, day: 2021-01-04, reason: not listed yet }
- { contract: SHFE.cu2203, day: 2022-02-19, to: 2022-02-20, reason: a weekend }
- { contract: SHFE.cu2203, day: 2022-02-18, reason: lost }
- { contract: SHFE.au2213, day: 2022-02-18, reason: not of this variety }";
    let case = Case::new(copper()).no_data(markers);
    let ledger = case.ledger(between("2022-02-17", "2022-02-18"));
    let reasons: Vec<&str> = ledger.idle.iter().map(|marker| marker.reason.as_str()).collect();
    assert_eq!(reasons, ["no such month", "not listed yet", "a weekend"]);
    let text = case.text(between("2022-02-17", "2022-02-18"));
    let said = "  WARNING: the marker SHFE.cu2203 2022-02-19 to 2022-02-20 (a weekend) speaks of no day";
    assert!(text.contains(said), "{text}");
    assert!(
        Case::new(unknown()).no_data(markers).ledger(json!({})).idle.len() == 1,
        "of what is not known, the weekend alone"
    );
}

#[test]
fn a_marker_that_cannot_be_read_is_an_error_with_its_place() {
    let error = |yaml: &str| {
        let case = Case::new(copper()).no_data(yaml);
        case.run(json!({})).map(|_| ()).unwrap_err().to_string()
    };
    assert!(error("- { contract: cu2203, day: 2022-02-18, reason: x }").contains("marker 1"));
    assert!(error("- { contract: SHFE.cu2203, day: tomorrow, reason: x }").contains("line 1"));
}
