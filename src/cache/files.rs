//! Writing so that whatever is killed at whatever moment leaves nothing half-written: into a temporary file, synced,
//! then given its name in one step.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::TryLockError;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use ulid::Ulid;

/// A folder for temporary files that belongs to one process: it is locked while the process lives, and removed by the
/// next one after it has died.
#[derive(Debug)]
pub(super) struct Scrap {
    path: PathBuf,
    ulid: Ulid,
    count: AtomicU64,
    _lock: fs::File,
}

const LOCK: &str = "lock";

impl Scrap {
    /// A new folder in `parent`.
    pub(super) fn new(parent: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Held until the folder's own lock is: a sweep would take it for that of a dead process.
        let making = fs::File::open(parent)?;
        making.file().lock_shared()?;
        let ulid = Ulid::generate();
        let path = parent.join(ulid.to_string());
        fs::create_dir(&path)?;
        let lock = fs::File::create(path.join(LOCK))?;
        lock.file().lock()?;
        Ok(Self { path, ulid, count: AtomicU64::new(0), _lock: lock })
    }

    /// Its name, which says when the process opened the cache.
    pub(super) fn ulid(&self) -> Ulid {
        self.ulid
    }

    /// When the process opened the cache, in nanoseconds since 1970.
    pub(super) fn begun(&self) -> i64 {
        i64::try_from(self.ulid.timestamp_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }

    /// The names of the folders in `parent` whose processes live, the oldest first.
    pub(super) fn living(parent: &Path) -> std::io::Result<Vec<Ulid>> {
        let mut living = Vec::new();
        for entry in entries(parent)? {
            let Ok(ulid) = Ulid::from_string(&entry.file_name().to_string_lossy()) else { continue };
            match fs::File::open(entry.path().join(LOCK)) {
                Ok(file) if is_locked(&file) => living.push(ulid),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(living)
    }

    /// A path for a new temporary file or folder.
    pub(super) fn path(&self) -> PathBuf {
        self.path.join(self.count.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Removes the folders in `parent` whose processes have died.
    pub(super) fn sweep(parent: &Path) -> std::io::Result<()> {
        let sweeping = match fs::File::open(parent) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        sweeping.file().lock()?;
        for entry in entries(parent)? {
            let lock = entry.path().join(LOCK);
            let dead = match fs::File::open(&lock) {
                Ok(file) => file.file().try_lock().is_ok(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            if dead {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        // What stays is removed by the next process.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Whether the open file is still the one at `path`.
pub(crate) fn is_at(file: &fs::File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => open.ino() == there.ino() && open.dev() == there.dev(),
        _ => false,
    }
}

/// Whether somebody else holds a lock on the file. Looking takes a shared lock for a moment.
pub(crate) fn is_locked(file: &fs::File) -> bool {
    matches!(file.file().try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The entries of a folder in the order of their names; none where there is no folder.
pub(crate) fn entries(folder: &Path) -> std::io::Result<Vec<fs::DirEntry>> {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<std::io::Result<Vec<_>>>()?,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Removes a file or folder with all it holds; that it is gone already is no error.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes a folder, also where a task took away its own right to.
pub(crate) fn remove_tree(folder: &Path) -> std::io::Result<()> {
    if std::fs::remove_dir_all(folder).is_ok() {
        return Ok(());
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(folder)
}

/// Writes a new file and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a synced file the name `path` unless something has it already, and syncs the folder. `false`: it was taken.
/// `temporary` is gone afterwards.
pub(crate) fn claim(temporary: &Path, path: &Path) -> std::io::Result<bool> {
    match name_once(temporary, path) {
        Ok(true) => sync(parent(path)).map(|()| true),
        Ok(false) => fs::remove_file(temporary).map(|()| false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_folder_synced(parent(path))?;
            claim(temporary, path)
        }
        Err(error) => Err(error),
    }
}

/// Gives a file the name `path` in one step, unless something has it already. `false`: it was taken, and `temporary` is
/// still there.
pub(super) fn name_once(temporary: &Path, path: &Path) -> std::io::Result<bool> {
    use rustix::io::Errno;
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // The file system cannot: a second name, then away with the first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::hard_link(temporary, path) {
            Ok(()) => fs::remove_file(temporary).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => {
            let error = std::io::Error::from(error);
            Err(std::io::Error::new(error.kind(), format!("cannot be named {}: {error}", path.display())))
        }
    }
}

/// Makes a folder, and those above it, so that they last.
pub(crate) fn create_folder_synced(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    create_folder_synced(parent(folder))?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync(parent(folder))
}

/// The folder that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

/// Syncs a file or folder.
pub(crate) fn sync(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Files and folders whose content has to be synced before a result that speaks of them is recorded. Those of
/// several tasks are merged and synced together.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    files: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

/// From this many on, one call for the whole file system is faster than one for each.
const MANY: usize = 8;

impl Unsynced {
    /// Adds a file that was just given its name.
    pub(super) fn named(&mut self, path: PathBuf) {
        self.name(&path);
        self.files.push(path);
    }

    /// Adds a file whose name need not last.
    pub(super) fn content(&mut self, path: PathBuf) {
        self.files.push(path);
    }

    /// Adds a name whose file is synced already.
    pub(super) fn name(&mut self, path: &Path) {
        self.folders.insert(parent(path).to_owned());
    }

    /// Leaves out a file that is to go.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.retain(|file| file != path);
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.folders.extend(other.folders);
        self
    }

    /// Waits until all of it lasts. `anywhere` is a path on the same file system.
    pub(super) fn sync(self, anywhere: &Path) -> std::io::Result<()> {
        if self.files.len() + self.folders.len() >= MANY {
            let file = fs::File::open(anywhere)?;
            return rustix::fs::syncfs(&file).map_err(std::io::Error::from);
        }
        self.files.iter().chain(&self.folders).try_for_each(|path| sync(path))
    }
}

/// Opens what should be a file. A pipe in its place has nothing to be read; nobody waits for it.
pub(crate) fn open_at_once(path: &Path) -> std::io::Result<fs::File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// All that is in it.
pub(crate) fn read_at_once(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_at_once(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/1");
        for (index, text) in ["first", "second"].into_iter().enumerate() {
            let temporary = folder.path().join(text);
            write_synced(&temporary, text.as_bytes()).unwrap();
            assert_eq!(claim(&temporary, &path).unwrap(), index == 0);
            assert!(!temporary.exists());
        }
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_sweep_removes_what_the_dead_left_and_spares_the_living() {
        let folder = tempfile::tempdir().unwrap();
        let alive = Scrap::new(folder.path()).unwrap();
        fs::write(alive.path(), "mine").unwrap();
        let dead = folder.path().join("01DEAD");
        fs::create_dir_all(dead.join("sub")).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        Scrap::sweep(folder.path()).unwrap();
        assert!(!dead.exists() && alive.path.exists());
        drop(alive);
        assert!(entries(folder.path()).unwrap().is_empty());
    }
}
