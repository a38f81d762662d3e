//! Killed at any moment: no orphan, nothing half-written, and the next run carries on.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::space::{Counts, Space};

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
    for delay in [150, 350, 600] {
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

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[test]
fn ctrl_c_ends_a_run_that_waits_for_a_lock() {
    let space = Space::with_flow(
        r#"
tasks:
  hold: { run: 'touch "${{ params.file }}"; sleep 5', locks: [table] }
params: { file: { type: string, required: true } }
"#,
    );
    space.write("flows/two.yaml", "tasks:\n  want: { run: 'true', locks: [table] }\n");
    let file = format!("file={}", space.path("held").display());
    let holder = space.spawn(&["run", "test", "-p", &file]);
    while !space.exists("held") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let waiter = space.spawn(&["run", "two"]);
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    interrupt(&waiter);
    assert_eq!(waiter.wait_with_output().unwrap().status.code(), Some(130));
    assert!(begun.elapsed().as_secs() < 3, "it did not wait for the lock");
    assert!(holder.wait_with_output().unwrap().status.success());
}
