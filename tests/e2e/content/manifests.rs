//! Manifests that are damaged: said, set aside, and made again.

use std::path::PathBuf;

use crate::space::{Answer, Counts, Space, chain, files_below};

fn damage(space: &Space) {
    for path in manifests(space) {
        std::fs::write(path, "{").unwrap();
    }
}

fn manifests(space: &Space) -> Vec<PathBuf> {
    let files = files_below(&space.path("cache/v1/results"));
    files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

fn without_index(space: &Space) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(space.path(&format!("cache/v1/{name}")));
    }
}

fn verified(space: &Space, code: i32) -> Answer {
    let answer = space.call(&["cache", "verify"]);
    assert_eq!(answer.code, code, "{answer:#?}");
    answer
}

#[test]
fn what_verify_finds_damaged_is_made_again_by_the_next_run_and_the_index_can_be_rebuilt_then() {
    let space = chain();
    space.up_to_date(&[]);
    damage(&space);
    let answer = verified(&space, 4);
    assert!(
        answer.out.contains("is not a manifest") && answer.out.contains("help: `ghtrader run test`"),
        "{answer:#?}"
    );
    assert_eq!(manifests(&space).len(), 2, "it only reports");
    let run = space.run(&[]);
    assert_eq!((run.code, run.counts()), (0, Counts(2, 0, 0, 0)), "{run:#?}");
    assert!(run.err.contains("is damaged") && run.err.contains("it is set aside as"), "{run:#?}");
    verified(&space, 0);
    assert!(!space.run(&[]).err.contains("damaged"), "it is said once");
    without_index(&space);
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn a_damaged_manifest_that_is_met_when_the_index_is_rebuilt_is_set_aside() {
    let space = chain();
    space.up_to_date(&[]);
    damage(&space);
    without_index(&space);
    let run = space.run(&[]);
    assert_eq!((run.code, run.counts()), (0, Counts(2, 0, 0, 0)), "{run:#?}");
    assert!(run.err.contains("it is set aside as"), "{run:#?}");
    verified(&space, 0);
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn a_damaged_manifest_that_no_flow_needs_any_more_is_set_aside_by_gc() {
    let space = chain();
    space.up_to_date(&[]);
    damage(&space);
    space.flow("tasks: { other: { run: 'true' } }");
    space.up_to_date(&[]);
    verified(&space, 4);
    assert_eq!(space.call(&["cache", "gc"]).code, 0);
    verified(&space, 0);
}

#[test]
fn lineage_says_what_is_damaged_and_ends_with_4() {
    let space = chain();
    space.up_to_date(&[]);
    damage(&space);
    for artifact in ["test:count", "text.txt"] {
        let direction: &[&str] = if artifact == "text.txt" { &["--down"] } else { &[] };
        let answer = space.call(&[&["lineage", artifact], direction].concat());
        assert_eq!(answer.code, 4, "{answer:#?}");
        assert!(
            answer.err.contains("is damaged") && answer.err.contains("help: `ghtrader cache verify`"),
            "{answer:#?}"
        );
        assert!(!answer.out.contains("not recorded"), "{answer:#?}");
    }
    verified(&space, 4);
    space.up_to_date(&[]);
    assert_eq!(space.call(&["lineage", "test:count"]).code, 0);
}
