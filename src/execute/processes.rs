//! What the kernel knows of processes: `/proc`, and how one that has ended ended.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The hidden subcommand.
pub(super) const WORD: &str = "__supervise";

/// A process number.
pub(super) type ProcessId = i32;

/// A living process, or one that has ended and was not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) parent: ProcessId,
    pub(super) group: ProcessId,
    pub(super) session: ProcessId,
    pub(super) zombie: bool,
    /// By a signal, or by who traces it.
    pub(super) stopped: bool,
}

/// The numbers of all processes that can be seen.
pub(super) fn numbers() -> std::io::Result<Vec<ProcessId>> {
    let number = |entry: fs_err::DirEntry| entry.file_name().to_str()?.parse().ok();
    fs_err::read_dir("/proc")?.filter_map(|entry| entry.map(number).transpose()).collect()
}

/// All processes that can be seen. They are looked at one after the other: of one, the parent may have gone.
pub(super) fn table() -> std::io::Result<BTreeMap<ProcessId, Process>> {
    Ok(numbers()?.into_iter().filter_map(|pid| Some((pid, process(pid)?))).collect())
}

/// One process; `None` where it is gone.
pub(super) fn process(pid: ProcessId) -> Option<Process> {
    parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state ppid pgrp session …`; the name may hold anything, brackets too.
fn parse(stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse().ok();
    Some(Process {
        parent: number()?,
        group: number()?,
        session: number()?,
        zombie: matches!(state, "Z" | "X"),
        stopped: matches!(state, "T" | "t"),
    })
}

/// `roots` and everything below them in `table`, without the zombies.
pub(super) fn trees(table: &BTreeMap<ProcessId, Process>, roots: BTreeSet<ProcessId>) -> BTreeSet<ProcessId> {
    let mut children: BTreeMap<ProcessId, Vec<ProcessId>> = BTreeMap::new();
    for (pid, process) in table {
        children.entry(process.parent).or_default().push(*pid);
    }
    let mut stack: Vec<ProcessId> = roots.iter().copied().collect();
    let mut found = roots;
    while let Some(pid) = stack.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                stack.push(*child);
            }
        }
    }
    found.retain(|pid| table.get(pid).is_some_and(|process| !process.zombie));
    found
}

/// The direct children of this process, which has one thread.
#[derive(Debug)]
pub(super) struct OwnChildren {
    /// `None` where the kernel does not list them.
    list: Option<std::fs::File>,
    text: Vec<u8>,
}

impl OwnChildren {
    pub(super) fn new() -> Self {
        Self { list: std::fs::File::open("/proc/thread-self/children").ok(), text: vec![0; 4096] }
    }

    pub(super) fn get(&mut self) -> Vec<ProcessId> {
        self.listed().unwrap_or_else(|| {
            let own = rustix::process::getpid().as_raw_nonzero().get();
            let table = table().unwrap_or_default();
            table.into_iter().filter(|(_, process)| process.parent == own).map(|(pid, _)| pid).collect()
        })
    }

    fn listed(&mut self) -> Option<Vec<ProcessId>> {
        let list = self.list.as_ref()?;
        let mut length = 0;
        loop {
            if length == self.text.len() {
                self.text.resize(2 * length, 0);
            }
            match list.read_at(self.text.get_mut(length..)?, length as u64).ok()? {
                0 => break,
                read => length += read,
            }
        }
        let text = str::from_utf8(self.text.get(..length)?).ok()?;
        Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
    }
}

/// The value of a variable in the environment that a process was started with.
pub(super) fn variable(pid: ProcessId, name: &str) -> Option<Vec<u8>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.to_vec())
    })
}

/// Whether a process is a living supervisor.
pub(super) fn is_supervisor(pid: ProcessId) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    line.split(|byte| *byte == 0).nth(1).map(OsStr::from_bytes) == Some(OsStr::new(WORD))
}

/// Sends a signal; that the process is gone is no error.
pub(super) fn signal(pid: ProcessId, signal: Signal) {
    // 0 and negative numbers mean groups.
    if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) {
        let _ = kill_process(pid, signal);
    }
}

/// What there is to know of the children.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reaped {
    /// One has ended.
    Ended(Ended),
    /// There are some, and none of them has ended.
    Alive,
    /// There are none.
    Childless,
}

/// A child that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) pid: ProcessId,
    pub(super) status: ExitStatus,
    /// Processor time of it and of what it waited for.
    pub(super) cpu: Duration,
    /// Peak resident memory of the largest of them, in bytes.
    pub(super) peak_memory: u64,
}

/// Takes leave of one child that has ended, if there is one.
#[expect(unsafe_code, reason = "no safe wrapper of wait4 exists; waitid tells no resource usage")]
pub(super) fn reap() -> Reaped {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live values of the right types, and wait4 keeps neither. `rusage` holds integers
    // only, so its zeroed value is valid where the kernel writes none.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    match pid {
        1.. => Reaped::Ended(Ended {
            pid,
            status: ExitStatus::from_raw(status),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
        }),
        0 => Reaped::Alive,
        _ => Reaped::Childless,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let process = parse(b"12 (a) R (b) S 7 8 9 0 -1").unwrap();
        assert_eq!(process, Process { parent: 7, group: 8, session: 9, zombie: false, stopped: false });
        assert!(parse(b"12 (a) Z 7 8 9 0").unwrap().zombie);
        assert!(parse(b"12 (a) T 7 8 9 0").unwrap().stopped);
        assert_eq!(parse(b"12 (a) S seven"), None);
    }

    #[test]
    fn a_tree_is_all_that_is_below() {
        let process = |parent, zombie| Process { parent, group: 0, session: 0, zombie, stopped: false };
        let table = BTreeMap::from([
            (2, process(1, false)),
            (3, process(2, false)),
            (4, process(3, true)),
            (5, process(4, false)),
            (6, process(1, false)),
        ]);
        assert_eq!(trees(&table, BTreeSet::from([2, 99])), BTreeSet::from([2, 3, 5]));
    }

    #[test]
    fn this_process_is_found() {
        let pid = ProcessId::try_from(std::process::id()).unwrap();
        assert!(table().unwrap().contains_key(&pid));
        assert!(!is_supervisor(pid));
    }
}
