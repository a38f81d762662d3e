//! Several runners on one machine: what one of them waits for is not taken by those that came later, and nobody waits for what
//! is free.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::space::{Space, signal, wait_for};

/// Starts a command that is to end by itself.
fn start(space: &Space, args: &[&str]) -> Child {
    space.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn ends_well(mut child: Child) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it waits for ever");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(child.wait().unwrap().success());
}

/// Waits until so many wait for something of the machine.
fn waits(space: &Space, count: usize) {
    wait_for("those that wait", || space.call(&["locks"]).out.matches("waited for by").count() == count);
}

/// A task that has all four devices until there is a file `go`.
const HOLDER: &str = "tasks: { hold: { run: 'touch @/held; while ! test -e @/go; do sleep 0.02; done', resources: { cpu: 0, gpu: 4 } } }\n";

fn held(space: &Space) -> Child {
    space.flow_named("holder", HOLDER);
    let holder = start(space, &["run", "holder", "--gpus", "4", "--force", "hold"]);
    wait_for("all devices in use", || space.exists("held"));
    holder
}

#[test]
fn two_that_wait_do_not_wait_for_each_other() {
    let space = Space::new();
    space.flow_named(
        "one",
        "tasks: { a: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, resources: { cpu: 0, gpu: 1 } } }\n",
    );
    space.flow_named(
        "all",
        "tasks: { b: { run: 'echo 2 >$OUTPUT_X', outputs: { x: x }, resources: { cpu: 0, gpu: 4 } } }\n",
    );
    for flow in ["one", "all"] {
        ends_well(start(&space, &["run", flow, "--gpus", "4"]));
    }
    for commands in [
        [["verify", "one"], ["verify", "all"]],
        [["verify", "one"], ["run", "all"]],
        [["run", "all"], ["verify", "one"]],
    ] {
        for file in ["held", "go"] {
            let _ = std::fs::remove_file(space.path(file));
        }
        let holder = held(&space);
        let mut waiting = Vec::new();
        for (count, command) in commands.iter().enumerate() {
            let force: &[&str] = if command[0] == "run" { &["--force", "b"] } else { &[] };
            waiting.push(start(&space, &[command.as_slice(), &["--gpus", "4"], force].concat()));
            waits(&space, count + 1);
        }
        space.write("go", "");
        ends_well(holder);
        waiting.into_iter().for_each(ends_well);
    }
}

/// What others take, one half after the other, until there are no more.
const HALVES: &str = "tasks: { half: { run: 'echo half >>@/order; sleep 0.2', matrix: { n: '${{ range(120) }}' }, resources: { cpu: 0, gpu: 0.5 } } }\n";

/// How many halves had begun when the gang did.
fn halves_before_the_gang(space: &Space) -> usize {
    space.read("order").lines().position(|line| line == "gang").unwrap()
}

#[test]
fn a_gang_keeps_its_place_while_its_run_does_other_things() {
    let space = Space::new();
    space.flow_named("halves", HALVES);
    space.flow_named(
        "mixed",
        "tasks:\n  gang: { run: 'echo gang >>@/order', resources: { cpu: 0, gpu: 4 } }\n  other: { run: 'sleep 0.1', matrix: { n: '${{ range(60) }}' }, resources: { cpu: 0 } }\n",
    );
    let halves = start(&space, &["run", "halves", "--gpus", "4", "--jobs", "8"]);
    wait_for("halves", || space.trace("order").lines().count() >= 8);
    ends_well(start(&space, &["run", "mixed", "--gpus", "4", "--jobs", "2"]));
    ends_well(halves);
    let before = halves_before_the_gang(&space);
    assert!(before < 100, "{before}");
}

