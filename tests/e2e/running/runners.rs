//! Several runners on one cache.

use std::process::Stdio;

use crate::space::{Counts, Space, wait_for};

#[test]
fn runners_side_by_side_execute_each_task_once() {
    let space = Space::with_flow(
        r#"
tasks:
  slow:
    run: 'echo run >>"${{ params.file }}"; sleep 0.5; echo $MATRIX_N >$OUTPUT_X'
    matrix: { n: [1, 2, 3] }
    resources: { cpu: 0 }
    outputs: { x: x }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("runs").display());
    let runners: Vec<_> = (0..4).map(|_| space.spawn(&["run", "test", "-p", &file, "--jobs", "3"])).collect();
    for runner in runners {
        let output = runner.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(space.read("runs").lines().count(), 3);
}

/// A fan and what gathers it; every execution leaves a line.
const FAN: &str = r#"
tasks:
  part: { run: 'echo "part $MATRIX_N" >>@/runs; sleep 0.02; echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }, resources: { cpu: 0 }, outputs: { x: x } }
  all: { run: 'echo all >>@/runs; cat $INPUT_X/*/x >$OUTPUT_X', inputs: { x: { from: part } }, outputs: { x: x } }
"#;

fn side_by_side(runners: usize) {
    let space = Space::with_flow(FAN);
    let runners: Vec<_> = (0..runners).map(|_| space.spawn(&["run", "test"])).collect();
    let mut ran = 0;
    for runner in runners {
        let output = runner.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{err}");
        let counts = crate::space::Answer { code: 0, out: String::new(), err }.counts();
        assert_eq!(counts.0 + counts.1, 9, "{counts:?}");
        ran += counts.0;
    }
    let mut lines: Vec<String> = space.read("runs").lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    assert_eq!((space.read("runs").lines().count(), lines.len(), ran), (9, 9, 9), "{}", space.read("runs"));
    assert_eq!(space.up_to_date(&[]), Counts(0, 9, 0, 0));
}

#[test]
fn two_runners_execute_each_task_once() {
    side_by_side(2);
}

#[test]
fn twenty_runners_execute_each_task_once() {
    side_by_side(20);
}

#[test]
fn readers_are_not_blocked() {
    let space = Space::with_flow(
        r#"
tasks:
  first: { run: 'echo first; cp $INPUT_X $OUTPUT_X', inputs: { x: { path: x.txt } }, outputs: { x: x } }
  slow:
    run: 'touch @/started; until [ -e @/go ]; do sleep 0.02; done; cat $INPUT_X >$OUTPUT_X'
    inputs: { x: { from: first } }
    outputs: { x: x }
    timeout: 30s
"#,
    );
    space.write("x.txt", "x");
    let runners = [space.spawn(&["run", "test"]), space.spawn(&["run", "test"])];
    wait_for("the slow task", || space.exists("started"));
    wait_for("the first result", || space.call(&["get", "test:first", "-o", "kept.txt"]).code == 0);
    for args in [
        &["runs"][..],
        &["show", "last"],
        &["lineage", "test:first"],
        &["lineage", "x.txt", "--down"],
        &["log", "last", "first"],
        &["locks"],
        &["refs"],
        &["graph", "test", "--instances"],
        &["get", "test:first", "-o", "first.txt"],
        &["run", "test", "first"],
        &["run", "test", "--dry-run"],
    ] {
        let answer = space.call(args);
        let other = args[0] == "log" || args[0] == "show";
        assert!(answer.code == 0 || other && answer.code == 2, "{args:?}: {answer:#?}");
    }
    space.write("go", "");
    for runner in runners {
        let output = runner.wait_with_output().unwrap();
        assert!(output.status.success(), "none of the readers waited for the task: {output:?}");
    }
}

#[test]
fn a_key_that_is_executed_elsewhere_is_awaited_and_counted_as_cached() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo run >>@/runs; touch @/started; until [ -e @/go ]; do sleep 0.02; done', timeout: 30s }\n",
    );
    space.flow_named("other", &space.read("flows/test.yaml").replace("  a:", "  b:"));
    let one = space.spawn(&["run", "test"]);
    wait_for("the task", || space.exists("started"));
    let two = space.spawn(&["run", "other"]);
    wait_for("a waiter", || space.call(&["locks"]).out.contains("waited for by b"));
    space.write("go", "");
    assert!(one.wait_with_output().unwrap().status.success());
    let output = two.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("0 ran, 1 cached"), "{err}");
    assert_eq!(space.read("runs"), "run\n");
}

