//! What happens when the runner is killed, or its supervisor, or both.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use ghtrader::execute::{Executor as _, Job, LocalExecutor, sweep_within};
use ghtrader::locks::{LockRequest, Locks};

use crate::output::FLOOD;
use crate::{ESCAPED, GHTRADER, GRACE, LONG, escapes, holder, job, kill, lives, pid, scratch, take, wait_for};

/// Not a test of its own: the runner that other tests kill. It takes a lock, starts a task, and waits.
#[test]
fn runner_to_be_killed() {
    let Some(folder) = std::env::var_os("RUNNER_TO_BE_KILLED").map(PathBuf::from) else { return };
    let locks = Locks::at(folder.join("locks"));
    let held = take(&locks, &[LockRequest::named("table", false)]).unwrap();
    let (executor, events) = LocalExecutor::with(Path::new(GHTRADER), &scratch(&folder), GRACE).unwrap();
    let script = std::env::var("ITS_SCRIPT").unwrap();
    executor.start(Job { locks: held.share().unwrap(), ..job(&folder, 1, &script) });
    fs::write(folder.join("supervisor.new"), executor.supervisor().to_string()).unwrap();
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
    let held = locks.claim(&request, holder("next")).wait(Some(LONG), |_| (), || false).unwrap();
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
    assert!(locks.claim(&request, holder("next")).wait(Some(LONG), |_| (), || false).is_ok());
}

/// However much there is to be read of it.
#[test]
fn when_the_runner_is_killed_a_task_that_floods_its_output_ends_too() {
    let (folder, mut runner, _) = runner(&format!("{FLOOD} echo $! >child;"));
    let child = pid(&folder.path().join("child"));
    assert!(lives(child));
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_for("the end of the task", || !lives(child));
    let supervisor = pid(&folder.path().join("supervisor"));
    wait_for("the end of the supervisor", || !lives(supervisor));
}
