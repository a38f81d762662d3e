//! The folders in which tasks run, below the scratch folder of their run.
//!
//! ```text
//! scratch/<run>/<task>/in/<name>/<file>   the inputs: copies, so that what the task does to them changes nothing
//! scratch/<run>/<task>/work/              its folder, empty but for the folders of outputs
//! scratch/<run>/<task>/tmp/               TMPDIR
//! scratch/<run>/<task>/request.json       GHTRADER_TASK
//! ```
//!
//! Making and removing them is much of what a small task costs on a disk. So one that a task left as it had got it is
//! given the name of the next task instead.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use rustix::fs::{AtFlags, CWD, StatxFlags, llistxattr, statx};
use rustix::io::Errno;

use crate::cache::files::{entries, parent, remove_tree};
use crate::sync::lock;

pub(super) const INPUTS: &str = "in";
pub(super) const WORK: &str = "work";
pub(super) const TMP: &str = "tmp";
pub(super) const REQUEST: &str = "request.json";

/// So many folders are kept for later tasks.
const KEPT: usize = 64;

/// The folders of tasks, and those that wait for the next task.
#[derive(Debug, Default)]
pub(super) struct Folders {
    spare: Mutex<VecDeque<Spare>>,
    /// What a new folder is like here.
    new: OnceLock<Likeness>,
}

/// What a task may change of a folder or file without a trace in what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    mode: u16,
    owner: (u32, u32),
    /// Another one where something is mounted there.
    device: (u32, u32),
    /// Such as that it cannot be changed.
    attributes: u64,
}

impl Likeness {
    /// `None` where there are extended attributes: access lists among them go on to new files.
    fn of(path: &Path) -> Option<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = statx(CWD, path, flags, StatxFlags::BASIC_STATS).ok()?;
        match llistxattr(path, &mut [0; 16]) {
            Ok(0) | Err(Errno::OPNOTSUPP) => {}
            _ => return None,
        }
        Some(Self {
            mode: stat.stx_mode,
            owner: (stat.stx_uid, stat.stx_gid),
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            attributes: stat.stx_attributes.bits(),
        })
    }
}

/// An empty folder, with folders for these inputs.
#[derive(Debug)]
struct Spare {
    path: PathBuf,
    inputs: Vec<String>,
}

impl Folders {
    /// Makes the empty folder of a task with these inputs, whatever lies there: an earlier attempt, or what a run that was
    /// killed has left.
    pub(super) fn make(&self, path: &Path, inputs: &[&str]) -> std::io::Result<()> {
        if let Some(spare) = self.take(inputs)
            && rename_over(&spare, path).is_ok()
        {
            return Ok(());
        }
        make_anew(path)?;
        fs_err::create_dir(path.join(WORK))?;
        fs_err::create_dir(path.join(TMP))?;
        if !inputs.is_empty() {
            fs_err::create_dir(path.join(INPUTS))?;
        }
        inputs.iter().try_for_each(|name| fs_err::create_dir(path.join(INPUTS).join(name)))?;
        if self.new.get().is_none()
            && let Some(new) = Likeness::of(path)
        {
            let _ = self.new.set(new);
        }
        Ok(())
    }

    /// Writes a task's request into its folder.
    pub(super) fn write_request(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
        let path = path.join(REQUEST);
        // Not emptied first: ext4 sends a file that was emptied and written to the disk as soon as it is closed.
        let mut file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.write_all(bytes)?;
        if file.metadata()?.len() > bytes.len() as u64 {
            file.set_len(bytes.len() as u64)?;
        }
        Ok(path)
    }

    /// Takes back the folder of a task whose outputs were moved away, and the copies of whose `inputs` (name and file) are
    /// still there. `alone`: no process can be left that has it open.
    pub(super) fn take_back(&self, path: &Path, inputs: &[(&str, &str)], alone: bool) -> std::io::Result<()> {
        for (name, file) in inputs {
            let _ = std::fs::remove_file(path.join(INPUTS).join(name).join(file));
        }
        let inputs: Vec<String> = inputs.iter().map(|(name, _)| (*name).to_owned()).collect();
        if !alone || !self.is_as_made(path, &inputs) {
            return remove_tree(path);
        }
        let excess = {
            let mut spare = lock(&self.spare);
            spare.push_back(Spare { path: path.to_owned(), inputs });
            if spare.len() > KEPT { spare.pop_front() } else { None }
        };
        excess.map_or(Ok(()), |spare| remove_tree(&spare.path))
    }

    fn take(&self, inputs: &[&str]) -> Option<PathBuf> {
        let mut spare = lock(&self.spare);
        let found = spare.iter().position(|spare| spare.inputs == inputs)?;
        spare.remove(found).map(|spare| spare.path)
    }

    /// Whether a folder is as [`Folders::make`] made it, but for the request.
    fn is_as_made(&self, path: &Path, inputs: &[String]) -> bool {
        let request = path.join(REQUEST);
        // Of a new file, as the umask leaves it: what a new folder has, but for the right to enter it.
        let as_new = |like: Likeness| {
            let new = self.new.get().map(|new| Likeness { mode: new.mode & 0o666, ..*new });
            new == Some(Likeness { mode: like.mode & 0o7777, ..like })
        };
        let parts: &[&str] = if inputs.is_empty() { &[REQUEST, TMP, WORK] } else { &[INPUTS, REQUEST, TMP, WORK] };
        let above = path.join(INPUTS);
        // A request with a second name would change under that too.
        std::fs::symlink_metadata(&request).is_ok_and(|request| request.is_file() && request.nlink() == 1)
            && Likeness::of(&request).is_some_and(as_new)
            && self.holds(path, parts)
            && self.holds::<&str>(&path.join(WORK), &[])
            && self.holds::<&str>(&path.join(TMP), &[])
            && (inputs.is_empty() || self.holds(&above, inputs))
            && inputs.iter().all(|name| self.holds::<&str>(&above.join(name), &[]))
    }

