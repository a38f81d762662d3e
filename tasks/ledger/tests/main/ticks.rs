//! The index beside the ticks: stale, unindexed, and made anew.

use ghtrader_ledger::{Counts, State};
use serde_json::json;

use crate::bench::{Case, indexed, put_aside, spans, ticks, unknown};

const CU: &str = "SHFE.cu2203";
const ON: &str = "2022-02-18";

fn state(case: &Case) -> (State, String) {
    let ledger = case.ledger(json!({}));
    let spans = spans(&ledger.contracts[CU]);
    (spans[0].0, spans[0].1.to_owned())
}

#[test]
fn ticks_that_are_those_of_the_index_are_complete() {
    let case = Case::new(unknown()).cell("a", vec![indexed(CU, ON, 3)]).file("a", CU, ON, 3);
    assert_eq!(state(&case), (State::Complete, String::new()));
}

#[test]
fn a_file_that_changed_behind_the_index_is_stale() {
    let case = |rows| Case::new(unknown()).cell("a", vec![indexed(CU, ON, 3)]).file("a", CU, ON, rows);
    assert_eq!(state(&case(2)), (State::Stale, "rows: the index says 3, the file 2".into()));
    // One lot more, as many rows.
    let case = case(3);
    let mut changed = ticks(CU, ON, 3);
    changed.book[4].bid_volume[1] += 1.0;
    changed.write(&case.tick_file("a", CU, ON)).unwrap();
    let (stale, why) = state(&case);
    assert!(stale == State::Stale && why.contains("row hash"), "{why}");
    // Cut off: the message does not name a path of the task's folder.
    let bytes = std::fs::read(case.tick_file("a", CU, ON)).unwrap();
    std::fs::write(case.tick_file("a", CU, ON), &bytes[..bytes.len() / 2]).unwrap();
    let (stale, why) = state(&case);
    assert!(stale == State::Stale && why.starts_with("the file: not a table"), "{why}");
}

#[test]
fn a_file_that_is_gone_is_stale() {
    let case = Case::new(unknown()).cell("a", vec![indexed(CU, ON, 3)]).file("b", "SHFE.cu2204", ON, 3);
    assert_eq!(state(&case), (State::Stale, "the index says 3 rows, and there is no file".into()));
}

#[test]
fn ticks_of_which_no_index_knows_are_unindexed_until_one_is_made() {
    let case = Case::new(unknown()).cell("a", vec![indexed("SHFE.cu2204", ON, 3)]).file("a", "SHFE.cu2204", ON, 3);
    let case = case.file("a", CU, ON, 3).file("b", "SHFE.cu2205", ON, 3);
    let ledger = case.ledger(json!({}));
    assert_eq!(ledger.counts, Counts { expected: 3, complete: 1, unindexed: 2, ..Counts::default() });
    assert_eq!(spans(&ledger.contracts["SHFE.cu2205"])[0].0, State::Unindexed);
    // As the kind `index` does it.
    let spec = crate::bench::spec();
    let folder = |cell: &str| case.tick_file(cell, CU, ON).parent().unwrap().parent().unwrap().to_owned();
    let made = ["a", "b"].map(|cell| ghtrader_market::CellIndex::from_ticks(cell, &folder(cell), &spec).unwrap());
    let [a, b] = made.map(|index| index.rows);
    let ledger = case.cell("a", a).cell("b", b).ledger(json!({}));
    assert_eq!(ledger.counts, Counts { expected: 3, complete: 3, ..Counts::default() });
}

#[test]
fn a_file_of_a_day_of_which_no_row_was_kept_is_stale() {
    let case = Case::new(unknown()).cell("a", vec![put_aside(CU, ON)]).file("a", CU, ON, 3);
    assert_eq!(state(&case).0, State::Stale);
}

#[test]
fn what_is_no_tick_file_is_named() {
    let case = Case::new(unknown()).file("a", CU, ON, 3);
    std::fs::write(case.tick_file("a", CU, "left"), "").unwrap();
    let error = case.run(json!({})).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("left.parquet") && error.contains("<contract>/<trading day>.parquet"), "{error}");
}
