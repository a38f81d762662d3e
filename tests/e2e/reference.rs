//! `tests/reference.md` names the tests that hold each promise of the reference: they have to be there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::space::files_below;

/// The names of all tests of the runner.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests"].into_iter().flat_map(|folder| files_below(&root.join(folder)));
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.flat_map(|path| tests_in(&std::fs::read_to_string(path).unwrap())).collect()
}

/// The function after each `#[test]`; one that is ignored is none. Of a program with servers of its own, those in its list.
fn tests_in(text: &str) -> Vec<String> {
    let pieces = text.split("#[test]\n").skip(1).filter(|piece| !piece.trim_start().starts_with("#[ignore"));
    let names = pieces.filter_map(|piece| piece.split_once("fn ")?.1.split_once('(').map(|(name, _)| name));
    let list = text.split_once("const TESTS: &[Test<").and_then(|(_, rest)| rest.split_once("\n];"));
    let listed = list.into_iter().flat_map(|(list, _)| list.split('"').skip(1).step_by(2));
    names.chain(listed).map(str::to_owned).collect()
}

/// Promises, each with the names in the backticks of its last column.
fn promises(table: &str) -> Vec<(&str, &str, Vec<&str>)> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.filter_map(|row| row.rsplit_once(" | ")).filter(|(promise, _)| *promise != "promise");
    rows.map(|(promise, held)| (promise, held, held.split('`').skip(1).step_by(2).collect())).collect()
}

#[test]
fn every_promise_of_the_reference_names_tests_that_exist() {
    let table = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.md")).unwrap();
    let promises = promises(&table);
    assert!(promises.len() > 100, "the table was read whole: {}", promises.len());
    let tests = tests();
    for (promise, held, names) in promises {
        assert!(!names.is_empty() || held.starts_with("open: "), "nothing holds: {promise}");
        for name in names {
            let named_elsewhere = held.starts_with("open: ") && !name.contains('_');
            assert!(named_elsewhere || tests.contains(name), "there is no test `{name}`, which is to hold: {promise}");
        }
    }
}
