//! Ends what survived when a runner and its supervisor were both killed.
//!
//! A task's processes are known by [`REQUEST_VARIABLE`], which names a file in a scratch folder of the cache. Those that
//! have a living supervisor above them are its business.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::processes::{Process, ProcessId, is_supervisor, numbers, process, variable};
use super::{ExecuteError, REQUEST_VARIABLE};

/// Ends the processes of tasks under `scratch` that have no supervisor any more: SIGTERM, and SIGKILL after `grace`.
/// Returns when they have ended, with their numbers.
///
/// # Errors
/// Where it cannot be found out which processes there are.
pub fn sweep_within(scratch: &Path, grace: Duration) -> Result<Vec<u32>, ExecuteError> {
    end(|| survivors(scratch), |pid| is_of(pid, scratch), grace)
}

/// The same for the processes that hold the lock on `file` and have no supervisor any more, whatever their environment says.
///
/// # Errors
/// Those of [`sweep_within`].
pub fn sweep_holders(file: &Path, grace: Duration) -> Result<Vec<u32>, ExecuteError> {
    // Where it is gone, nobody holds it.
    let Ok(metadata) = std::fs::metadata(file) else { return Ok(Vec::new()) };
    let holds = |pid| holds(pid, &metadata);
    end(|| Ok(unsupervised(numbers()?.into_iter().filter(|pid| holds(*pid)))), holds, grace)
}

fn end(
    find: impl Fn() -> std::io::Result<BTreeSet<ProcessId>>,
    is_one: impl Fn(ProcessId) -> bool,
    grace: Duration,
) -> Result<Vec<u32>, ExecuteError> {
    let start = Instant::now();
    let mut told = BTreeSet::new();
    // What one look finds may be in the midst of a change, a second one is to agree.
    let mut suspects = BTreeSet::new();
    loop {
        let found = find().map_err(ExecuteError::Processes)?;
        if found.is_empty() {
            return Ok(told.into_iter().map(ProcessId::unsigned_abs).collect());
        }
        let kill = start.elapsed() >= grace;
        for pid in found.intersection(&suspects) {
            if kill {
                send(&is_one, *pid, Signal::KILL);
            } else if told.insert(*pid) {
                send(&is_one, *pid, Signal::TERM);
                send(&is_one, *pid, Signal::CONT);
            }
        }
        suspects = found;
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn survivors(scratch: &Path) -> std::io::Result<BTreeSet<ProcessId>> {
    Ok(unsupervised(numbers()?.into_iter().filter(|pid| is_of(*pid, scratch))))
}

fn unsupervised(pids: impl Iterator<Item = ProcessId>) -> BTreeSet<ProcessId> {
    // Of one that has ended and was not waited for there is nothing to be seen.
    let pids = pids.filter(|pid| !is_supervisor(*pid));
    pids.filter(|pid| !is_supervised(*pid, process, is_supervisor)).collect()
}

/// Whether a process has a file open that is locked by that: who only looks shares the lock for a moment.
fn holds(pid: ProcessId, file: &Metadata) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let open = std::fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    open.map(|entry| entry.file_name()).any(|number| {
        let same = |other: Metadata| other.dev() == file.dev() && other.ino() == file.ino();
        let locked = |text: String| text.lines().any(|line| line.contains("FLOCK") && line.contains("WRITE"));
        std::fs::metadata(folder.join("fd").join(&number)).is_ok_and(same)
            && std::fs::read_to_string(folder.join("fdinfo").join(&number)).is_ok_and(locked)
    })
}

fn is_of(pid: ProcessId, scratch: &Path) -> bool {
    let mark = variable(pid, REQUEST_VARIABLE);
    let below = mark.as_deref().and_then(|mark| mark.strip_prefix(scratch.as_os_str().as_bytes()));
    below.is_some_and(|below| below.starts_with(b"/"))
}

/// Whether a supervisor is above a process, or it has ended. `look` says what is known of a process now.
fn is_supervised(
    pid: ProcessId,
    mut look: impl FnMut(ProcessId) -> Option<Process>,
    is_supervisor: impl Fn(ProcessId) -> bool,
) -> bool {
    // More than once a parent ends meanwhile only where one is hidden from this user.
    const TRIES: usize = 3;
    // A number that is used again meanwhile could make a circle.
    const DEPTH: usize = 10_000;
    for _ in 0..TRIES {
        let mut at = pid;
        for _ in 0..DEPTH {
            match look(at) {
                Some(process) if is_supervisor(process.parent) => return true,
                Some(process) if process.parent <= 1 => return false,
                Some(process) => at = process.parent,
                None if at == pid => return true,
                // A parent that has gone: the child has another one by now.
                None => break,
            }
        }
    }
    false
}

/// Signals the process that had this number when it was found, and no other.
fn send(is_one: impl Fn(ProcessId) -> bool, pid: ProcessId, signal: Signal) {
    let Some(number) = Pid::from_raw(pid).filter(|_| pid > 1) else { return };
    if let Ok(process) = pidfd_open(number, PidfdFlags::empty())
        && is_one(pid)
    {
        let _ = pidfd_send_signal(process, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn below(parent: ProcessId) -> Option<Process> {
        Some(Process { parent, group: 0, session: 0, zombie: false, stopped: false })
    }

    /// 7 is the supervisor.
    fn supervised(pid: ProcessId, look: impl FnMut(ProcessId) -> Option<Process>) -> bool {
        is_supervised(pid, look, |pid| pid == 7)
    }

    #[test]
    fn a_supervisor_is_found_however_far_above() {
        assert!(supervised(20, |pid| below(pid - 1)));
        assert!(!supervised(6, |pid| below(pid - 1)));
        assert!(!supervised(20, |pid| below(if pid == 20 { 19 } else { 20 })), "a circle ends");
        assert!(supervised(20, |_| None), "there is nothing left to end");
    }

    #[test]
    fn a_process_whose_parent_ends_meanwhile_is_looked_at_again() {
        let looks = Cell::new(0);
        // 30 is the child of 15, which ends; then it is the supervisor's.
        let look = |pid| {
            looks.set(looks.get() + 1);
            match (pid, looks.get()) {
                (30, 1) => below(15),
                (30, _) => below(7),
                _ => None,
            }
        };
        assert!(supervised(30, look));
        assert!(!supervised(30, |pid| if pid == 30 { below(15) } else { None }), "one that is hidden is no supervisor");
    }
}
