//! Which tasks a call asks for.

use crate::space::{Counts, Space, chain};

#[test]
fn forced_tasks_run_again() {
    let space = chain();
    space.up_to_date(&[]);
    assert_eq!(space.up_to_date(&["--force", "words"]), Counts(1, 1, 0, 0));
}

/// As where two runs at once have each rebuilt the index.
#[test]
fn a_forced_task_runs_again_where_the_index_does_not_know_the_newest_result() {
    let space = chain();
    space.up_to_date(&[]);
    let files = ["index.db", "index.db-wal", "index.db-shm"].map(|name| space.path(&format!("cache/v1/{name}")));
    let before = files.each_ref().map(|file| std::fs::read(file).ok());
    assert_eq!(space.up_to_date(&["--force", "words"]), Counts(1, 1, 0, 0));
    for (file, bytes) in files.iter().zip(before) {
        let _ = std::fs::remove_file(file);
        if let Some(bytes) = bytes {
            std::fs::write(file, bytes).unwrap();
        }
    }
    assert_eq!(space.up_to_date(&["--force", "words"]), Counts(1, 1, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn a_selected_task_brings_what_it_needs_and_no_more() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo a >$OUTPUT_X', outputs: { x: x } }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
  c: { run: 'cat $INPUT_X $INPUT_X >$OUTPUT_X', inputs: { x: { from: b } }, outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&["b"]), Counts(2, 0, 0, 0));
    assert_eq!(space.up_to_date(&["b+"]), Counts(1, 2, 0, 0));
}

#[test]
fn a_task_whose_axis_is_empty_may_be_asked_for() {
    let space = Space::with_flow(
        r#"
tasks:
  list: { run: 'echo [] >$OUTPUT_X', outputs: { x: x } }
  each: { run: 'true', matrix: { n: { from: list } } }
"#,
    );
    assert_eq!(space.up_to_date(&["each"]), Counts(1, 0, 0, 0));
    assert_eq!(space.up_to_date(&["each", "-n"]), Counts(0, 1, 0, 0));
}

#[test]
fn a_task_that_is_asked_for_and_is_not_there_is_an_error() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true', matrix: { n: [1, 2] } }\n");
    assert_eq!(space.up_to_date(&["a[n=2]"]), Counts(1, 0, 0, 0));
    let missing = space.run(&["a[n=7]"]);
    assert_eq!(missing.code, 2, "{missing:#?}");
    assert!(missing.err.contains("no instance `a[n=7]`"), "{}", missing.err);
}

const GRID: &str = r#"
tasks:
  a: { run: 'true', matrix: { day: [2022-02-17, 2022-02-18, 2023-01-01], v: [cu, au] } }
  ab: { run: 'echo', needs: [a], matrix: { v: [cu, au] } }
"#;

#[test]
fn stars_question_marks_and_axes_that_are_not_named_match() {
    let space = Space::with_flow(GRID);
    for (selector, count) in [
        ("a[day=2022-*]", 4),
        ("a[day=2022-02-1?,v=cu]", 2),
        ("a[v=au]", 3),
        ("a[day=*]", 6),
        ("a*", 8),
        ("?", 6),
        ("a[v=cu]+", 4),
    ] {
        let dry = space.run(&["-n", selector]);
        assert_eq!(dry.counts(), Counts(count, 0, 0, 0), "{selector}: {dry:#?}");
    }
}

#[test]
fn a_flow_is_named_or_given_by_its_path() {
    let space = chain();
    std::fs::create_dir(space.path("elsewhere")).unwrap();
    std::fs::rename(space.path("flows/test.yaml"), space.path("elsewhere/own.yaml")).unwrap();
    let answer = space.call(&["run", "elsewhere/own.yaml"]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(2, 0, 0, 0)), "{answer:#?}");
}
