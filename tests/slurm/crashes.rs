//! What happens on Slurm when something is killed or cancelled: what runs or has ended is found again.

use std::process::{Child, Stdio};

use crate::cluster::Cluster;
use crate::space::{Counts, Space, signal, wait_for};

/// Eight tasks, one on each device: four run, four wait. Each leaves a trace when it begins, and one when it ends.
const FLOW: &str = r#"
tasks:
  part:
    run: 'echo $MATRIX_N >>@/begun; sleep 2; echo $MATRIX_N >>@/ended; echo $MATRIX_N >"$OUTPUT_X"'
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }
    resources: { gpu: 1 }
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | sort | xargs cat >$OUTPUT_X', inputs: { x: { from: part } }, outputs: { x: x }, publish: { x: all.txt } }
"#;

const ALL: &str = "1\n2\n3\n4\n5\n6\n7\n8\n";

fn spawn(cluster: &Cluster, space: &Space, args: &[&str]) -> Child {
    let mut command = cluster.command(space, &[&["run", "test"], args].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn lines(space: &Space, file: &str) -> Vec<String> {
    let mut lines: Vec<String> = space.trace(file).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn each_once(space: &Space) {
    let expected: Vec<String> = ALL.lines().map(str::to_owned).collect();
    assert_eq!((lines(space, "begun"), lines(space, "ended")), (expected.clone(), expected));
    assert_eq!(space.read("all.txt"), ALL);
}

pub(crate) fn a_killed_runner_finds_what_its_pilot_does(cluster: &Cluster) {
    let space = Space::with_flow(&FLOW.replace("matrix:", "timeout: 30s\n    matrix:"));
    let mut runner = spawn(cluster, &space, &[]);
    wait_for("tasks that run", || lines(&space, "begun").len() == 4);
    runner.kill().unwrap();
    runner.wait().unwrap();
    let batches = cluster.batches();
    let answer = cluster.run(&space, &[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(9, 0, 0, 0)), "{answer:#?}");
    each_once(&space);
    assert_eq!(cluster.batches() - batches, 1, "jobs were submitted again");
}

pub(crate) fn a_killed_runner_finds_its_jobs(cluster: &Cluster) {
    let space = Space::with_flow(FLOW);
    let mut runner = spawn(cluster, &space, &[]);
    wait_for("tasks that run", || lines(&space, "begun").len() >= 2);
    runner.kill().unwrap();
    runner.wait().unwrap();
    // Whatever else is started for its jobs, as by a controller that lost count, executes nothing that is executed already.
    for job in started_again(&space, 8).iter_mut().take(2) {
        job.wait().unwrap();
    }
    let batches = cluster.batches();
    // A runner on this machine waits for what the nodes do, and executes none of it itself.
    let answer = cluster.run(&space, &[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(9, 0, 0, 0)), "{answer:#?}");
    let told = format!("a job that an earlier run had submitted to {} is waited for", Cluster::NAME);
    assert!(answer.err.contains(&told), "{answer:#?}");
    each_once(&space);
    // That of the task behind the eight.
    assert_eq!(cluster.batches() - batches, 1, "jobs were submitted again");
    let kept = std::fs::read_dir(space.path("cache/v1/jobs")).unwrap().flatten().map(|entry| entry.file_name());
    let kept: Vec<_> = kept.filter(|name| name != "batches" && name != "pilots").collect();
    assert!(kept.is_empty(), "what lasts is kept for nobody: {kept:?}");
}

/// Killed between the end of a task and its recorded result, or where that has just been recorded.
pub(crate) fn a_runner_that_is_killed_again_and_again_finds_what_has_ended(cluster: &Cluster) {
    let space = Space::with_flow(&FLOW.replace("sleep 2", "sleep 1"));
    let mut ended = 0;
    for after in [100, 250, 350, 450, 600, 800] {
        let mut runner = spawn(cluster, &space, &[]);
        wait_for("a task that has ended", || lines(&space, "ended").len() > ended);
        std::thread::sleep(std::time::Duration::from_millis(after));
        runner.kill().unwrap();
        runner.wait().unwrap();
        ended = lines(&space, "ended").len();
        if ended == 8 {
            break;
        }
    }
    let answer = cluster.run(&space, &[]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let Counts(ran, cached, 0, 0) = answer.counts() else { panic!("{answer:#?}") };
    assert_eq!((ran + cached, space.read("all.txt").as_str()), (9, ALL));
    each_once(&space);
}

/// Killed while what a task wrote is on its way into the cache.
pub(crate) fn a_runner_that_is_killed_halfway_into_the_cache_goes_on_there(cluster: &Cluster) {
    let flow = r#"
tasks:
  many: { run: 'echo x >>@/ended; mkdir -p $OUTPUT_D; for i in {1..6000}; do echo $i >$OUTPUT_D/$i; done', outputs: { d: d/ } }
  sum: { run: 'cat $INPUT_D/* | sort -n | md5sum >$OUTPUT_X', inputs: { d: { from: many } }, outputs: { x: x }, publish: { x: sum.txt } }
"#;
    let halfway = (0..5).any(|_| {
        let space = Space::with_flow(flow);
        let objects = || walkdir::WalkDir::new(space.path("cache/v1/objects")).into_iter().count();
        let mut runner = spawn(cluster, &space, &[]);
        wait_for("the first objects", || objects() > 400);
        runner.kill().unwrap();
        runner.wait().unwrap();
        let left = walkdir::WalkDir::new(space.path("cache/v1/scratch")).into_iter().flatten();
        let left = left.filter(|entry| entry.path().parent().is_some_and(|above| above.ends_with("work/d"))).count();
        let answer = cluster.run(&space, &[]);
        assert_eq!((answer.code, answer.counts()), (0, Counts(1, 1, 0, 0)), "{left} left: {answer:#?}");
        assert_eq!(lines(&space, "ended"), ["x"], "{left} left");
        // `seq 6000 | md5sum`
        assert_eq!(space.read("sum.txt"), "696cb257aeec834880a52372723230e6  -\n");
        (1..6000).contains(&left)
    });
    assert!(halfway, "it was never killed in between");
}

const LONG: &str = "tasks:\n  part: { run: 'echo $$ >>@/pids; trap \"\" INT; sleep 300', matrix: { n: [1, 2, 3, 4, 5, 6] }, resources: { gpu: 1 } }\n";

pub(crate) fn ctrl_c_twice_cancels(cluster: &Cluster) {
    stopped_at_once(cluster, LONG);
}

pub(crate) fn ctrl_c_twice_ends_what_a_pilot_does(cluster: &Cluster) {
    stopped_at_once(cluster, &LONG.replace("matrix:", "timeout: 60s, matrix:"));
}

fn stopped_at_once(cluster: &Cluster, flow: &str) {
    let space = Space::with_flow(flow);
    let runner = spawn(cluster, &space, &[]);
    wait_for("tasks that run", || lines(&space, "pids").len() == 4);
    signal(runner.id(), "INT");
    // Two at once may be heard as one.
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(runner.id(), "INT");
    let output = runner.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    for pid in lines(&space, "pids") {
        assert!(!std::path::Path::new("/proc").join(&pid).exists(), "{pid} lives");
    }
    wait_for("jobs are cancelled", || cluster.jobs() == 0);
    assert_eq!(lines(&space, "pids").len(), 4, "what waited was not begun");
}

pub(crate) fn ctrl_c_once_takes_back_what_waits(cluster: &Cluster) {
    let space = Space::with_flow(FLOW);
    let runner = spawn(cluster, &space, &[]);
    wait_for("tasks that run", || lines(&space, "begun").len() == 4);
    signal(runner.id(), "INT");
    let output = runner.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && told.contains("4 ran, 0 cached, 0 failed, 5 skipped"), "{told}");
    assert_eq!(lines(&space, "ended").len(), 4);
    assert_eq!(cluster.run(&space, &[]).counts(), Counts(5, 4, 0, 0));
    each_once(&space);
}

pub(crate) fn a_run_on_this_machine_waits_for_the_jobs_of_a_killed_one(cluster: &Cluster) {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'mkdir @/busy; sleep 2; rmdir @/busy; echo x >>@/ended; echo x >\"$OUTPUT_X\"', outputs: { x: x } }\n",
    );
    let mut runner = spawn(cluster, &space, &[]);
    wait_for("the task", || space.exists("busy"));
    runner.kill().unwrap();
    runner.wait().unwrap();
    // At the same time it would fail.
    let answer = space.run(&[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(1, 0, 0, 0)), "{answer:#?}");
    assert!(answer.err.contains("a: a job of a cluster may execute it"), "{answer:#?}");
    assert_eq!(lines(&space, "ended").len(), 2);
}

/// What Slurm starts for the jobs of all batches, started by hand.
fn started_again(space: &Space, count: u32) -> Vec<Child> {
    let mut started = Vec::new();
    for batch in std::fs::read_dir(space.path("cache/v1/jobs/batches")).unwrap() {
        let (jobs, batch) = (space.path("cache/v1/jobs"), batch.unwrap().file_name());
        for index in 0..count {
            let mut command = space.command(&["__job"]);
            started.push(command.arg(&jobs).arg(&batch).arg(index.to_string()).spawn().unwrap());
        }
    }
    started
}

pub(crate) fn a_node_that_fails_is_made_up_for(cluster: &Cluster) {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo $$ >>@/pids; [ -e @/go ] || sleep 300; echo x >\"$OUTPUT_X\"', outputs: { x: x } }\n",
    );
    let runner = spawn(cluster, &space, &[]);
    wait_for("the task", || lines(&space, "pids").len() == 1);
    space.write("go", "");
    cluster.node("down");
    wait_for("its end", || lines(&space, "pids").iter().all(|pid| !std::path::Path::new("/proc").join(pid).exists()));
    cluster.node("resume");
    let output = runner.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("(NODE_FAIL); started again") && told.contains("1 ran"), "{told}");
    assert_eq!(lines(&space, "pids").len(), 2);
}

