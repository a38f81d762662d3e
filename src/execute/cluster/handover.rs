//! From the end of a job to a result that lasts: a run that is killed in between leaves to the next one what there is.

use std::path::PathBuf;
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

    /// What the job wrote is about to be moved into the cache, and this is to be recorded of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(&self, manifest: &Manifest) -> std::io::Result<()> {
        self.0.write_manifest(manifest)
    }

    /// What is to be recorded, where a run was killed before it could, and where those of its files lie that have no place yet.
    pub fn begun(&self) -> Option<(Manifest, Option<PathBuf>)> {
        Some((self.0.manifest()?, self.0.ticket().and_then(|ticket| self.0.work(&ticket))))
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
