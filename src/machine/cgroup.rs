//! The control groups of this process, and how much memory they allow it. Groups of both versions are looked at, with those
//! around them: the least counts. What the files of the system say is read by functions of their text.

use std::path::{Path, PathBuf};

/// A hierarchy of control groups, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Which interface it has.
    pub(crate) version: Version,
    /// Where it is mounted.
    mount: PathBuf,
    /// The group of this process, below that.
    group: PathBuf,
}

/// An interface of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A hierarchy for each controller.
    First,
    /// One for all.
    Second,
}

impl Version {
    /// The name of the file with the limit of memory.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Self::First => "memory.limit_in_bytes",
            Self::Second => "memory.max",
        }
    }
}

/// The hierarchies in which the memory of this process may be limited.
pub(crate) fn hierarchies() -> Vec<Hierarchy> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    parsed(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"))
}

/// The least limit of memory among the groups of this process and those around them.
pub(super) fn memory_limit() -> Option<u64> {
    least(&hierarchies())
}

fn least(hierarchies: &[Hierarchy]) -> Option<u64> {
    hierarchies.iter().flat_map(Hierarchy::limits).min()
}

impl Hierarchy {
    /// The group of this process.
    pub(crate) fn folder(&self) -> PathBuf {
        self.mount.join(&self.group)
    }

    fn limits(&self) -> impl Iterator<Item = u64> {
        let around = self.group.ancestors().map(|group| self.mount.join(group).join(self.version.limit()));
        around.filter_map(|file| limit(&std::fs::read_to_string(file).ok()?))
    }
}

/// What is in a file with a limit; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The same from the text of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn parsed(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    groups.lines().filter_map(|line| hierarchy(line, mounts)).collect()
}

/// `number:controllers:group`; of version 2 the number is 0 and the controllers are empty.
fn hierarchy(line: &str, mounts: &str) -> Option<Hierarchy> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, group) = rest.split_once(':')?;
    let second = number == "0" && controllers.is_empty();
    if !second && controllers.split(',').all(|name| name != "memory") {
        return None;
    }
    let (root, mount) = mounts.lines().find_map(|line| mounted(line, second))?;
    // A group outside what is mounted cannot be looked at, but the mount itself is around it.
    let group = Path::new(group).strip_prefix(root).unwrap_or(Path::new("")).to_owned();
    let version = if second { Version::Second } else { Version::First };
    Some(Hierarchy { version, mount: mount.into(), group })
}

/// Of a line of `mountinfo` (proc(5)): which part of the hierarchy is mounted, and where.
fn mounted(line: &str, second: bool) -> Option<(&str, &str)> {
    let (place, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    let (kind, options) = (system.next()?, system.nth(1)?);
    let wanted = match second {
        true => kind == "cgroup2",
        false => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
    };
    let mut place = place.split(' ').skip(3);
    Some((place.next()?, place.next()?)).filter(|_| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
    const V1: &str = "\
25 30 0:22 / /sys/fs/cgroup ro shared:8 - tmpfs tmpfs ro,mode=755
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
33 25 0:29 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw";

    fn of(mount: &str, group: &str, version: Version) -> Hierarchy {
        Hierarchy { version, mount: mount.into(), group: group.into() }
    }

    #[test]
    fn the_groups_of_a_process_are_found_in_either_version() {
        let slice = "0::/user.slice/user-1000.slice/a:b\n";
        assert_eq!(parsed(slice, V2), [of("/sys/fs/cgroup", "user.slice/user-1000.slice/a:b", Version::Second)]);
        let both = "9:name=systemd:/\n4:memory:/docker/1\n3:cpu,cpuacct:/\n0::/\n";
        assert_eq!(
            parsed(both, V1),
            [
                of("/sys/fs/cgroup/memory", "docker/1", Version::First),
                of("/sys/fs/cgroup/unified", "", Version::Second),
            ]
        );
        let container = V1.replace("0:28 / ", "0:28 /docker/1 ");
        assert_eq!(parsed("4:memory:/docker/1/x", &container)[0].group, Path::new("x"));
        assert_eq!(parsed("4:memory:/elsewhere", &container)[0].group, Path::new(""));
        for nothing in ["", "nonsense", "4:memory:/x"] {
            assert_eq!(parsed(nothing, V2), [], "{nothing}");
        }
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it_counts() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let group = [of(mount.path().to_str().unwrap(), "a/b", Version::Second)];
        assert_eq!(least(&group), None, "no such files, no limit");
        write("a/b/memory.max", "max\n");
        assert_eq!(least(&group), None);
        write("a/memory.max", "2147483648\n");
        write("a/b/c/memory.max", "1\n");
        assert_eq!(least(&group), Some(2 << 30));
        write("a/b/memory.max", "4096\n");
        write("memory.max", "8192\n");
        assert_eq!(least(&group), Some(4096));
    }
}
