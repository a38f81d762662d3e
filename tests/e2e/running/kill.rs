//! Killed at any moment: no orphan, nothing half-written, and the next run carries on.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::space::{Counts, Space, signal, wait_for};

const FLOW: &str = r#"
params: { pids: { type: string, required: true } }
tasks:
  part:
    run: 'echo $$ >>"${{ params.pids }}"; sh -c "setsid sh -c \"echo \\\$\\\$ >>\\\"${{ params.pids }}\\\"; sleep 30\" &" ; sleep 0.2; echo $MATRIX_N >$OUTPUT_X'
    matrix: { n: [1, 2, 3, 4, 5, 6] }
    resources: { cpu: 0 }
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | sort | xargs cat >$OUTPUT_X', inputs: { x: { from: part } }, outputs: { x: x }, publish: { x: all.txt } }
"#;

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn alive(pid: &str) -> bool {
    // A zombie waits to be reaped and runs nothing.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

#[test]
fn a_killed_run_leaves_no_process_and_the_next_one_completes_it() {
    let space = Space::with_flow(FLOW);
    let pids = format!("pids={}", space.path("pids").display());
    let mut finished = 0;
    for delay in [150, 350, 600, 1500] {
        let mut child = space.spawn(&["run", "test", "-p", &pids, "--jobs", "2"]);
        std::thread::sleep(Duration::from_millis(delay));
        kill(&mut child);
        let begun = Instant::now();
        let started = || std::fs::read_to_string(space.path("pids")).unwrap_or_default();
        while started().lines().any(alive) {
            assert!(begun.elapsed().as_secs() < 15, "processes outlive their runner: {}", started());
            std::thread::sleep(Duration::from_millis(20));
        }
        let counts = space.run(&["-p", &pids, "-n"]).counts();
        assert!(counts.1 >= finished, "finished work is kept");
        finished = counts.1;
    }
    assert!(finished > 0);
    space.up_to_date(&["-p", &pids]);
    assert_eq!(space.read("all.txt"), "1\n2\n3\n4\n5\n6\n");
    assert_eq!(space.up_to_date(&["-p", &pids]), Counts(0, 7, 0, 0));
}

#[test]
fn ctrl_c_lets_running_tasks_finish() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'touch "${{ params.file }}"; sleep 1; echo a >$OUTPUT_X', outputs: { x: x } }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("started").display());
    let child = space.spawn(&["run", "test", "-p", &file]);
    while !space.exists("started") {
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(space.up_to_date(&["-p", &file]), Counts(1, 1, 0, 0));
}

#[test]
fn ctrl_c_twice_stops_them() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'touch "${{ params.file }}"; sleep 60' }
params: { file: { type: string, required: true } }
"#,
    );
    let file = format!("file={}", space.path("started").display());
    let child = space.spawn(&["run", "test", "-p", &file]);
    while !space.exists("started") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(200));
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(begun.elapsed().as_secs() < 15);
}

/// One request to end is enough, and two tasks end: the one that stopped it, and the one beside it.
#[test]
fn a_run_whose_supervisor_was_stopped_can_be_ended() {
    let space = Space::with_flow(
        "tasks:\n  stops: { run: 'kill -STOP $PPID; touch @/started; sleep 60' }\n  beside: { run: 'sleep 60' }\n",
    );
    let mut child = space.spawn(&["run", "test"]);
    wait_for("the task", || space.exists("started"));
    signal(child.id(), "TERM");
    let mut ended = None;
    wait_for("the end", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
}

fn interrupt(child: &Child) {
    signal(child.id(), "INT");
}

#[test]
fn ctrl_c_ends_a_run_that_waits_for_a_lock() {
    let space = Space::with_flow(
        "tasks:\n  hold: { run: 'touch @/held; until [ -e @/go ]; do sleep 0.02; done', locks: [table], timeout: 60s }\n",
    );
    space.flow_named("two", "tasks:\n  want: { run: 'true', locks: [table] }\n");
    let holder = space.spawn(&["run", "test"]);
    wait_for("the lock", || space.exists("held"));
    let waiter = space.spawn(&["run", "two"]);
    wait_for("a waiter", || space.call(&["locks"]).out.contains("waited for by want"));
    interrupt(&waiter);
    assert_eq!(waiter.wait_with_output().unwrap().status.code(), Some(130));
    assert!(!space.exists("go"), "it did not wait for the lock");
    space.write("go", "");
    assert!(holder.wait_with_output().unwrap().status.success());
}

/// The process that a process started, where it is one.
fn child_of(parent: u32) -> Option<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        after.split(' ').nth(1) == Some(&parent.to_string())
    })
}

/// A task that says where another one of its kind still lives when it begins.
const ALONE: &str = r#"
tasks:
  before: { run: 'echo before >$OUTPUT_X', outputs: { x: x } }
  alone:
    run: |
      old=$(cat @/pid 2>/dev/null || echo none)
      case "$(cut -d' ' -f3 /proc/$old/stat 2>/dev/null)" in ''|Z) ;; *) echo "$old lives" >>@/overlap ;; esac
      echo half >$OUTPUT_X
      echo $$ >@/pid
      touch @/started
      test -e @/go || sleep 60
      cat $INPUT_X >$OUTPUT_X
    inputs: { x: { from: before } }
    outputs: { x: x }
    locks: [table]
    resources: { gpu: 1 }
"#;

/// Waits until the first task's result is recorded, and the second one runs.
fn wait_for_both(space: &Space) {
    wait_for("the result", || space.call(&["get", "test:before", "-o", "kept.txt"]).code == 0);
    wait_for("the task", || space.exists("started"));
}