    /// Whether there is a folder, like a new one, that holds just these names.
    fn holds<T: AsRef<str>>(&self, folder: &Path, names: &[T]) -> bool {
        Likeness::of(folder).is_some_and(|like| self.new.get() == Some(&like))
            && entries(folder).is_ok_and(|entries| {
                entries.len() == names.len()
                    && entries.iter().all(|entry| names.iter().any(|name| entry.file_name() == name.as_ref()))
            })
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for Spare { path, .. } in lock(&self.spare).drain(..) {
            // What stays goes with the next `cache gc`, as does the run's folder where a failed task's is in it.
            let _ = remove_tree(&path).and_then(|()| std::fs::remove_dir(parent(&path)));
        }
    }
}

/// Gives a folder another name; what has it goes away.
fn rename_over(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
            remove_tree(to)?;
            std::fs::rename(from, to)
        }
        other => other,
    }
}

/// Makes an empty folder, whatever lies there.
fn make_anew(folder: &Path) -> std::io::Result<()> {
    match std::fs::create_dir(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            remove_tree(folder)?;
            fs_err::create_dir(folder)
        }
        Err(_) => fs_err::create_dir_all(folder),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// The folder of a task with the input `a/x`, that `task` did something to, taken back; whether it is the next one's.
    fn is_used_again(alone: bool, task: impl FnOnce(&Path)) -> bool {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::default();
        let (one, two) = (root.path().join("run/one"), root.path().join("run/two"));
        let run = |path: &Path| {
            folders.make(path, &["a"]).unwrap();
            fs_err::write(path.join("in/a/x"), "input").unwrap();
            Folders::write_request(path, b"a request of some length").unwrap();
        };
        run(&one);
        let inode = fs_err::metadata(&one).unwrap().ino();
        task(&one);
        folders.take_back(&one, &[("a", "x")], alone).unwrap();
        let spare = one.exists();
        run(&two);
        assert!(!one.exists());
        assert_eq!(entries(&two.join(WORK)).unwrap().len() + entries(&two.join(TMP)).unwrap().len(), 0);
        assert_eq!(entries(&two.join(INPUTS)).unwrap().len() + entries(&two.join("in/a")).unwrap().len(), 2);
        assert_eq!(entries(&two).unwrap().len(), 4);
        spare && fs_err::metadata(&two).unwrap().ino() == inode
    }

    #[test]
    fn a_folder_is_used_again_where_its_task_left_it_as_it_was() {
        assert!(is_used_again(true, |_| {}));
        assert!(is_used_again(true, |path| fs_err::remove_file(path.join("in/a/x")).unwrap()));
        assert!(!is_used_again(false, |_| {}), "a process may still be in it");
    }

    #[test]
    fn nothing_that_a_task_left_reaches_the_next_one() {
        let changes: [fn(&Path); 11] = [
            |path| fs_err::set_permissions(path.join(REQUEST), std::fs::Permissions::from_mode(0o400)).unwrap(),
            |path| {
                // What cannot have one is changed otherwise.
                let flags = rustix::fs::XattrFlags::empty();
                if rustix::fs::setxattr(path.join("work"), "user.left", b"x", flags).is_err() {
                    fs_err::write(path.join("work/left"), "").unwrap();
                }
            },
            |path| fs_err::write(path.join("work/left"), "").unwrap(),
            |path| fs_err::write(path.join("tmp/.left"), "").unwrap(),
            |path| fs_err::write(path.join("in/a/left"), "").unwrap(),
            |path| fs_err::create_dir(path.join("in/b")).unwrap(),
            |path| fs_err::write(path.join("left"), "").unwrap(),
            |path| fs_err::set_permissions(path.join("tmp"), std::fs::Permissions::from_mode(0o711)).unwrap(),
            |path| {
                fs_err::remove_dir(path.join("tmp")).unwrap();
                symlink("/tmp", path.join("tmp")).unwrap();
            },
            |path| {
                fs_err::remove_file(path.join(REQUEST)).unwrap();
                symlink("/dev/full", path.join(REQUEST)).unwrap();
            },
            |path| fs_err::hard_link(path.join(REQUEST), path.parent().unwrap().join("kept")).unwrap(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert!(!is_used_again(true, change), "change {index}");
        }
    }

    #[test]
    fn what_lies_in_the_way_goes_and_a_shorter_request_leaves_nothing_of_a_longer() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::default();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        folders.make(&one, &[]).unwrap();
        Folders::write_request(&one, b"long").unwrap();
        folders.take_back(&one, &[], true).unwrap();
        fs_err::create_dir_all(two.join("work")).unwrap();
        fs_err::write(two.join("work/half"), "").unwrap();
        folders.make(&two, &[]).unwrap();
        assert!(!one.exists() && entries(&two.join("work")).unwrap().is_empty());
        let request = Folders::write_request(&two, b"a").unwrap();
        assert_eq!(fs_err::read(request).unwrap(), b"a");
    }

    #[test]
    fn folders_for_other_inputs_are_not_taken_and_few_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::default();
        for index in 0..KEPT + 3 {
            let (path, name) = (root.path().join(index.to_string()), format!("n{index}"));
            folders.make(&path, &[&name]).unwrap();
            Folders::write_request(&path, b"{}").unwrap();
            folders.take_back(&path, &[(&name, "x")], true).unwrap();
        }
        assert_eq!(entries(root.path()).unwrap().len(), KEPT);
        assert!(folders.take(&["n0"]).is_none() && folders.take(&["n3"]).is_some());
    }
}
