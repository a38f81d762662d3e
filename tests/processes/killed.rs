//! What happens when the runner is killed, or its supervisor, or both.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fs_err as fs;
use ghtrader::execute::{Executor as _, Exit, Job, LocalExecutor, sweep_within};
use ghtrader::locks::{LockRequest, Locks};

use crate::{
    Bench, ESCAPED, GHTRADER, GRACE, LONG, escapes, holder, job, kill, lives, pid, scratch, signal, take, wait_for,
};

/// Not a test of its own: the runner that other tests kill. It takes a lock, starts a task, and waits.
#[test]
fn runner_to_be_killed() {
    let Some(folder) = std::env::var_os("RUNNER_TO_BE_KILLED").map(PathBuf::from) else { return };
    let locks = Locks::at(folder.join("locks"));
    let held = take(&locks, &[LockRequest::named("table", false)]).unwrap();
    let (executor, events) = LocalExecutor::with(Path::new(GHTRADER), &scratch(&folder), GRACE).unwrap();
    let script = std::env::var("ITS_SCRIPT").unwrap();
    executor.start(Job { locks: held.share().unwrap(), ..job(&folder, 1, &script) });
    fs::write(folder.join("supervisor.new"), executor.supervisor().unwrap().to_string()).unwrap();
    fs::rename(folder.join("supervisor.new"), folder.join("supervisor")).unwrap();
    while events.recv().is_ok() {}
}

/// A runner in a process of its own, in a folder of its own, with its task running.
fn runner(script: &str) -> (tempfile::TempDir, std::process::Child, Locks) {
    let folder = tempfile::tempdir().unwrap();
    // What it writes is not looked at, and may be much.
    std::os::unix::fs::symlink("/dev/null", folder.path().join("1.log")).unwrap();
    fs::create_dir(folder.path().join("locks")).unwrap();
    let runner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::runner_to_be_killed"])
        .env("ITS_SCRIPT", format!("{script} touch ready; wait"))
        .env("RUNNER_TO_BE_KILLED", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_for("the task", || folder.path().join("ready").exists());
    let locks = Locks::at(folder.path().join("locks"));
    (folder, runner, locks)
}

#[test]
fn when_the_runner_is_killed_all_of_its_tasks_end_and_their_locks_with_them() {
    let (folder, mut runner, locks) = runner(&escapes("TERM HUP"));
    let request = [LockRequest::named("table", false)];
    runner.kill().unwrap();
    runner.wait().unwrap();
    let child = pid(&folder.path().join("child"));
    // Its processes hold the lock for as long as they live, and it is seen who took it.
    if lives(child) && take(&locks, &request).is_none() {
        let holders: Vec<String> =
            locks.list().unwrap().into_iter().flat_map(|lock| lock.holders).map(|h| h.task).collect();
        assert!(holders == ["t"] || !lives(child), "{holders:?}");
    }
    let held = locks.waiter(&request, holder("next")).wait(Some(LONG), |_| (), || false).unwrap();
    for name in ESCAPED {
        assert!(!lives(pid(&folder.path().join(name))), "{name}");
    }
    drop(held);
    let supervisor = pid(&folder.path().join("supervisor"));
    wait_for("the end of the supervisor", || !lives(supervisor));
}

#[test]
fn when_the_supervisor_is_killed_too_the_next_start_ends_what_survived() {
    let (folder, mut runner, locks) = runner(&escapes("TERM HUP"));
    let scratch = scratch(folder.path());
    // What has a living supervisor is left alone.
    assert_eq!(sweep_within(&scratch, GRACE).unwrap(), Vec::<u32>::new());
    let supervisor = pid(&folder.path().join("supervisor"));
    runner.kill().unwrap();
    kill(supervisor);
    runner.wait().unwrap();
    // As long as it is there, they are its business.
    wait_for("the end of the supervisor", || !lives(supervisor));
    let request = [LockRequest::named("table", false)];
    assert!(take(&locks, &request).is_none(), "the survivors hold the lock");
    let swept = sweep_within(&scratch, GRACE).unwrap();
    // `bare` has no environment by which it could be known.
    for name in ESCAPED.into_iter().filter(|name| *name != "bare") {
        let pid = pid(&folder.path().join(name));
        assert!(swept.contains(&pid) && !lives(pid), "{name}");
    }
    let bare = pid(&folder.path().join("bare"));
    if lives(bare) {
        assert!(take(&locks, &request).is_none(), "what is not found still holds the lock");
        kill(bare);
    }
    assert!(locks.waiter(&request, holder("next")).wait(Some(LONG), |_| (), || false).is_ok());
}

/// Such as by `kill -STOP $PPID` in a task: what is due comes about all the same, and the others go on.
#[test]
fn a_stopped_supervisor_keeps_no_task_from_its_end() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, "until [ -e go ]; do sleep 0.02; done"));
    let timeout = Some(Duration::from_millis(300));
    bench.executor.start(Job { timeout, ..bench.job(2, "kill -STOP $PPID; sleep 60") });
    assert_eq!(bench.exit(2).0, Exit::Timeout);
    bench.executor.start(bench.job(3, "touch ready; kill -STOP $PPID; sleep 60"));
    wait_for("the task", || bench.file("ready").exists());
    bench.executor.stop(3);
    assert_eq!(bench.exit(3).0, Exit::Stopped);
    fs::write(bench.file("go"), "").unwrap();
    assert_eq!(bench.exit(1).0, Exit::Code(0));
}

#[test]
fn a_supervisor_that_is_stopped_again_and_again_is_killed() {
    let bench = Bench::new();
    let script = "echo $$ >pid; trap '' TERM; while :; do kill -STOP $PPID; done";
    bench.executor.start(Job { timeout: Some(Duration::from_millis(300)), ..bench.job(1, script) });
    assert_eq!(bench.exit(1).0, Exit::Timeout);
    assert!(!lives(pid(&bench.file("pid"))));
}

/// What runs is ended then, too.
#[test]
fn an_executor_whose_supervisor_was_stopped_can_be_dropped() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, "echo $$ >pid; sleep 60"));
    let task = pid(&bench.file("pid"));
    signal("STOP", bench.executor.supervisor().unwrap());
    drop(bench);
    assert!(!lives(task));
}
