//! Ends what survived when a runner and its supervisor were both killed.
//!
//! A task's processes are known by [`REQUEST_VARIABLE`], which names a file in a scratch folder of the cache. Those that
//! have a living supervisor above them are its business.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::processes::{Process, ProcessId, is_supervisor, table, variable};
use super::{ExecuteError, REQUEST_VARIABLE};

/// Ends the processes of tasks under `scratch` that have no supervisor any more: SIGTERM, and SIGKILL after `grace`.
/// Returns when they have ended, with their numbers.
///
/// # Errors
/// Where it cannot be found out which processes there are.
pub fn sweep_within(scratch: &Path, grace: Duration) -> Result<Vec<u32>, ExecuteError> {
    let start = Instant::now();
    let mut told = BTreeSet::new();
    loop {
        let found = survivors(scratch).map_err(ExecuteError::Processes)?;
        if found.is_empty() {
            return Ok(told.into_iter().map(ProcessId::unsigned_abs).collect());
        }
        let kill = start.elapsed() >= grace;
        for pid in found {
            if kill {
                send(scratch, pid, Signal::KILL);
            } else if told.insert(pid) {
                send(scratch, pid, Signal::TERM);
                send(scratch, pid, Signal::CONT);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn survivors(scratch: &Path) -> std::io::Result<Vec<ProcessId>> {
    let table = table()?;
    let marked = table.iter().filter(|(pid, process)| !process.zombie && is_of(**pid, scratch)).map(|(pid, _)| *pid);
    Ok(marked.filter(|pid| !is_supervisor(*pid) && !is_supervised(&table, *pid)).collect())
}

fn is_of(pid: ProcessId, scratch: &Path) -> bool {
    let mark = variable(pid, REQUEST_VARIABLE);
    let below = mark.as_deref().and_then(|mark| mark.strip_prefix(scratch.as_os_str().as_bytes()));
    below.is_some_and(|below| below.starts_with(b"/"))
}

fn is_supervised(table: &BTreeMap<ProcessId, Process>, pid: ProcessId) -> bool {
    let mut pid = pid;
    // A number that is reused while the table is read could make a circle.
    for _ in 0..table.len() {
        match table.get(&pid) {
            Some(process) if is_supervisor(process.parent) => return true,
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    false
}

/// Signals the process that had this number when it was found, and no other.
fn send(scratch: &Path, pid: ProcessId, signal: Signal) {
    let Some(number) = Pid::from_raw(pid).filter(|_| pid > 1) else { return };
    if let Ok(process) = pidfd_open(number, PidfdFlags::empty())
        && is_of(pid, scratch)
    {
        let _ = pidfd_send_signal(process, signal);
    }
}
