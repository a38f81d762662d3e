//! Removing what nothing uses any more, also while runners work on the same cache.
//!
//! 1. *Mark*: all objects that a result that stays has written or read, and those that the caller names (refs).
//! 2. *Set aside*: every other object that is older than the oldest process that has the cache open. A younger one may
//!    belong to a result that is about to be recorded.
//! 3. *Look again*: what was recorded since the mark may name an object that was stored long ago; it is put back.
//! 4. *Remove* what is still aside.
//!
//! A runner that had found a result before its objects went sees that they are missing, and fails with that or runs the
//! task again: an object is whole or it is not there. A result whose objects go keeps its manifest, so that lineage still
//! leads through it, and an empty file `<key>.collected` beside that, so that it is not taken for a loss.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use fs_err as fs;
use jiff::Timestamp;
use rayon::prelude::*;

use super::census::{Amount, each_result, forget_objects, last_keys, size_below};
use super::files::{Scrap, entries, remove_tree};
use super::stat::{Stat, now};
use super::{Cache, CacheError, Recorded, Result};
use crate::artifact::Artifact;
use crate::hash::Hash;

/// What stays, beside the last result of every instance.
#[derive(Debug, Default)]
pub struct Roots {
    /// Results that are not older, and task folders that are not older.
    pub since: Timestamp,
    /// Results that were used since then.
    pub keys: HashSet<Hash>,
    /// What refs point to, and have pointed to.
    pub artifacts: Vec<Artifact>,
    /// Flows that are being run: all of their results.
    pub flows: BTreeSet<String>,
    /// Runs that go on: the folders of their tasks.
    pub runs: HashSet<String>,
}

/// What went, or would go.
#[derive(Debug, Default)]
pub struct Collected {
    /// Objects that went.
    pub objects: Amount,
    /// Objects that stay.
    pub kept: Amount,
    /// Results whose objects went.
    pub results: u64,
    /// Folders of failed tasks that went.
    pub scratch: Amount,
    /// The runs that executed a result that stays.
    pub runs: HashSet<String>,
    /// Runs that began before may be forgotten.
    pub since: Timestamp,
}

/// The results of a cache, divided.
#[derive(Default)]
struct Division {
    stay: Vec<Recorded>,
    go: Vec<Recorded>,
    /// The number of the newest execution of each key.
    known: HashMap<Hash, u64>,
}

