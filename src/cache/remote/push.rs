//! Into a shared cache: what is complete, objects before the results that name them.

use std::collections::HashSet;

use super::super::{Cache, CacheError, Result};
use super::bucket::each;
use super::{Remote, RemoteError, object_name, results_of};
use crate::artifact::Artifact;
use crate::hash::Hash;
use crate::manifest::Manifest;

/// What was shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Results that were not there.
    pub results: u64,
    /// Results that were there.
    pub there: u64,
    /// Results of which an object is neither here nor there.
    pub incomplete: u64,
}

impl Cache {
    /// Shares a recorded result: first what it wrote, then its manifest. Nothing where the cache is not shared.
    ///
    /// # Errors
    /// Where an object is not here, and where the shared cache does not take it.
    pub fn share(&self, manifest: &Manifest) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        remote.ask(|| {
            manifest.outputs.values().try_for_each(|artifact| self.share_artifact(artifact))?;
            let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| CacheError::Io(error.into()))?;
            let n = remote.alone(&manifest.key, || remote.add_result(&manifest.key, &bytes))?;
            remote.known.add(&[(manifest.key, n)], &[])
        })
    }

    /// Shares an artifact: of a folder, first what it holds.
    ///
    /// # Errors
    /// As [`Cache::share`].
    pub fn share_artifact(&self, artifact: &Artifact) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        if remote.known.has_object(&artifact.hash)? {
            return Ok(());
        }
        if artifact.folder {
            let listing = self.listing(artifact)?;
            let files: HashSet<Hash> = listing.files().map(|(_, hash, _)| hash).collect();
            let files: Vec<Hash> = files.into_iter().collect();
            let shared = each(&files, |hash| self.share_object(remote, hash));
            shared.into_iter().collect::<Result<Vec<()>>>()?;
        }
        self.share_object(remote, &artifact.hash)?;
        remote.known.add(&[], &[artifact.hash])
    }

    fn share_object(&self, remote: &Remote, hash: &Hash) -> Result<()> {
        if remote.known.has_object(hash)? {
            return Ok(());
        }
        remote.alone(hash, || {
            let (bucket, name) = (remote.bucket()?, object_name(hash));
            if bucket.has(&name)? && !remote.known.is_damaged(hash)? {
                return Ok(());
            }
            // What is not whole is not handed on.
            let path = self.demand(*hash)?;
            bucket.upload(&name, &path)??;
            Ok(())
        })
    }

    /// The keys that have a result here of which nothing is known there.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn unshared(&self, keys: impl IntoIterator<Item = Hash>) -> Result<Vec<Hash>> {
        let Some(remote) = &self.remote else { return Ok(Vec::new()) };
        let known: HashSet<Hash> = remote.known.results()?.into_iter().map(|(key, _)| key).collect();
        Ok(keys.into_iter().filter(|key| !known.contains(key)).collect())
    }

    /// Shares all results that are here. `progress` is told of each.
    ///
    /// # Errors
    /// Where the shared cache does not take them.
    pub fn push(&self, progress: impl Fn() + Sync) -> Result<Pushed> {
        let all = self.query(|index| {
            let mut keys = Vec::new();
            super::super::census::each_result(index, |row| keys.push(row.key))?;
            Ok(keys)
        })?;
        let keys = self.unshared(all.iter().copied())?;
        let mut pushed = Pushed { there: (all.len() - keys.len()) as u64, ..Pushed::default() };
        let shared = each(&keys, |key| {
            let shared = self.share_key(key);
            progress();
            shared
        });
        for shared in shared {
            match shared {
                Ok(true) => pushed.results += 1,
                Ok(false) | Err(CacheError::Missing(_) | CacheError::Damaged { .. }) => pushed.incomplete += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(pushed)
    }

    /// Shares the newest result of a key; `false` where there is none.
    ///
    /// # Errors
    /// As [`Cache::share`].
    pub fn share_key(&self, key: &Hash) -> Result<bool> {
        let Some(manifest) = self.manifest(key)? else { return Ok(false) };
        self.share(&manifest).map(|()| true)
    }
}

impl Remote {
    /// Records an execution under the next number that is free; one that is there already keeps its number.
    fn add_result(&self, key: &Hash, bytes: &[u8]) -> Result<u64, RemoteError> {
        let bucket = self.bucket()?;
        let mut n = 0;
        loop {
            let name = format!("{}/{n}.json", results_of(key));
            if bucket.create(&name, bytes.to_vec())? || bucket.get(&name)?.is_some_and(|there| there == bytes) {
                return Ok(n);
            }
            n += 1;
        }
    }
}
