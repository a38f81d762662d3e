//! From the end of a job to a result that lasts: a run that is killed in between leaves to the next one what there is.

use std::path::Path;
use std::time::Duration;

use super::spool::JobFolder;
use crate::cache::Cache;
use crate::hash::Hash;
use crate::manifest::Manifest;

/// What a job of a cluster wrote, until it is recorded. But for [`Handover::recorded`], it is for who has the lock on the key.
#[derive(Clone, Debug)]
pub struct Handover(JobFolder);

impl Handover {
    /// That of a key, whether there is a job for it or not.
    pub fn of(cache: &Cache, key: &Hash) -> Self {
        Self(super::spool(cache).job(key))
    }

    /// What the job wrote, in the folder `work`, is about to be moved into the cache.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(&self, work: &Path) -> std::io::Result<()> {
        self.0.write_taken(files_below(work)?)
    }

    /// All of it is there, and this is to be recorded.
    ///
    /// # Errors
    /// What the file system says.
    pub fn placed(&self, manifest: &Manifest) -> std::io::Result<()> {
        self.0.write_manifest(manifest)
    }

    /// What is to be recorded, where a run was killed before it could.
    pub fn manifest(&self) -> Option<Manifest> {
        self.0.manifest()
    }

    /// It lasts.
    pub fn recorded(&self) {
        // A run that executes the key once more may have put another ticket there; what is not removed is swept some day.
        if let Ok(Some(_claim)) = self.0.claim(Duration::ZERO)
            && self.0.manifest().is_some()
        {
            let _ = self.0.remove();
        }
    }

    /// Nothing can be made of it.
    pub fn give_up(&self) {
        self.0.remove_unclaimed();
    }
}

/// How many files there are: each that goes into the cache is one less.
pub(super) fn files_below(folder: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in walkdir::WalkDir::new(folder) {
        count += usize::from(!entry?.file_type().is_dir());
    }
    Ok(count)
}