impl Cache {
    /// Since when the oldest other process has the cache open for writing; `None` where there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn in_use_since(&self) -> Result<Option<Timestamp>> {
        let own = self.scrap.as_ref().map(Scrap::ulid);
        let oldest = Scrap::living(&self.v1.join("tmp"))?.into_iter().find(|ulid| Some(*ulid) != own);
        Ok(oldest.map(|ulid| Timestamp::try_from(ulid.datetime()).unwrap_or(Timestamp::MIN)))
    }

    /// Removes what nothing uses; a cache that was opened for reading only is told what would go. `roots` is asked twice:
    /// what it names may grow meanwhile.
    ///
    /// # Errors
    /// [`CacheError::Collecting`] where another process does the same; else what the file system says.
    pub fn collect(&self, roots: impl Fn() -> Result<Roots>) -> Result<Collected> {
        let _alone = self.is_writable().then(|| self.collect_alone()).transpose()?;
        let begun = self.begun()?;
        let first = roots()?;
        let division = self.divide(&first)?;
        let mut marked = Marked { cache: self, hashes: HashSet::new() };
        marked.mark(&division.stay, &first.artifacts)?;
        let mut collected = Collected {
            scratch: self.sweep_scratch(&first)?,
            since: first.since,
            runs: division.stay.iter().map(|recorded| recorded.run.clone()).collect(),
            ..Collected::default()
        };
        let all = self.each_object(|hash, _, metadata| Ok(metadata.is_file().then(|| (hash, Stat::of(metadata)))))?;
        let total =
            all.iter().fold(Amount::default(), |sum, (_, stat)| sum.plus(Amount { count: 1, bytes: stat.size }));
        let unused = |(hash, stat): &(Hash, Stat)| !marked.hashes.contains(hash) && stat.is_settled(begun);
        let mut victims: Vec<(Hash, u64)> =
            all.into_iter().filter(unused).map(|(hash, stat)| (hash, stat.size)).collect();
        let gone: HashSet<Hash> = victims.iter().map(|(hash, _)| *hash).collect();
        let lost = |recorded: &&Recorded| recorded.outputs.values().any(|output| gone.contains(&output.hash));
        let results: Vec<&Recorded> = division.go.iter().filter(lost).collect();
        collected.results = results.len() as u64;
        if self.is_writable() {
            self.sweep_manifests(&division.known)?;
            results.iter().try_for_each(|recorded| self.mark_collected(recorded))?;
            let aside = self.set_aside(&victims)?;
            let mut kept = self.look_again(&division, &mut marked, &roots()?)?.clone();
            kept.extend(touched(&aside, begun)?);
            victims = self.remove_aside(victims, aside, kept)?;
        }
        victims.iter().for_each(|(_, size)| collected.objects.add(*size));
        collected.kept.count = total.count - collected.objects.count;
        collected.kept.bytes = total.bytes - collected.objects.bytes;
        Ok(collected)
    }

    /// Whether the objects of an execution were removed by [`Cache::collect`].
    pub fn was_collected(&self, key: &Hash, n: u64) -> bool {
        self.collected_path(key, n).exists()
    }

    /// Held while one process collects.
    fn collect_alone(&self) -> Result<fs::File> {
        let path = self.v1.join("gc.lock");
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match lock.file().try_lock() {
            Ok(()) => Ok(lock),
            Err(_) => Err(CacheError::Collecting),
        }
    }

    /// When the oldest process that has the cache open came, this one among them, in nanoseconds since 1970.
    fn begun(&self) -> Result<i64> {
        let own = self.scrap.as_ref().map(|scrap| Timestamp::try_from(scrap.ulid().datetime()));
        let own = own.and_then(std::result::Result::ok);
        let oldest = [self.in_use_since()?, own].into_iter().flatten().min();
        Ok(oldest.map_or_else(now, |moment| i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MIN)))
    }

    /// The results that stay, and those that may go.
    fn divide(&self, roots: &Roots) -> Result<Division> {
        self.query(|index| {
            let last = last_keys(index)?;
            let mut division = Division::default();
            each_result(index, |recorded| {
                let key = &recorded.key;
                let stays = last.contains(key)
                    || roots.keys.contains(key)
                    || roots.flows.contains(&recorded.flow)
                    // A time that cannot be read is taken for a young one.
                    || recorded.finished.parse::<Timestamp>().map_or(true, |at| at >= roots.since);
                division.known.insert(*key, recorded.n);
                if stays { division.stay.push(recorded) } else { division.go.push(recorded) }
            })?;
            Ok(division)
        })
    }

    /// Moves objects out of their places; gives where each is now.
    fn set_aside(&self, victims: &[(Hash, u64)]) -> Result<BTreeMap<Hash, PathBuf>> {
        let scrap = self.scrap()?;
        let mut aside = BTreeMap::new();
        for (hash, _) in victims {
            let place = scrap.path();
            fs::rename(self.object_path(hash), &place)?;
            aside.insert(*hash, place);
        }
        Ok(aside)
    }

    /// What came to be used since the results were divided, beside all that was marked then.
    fn look_again<'m>(
        &self,
        before: &Division,
        marked: &'m mut Marked<'_>,
        roots: &Roots,
    ) -> Result<&'m HashSet<Hash>> {
        let now = self.divide(roots)?;
        let stayed: HashSet<Hash> = before.stay.iter().map(|recorded| recorded.key).collect();
        let new = |recorded: &Recorded| {
            before.known.get(&recorded.key) != Some(&recorded.n) || !stayed.contains(&recorded.key)
        };
        let new: Vec<Recorded> = now.stay.into_iter().filter(new).collect();
        marked.mark(&new, &roots.artifacts)?;
        for recorded in &new {
            super::files::remove(&self.collected_path(&recorded.key, recorded.n))?;
        }
        Ok(&marked.hashes)
    }

    /// Puts back what is used after all, and removes the rest; gives what was removed.
    fn remove_aside(
        &self,
        victims: Vec<(Hash, u64)>,
        aside: BTreeMap<Hash, PathBuf>,
        mut used: HashSet<Hash>,
    ) -> Result<Vec<(Hash, u64)>> {
        // The listing of a folder may be aside itself, so that what it names was not marked.
        for hash in aside.keys().filter(|hash| used.contains(hash)).copied().collect::<Vec<_>>() {
            let Some(place) = aside.get(&hash) else { continue };
            let to = self.object_path(&hash);
            self.in_shard(&to, || fs::rename(place, &to))?;
            let mut inner = Marked { cache: self, hashes: HashSet::new() };
            inner.folder(&Artifact { hash, folder: true, size: 0 })?;
            for below in inner.hashes.into_iter().filter(|below| !used.contains(below)).collect::<Vec<_>>() {
                if let Some(place) = aside.get(&below) {
                    let to = self.object_path(&below);
                    self.in_shard(&to, || fs::rename(place, &to))?;
                }
                used.insert(below);
            }
        }
        let removed: Vec<(Hash, u64)> = victims.into_iter().filter(|(hash, _)| !used.contains(hash)).collect();
        removed.par_iter().filter_map(|(hash, _)| aside.get(hash)).try_for_each(fs::remove_file)?;
        let hashes: Vec<Hash> = removed.iter().map(|(hash, _)| *hash).collect();
        self.write(|index| forget_objects(index, &hashes))?;
        Ok(removed)
    }

    fn collected_path(&self, key: &Hash, n: u64) -> PathBuf {
        self.manifest_path(key, n).with_extension("collected")
    }

    fn mark_collected(&self, recorded: &Recorded) -> Result<()> {
        Ok(fs::write(self.collected_path(&recorded.key, recorded.n), "")?)
    }

    /// Removes the folders of tasks that failed, or whose run was killed, where that began long enough ago; gives how many,
    /// and their size.
    fn sweep_scratch(&self, roots: &Roots) -> Result<Amount> {
        let mut swept = Amount::default();
        for run in entries(&self.scratch())? {
            let name = run.file_name().to_string_lossy().into_owned();
            if !is_older(&name, roots.since) || roots.runs.contains(&name) {
                continue;
            }
            for task in entries(&run.path())? {
                swept.add(size_below(&task.path()));
            }
            if self.is_writable() {
                remove_tree(&run.path())?;
            }
        }
        Ok(swept)
    }
}

