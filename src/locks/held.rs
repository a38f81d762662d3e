//! Locks that are held, until the last process that has them open lets go.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::LockRequest;
use super::note::{Posted, beside, open_existing};
use crate::cache;
use crate::cache::files::is_at;

/// Locks that are held. Those that nothing else has (see [`Held::share`]) are free again when this is dropped.
#[derive(Debug)]
pub struct Held {
    pub(super) locks: Vec<(PathBuf, fs::File)>,
    pub(super) notes: Vec<Posted>,
    /// The same among all machines that share the cache, for the key.
    pub(super) claim: Option<cache::Claim>,
}

impl Held {
    /// Descriptors that hold the same locks, to be inherited by a task's processes.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn share(&self) -> std::io::Result<Vec<OwnedFd>> {
        let locks = self.locks.iter().map(|(_, file)| file);
        locks.chain(self.notes.iter().map(Posted::file)).map(|file| Ok(file.file().try_clone()?.into())).collect()
    }

    /// Lets go of all but one.
    #[must_use]
    pub fn keep_only(mut self, request: &LockRequest) -> Self {
        let one = |(path, _): &mut (PathBuf, fs::File)| path.ends_with(&request.file);
        let kept = self.locks.extract_if(.., one).collect();
        Self { locks: kept, notes: Vec::new(), claim: self.claim.take() }
    }

    /// Also holds the claim among all machines.
    #[must_use]
    pub fn with(mut self, claim: cache::Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Lets go of all but the claim.
    pub fn into_claim(mut self) -> Option<cache::Claim> {
        self.claim.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.notes.clear();
        for (path, file) in self.locks.drain(..) {
            drop(file);
            // Nothing depends on it: a file that stays is a lock that nobody holds.
            let _ = tidy(&path);
        }
    }
}

/// Removes a lock's file if nobody else, such as a process of the task, holds it.
fn tidy(path: &Path) -> std::io::Result<()> {
    let Some(file) = open_existing(path)? else { return Ok(()) };
    if file.file().try_lock().is_ok() && is_at(&file, path) {
        // Fails where somebody waits.
        let _ = std::fs::remove_dir(beside(path));
        fs::remove_file(path)?;
    }
    Ok(())
}
