//! Failures: what is skipped, what stays, what runs again.

use crate::space::{Counts, Space};

#[test]
fn what_depends_on_a_failure_is_skipped_and_only_that_runs_again() {
    let space = Space::with_flow(
        r#"
tasks:
  good: { run: 'echo good >$OUTPUT_X', outputs: { x: x } }
  bad:
    run: 'echo half >$OUTPUT_X; echo to-the-log; test "$(cat $INPUT_MODE)" = ok'
    inputs: { mode: { path: mode.txt } }
    outputs: { x: x }
  after: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: bad } }, outputs: { x: x } }
"#,
    );
    space.write("mode.txt", "broken");
    let failed = space.run(&["--keep-going"]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert_eq!(failed.counts(), Counts(1, 0, 1, 1));
    assert!(failed.err.contains("error: bad failed: exit status 1"), "{failed:#?}");
    assert!(failed.err.contains("to-the-log"), "{failed:#?}");
    let log = space.call(&["log", "last", "bad"]);
    assert_eq!(log.out, "to-the-log\n", "{log:#?}");
    space.write("mode.txt", "ok");
    assert_eq!(space.up_to_date(&[]), Counts(2, 1, 0, 0));
}

#[test]
fn nothing_new_starts_after_a_failure() {
    let space = Space::with_flow(
        r#"
tasks:
  bad: { run: 'exit 3', priority: 1 }
  other: { run: 'echo x >$OUTPUT_X', outputs: { x: x } }
"#,
    );
    let failed = space.run(&["--jobs", "1"]);
    assert_eq!((failed.code, failed.counts()), (1, Counts(0, 0, 1, 1)), "{failed:#?}");
    let failed = space.run(&["--jobs", "1", "-k"]);
    assert_eq!((failed.code, failed.counts()), (1, Counts(1, 0, 1, 0)), "{failed:#?}");
}

#[test]
fn a_missing_output_fails_the_task() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true', outputs: { x: x.txt } }\n");
    let failed = space.run(&[]);
    assert_eq!(failed.code, 1);
    assert!(failed.err.contains("did not write its output `x`"), "{failed:#?}");
}

#[test]
fn a_failed_attempt_is_retried_with_a_clean_folder() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'ls -A >>"${{ params.file }}"; echo try >>"${{ params.file }}"; touch rest; test $(grep -c try "${{ params.file }}") = 3; echo x >$OUTPUT_X'
    outputs: { x: x }
    retries: { attempts: 3, backoff: 10ms }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("tries").display());
    assert_eq!(space.up_to_date(&["-p", &file]), Counts(1, 0, 0, 0));
    assert_eq!(space.read("tries"), "try\ntry\ntry\n");
}

#[test]
fn a_task_that_takes_too_long_is_stopped_with_all_that_it_started() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'sleep 60 & echo $! >"${{ params.file }}"; sleep 60', timeout: 500ms }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("pid").display());
    let begun = std::time::Instant::now();
    let failed = space.run(&["-p", &file]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(failed.err.contains("error: a failed: stopped at its timeout"), "{failed:#?}");
    assert!(begun.elapsed().as_secs() < 30);
    let state = std::fs::read_to_string(format!("/proc/{}/stat", space.read("pid").trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z"), "what it started in the background lives on: {state}");
}

#[test]
fn keep_going_goes_on_after_an_instance_that_cannot_be_planned() {
    let space = Space::with_flow(
        r#"
tasks:
  list: { run: 'echo "{\"a\": 1}" >$OUTPUT_L', outputs: { l: l.json } }
  entry: { run: 'cat $INPUT_E', inputs: { e: { from: list.l, at: b } } }
  other: { run: 'cat $INPUT_L >$OUTPUT_X', inputs: { l: { from: list } }, outputs: { x: x } }
"#,
    );
    let answer = space.run(&["-k", "--jobs", "1"]);
    assert_eq!((answer.code, answer.counts()), (1, Counts(2, 0, 1, 0)), "{answer:#?}");
    assert!(answer.err.contains("output `l` of `list` has no entry `b`"), "{answer:#?}");
    assert!(space.call(&["show", "last"]).out.contains("entry  failed"));
}

#[test]
fn keep_going_does_for_a_gather_what_does_not_depend_on_the_failure() {
    // The axes of a part of what is gathered are known only after those of another part have failed.
    let space = Space::with_flow(
        r#"
tasks:
  list:
    run: 'test $MATRIX_X = a && echo "[1, 2]" >"$OUTPUT_L"'
    matrix: { x: [a, b] }
    outputs: { l: l.json }
  each: { run: 'echo >"$OUTPUT_O"', matrix: { x: [a, b], y: { from: list.l } }, outputs: { o: o } }
  all: { run: 'true', inputs: { each: { from: each, optional: true } } }
"#,
    );
    let answer = space.run(&["all", "-k"]);
    assert_eq!((answer.code, answer.counts()), (1, Counts(3, 0, 1, 2)), "{answer:#?}");
}

#[test]
fn a_result_older_than_its_ttl_runs_again() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo x >$OUTPUT_X', outputs: { x: x }, cache: { ttl: 1s } }\n  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }\n",
    );
    space.up_to_date(&[]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0), "and the same bytes leave what depends on it");
}

#[test]
fn a_stopped_task_leaves_no_result_whatever_it_says() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'trap "exit 0" TERM; echo half >$OUTPUT_X; touch "${{ params.file }}"; sleep 20 & wait; echo whole >$OUTPUT_X'
    outputs: { x: x }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("started").display());
    let mut child = space.spawn(&["run", "test", "-p", &file]);
    while !space.exists("started") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(space.run(&["-n", "-p", &file]).counts(), Counts(1, 0, 0, 0), "nothing is recorded");
}

/// Whoever ends it fails, and those beside it, whose doing it was not, run again. Their `retries` are not used up.
#[test]
fn a_task_that_kills_its_supervisor_fails_alone() {
    let space = Space::with_flow(
        r#"
tasks:
  kills: { run: 'until [ $(ls @/ | grep -c begun) = 2 ]; do sleep 0.02; done; echo >>@/killed; kill -KILL $PPID; sleep 60' }
  beside:
    run: 'touch @/begun-$MATRIX_N; until [ -e @/killed ]; do sleep 0.02; done; sleep 0.5; echo $MATRIX_N >$OUTPUT_X'
    matrix: { n: [1, 2] }
    outputs: { x: x }
    resources: { cpu: 0 }
"#,
    );
    let answer = space.refused(&["-k", "--jobs", "3"], 1, &["its supervisor died; started again"]);
    assert_eq!(answer.counts(), Counts(2, 0, 1, 0), "{answer:#?}");
    assert!(answer.err.contains("kills failed: ended because its supervisor died"), "{answer:#?}");
    assert_eq!(space.trace("killed").len(), 2, "once under that of all, once under its own");
    assert_eq!(space.output("test:beside[n=1].x"), "1\n");
}
