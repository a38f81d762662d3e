//! Into a shared cache: what is complete, objects before the results that name them.

use std::collections::HashSet;

use super::bucket::{each, some};
use super::{Remote, RemoteError, number, object_name, results_of};
use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError, Result, State, tables};
use crate::hash::Hash;
use crate::manifest::Manifest;

/// So many results are on their way at once; of each, many objects are.
const AT_ONCE: usize = 8;

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
            remote.known.add(&[(manifest.key, n, manifest.run.clone())], &[])
        })
    }

    /// Shares an artifact: of a folder, first what it holds. What was shared before is looked for again: it may have been lost
    /// or damaged there since.
    ///
    /// # Errors
    /// As [`Cache::share`].
    pub fn share_artifact(&self, artifact: &Artifact) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        // What is not here came from there, or is nowhere.
        if self.state_here(artifact)? != State::Whole && remote.known.has_object(&artifact.hash)? {
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
        remote.alone(hash, || {
            let (bucket, name) = (remote.bucket()?, object_name(hash));
            // What is not whole is not handed on.
            let path = self.demand(*hash)?;
            let there = bucket.size(&name)?;
            if there == Some(fs_err::metadata(&path)?.len()) && !remote.known.is_damaged(hash)? {
                return Ok(());
            }
            bucket.upload(&name, &path)??;
            remote.known.is_whole(hash)
        })
    }

    /// The keys, of those that are `wanted`, whose newest result here is not known to be there.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn unshared(&self, wanted: impl Fn(&Hash) -> bool) -> Result<Vec<Hash>> {
        let Some(remote) = &self.remote else { return Ok(Vec::new()) };
        let known = remote.known.runs()?;
        self.query(|index| {
            let mut keys = Vec::new();
            crate::cache::census::each_result(index, |row| {
                if wanted(&row.key) && !known.contains(&(row.key, row.run)) {
                    keys.push(row.key);
                }
            })?;
            Ok(keys)
        })
    }

    /// Shares all results that are here. `progress` is told of each.
    ///
    /// # Errors
    /// Where the shared cache does not take them.
    pub fn push(&self, progress: impl Fn() + Sync) -> Result<Pushed> {
        if let Some(remote) = &self.remote {
            // What is known of another one of this address is forgotten by that.
            remote.bucket()?;
        }
        let all = self.query(tables::count_results)?;
        let keys = self.unshared(|_| true)?;
        let there = all.saturating_sub(keys.len() as u64);
        let mut pushed = Pushed { there, ..Pushed::default() };
        let shared = some(AT_ONCE, &keys, |key| {
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
        let there = bucket.list(&results_of(key))?;
        let last = there.iter().filter_map(|found| number(&found.name)).max();
        // The last one may be this one, shared by a run that was killed before it could write that down.
        let mut n = last.unwrap_or(0);
        loop {
            let name = format!("{}/{n}.json", results_of(key));
            if bucket.create(&name, bytes.to_vec())? || bucket.get(&name)?.is_some_and(|there| there == bytes) {
                return Ok(n);
            }
            n += 1;
        }
    }
}
