//! The flow `audit` end to end, and what other flows can make of it.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::path::Path;

use serde_json::Value;

use crate::markets::{project, ran, shfe, small};
use crate::space::{Answer, Space};

fn audit(space: &Space) -> Answer {
    space.call(&["run", "audit", "-p", "market=market"])
}

/// Exit code and verdict: what is said after the ledgers of the flow `backfill`.
fn verdict(answer: &Answer) -> (i32, Vec<&str>) {
    (answer.code, answer.out.lines().filter(|line| line.ends_with(": green")).collect())
}

fn report(space: &Space, variety: &str) -> Value {
    let got = space.call(&["get", &format!("audit:audit[variety={variety}].report"), "-o", "report.json"]);
    assert_eq!(got.code, 0, "{got:#?}");
    serde_json::from_str(&space.read("report.json")).unwrap()
}

#[test]
fn clean_data_are_green_and_the_results_of_backfill_are_used() {
    let space = small();
    assert_eq!(space.call(&["run", "backfill", "-p", "market=market"]).code, 0);
    let answer = audit(&space);
    assert_eq!(verdict(&answer), (0, vec!["cu: green"]), "{answer:#?}");
    let ran = ran(&answer);
    assert_eq!(ran.keys().map(String::as_str).collect::<Vec<_>>(), ["audit", "check-main", "check-ticks", "verdict"]);
    let report = report(&space, "cu");
    let found: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|sum| sum["check"].as_str().unwrap()).collect();
    assert_eq!(found, ["quarantine"], "only what the invented market plants for ingestion: {report}");
    assert!(space.read("reports/audit/cu.html").contains("SHFE.cu"));
    assert_eq!(audit(&space).counts().0, 0, "nothing is out of date");
}

/// The example of a market of one's own, whose second quote of the third day was entered the wrong way round.
fn crossed() -> Space {
    let space = project();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/own-market");
    space.write("market/market.yaml", &std::fs::read_to_string(example.join("market.yaml")).unwrap());
    for file in std::fs::read_dir(example.join("ticks")).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        space.write(&format!("market/ticks/{name}"), &text.replace("259.5,14,260.0,3\n", "260.0,14,259.5,3\n"));
    }
    space
}

#[test]
fn a_defect_fails_the_flow_and_says_where_it_is() {
    let space = crossed();
    let answer = audit(&space);
    assert_eq!(answer.code, 1, "{answer:#?}");
    assert!(answer.err.contains("tea: NOT GREEN: see reports/audit/tea.html"), "{answer:#?}");
    let report = report(&space, "tea");
    assert_eq!((&report["green"], &report["errors"]), (&Value::Bool(false), &Value::from(1)), "{report}");
    assert!(space.read("reports/audit/tea.html").contains("DEMO.tea2406 2024-05-08: row 1: bid 260, ask 259.5"));

    // Mended, that file alone is looked at again.
    let path = "market/ticks/2024-05-08.csv";
    space.write(path, &space.read(path).replace("260.0,14,259.5,3\n", "259.5,14,260.0,3\n"));
    let answer = audit(&space);
    assert_eq!(verdict(&answer), (0, vec!["tea: green"]), "{answer:#?}");
    assert_eq!(ran(&answer)["check-ticks"], 1, "{answer:#?}");
}

#[test]
fn a_task_can_demand_that_the_data_are_green() {
    let space = crossed();
    let gated = "
  train:
    run: echo trained > \"$OUTPUT_MODEL\"
    matrix: { variety: { from: data/cells.cells } }
    inputs: { audit: { from: audit.report, at: green } }
    when: \"${{ inputs.audit }}\"
    outputs: { model: model }
";
    space.write("flows/gated.yaml", &format!("{}{gated}", space.read("flows/audit.yaml")));
    let run = || space.call(&["run", "gated", "train", "-p", "market=market"]);
    let answer = run();
    assert_eq!((answer.code, answer.counts().3), (0, 1), "{answer:#?}");
    let path = "market/ticks/2024-05-08.csv";
    space.write(path, &space.read(path).replace("260.0,14,259.5,3\n", "259.5,14,260.0,3\n"));
    let answer = run();
    assert_eq!((answer.code, ran(&answer).get("train")), (0, Some(&1)), "{answer:#?}");
}

#[test]
fn of_the_real_shfe_files_the_two_known_defects_are_told() {
    let Some(space) = shfe() else { return };
    let answer = audit(&space);
    assert_eq!(verdict(&answer), (0, vec!["ag: green", "au: green", "cu: green"]), "{answer:#?}");
    assert!(answer.out.contains("au: 3 of 8 expected days"), "what is missing is told beside it: {answer:#?}");
    let gold = report(&space, "au");
    let lacking = gold["lacking"].as_object().unwrap().values().map(|days| days.as_array().unwrap().len());
    assert_eq!(lacking.sum::<usize>(), 5, "and in the report");
    let quarantined = |variety: &str| {
        let report = report(&space, variety);
        let sums = report["findings"].as_array().unwrap().iter();
        sums.filter(|sum| sum["check"] == "quarantine").map(|sum| sum["count"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(["ag", "au", "cu"].map(quarantined), [0, 1, 1]);
}