#[test]
fn a_failure_elsewhere_is_not_taken_over_but_tried() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo run >>@/runs; touch @/started; until [ -e @/go ]; do sleep 0.02; done; test $(grep -c run @/runs) = 2', timeout: 30s }
"#,
    );
    let one = space.spawn(&["run", "test"]);
    wait_for("the task", || space.exists("started"));
    let two = space.spawn(&["run", "test"]);
    wait_for("a waiter", || space.call(&["locks"]).out.contains("waited for by a"));
    space.write("go", "");
    assert_eq!(one.wait_with_output().unwrap().status.code(), Some(1));
    assert_eq!(two.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(space.read("runs"), "run\nrun\n");
}

/// Tasks that find out whether they are alone on the machine.
const ALONE: &str = r#"
tasks:
  alone:
    run: 'exec 9>>COMMON; flock -n 9 || echo "$MATRIX_N is not alone" >>COMMON.wrong; sleep 0.03; echo "$MATRIX_N" >>COMMON.done'
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }
    resources: { RESOURCES }
"#;

#[test]
fn several_runs_use_no_more_than_the_machine_has() {
    for resources in ["cpu: 1", "cpu: 0, memory: 600MiB", "cpu: 0, gpu: 1"] {
        let (one, two, common) = (Space::new(), Space::new(), Space::new());
        let file = common.path("file").display().to_string();
        let flow = ALONE.replace("COMMON", &file).replace("RESOURCES", resources);
        let start = |space: &Space| {
            space.flow(&flow);
            let mut command =
                space.command(&["run", "test", "--cpus", "1", "--memory", "1GiB", "--gpus", "1", "--jobs", "4"]);
            command.env("GHTRADER_LEASES", common.path("leases"));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for runner in [start(&one), start(&two)] {
            let output = runner.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(common.trace("file.wrong"), "", "{resources}");
        assert_eq!(common.read("file.done").lines().count(), 16);
    }
}

#[test]
fn what_waits_for_a_lock_keeps_no_core_meanwhile() {
    let space = Space::with_flow(
        "tasks:\n  hold: { run: 'touch @/held; until [ -e @/go ]; do sleep 0.02; done', locks: [table], resources: { cpu: 0 }, timeout: 30s }\n",
    );
    space.flow_named(
        "two",
        "tasks:\n  want: { run: 'touch @/wanted', locks: [table], priority: 1 }\n  other: { run: 'touch @/other' }\n",
    );
    let holder = space.spawn(&["run", "test", "--cpus", "1"]);
    wait_for("the lock", || space.exists("held"));
    let runner = space.spawn(&["run", "two", "--cpus", "1", "--jobs", "1"]);
    wait_for("what needs no lock", || space.exists("other"));
    assert!(!space.exists("wanted"));
    space.write("go", "");
    for runner in [holder, runner] {
        let output = runner.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(space.exists("wanted"));
}

#[test]
fn leases_that_cannot_be_used_are_an_error_before_anything_runs() {
    let space = Space::with_flow("tasks: { a: { run: 'touch @/ran' } }");
    space.write("file", "");
    let refused =
        crate::space::answer(space.command(&["run", "test"]).env("GHTRADER_LEASES", space.path("file/leases")));
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.err.contains("file/leases") && refused.err.contains("set GHTRADER_LEASES"), "{}", refused.err);
    assert!(!space.exists("ran"));
}

#[test]
fn a_run_within_a_task_has_what_its_task_was_given() {
    let (outer, inner) = (Space::new(), Space::new());
    inner.flow(
        "tasks:\n  a: { run: 'echo $MATRIX_N $CUDA_VISIBLE_DEVICES >>@/ran', matrix: { n: [1, 2] }, resources: { gpu: 1 } }\n",
    );
    let call = format!("{} -C {} run test", env!("CARGO_BIN_EXE_ghtrader"), inner.root().display());
    outer.flow(&format!("tasks:\n  all: {{ run: '{call} 2>@/said', resources: {{ gpu: 1 }}, timeout: 60s }}\n"));
    outer.up_to_date(&["--cpus", "1", "--gpus", "5"]);
    assert_eq!(inner.read("ran").lines().map(|line| &line[1..]).collect::<Vec<_>>(), [" 0", " 0"]);
    inner.flow("tasks: { b: { run: 'true', resources: { gpu: 2 } } }");
    let refused = outer.run(&["--gpus", "3,", "--force", "all"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(outer.read("said").contains("this machine has"), "{}", outer.read("said"));
}