pub(crate) fn what_somebody_else_cancels_has_failed(cluster: &Cluster) {
    let space =
        Space::with_flow("tasks:\n  a: { run: 'trap \"exit 0\" TERM; touch @/here; while :; do sleep 0.1; done' }\n");
    let runner = spawn(cluster, &space, &[]);
    wait_for("the task", || space.exists("here"));
    let number = cluster.ask("squeue", &["--noheader", "--array", "--format=%i"]);
    cluster.ask("scancel", &[number.trim()]);
    let output = runner.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("a failed: stopped by Slurm (CANCELLED)"), "{told}");
}

pub(crate) fn a_controller_that_forgets_is_made_up_for(cluster: &Cluster) {
    let space = Space::with_flow(FLOW);
    let runner = spawn(cluster, &space, &[]);
    // It writes down what it knows every few seconds, and now it does not come to that.
    wait_for("a submission", || cluster.jobs() >= 8);
    cluster.server("crash");
    let other = Space::with_flow("tasks:\n  a: { run: 'touch @/ran' }\n");
    let refused = cluster.run(&other, &[]);
    assert!(refused.code == 1 && !other.exists("ran"), "{refused:#?}");
    assert!(refused.err.contains("slurmctld) cannot be reached") && refused.err.contains("help: "), "{refused:#?}");
    cluster.server("revive");
    let output = runner.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("9 ran, 0 cached, 0 failed"), "{told}");
    each_once(&space);
    for notice in ["Slurm does not answer", "Slurm answers again", "does not know a job that it had taken"] {
        assert!(told.contains(notice), "{notice}: {told}");
    }
}
