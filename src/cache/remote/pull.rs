//! Out of a shared cache: results before they are planned with, objects when they are needed.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use fs_err as fs;

use super::bucket::{each, some};
use super::{Remote, RemoteError, number, object_name, results_of};
use crate::artifact::Artifact;
use crate::cache::files::remove;
use crate::cache::kind::Kind;
use crate::cache::objects::is_of;
use crate::cache::{Cache, Notice, Recorded, Result, State, tables};
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::sync::lock;

/// So many manifests are in memory at once.
const BATCH: usize = 2000;
/// So many artifacts are brought at once; of a folder, each of its files is a question.
const AT_ONCE: usize = 4;

/// What was brought here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Results that were not known here.
    pub results: u64,
    /// Artifacts of which something was not here.
    pub artifacts: u64,
    /// Artifacts that could not be had.
    pub lost: u64,
}

impl Cache {
    /// The newest result of a key that is not known here, from the shared cache, whose results are then all known here.
    pub(in crate::cache) fn shared_result(&self, key: &Hash) -> Result<Option<Recorded>> {
        let Some(remote) = &self.remote else { return Ok(None) };
        if self.take_in_what_is_to_be_had(remote)? == 0 && self.is_writable() {
            return Ok(None);
        }
        if self.is_writable() {
            return self.query(|index| tables::result(index, *key));
        }
        Ok(lock(&remote.found).get(key).cloned())
    }

    /// Records here all results of the shared cache that are not known here.
    ///
    /// # Errors
    /// Where it cannot be asked, or this one not be written.
    pub fn learn(&self) -> Result<()> {
        self.remote.as_ref().map_or(Ok(()), |remote| self.take_in_all(remote).map(drop))
    }

