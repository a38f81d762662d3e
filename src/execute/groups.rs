//! Control groups: all processes of a task that asks for `memory` are held to it together, by the kernel.
//!
//! A group is made below the one of the supervisor and never beside it, so that what limits or ends the runner also limits
//! or ends its tasks. In version 2 that takes a group that has processes only in groups below it: the root, one in which
//! somebody has seen to that, or one that has no process but the runner's own, which are moved (`systemd-run --scope
//! -p Delegate=yes`). In version 1 it takes the right to make a folder. Where no group can be made, nothing is held.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use crate::machine::{Hierarchy, Version, hierarchies};

/// The members of a group.
const MEMBERS: &str = "cgroup.procs";
/// What the groups below a group may limit, in version 2.
const BELOW: &str = "cgroup.subtree_control";
/// How groups are called that this program makes; the number of the supervisor comes after it.
const NAME: &str = "ghtrader-";
/// … and what comes last of the one for the runner itself.
const RUNNER: &str = "runner";

/// Makes groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Looked for with the first task that asks for memory.
    home: Option<Option<Home>>,
    made: u64,
}

/// Where groups can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Home {
    version: Version,
    /// The group below which they are made.
    above: PathBuf,
    /// The group of the supervisor.
    own: PathBuf,
}

/// The group of a task. It is removed with the value: when all processes of the task have ended.
#[derive(Debug)]
pub(super) struct Group {
    version: Version,
    folder: PathBuf,
    own: PathBuf,
    limit: u64,
}

impl Groups {
    /// A group that holds what starts in it to so many bytes; none where none can be made.
    pub(super) fn make(&mut self, limit: u64) -> Option<Group> {
        let home = self.home.get_or_insert_with(|| hierarchies().iter().find_map(Home::find)).as_ref()?;
        self.made += 1;
        home.group(&format!("{}{}", prefix(), self.made), limit).ok()
    }
}

fn prefix() -> String {
    format!("{NAME}{}-", std::process::id())
}

impl Home {
    fn find(hierarchy: &Hierarchy) -> Option<Self> {
        let (version, own) = (hierarchy.version, hierarchy.folder());
        let home = match version {
            Version::First => Self { version, above: own.clone(), own },
            Version::Second => Self::second(own)?,
        };
        home.remove_old();
        // Whether it can be done is known only when it was.
        home.group(&format!("{}0", prefix()), u64::MAX >> 1).ok().map(|_| home)
    }

    /// In version 2, for a supervisor in the group `own`.
    fn second(own: PathBuf) -> Option<Self> {
        let version = Version::Second;
        // An earlier supervisor of this runner has moved it there.
        let name = own.file_name().and_then(|name| name.to_str()).filter(|name| supervisor(name).is_some());
        let moved = name.is_some_and(|name| name.ends_with(RUNNER));
        if let Some(above) = own.parent().filter(|above| moved && lists_memory(above, BELOW)) {
            return Some(Self { version, above: above.to_owned(), own });
        }
        Some(Self { version, own: opened(&own)?, above: own })
    }

    fn group(&self, name: &str, limit: u64) -> std::io::Result<Group> {
        let folder = self.above.join(name);
        fs::create_dir(&folder)?;
        let group = Group { version: self.version, folder, own: self.own.clone(), limit };
        let set = |file: &str, value: String| fs::write(group.folder.join(file), value);
        set(self.version.limit(), limit.to_string())?;
        // What is not there need not be set: no swap, or a kernel that ends one process and not all of them.
        let further = match self.version {
            Version::First => [("memory.memsw.limit_in_bytes", limit), ("memory.swappiness", 0)],
            Version::Second => [("memory.swap.max", 0), ("memory.oom.group", 1)],
        };
        further.into_iter().for_each(|(file, value)| drop(set(file, value.to_string())));
        Ok(group)
    }