fn carries_on(space: &Space) {
    space.write("go", "");
    let counts = space.up_to_date(&["--gpus", "1", "--no-wait"]);
    assert_eq!(counts, Counts(1, 1, 0, 0), "finished work is kept, and no unlock command is needed");
    assert_eq!(space.trace("overlap"), "");
    assert_eq!(space.output("test:alone"), "before\n", "nothing half-written is used");
    assert_eq!(space.call(&["locks"]).out, "no lock is held\n");
}

#[test]
fn a_killed_runner_leaves_no_orphan_that_holds_a_device_or_a_lock() {
    let space = Space::with_flow(ALONE);
    let mut child = space.spawn(&["run", "test", "--gpus", "1"]);
    wait_for_both(&space);
    let task = space.read("pid").trim().to_owned();
    assert!(alive(&task));
    kill(&mut child);
    wait_for("its end", || !alive(&task));
    carries_on(&space);
}

#[test]
fn when_runner_and_supervisor_are_killed_the_next_start_ends_what_survived_before_its_task_starts_again() {
    let space = Space::with_flow(ALONE);
    let mut child = space.spawn(&["run", "test", "--gpus", "1"]);
    wait_for_both(&space);
    let task = space.read("pid").trim().to_owned();
    // Stopped first, so that it cannot end the task when its supervisor is gone.
    signal(child.id(), "STOP");
    signal(child_of(child.id()).unwrap(), "KILL");
    kill(&mut child);
    assert!(alive(&task), "nobody is left to end it");
    carries_on(&space);
    assert!(!alive(&task));
}

#[test]
fn a_dry_run_ends_nothing_that_survived() {
    let space = Space::with_flow(ALONE);
    let mut child = space.spawn(&["run", "test", "--gpus", "1"]);
    wait_for_both(&space);
    let task = space.read("pid").trim().to_owned();
    assert_eq!(space.run(&["-n", "--gpus", "1"]).counts(), Counts(1, 1, 0, 0));
    assert!(alive(&task), "that of a runner which lives");
    kill(&mut child);
    wait_for("its end", || !alive(&task));
}

#[test]
fn half_written_outputs_of_failed_and_timed_out_tasks_are_never_used() {
    let space = Space::with_flow(
        r#"
params: { how: exit 1 }
tasks:
  half: { run: 'mkdir $OUTPUT_F; echo half >$OUTPUT_X; echo half >$OUTPUT_F/a; test -e @/go || ${{ params.how }}; echo whole >$OUTPUT_X', outputs: { x: x, f: f }, timeout: 500ms }
  reader: { run: 'cat $INPUT_X $INPUT_F/a >$OUTPUT_X', inputs: { x: { from: half.x }, f: { from: half.f } }, outputs: { x: x } }
"#,
    );
    for how in ["exit 1", "kill -9 $$", "sleep 30"] {
        let failed = space.run(&["-p", &format!("how={how}")]);
        assert_eq!((failed.code, failed.counts()), (1, Counts(0, 0, 1, 1)), "{how}: {failed:#?}");
        assert_eq!(space.call(&["get", "test:half.x", "-o", "x.txt"]).code, 2, "{how}");
    }
    assert!(!crate::space::files_below(&space.path("cache/v1/scratch")).is_empty(), "they stay for a look");
    space.write("go", "");
    assert_eq!(space.up_to_date(&["-p", "how=exit 1"]), Counts(2, 0, 0, 0));
    assert_eq!(space.output("test:reader"), "whole\nhalf\n");
}

#[test]
fn ctrl_c_ends_a_run_that_still_plans() {
    use std::os::unix::process::ExitStatusExt as _;
    let space = Space::with_flow("tasks: { a: { run: 'true', inputs: { x: { path: large.bin } } } }");
    // A hole: no blocks on the disk, and minutes to read.
    std::fs::File::create(space.path("large.bin")).unwrap().set_len(1 << 42).unwrap();
    // Where these tests run in the background of a shell, a signal that nobody handles would be ignored.
    let command = space.command(&["run", "test"]);
    let mut child = Command::new("env");
    child.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args()).current_dir(space.root());
    for (name, value) in command.get_envs() {
        let _ = if let Some(value) = value { child.env(name, value) } else { child.env_remove(name) };
    }
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    let reads = |pid: u32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.ends_with("large.bin"))
    };
    wait_for("the plan", || reads(child.id()));
    signal(child.id(), "INT");
    let (begun, mut ended) = (Instant::now(), None);
    while ended.is_none() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
        ended = child.try_wait().unwrap();
    }
    // It would read for hours, beside all other tests. One that has ended is not signalled.
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(ended.and_then(|status| status.signal()), Some(2));
}

#[test]
fn a_killed_run_is_told_from_one_that_goes_on_and_what_it_left_goes_with_gc() {
    let space = Space::with_flow("tasks:\n  t: { run: 'touch @/started; until [ -e @/go ]; do sleep 0.02; done' }\n");
    let last = || space.call(&["runs"]).out.lines().last().unwrap().trim_end().to_owned();
    let left = || crate::space::files_below(&space.path("cache/v1/scratch")).len();
    let mut child = space.spawn(&["run", "test"]);
    wait_for("the task", || space.exists("started"));
    assert!(last().ends_with(" running"), "{}", last());
    assert!(space.call(&["show", "last"]).out.contains("\nrunning\n"));
    assert_eq!(space.call(&["cache", "gc", "--keep-days", "0"]).code, 0);
    assert!(left() > 0, "it goes on");
    kill(&mut child);
    assert!(last().ends_with(" killed"), "{}", last());
    space.write("go", "");
    space.up_to_date(&[]);
    space.call(&["cache", "gc"]);
    assert!(left() > 0, "it stays for a look");
    wait_for("the end of the tasks", || {
        space.call(&["cache", "gc", "--keep-days", "0"]);
        left() == 0
    });
}
