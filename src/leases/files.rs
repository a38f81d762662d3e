//! The files in the folder of leases.

use std::fs::TryLockError;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Terms;
use crate::cache::files::{is_at, is_locked, open_at_once, remove};

/// How the names of leases end.
pub(super) const LEASE: &str = ".lease";
/// How the names of what is waited for end.
pub(super) const WAIT: &str = ".wait";
/// How the names of those end that are being made.
pub(super) const NEW: &str = ".new";
/// Others have to see whether a file is locked, so they have to be able to open it.
const MODE: u32 = 0o644;

/// A file of this runner, locked.
#[derive(Debug)]
pub(super) struct Posted {
    folder: PathBuf,
    name: String,
    file: fs::File,
}

impl Posted {
    pub(super) fn new(folder: &Path, name: String, terms: &Terms) -> std::io::Result<Self> {
        let new = folder.join(format!("{name}{NEW}"));
        let mut options = fs::OpenOptions::new();
        let mut file = options.create_new(true).read(true).write(true).mode(MODE).open(&new)?;
        // Under its name nobody ever finds it unlocked, half written, or not to be opened.
        let written = file.file().lock().and_then(|()| {
            // The umask may have taken rights away.
            file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
            file.write_all(&serde_json::to_vec(terms)?)?;
            fs::rename(&new, folder.join(&name))
        });
        if let Err(error) = written {
            let _ = remove(&new);
            return Err(error);
        }
        Ok(Self { folder: folder.to_owned(), name, file })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &fs::File {
        &self.file
    }

    /// Shows that its runner is still there.
    pub(super) fn touch(&self) -> std::io::Result<()> {
        self.file.file().set_modified(SystemTime::now())
    }

    /// Lets go of it, and removes it where nothing else holds it. `for_all`: also for those that have a descriptor of it.
    pub(super) fn end(self, for_all: bool) {
        let path = self.folder.join(&self.name);
        if for_all {
            // Where that fails, it is free when they have closed it.
            let _ = self.file.file().unlock();
        }
        drop(self.file);
        // What stays is seen to be nobody's.
        let _ = open(&path).map(|file| file.is_some_and(|file| is_free(&file)).then(|| remove(&path)));
    }
}

fn is_free(file: &fs::File) -> bool {
    file.file().try_lock_shared().is_ok()
}

/// What a file of another says, and how long ago it was touched.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) terms: Terms,
    pub(super) age: Duration,
    owner: u32,
}

impl Found {
    /// Whether the runner whose lease it is has ended, on this machine, and was this user's.
    pub(super) fn is_left_behind(&self) -> bool {
        let user = rustix::process::geteuid();
        let runner = i32::try_from(self.terms.holder.pid).ok().and_then(rustix::process::Pid::from_raw);
        let gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        (user.is_root() || user.as_raw() == self.owner) && runner.is_some_and(gone)
    }
}

/// The names of leases, of what is waited for, and of what is being made of these, in order.
pub(super) fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
        entries => entries?,
    };
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if [LEASE, WAIT, NEW].iter().any(|end| name.ends_with(end)) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes what nobody holds. Only for who has the turn.
pub(super) fn forget(folder: &Path, name: &str) {
    // In a folder of all users, only its own user may.
    let _ = std::fs::remove_file(folder.join(name));
}

/// Opens a file of another. What somebody else has put there, or keeps for himself, is none of ours.
fn open(path: &Path) -> std::io::Result<Option<fs::File>> {
    const NONE_OF_OURS: [Errno; 4] = [Errno::NOENT, Errno::ACCESS, Errno::LOOP, Errno::NXIO];
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => fs::File::from_parts(file, path),
        Err(error) if NONE_OF_OURS.iter().any(|none| error.raw_os_error() == Some(none.raw_os_error())) => {
            return Ok(None);
        }
        Err(error) => return Err(std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// What is found under a name.
pub(super) enum Living {
    /// Nobody holds it.
    Dead,
    /// It is of nobody who follows these rules.
    Strange,
    /// What it says.
    Of(Box<Found>),
}

/// What a file says, as long as somebody holds it; `known`: what it says, where that is known.
pub(super) fn living(folder: &Path, name: &str, known: Option<Terms>) -> std::io::Result<Living> {
    let Some(mut file) = open(&folder.join(name))? else { return Ok(Living::Strange) };
    if !is_locked(&file) {
        return Ok(Living::Dead);
    }
    let metadata = file.metadata()?;
    let age = metadata.modified()?.elapsed().unwrap_or_default();
    let read = |file: &mut fs::File| {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        std::io::Result::Ok(serde_json::from_slice(&text).ok())
    };
    let terms = match known {
        Some(terms) => Some(terms),
        None => read(&mut file)?,
    };
    Ok(terms.map_or(Living::Strange, |terms| Living::Of(Box::new(Found { terms, age, owner: metadata.uid() }))))
}

/// The file that is locked by who has the turn.
pub(super) fn turn(folder: &Path) -> std::io::Result<fs::File> {
    let path = folder.join("turn");
    // A file of somebody else may not be opened to be made where everybody can write.
    let file = match open_at_once(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&path)
        }
        opened => opened,
    }?;
    // Only its owner may, and only the owner has to.
    let _ = file.set_permissions(std::fs::Permissions::from_mode(MODE));
    Ok(file)
}

/// Locks the file, waiting for at most `patience`.
pub(super) fn take_turn(turn: &mut fs::File, folder: &Path, patience: Duration) -> std::io::Result<bool> {
    let begun = Instant::now();
    loop {
        match turn.file().try_lock() {
            Ok(()) if is_at(turn, &folder.join("turn")) => return Ok(true),
            // Somebody has removed the folder: that turn is of nothing.
            Ok(()) => {
                super::folder::create(folder)?;
                *turn = self::turn(folder)?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