    /// Looks for a result of a key that somebody has shared since all were looked for. A shared cache that does not answer
    /// has none, which is told.
    ///
    /// # Errors
    /// Where it cannot be recorded here.
    pub fn look_for_shared(&self, key: &Hash) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let looked = remote.ask(|| {
            let found = remote.bucket()?.list(&results_of(key))?;
            let mut found: Vec<(Hash, u64)> =
                found.iter().filter_map(|found| Some((*key, number(&found.name)?))).collect();
            found.sort_unstable_by_key(|(_, n)| *n);
            self.take_in(remote, &found).map(drop)
        });
        self.or_without(looked, ())
    }

    /// Brings here all results of the shared cache, and what the newest ones wrote. `progress` is told of each artifact.
    ///
    /// # Errors
    /// Where the shared cache cannot be asked, or this one not be written.
    pub fn pull(&self, progress: impl Fn() + Sync) -> Result<Pulled> {
        let Some(remote) = &self.remote else { return Ok(Pulled::default()) };
        let results = self.take_in_all(remote)?;
        let mut wanted: Vec<Artifact> = Vec::new();
        let mut seen = HashSet::new();
        self.query(|index| {
            let mut found = Vec::new();
            crate::cache::census::each_result(index, |row| found.extend(row.outputs.values().cloned()))?;
            Ok(found)
        })?
        .into_iter()
        .for_each(|artifact| {
            if seen.insert(artifact.hash) {
                wanted.push(artifact);
            }
        });
        let mut pulled = Pulled { results, ..Pulled::default() };
        let brought = some(AT_ONCE, &wanted, |artifact| -> Result<Option<bool>> {
            if self.state(artifact)? != State::Elsewhere {
                return Ok(None);
            }
            let brought = self.bring_all(artifact)?;
            progress();
            Ok(Some(brought))
        });
        for brought in brought {
            match brought? {
                Some(true) => pulled.artifacts += 1,
                Some(false) => pulled.lost += 1,
                None => {}
            }
        }
        // What was placed lasts.
        self.record_all(&[])?;
        Ok(pulled)
    }

    /// As [`Cache::take_in_all`]; what has begun goes on without it.
    fn take_in_what_is_to_be_had(&self, remote: &Remote) -> Result<u64> {
        let taken = self.take_in_all(remote);
        if remote.can_do_without.load(Ordering::Relaxed) { self.or_without(taken, 0) } else { taken }
    }

    /// Records here what the shared cache has and this one does not, once; gives how many results that were.
    fn take_in_all(&self, remote: &Remote) -> Result<u64> {
        let mut listed = lock(&remote.listed);
        match *listed {
            Some(count) => Ok(count),
            None => remote.ask(|| self.list_and_take_in(remote)).inspect(|count| *listed = Some(*count)),
        }
    }

    fn list_and_take_in(&self, remote: &Remote) -> Result<u64> {
        let bucket = remote.bucket()?;
        let shards = bucket.folders("v1/results")?;
        let found = each(&shards, |shard| -> Result<Vec<(Hash, u64)>, RemoteError> {
            let found = bucket.list(&format!("v1/results/{shard}"))?;
            let execution = |name: &str| {
                let (key, file) = name.split_once('/')?;
                Some((format!("{shard}{key}").parse().ok()?, number(file)?))
            };
            Ok(found.iter().filter_map(|found| execution(&found.name)).collect())
        });
        // An index that is made later would be filled with what is recorded now.
        self.reach()?;
        let known = remote.known.results()?;
        let mut new = Vec::new();
        for found in found {
            new.extend(found?.into_iter().filter(|execution| !known.contains(execution)));
        }
        new.sort_unstable();
        let mut count = 0;
        for part in new.chunks(BATCH) {
            count += self.take_in(remote, part)?;
        }
        Ok(count)
    }

    /// Records these executions here, where nothing is known of their keys; gives how many.
    fn take_in(&self, remote: &Remote, executions: &[(Hash, u64)]) -> Result<u64> {
        let bucket = remote.bucket()?;
        let read = each(executions, |(key, n)| bucket.get(&format!("{}/{n}.json", results_of(key))));
        let (mut results, mut objects, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let mut taken = HashSet::new();
        for ((key, n), bytes) in executions.iter().zip(read) {
            let Some(bytes) = bytes? else { continue };
            let manifest = match serde_json::from_slice::<Manifest>(&bytes) {
                Ok(manifest) if manifest.key == *key => manifest,
                Ok(manifest) => {
                    self.doubt(remote, key, *n, &format!("it is one of key {}", manifest.key));
                    continue;
                }
                Err(error) => {
                    self.doubt(remote, key, *n, &error.to_string());
                    continue;
                }
            };
            results.push((*key, *n, manifest.run.clone()));
            let here = self.executions(key)?;
            // What this machine has executed itself counts here; of another execution, nothing is needed.
            if !here.is_empty() && !here.contains(&manifest) {
                continue;
            }
            objects.extend(manifest.outputs.values().map(|artifact| artifact.hash));
            if here.is_empty() && taken.insert(*key) {
                new.push((manifest, *n));
            }
        }
        if self.is_writable() {
            let manifests: Vec<Manifest> = new.iter().map(|(manifest, _)| manifest.clone()).collect();
            self.record_all(&manifests)?;
        } else {
            let mut found = lock(&remote.found);
            found.extend(new.iter().map(|(manifest, n)| (manifest.key, Recorded::of(manifest, *n))));
        }
        // Not before it is recorded: it would never be asked for again.
        remote.known.add(&results, &objects)?;
        Ok(new.len() as u64)
    }

    fn doubt(&self, remote: &Remote, key: &Hash, n: u64, why: &str) {
        let what = format!("{}/{n}.json", results_of(key));
        self.notify(Notice::Doubtful(format!(
            "{what} in {} is not a manifest: {why}; it does not count",
            remote.address
        )));
    }

    /// Whether the shared cache has an artifact that is not here, as far as results say so.
    pub(in crate::cache) fn is_elsewhere(&self, hash: &Hash) -> Result<bool> {
        let Some(remote) = &self.remote else { return Ok(false) };
        if remote.known.has_object(hash)? {
            return Ok(true);
        }
        // What was known of it may have been lost.
        self.take_in_what_is_to_be_had(remote)?;
        remote.known.has_object(hash)
    }

    /// The same, where nobody is asked now.
    pub(in crate::cache) fn is_known_elsewhere(&self, hash: &Hash) -> Result<bool> {
        self.remote.as_ref().map_or(Ok(false), |remote| remote.known.has_object(hash))
    }

    /// An artifact that is not to be had from the shared cache is made again by the next run.
    pub(in crate::cache) fn forget_elsewhere(&self, hash: &Hash) -> Result<()> {
        self.remote.as_ref().map_or(Ok(()), |remote| remote.known.forget(hash, false))
    }

    /// Brings what is missing of an artifact here, as far as the shared cache has it; whether it has all.
    pub(in crate::cache) fn bring_all(&self, artifact: &Artifact) -> Result<bool> {
        if self.remote.is_none() || !self.is_writable() {
            return Ok(true);
        }
        let here =
            |hash: &Hash, folder| Ok::<_, crate::cache::CacheError>(self.object_state(*hash, folder)? == State::Whole);
        if !here(&artifact.hash, artifact.folder)? && !self.bring(&artifact.hash)? {
            return Ok(false);
        }
        if !artifact.folder {
            return Ok(true);
        }
        let mut missing = Vec::new();
        for (_, hash, _) in self.listing(artifact)?.files() {
            if !here(&hash, false)? {
                missing.push(hash);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        let brought = each(&missing, |hash| self.bring(hash));
        brought.into_iter().try_fold(true, |all, brought| Ok(all & brought?))
    }

    /// Brings an object here; `false` where that cannot be had.
    pub(in crate::cache) fn bring(&self, hash: &Hash) -> Result<bool> {
        let Some(remote) = self.remote.as_ref().filter(|_| self.is_writable()) else { return Ok(false) };
        remote.alone(hash, || {
            // Another thread may have been faster.
            if self.placed_stat(hash).is_some() && self.object_state(*hash, false)? == State::Whole {
                return Ok(true);
            }
            let temporary = self.temporary()?;
            let found = self.fetch(remote, hash, &temporary);
            match found {
                Ok(Some(Some(kind))) => {
                    self.put(kind, *hash, &temporary, fs::File::open(&temporary)?)?;
                    return Ok(true);
                }
                Ok(Some(None)) => self.tell_damaged(remote, hash)?,
                Ok(None) => remote.known.forget(hash, false)?,
                Err(_) => {}
            }
            remove(&temporary)?;
            found.map(|_| false)
        })
    }

    /// Writes an object into a file, and says of which kind it is; the inner `None`: it is not what its hash says, the outer
    /// one: it is not there. Hashed on its way, in this thread: the threads that hash large files may wait for it.
    fn fetch(&self, remote: &Remote, hash: &Hash, path: &Path) -> Result<Option<Option<Kind>>> {
        let mut file = fs::File::create_new(path)?;
        let mut hashers = [Kind::File, Kind::Program, Kind::Folder].map(|kind| (kind, kind.hasher()));
        let found = remote.bucket()?.fetch(&object_name(hash), |bytes| {
            for (_, hasher) in &mut hashers {
                hasher.update(bytes);
            }
            file.write_all(bytes)
        })??;
        let is_it = |(kind, hasher): &(Kind, blake3::Hasher)| (Hash::from(hasher.finalize()) == *hash).then_some(*kind);
        Ok(found.then(|| hashers.iter().find_map(is_it)))
    }

    /// The bytes of an object of the shared cache, where nothing can be written here.
    pub(in crate::cache) fn bytes_elsewhere(&self, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let Some(remote) = self.remote.as_ref().filter(|_| !self.is_writable()) else { return Ok(None) };
        let Some(bytes) = remote.bucket()?.get(&object_name(hash))? else { return Ok(None) };
        if is_of(&bytes, hash) {
            return Ok(Some(bytes));
        }
        self.tell_damaged(remote, hash)?;
        Ok(None)
    }

    fn tell_damaged(&self, remote: &Remote, hash: &Hash) -> Result<()> {
        remote.known.forget(hash, true)?;
        let text =
            format!("object {hash} in {} is damaged; it is not used, and the next run makes it again", remote.address);
        self.notify(Notice::Doubtful(text));
        Ok(())
    }
}
