//! The group commit: what is reported as `ran` lasts, and nothing else is.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::space::{Counts, Space};

fn tasks<'e>(events: impl IntoIterator<Item = &'e Value>, state: &str) -> BTreeSet<String> {
    let of_task = events.into_iter().filter(|event| event["event"] == "task" && event["state"] == state);
    of_task.map(|event| event["task"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_reported_as_ran_before_the_runner_was_killed_is_cached() {
    let space = Space::with_flow(
        r#"
tasks:
  one: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: "${{ range(300) }}" }, outputs: { x: x } }
  two: { run: 'cat $INPUT_X >$OUTPUT_X', matrix: { n: "${{ range(300) }}" }, inputs: { x: { from: one } }, outputs: { x: x } }
"#,
    );
    let mut before = BTreeSet::new();
    for enough in [1, 20, 60] {
        let mut child = space.spawn(&["run", "test", "--format", "json", "--jobs", "4"]);
        let mut events = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            // The line that was being written when the runner was killed says nothing.
            let Ok(event) = serde_json::from_str::<Value>(&line.unwrap()) else { break };
            events.push(event);
            if tasks(&events, "ran").len() == enough {
                // What is in the pipe is read to its end: it was reported before.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let ran = tasks(&events, "ran");
        assert!(ran.len() >= enough && ran.len() + before.len() < 600, "killed too late to be a test: {}", ran.len());
        let plan = space.run(&["-n", "--format", "json"]);
        let cached = tasks(&plan.events(), "cached");
        assert!(cached.is_superset(&ran), "lost: {:?}", ran.difference(&cached));
        assert!(cached.is_superset(&before), "lost later: {:?}", before.difference(&cached));
        before = cached;
    }
    let counts = space.up_to_date(&["--jobs", "4"]);
    assert!(counts.1 >= before.len() && counts.0 + counts.1 == 600, "{counts:?}");
}

#[test]
fn a_result_that_cannot_be_recorded_is_not_reported_as_ran_and_ends_the_run() {
    let space = Space::with_flow(
        r#"
params: { results: { type: string, required: true } }
tasks:
  a:
    run: 'mv "${{ params.results }}" "${{ params.results }}.away"; touch "${{ params.results }}"; echo x >$OUTPUT_X'
    outputs: { x: x }
    publish: { x: out.txt }
  b: { run: 'sleep 0.5; cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
  c: { run: 'true', needs: [b] }
"#,
    );
    let results = format!("results={}", space.path("cache/v1/results").display());
    let answer = space.run(&["-p", &results, "--format", "json", "--keep-going"]);
    assert_eq!(answer.code, 4, "{answer:#?}");
    let events = answer.events();
    assert_eq!(tasks(&events, "ran"), BTreeSet::new());
    let failed = events.iter().find(|event| event["state"] == "failed").unwrap();
    assert_eq!(failed["task"], "a");
    assert!(failed["reason"].as_str().unwrap().contains("its result is not recorded: "), "{failed}");
    assert!(tasks(&events, "skipped").contains("c"), "nothing new starts: {events:#?}");
    assert!(!space.exists("out.txt"), "what does not last is not published");
}

#[test]
fn what_a_flow_locks_is_free_for_the_next_task_before_the_commit() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2, 3, 4, 5] }, outputs: { x: x }, locks: [table] }
"#,
    );
    let answer = space.run(&["--format", "json", "--jobs", "4"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.events().iter().any(|event| event["event"] == "waiting"), "{answer:#?}");
}

#[test]
fn an_output_that_is_missing_is_a_failure_that_is_retried() {
    let space = Space::with_flow(
        r#"
params: { tries: { type: string, required: true } }
tasks:
  a:
    run: 'echo try >>"${{ params.tries }}"; if [ $(wc -l <"${{ params.tries }}") = 2 ]; then echo x >$OUTPUT_X; fi'
    outputs: { x: x }
    retries: { attempts: 3, backoff: 10ms }
"#,
    );
    let tries = format!("tries={}", space.path("tries").display());
    assert_eq!(space.up_to_date(&["-p", &tries]), Counts(1, 0, 0, 0));
    assert_eq!(space.read("tries"), "try\ntry\n");
}

#[test]
fn an_input_that_changed_meanwhile_is_not_tried_again_in_the_same_run() {
    let space = Space::with_flow(
        r#"
params: { file: { type: string, required: true } }
tasks:
  a:
    run: 'cat $INPUT_X >$OUTPUT_X; echo more >>"${{ params.file }}"'
    inputs: { x: { path: x.txt } }
    outputs: { x: x }
    retries: { attempts: 3, backoff: 10ms }
"#,
    );
    space.write("x.txt", "1\n");
    let failed = space.run(&["-p", &format!("file={}", space.path("x.txt").display())]);
    assert_eq!((failed.code, failed.counts()), (1, Counts(0, 0, 1, 0)), "{failed:#?}");
    assert_eq!(space.read("x.txt"), "1\nmore\n", "its key is that of a content that is gone");
}

#[test]
fn the_memory_of_the_machine_is_what_a_task_that_asks_for_none_may_use() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo $GHTRADER_MEMORY >$OUTPUT_X', outputs: { x: x }, publish: { x: a.txt } }
  b: { run: 'echo "$GHTRADER_MEMORY" >$OUTPUT_X', outputs: { x: x }, publish: { x: b.txt }, resources: { memory: 1MiB } }
"#,
    );
    space.up_to_date(&["--memory", "3GiB"]);
    assert_eq!((space.read("a.txt"), space.read("b.txt")), ("3221225472\n".into(), "1048576\n".into()));
}