#[test]
fn a_gang_keeps_its_place_behind_another_that_waits() {
    let space = Space::new();
    space.write("ghtrader.yaml", "machine: { tokens: { tqsdk: 1 }, gpus: 4 }\n");
    space.flow_named("halves", HALVES);
    space.flow_named(
        "token",
        "tasks: { token: { run: 'touch @/held; while ! test -e @/go; do sleep 0.02; done', resources: { cpu: 0, tqsdk: 1 } } }\n",
    );
    space.flow_named(
        "both",
        "tasks:\n  first: { run: 'true', priority: 5, resources: { cpu: 0, tqsdk: 1 } }\n  gang: { run: 'echo gang >>@/order; touch @/go', resources: { cpu: 0, gpu: 4 } }\n",
    );
    let token = start(&space, &["run", "token"]);
    wait_for("the token in use", || space.exists("held"));
    let halves = start(&space, &["run", "halves", "--jobs", "8"]);
    wait_for("halves", || space.trace("order").lines().count() >= 8);
    ends_well(start(&space, &["run", "both"]));
    [halves, token].into_iter().for_each(ends_well);
    let before = halves_before_the_gang(&space);
    assert!(before < 100, "{before}");
}

#[test]
fn what_waits_for_other_devices_keeps_none_idle() {
    let space = Space::new();
    space.flow_named(
        "holder",
        "tasks: { hold: { run: 'touch @/held; while ! test -e @/go; do sleep 0.02; done', resources: { cpu: 0, gpu: 1 } } }\n",
    );
    space.flow_named("pair", "tasks: { pair: { run: 'true', resources: { cpu: 0, gpu: 2 } } }\n");
    space.flow_named("other", "tasks: { other: { run: 'true', resources: { cpu: 0, gpu: 2 } } }\n");
    let holder = start(&space, &["run", "holder", "--gpus", "2,"]);
    wait_for("a device in use", || space.exists("held"));
    let pair = start(&space, &["run", "pair", "--gpus", "2,3"]);
    waits(&space, 1);
    ends_well(start(&space, &["run", "other", "--gpus", "0,1"]));
    assert!(!space.exists("go"), "the pair still waits");
    space.write("go", "");
    [holder, pair].into_iter().for_each(ends_well);
}

#[test]
fn who_keeps_all_from_starting_is_told() {
    let space = Space::with_flow("tasks: { a: { run: 'true' } }\n");
    space.up_to_date(&[]);
    let leases = space.leases().join("v1/turn");
    let turn = std::fs::File::open(&leases).unwrap();
    turn.lock().unwrap();
    let mut run = space.command(&["run", "test", "--force", "a"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = format!("nothing starts as long as another process has {} locked", leases.display());
    assert!(lines.any(|line| line.contains(&told)));
    turn.unlock().unwrap();
    assert!(lines.any(|line| line.starts_with("1 ran")));
    assert!(run.wait().unwrap().success());
}

#[test]
fn what_wiped_its_environment_and_outlived_all_keeps_no_device() {
    let space = Space::new();
    space.flow_named(
        "left",
        "tasks: { left: { run: 'setsid env -i /bin/sleep 600 & echo $! >@/pid; sleep 600', resources: { cpu: 0, gpu: 4 } } }\n",
    );
    space.flow_named("next", "tasks: { next: { run: 'true', resources: { cpu: 0, gpu: 4 } } }\n");
    let mut runner = start(&space, &["run", "left", "--gpus", "4"]);
    wait_for("its process", || space.trace("pid").ends_with('\n'));
    let all = std::fs::read_dir(format!("/proc/{}/task", runner.id())).unwrap().flatten();
    let all = all.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let supervisors: BTreeSet<u32> =
        all.flat_map(|pids| pids.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    assert_eq!(supervisors.len(), 1, "{supervisors:?}");
    // The runner first, stopped, so that it cannot end what its supervisor leaves.
    signal(runner.id(), "STOP");
    supervisors.into_iter().for_each(|pid| signal(pid, "KILL"));
    runner.kill().unwrap();
    runner.wait().unwrap();
    ends_well(start(&space, &["run", "next", "--gpus", "4"]));
    // Whoever took it over may not have waited for it yet.
    let left = std::fs::read_to_string(format!("/proc/{}/stat", space.read("pid").trim())).unwrap_or_default();
    assert!(left.is_empty() || left.contains(") Z "), "{left}");
}