/// Whether what a ULID names began before `since`. What is not a ULID is not ours.
pub fn is_older(ulid: &str, since: Timestamp) -> bool {
    ulid::Ulid::from_string(ulid)
        .ok()
        .and_then(|ulid| Timestamp::try_from(ulid.datetime()).ok())
        .is_some_and(|began| began < since)
}

/// Objects that stay.
struct Marked<'a> {
    cache: &'a Cache,
    hashes: HashSet<Hash>,
}

impl Marked<'_> {
    /// All that these results wrote and read, and `artifacts`.
    fn mark(&mut self, results: &[Recorded], artifacts: &[Artifact]) -> Result<()> {
        let cache = self.cache;
        // In parts, so that a million manifests are not in memory at once.
        for part in results.chunks(10_000) {
            let used: Vec<Vec<Artifact>> =
                part.par_iter().map(|recorded| used_by(cache, recorded)).collect::<Result<_>>()?;
            used.iter().flatten().try_for_each(|artifact| self.artifact(artifact))?;
        }
        artifacts.iter().try_for_each(|artifact| self.artifact(artifact))
    }

    fn artifact(&mut self, artifact: &Artifact) -> Result<()> {
        let new = self.hashes.insert(artifact.hash);
        if new && artifact.folder { self.folder(artifact) } else { Ok(()) }
    }

    fn folder(&mut self, folder: &Artifact) -> Result<()> {
        match self.cache.listing(folder) {
            Ok(listing) => self.hashes.extend(listing.files().map(|(_, hash, _)| hash)),
            // A listing that is lost says nothing of what else is: there is nothing to keep it whole for.
            Err(CacheError::Missing(_) | CacheError::Damaged { .. } | CacheError::Listing { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What a task wrote again between the look at its age and its being set aside: its result will be recorded.
fn touched(aside: &BTreeMap<Hash, PathBuf>, begun: i64) -> Result<Vec<Hash>> {
    let mut touched = Vec::new();
    for (hash, place) in aside {
        let metadata = fs::symlink_metadata(place)?;
        let accessed = metadata.atime().saturating_mul(1_000_000_000).saturating_add(metadata.atime_nsec());
        if accessed >= begun {
            touched.push(*hash);
        }
    }
    Ok(touched)
}

/// What a result wrote and read.
fn used_by(cache: &Cache, recorded: &Recorded) -> Result<Vec<Artifact>> {
    let mut used: Vec<Artifact> = recorded.outputs.values().cloned().collect();
    if let Some(manifest) = cache.manifest(&recorded.key)? {
        used.extend(manifest.inputs.into_values().map(|input| input.artifact));
    }
    Ok(used)
}
