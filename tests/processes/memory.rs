//! A task is held to its memory, where the system can do that.

use ghtrader::execute::{Executor as _, Exit, Job};

use crate::Bench;

/// Takes 200 MB in a process below the task's own, and goes on whatever became of that.
const GREEDY: &str = "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c";
const LIMIT: u64 = 64 << 20;

/// Whether groups can be made: what a task sees of its own says so.
fn can_be_held(bench: &Bench) -> bool {
    bench.executor.start(Job { memory: Some(LIMIT), ..bench.job(99, "cat /proc/self/cgroup >groups") });
    assert_eq!(bench.exit(99).0, Exit::Code(0));
    let held = std::fs::read_to_string(bench.file("groups")).unwrap().contains("/ghtrader-");
    if !held {
        eprintln!("skipped: no control group with a limit can be made here");
    }
    held
}

#[test]
fn a_task_that_uses_more_than_its_memory_is_killed_for_it() {
    let bench = Bench::new();
    if !can_be_held(&bench) {
        return;
    }
    bench.executor.start(Job { memory: Some(LIMIT), ..bench.job(1, &format!("set -o pipefail; {GREEDY}")) });
    assert_eq!(bench.exit(1).0, Exit::OutOfMemory(LIMIT));
    bench.executor.start(Job { memory: Some(LIMIT), ..bench.job(2, "exit 3") });
    assert_eq!(bench.exit(2).0, Exit::Code(3), "it failed for something else");
    bench.executor.start(Job { memory: Some(1 << 30), ..bench.job(3, GREEDY) });
    assert_eq!(bench.exit(3).0, Exit::Code(0), "so much it may use");
    bench.executor.start(Job { memory: None, ..bench.job(4, GREEDY) });
    assert_eq!(bench.exit(4).0, Exit::Code(0), "it is held to nothing");
}

#[test]
fn what_a_task_starts_and_lets_go_is_held_too() {
    let bench = Bench::new();
    if !can_be_held(&bench) {
        return;
    }
    let script =
        format!("(setsid bash -c '{GREEDY} >count' &); until [ -s count ]; do sleep 0.05; done; grep 200000000 count");
    bench.executor.start(Job { memory: Some(LIMIT), ..bench.job(1, &script) });
    assert_eq!(bench.exit(1).0, Exit::OutOfMemory(LIMIT));
}

#[test]
fn of_the_groups_of_tasks_that_ended_none_is_left_and_the_supervisor_is_in_none() {
    let bench = Bench::new();
    if !can_be_held(&bench) {
        return;
    }
    let (main, group) = (bench.file("main"), bench.file("group"));
    let script = "cat /proc/$PPID/cgroup >main; grep -o '/[^:]*ghtrader-[0-9]*-[0-9]*' /proc/self/cgroup >group";
    bench.executor.start(Job { memory: Some(LIMIT), ..bench.job(1, script) });
    assert_eq!(bench.exit(1).0, Exit::Code(0));
    let supervisor = std::fs::read_to_string(main).unwrap();
    let group = std::fs::read_to_string(group).unwrap();
    assert!(group.contains("ghtrader-") && !supervisor.contains(group.trim()), "{group} {supervisor}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounted = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    for mount in mounted {
        assert!(!std::path::Path::new(&format!("{mount}{}", group.trim())).exists(), "{mount}{group}");
    }
}
