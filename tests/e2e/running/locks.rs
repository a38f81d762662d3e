//! Locks that flows name.

use crate::space::{Counts, Space, wait_for};

#[test]
fn a_lock_keeps_two_flows_apart() {
    let flow = |text: &str| {
        format!(
            r#"
tasks:
  write:
    run: 'mkdir "${{{{ params.folder }}}}" || exit 7; sleep 0.5; rmdir "${{{{ params.folder }}}}"; echo {text} >$OUTPUT_X'
    outputs: {{ x: x }}
    locks: ["table=ticks"]
params: {{ folder: {{ type: string, required: true }} }}
"#
        )
    };
    let space = Space::with_flow(&flow("one"));
    space.write("flows/two.yaml", &flow("two"));
    let folder = format!("folder={}", space.path("table").display());
    let one = space.spawn(&["run", "test", "-p", &folder]);
    let two = space.spawn(&["run", "two", "-p", &folder]);
    for runner in [one, two] {
        let output = runner.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A flow that holds the lock `table` until the file `go` is there, and one that wants it.
fn contended() -> Space {
    let space = Space::with_flow(
        "tasks:\n  hold: { run: 'touch @/held; until [ -e @/go ]; do sleep 0.02; done', locks: [table], timeout: 30s }\n",
    );
    space.flow_named("two", "tasks:\n  want: { run: 'echo', locks: [table] }\n");
    space
}

#[test]
fn a_lock_that_is_not_got_is_exit_3_and_locks_says_who_holds_it() {
    let space = contended();
    let holder = space.spawn(&["run", "test"]);
    wait_for("the lock", || space.exists("held"));
    let refused = space.call(&["run", "two", "--no-wait"]);
    assert_eq!(refused.code, 3, "{refused:#?}");
    let locks = space.call(&["locks"]);
    assert!(locks.out.contains("table") && locks.out.contains("hold"), "{locks:#?}");
    let waiter = space.spawn(&["run", "two"]);
    wait_for("a waiter", || space.call(&["locks"]).out.contains("waited for by want"));
    space.write("go", "");
    let output = waiter.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.contains("waiting  want for the lock table"), "{err}");
    assert!(holder.wait_with_output().unwrap().status.success());
    assert_eq!(space.call(&["locks"]).out, "no lock is held\n");
}

#[test]
fn locks_says_who_holds_and_who_waits_for_what_since_when() {
    let space = contended();
    space.flow_named("three", "tasks:\n  also: { run: 'printf x', locks: [table] }\n");
    let holder = space.spawn(&["run", "test"]);
    wait_for("the lock", || space.exists("held"));
    let mut waiters = Vec::new();
    for (flow, task) in [("two", "want"), ("three", "also")] {
        waiters.push(space.spawn(&["run", flow]));
        wait_for("a waiter", || space.call(&["locks"]).out.contains(&format!("table  waited for by {task} in run")));
    }
    let told = space.call(&["locks"]).out;
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("table  ")).collect();
    let of = |line: &str| line.contains("process ") && line.contains(" since 20");
    assert!(lines.len() == 3 && lines.iter().all(|line| of(line)), "{told}");
    for (line, part) in lines.iter().zip(["held by hold in run", "waited for by want", "waited for by also"]) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    space.write("go", "");
    assert!(holder.wait_with_output().unwrap().status.success());
    for waiter in waiters {
        let output = waiter.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && err.contains("hold"), "the holder is named, not who waits before: {err}");
    }
}

#[test]
fn tasks_of_one_key_in_a_flow_do_not_contend_for_it() {
    let task = "{ run: 'echo x >>\"${{ params.log }}\"; sleep 0.3; echo x >$OUTPUT_X', outputs: { x: x } }";
    let params = "params: { log: { type: string, required: true } }";
    let space = Space::with_flow(&format!("{params}\ntasks: {{ a: {task}, b: {task}, c: {task} }}"));
    let log = format!("log={}", space.path("log").display());
    let ran = space.run(&["-p", &log, "--no-wait", "--jobs", "3"]);
    assert_eq!((ran.code, ran.counts()), (0, Counts(1, 2, 0, 0)), "{ran:#?}");
    assert_eq!(space.read("log"), "x\n", "it is executed once");
}

#[test]
fn of_tasks_of_one_key_each_tries_when_the_ones_before_failed() {
    let task = "{ run: 'echo x >>\"${{ params.log }}\"; false' }";
    let params = "params: { log: { type: string, required: true } }";
    let space = Space::with_flow(&format!("{params}\ntasks: {{ a: {task}, b: {task}, c: {task} }}"));
    let log = format!("log={}", space.path("log").display());
    let ran = space.run(&["-p", &log, "--keep-going"]);
    assert_eq!((ran.code, ran.counts()), (1, Counts(0, 0, 3, 0)), "{ran:#?}");
    assert_eq!(space.read("log"), "x\nx\nx\n");
    let ran = space.run(&["-p", &log]);
    assert_eq!((ran.code, ran.counts()), (1, Counts(0, 0, 1, 2)), "{ran:#?}");
}

#[test]
fn what_is_never_cached_runs_also_beside_a_task_of_its_key() {
    let task = |more: &str| {
        format!("{{ run: 'echo x >>\"${{{{ params.log }}}}\"; echo x >$OUTPUT_X', outputs: {{ x: x }}{more} }}")
    };
    let params = "params: { log: { type: string, required: true } }";
    let space = Space::with_flow(&format!("{params}\ntasks: {{ a: {}, b: {} }}", task(""), task(", cache: false")));
    let log = format!("log={}", space.path("log").display());
    let ran = space.run(&["-p", &log, "--jobs", "2"]);
    assert_eq!((ran.code, ran.counts()), (0, Counts(2, 0, 0, 0)), "{ran:#?}");
    assert_eq!(space.read("log"), "x\nx\n");
}