    /// Removes the groups of supervisors that were killed. One with processes in it stays.
    fn remove_old(&self) {
        for entry in fs::read_dir(&self.above).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(supervisor) else { continue };
            if !Path::new(&format!("/proc/{pid}")).exists() {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

/// Whose group it is, by its name.
fn supervisor(name: &str) -> Option<u32> {
    name.strip_prefix(NAME)?.split_once('-')?.0.parse().ok()
}

/// Lets the groups below a group of version 2 limit memory. Where the supervisor is then, if that could be done.
fn opened(group: &Path) -> Option<PathBuf> {
    let open = || fs::write(group.join(BELOW), "+memory");
    if !lists_memory(group, "cgroup.controllers") {
        return None;
    }
    if lists_memory(group, BELOW) || open().is_ok() {
        return Some(group.to_owned());
    }
    // Only a group without processes of its own may let others limit memory.
    let members = fs::read_to_string(group.join(MEMBERS)).ok()?;
    let runner = rustix::process::getppid()?.as_raw_nonzero().get();
    let mine = [std::process::id().to_string(), runner.to_string()];
    if !members.split_ascii_whitespace().all(|member| mine.iter().any(|pid| pid == member)) {
        return None;
    }
    let apart = group.join(format!("{}{RUNNER}", prefix()));
    fs::create_dir(&apart).ok()?;
    let go = |to: &Path| mine.iter().try_for_each(|pid| fs::write(to.join(MEMBERS), pid));
    if go(&apart).and_then(|()| open()).is_ok() {
        return Some(apart);
    }
    let _ = go(group).and_then(|()| fs::remove_dir(&apart));
    None
}

/// Whether memory is among the controllers in a file of a group.
fn lists_memory(group: &Path, file: &str) -> bool {
    let listed = |text: String| text.split_ascii_whitespace().any(|controller| controller == "memory");
    fs::read_to_string(group.join(file)).is_ok_and(listed)
}

impl Group {
    /// What this process starts meanwhile is in the group from its first instruction on. The process has one thread.
    pub(super) fn around<T>(&self, start: impl FnOnce() -> T) -> T {
        let go = |group: &Path| fs::write(group.join(MEMBERS), "0");
        let entered = go(&self.folder).is_ok();
        let started = start();
        if entered {
            // To where it came from there is always room.
            let _ = go(&self.own);
        }
        started
    }

    /// The limit, where the kernel ended a process for it.
    pub(super) fn exceeded(&self) -> Option<u64> {
        let file = match self.version {
            Version::First => "memory.oom_control",
            Version::Second => "memory.events",
        };
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        (killed(&text) > 0).then_some(self.limit)
    }
}

/// How many processes the kernel ended for lack of memory, from a file of `name number` lines.
fn killed(events: &str) -> u64 {
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may still be taking leave of the last process.
        for _ in 0..20 {
            match std::fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_ended_is_counted_in_either_version() {
        assert_eq!(killed("low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n"), 2);
        assert_eq!(killed("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(killed("oom_kill_disable 1\nunder_oom 0\n"), 0, "a kernel before 4.13 does not say");
    }

    #[test]
    fn groups_are_told_from_those_of_others_by_their_names() {
        assert_eq!(supervisor(&format!("{}3", prefix())), Some(std::process::id()));
        assert_eq!(supervisor("ghtrader-12-runner"), Some(12));
        for other in ["ghtrader.service", "ghtrader-x-1", "12-1", "ghtrader-12"] {
            assert_eq!(supervisor(other), None, "{other}");
        }
    }

    /// A folder in which nothing can be limited, as files of any other kind.
    #[test]
    fn where_a_group_cannot_limit_memory_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        assert_eq!(opened(folder.path()), None);
        write("cgroup.controllers", "cpuset cpu pids\n");
        write(BELOW, "");
        assert_eq!(opened(folder.path()), None, "memory is not among them");
        write("cgroup.controllers", "cpuset memory\n");
        write(BELOW, "cpu memory\n");
        assert_eq!(opened(folder.path()), Some(folder.path().to_owned()));
        let moved = folder.path().join("ghtrader-12-runner");
        let home = Home { version: Version::Second, above: folder.path().to_owned(), own: moved.clone() };
        assert_eq!(Home::second(moved), Some(home), "another supervisor of the runner that was moved");
        assert_eq!(Home::second(folder.path().join("some-runner")), None, "nothing is made beside it");
    }

    /// On plain files: whether the kernel obeys them is tried in `tests/processes/memory.rs`, in the version that is there.
    #[test]
    fn of_version_2_the_limit_holds_without_swap_and_for_all_of_a_task_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home { version: Version::Second, above: folder.path().to_owned(), own: folder.path().to_owned() };
        let group = home.group("ghtrader-1-1", 64 << 20).unwrap();
        let text = |file: &str| std::fs::read_to_string(group.folder.join(file)).unwrap();
        assert_eq!(text("memory.max"), "67108864");
        assert_eq!((text("memory.swap.max"), text("memory.oom.group")), ("0".into(), "1".into()));
        let inside = || (text(MEMBERS), folder.path().join(MEMBERS).exists());
        assert_eq!(group.around(inside), ("0".to_owned(), false), "it goes in, starts what is to be held,");
        assert_eq!(std::fs::read_to_string(folder.path().join(MEMBERS)).unwrap(), "0", "and comes back");
        assert_eq!(group.exceeded(), None);
        std::fs::write(group.folder.join("memory.events"), "max 9\noom 1\noom_kill 1\n").unwrap();
        assert_eq!(group.exceeded(), Some(64 << 20));
    }
}
