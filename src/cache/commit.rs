//! Making it last: the group commit.
//!
//! An object can be used as soon as it is in its place, for whoever reads it through this [`Cache`]. A result counts only
//! once all that was placed before is synced, then its manifest's bytes, then the manifest's name, in this order. One
//! commit does so for any number of results with two waits for the disk.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::files::{Unsynced, name_once, remove};
use super::stat::Stat;
use super::{Cache, CacheError, Notice, Result, tables};
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::sync::lock;

/// Objects that are in their place and do not last yet.
#[derive(Debug, Default)]
pub(super) struct Placed {
    unsynced: Unsynced,
    /// What the file system said of them when they got their place. They stay in here until the index says so too.
    stats: HashMap<Hash, Stat>,
    /// Those of `stats` that no commit has taken yet.
    new: Vec<Hash>,
    /// Those that got their place here and that no result has yet. One that was there already may be another result's.
    unrecorded: HashSet<Hash>,
}

/// Held by whoever commits: a result may rest on what an earlier commit still syncs.
#[derive(Debug, Default)]
pub(super) struct Committing {
    /// What went wrong when something was synced. The kernel may have dropped it then, and says so only once: whatever is
    /// said to be synced later may rest on what is lost.
    failed: Option<String>,
    /// Lets the next sync fail.
    #[cfg(test)]
    pub(super) fails: bool,
}

impl Cache {
    /// What the file system said of an object that was placed and is not known to the index yet.
    pub(super) fn placed_stat(&self, hash: &Hash) -> Option<Stat> {
        lock(&self.placed).stats.get(hash).copied()
    }

    /// Notes an object that was just given its place.
    pub(super) fn add_placed(&self, place: PathBuf, hash: Hash, stat: Stat) {
        let mut placed = lock(&self.placed);
        placed.unsynced.named(place);
        placed.stats.insert(hash, stat);
        placed.new.push(hash);
        placed.unrecorded.insert(hash);
    }

    /// Notes an object that lasts already, and of which the file system says something new.
    pub(super) fn add_touched(&self, hash: Hash, stat: Stat) {
        let mut placed = lock(&self.placed);
        placed.stats.insert(hash, stat);
        placed.new.push(hash);
    }

    /// Forgets what the file system said of objects: they are read before they are used.
    pub(super) fn forget_placed(&self, hashes: &[Hash]) {
        let mut placed = lock(&self.placed);
        placed.stats.retain(|hash, _| !hashes.contains(hash));
    }

    /// Records finished tasks, whose outputs are in their place already: when this returns, all of them last, and all
    /// that was placed.
    ///
    /// # Errors
    /// Those of [`Cache::record_some`].
    pub fn record_all(&self, manifests: &[Manifest]) -> Result<()> {
        self.record_some(manifests).1
    }

    /// As [`Cache::record_all`], as far as it goes: gives how many of the first ones last, and why the others do not. Where the
    /// disk is full, what those have placed is removed again: it would be nobody's, and keep the disk full.
    ///
    /// # Errors
    /// What the file system says. After a sync that failed nothing can be recorded any more by this process.
    pub fn record_some(&self, manifests: &[Manifest]) -> (usize, Result<()>) {
        let mut recorded = 0;
        let result = self.try_record(manifests, &mut recorded);
        (recorded, result)
    }

    fn try_record(&self, manifests: &[Manifest], recorded: &mut usize) -> Result<()> {
        let mut committing = lock(&self.committing);
        if let Some(why) = &committing.failed {
            return Err(CacheError::NotSynced(why.clone()));
        }
        let (written, mut refused) = self.write_manifests(manifests)?;
        let mut contents = Unsynced::default();
        written.iter().for_each(|temporary| contents.content(temporary.clone()));
        let new = self.sync_placed(&mut committing, contents)?;
        let mut names = Unsynced::default();
        let mut rows = Vec::with_capacity(written.len());
        for (temporary, manifest) in written.iter().zip(manifests) {
            match self.name_manifest(temporary, &manifest.key) {
                Ok(n) => {
                    names.name(&self.manifest_path(&manifest.key, n));
                    rows.push((manifest, n));
                }
                Err(error) => {
                    refused = Err(error);
                    break;
                }
            }
        }
        self.sync(&mut committing, names)?;
        *recorded = rows.len();
        if matches!(&refused, Err(error) if error.is_full()) {
            let (kept, rest) = manifests.split_at(rows.len());
            self.give_up(rest, kept);
        }
        let done = self.objects_of(rows.iter().map(|(manifest, _)| *manifest));
        let mut placed = lock(&self.placed);
        for hash in done {
            placed.unrecorded.remove(&hash);
        }
        drop(placed);
        // The manifests are what counts: a row that is missing is made when it is asked for.
        if let Err(error) = self.index_commit(&new, &rows) {
            self.notify(Notice::NotIndexed(error.to_string()));
        }
        refused
    }

    /// Writes the manifests, to be named later, as many of the first ones as there is room for. What the last ones have placed
    /// makes room for the others.
    fn write_manifests(&self, manifests: &[Manifest]) -> Result<(Vec<PathBuf>, Result<()>)> {
        let scrap = self.scrap()?;
        let mut written = Vec::with_capacity(manifests.len());
        let (mut end, mut refused) = (manifests.len(), Ok(()));
        while let Some(manifest) = manifests.get(written.len()).filter(|_| written.len() < end) {
            let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| CacheError::Io(error.into()))?;
            let temporary = scrap.path();
            match fs::write(&temporary, bytes).map_err(CacheError::from) {
                Ok(()) => written.push(temporary),
                Err(error) if error.is_full() => {
                    remove(&temporary)?;
                    end -= 1;
                    let (kept, rest) = manifests.split_at(end);
                    self.give_up(rest, kept);
                    refused = Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((written, refused))
    }

    /// Removes what tasks have placed whose results are not recorded, but for what a result had before.
    fn give_up(&self, given_up: &[Manifest], kept: &[Manifest]) {
        let (used, mut gone) = (self.objects_of(kept), self.objects_of(given_up));
        let mut placed = lock(&self.placed);
        gone.retain(|hash| placed.unrecorded.contains(hash) && !used.contains(hash));
        placed.unrecorded.retain(|hash| !gone.contains(hash));
        placed.new.retain(|hash| !gone.contains(hash));
        placed.stats.retain(|hash, _| !gone.contains(hash));
        for place in gone.iter().map(|hash| self.object_path(hash)) {
            placed.unsynced.forget(&place);
            // What cannot be removed goes with the next `cache gc`.
            let _ = remove(&place);
        }
        lock(&self.listings).retain(|hash, _| !gone.contains(hash));
    }

    /// The objects of which the outputs of results are made.
    fn objects_of<'a>(&self, manifests: impl IntoIterator<Item = &'a Manifest>) -> HashSet<Hash> {
        let mut objects = HashSet::new();
        for output in manifests.into_iter().flat_map(|manifest| manifest.outputs.values()) {
            objects.insert(output.hash);
            if output.folder
                && let Ok(listing) = self.listing(output)
            {
                objects.extend(listing.files().map(|(_, hash, _)| hash));
            }
        }
        objects
    }

    /// Syncs what was placed, and `more`; gives the objects among it.
    fn sync_placed(&self, committing: &mut Committing, more: Unsynced) -> Result<Vec<Hash>> {
        let (unsynced, new) = {
            let mut placed = lock(&self.placed);
            (std::mem::take(&mut placed.unsynced), std::mem::take(&mut placed.new))
        };
        self.sync(committing, unsynced.merge(more))?;
        Ok(new)
    }

    fn sync(&self, committing: &mut Committing, unsynced: Unsynced) -> Result<()> {
        let synced = unsynced.sync(&self.v1);
        #[cfg(test)]
        let synced = if committing.fails { Err(std::io::Error::from(rustix::io::Errno::IO)) } else { synced };
        synced.map_err(|error| {
            let why = committing.failed.insert(error.to_string());
            CacheError::NotSynced(why.clone())
        })
    }

    /// Writes down in the index what lasts now.
    fn index_commit(&self, new: &[Hash], rows: &[(&Manifest, u64)]) -> Result<()> {
        let objects: Vec<(Hash, Stat)> = {
            let placed = lock(&self.placed);
            new.iter().filter_map(|hash| Some((*hash, *placed.stats.get(hash)?))).collect()
        };
        if !objects.is_empty() || !rows.is_empty() {
            self.write(|index| {
                objects.iter().try_for_each(|(hash, stat)| tables::set_object(index, *hash, *stat))?;
                rows.iter().try_for_each(|(manifest, n)| tables::add_result(index, manifest, *n))
            })?;
        }
        let mut placed = lock(&self.placed);
        for (hash, stat) in objects {
            // It may have been placed anew meanwhile.
            if placed.stats.get(&hash) == Some(&stat) {
                placed.stats.remove(&hash);
            }
        }
        Ok(())
    }

    /// Gives a synced manifest the next number that is free.
    fn name_manifest(&self, temporary: &Path, key: &Hash) -> Result<u64> {
        for n in 0.. {
            let path = self.manifest_path(key, n);
            if !self.is_set_aside(&path) && self.in_shard(&path, || name_once(temporary, &path))? {
                return Ok(n);
            }
        }
        Err(CacheError::Manifest { path: self.manifest_path(key, 0), why: "it was executed too often".into() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::artifact::Artifact;
    use crate::cache::State;
    use crate::manifest::{Execution, SCHEMA};

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        (folder, cache)
    }

    fn manifest(task: &str, output: &Artifact) -> Manifest {
        Manifest {
            schema: SCHEMA,
            key: Hash::of(task.as_bytes()),
            parts: Vec::new(),
            flow: "daily".into(),
            task: task.into(),
            run: "01X".into(),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::from([("out".to_owned(), output.clone())]),
            execution: Execution::default(),
        }
    }

    fn place(cache: &Cache, text: &str) -> Artifact {
        let folder = cache.temporary().unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("out"), text).unwrap();
        cache.place_output(&folder, Path::new("out")).unwrap()
    }

    #[test]
    fn what_is_placed_can_be_used_at_once_and_is_known_to_others_after_the_commit() {
        let (folder, cache) = cache();
        let outputs: Vec<Artifact> = (0..40).map(|n| place(&cache, &format!("text {n}"))).collect();
        let known =
            |cache: &Cache, artifact: &Artifact| cache.query(|index| tables::object(index, artifact.hash)).unwrap();
        for output in &outputs {
            assert_eq!((cache.state(output).unwrap(), known(&cache, output)), (State::Whole, None));
        }
        let manifests: Vec<Manifest> =
            outputs.iter().enumerate().map(|(n, output)| manifest(&n.to_string(), output)).collect();
        cache.record_all(&manifests).unwrap();
        let other = Cache::open(folder.path()).unwrap();
        for (output, manifest) in outputs.iter().zip(&manifests) {
            assert_eq!(other.find_result(&manifest.key).unwrap().unwrap().outputs, manifest.outputs.clone().into());
            assert!(known(&other, output).is_some() && other.state(output).unwrap() == State::Whole);
        }
        assert!(lock(&cache.placed).stats.is_empty(), "nothing is left to do");
    }

    #[test]
    fn an_object_that_is_spoilt_before_the_commit_is_seen_to_be() {
        let (_folder, cache) = cache();
        let output = place(&cache, "text");
        let path = cache.object_path(&output.hash);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        assert_eq!(cache.state(&output).unwrap(), State::Damaged);
        cache.record(&manifest("a", &output)).unwrap();
        assert_eq!(cache.state(&output).unwrap(), State::Damaged);
        assert_eq!(place(&cache, "text"), output, "it can be made again");
        assert_eq!(cache.state(&output).unwrap(), State::Whole);
    }

    #[test]
    fn after_a_sync_that_failed_nothing_is_recorded() {
        let (folder, cache) = cache();
        cache.record(&manifest("before", &place(&cache, "before"))).unwrap();
        lock(&cache.committing).fails = true;
        let output = place(&cache, "text");
        let error = cache.record(&manifest("a", &output)).unwrap_err();
        assert!(error.to_string().contains("does not last"), "{error}");
        // A later sync would say that all is well: the kernel reports an error once.
        lock(&cache.committing).fails = false;
        assert!(matches!(cache.record(&manifest("b", &place(&cache, "b"))), Err(CacheError::NotSynced(_))));
        let other = Cache::open(folder.path()).unwrap();
        for (task, found) in [("before", true), ("a", false), ("b", false)] {
            assert_eq!(other.find_result(&Hash::of(task.as_bytes())).unwrap().is_some(), found, "{task}");
        }
    }

    #[test]
    fn what_is_given_up_is_removed_where_nobody_else_has_it() {
        let (_folder, cache) = cache();
        let before = place(&cache, "before");
        cache.record(&manifest("before", &before)).unwrap();
        let outputs = ["before", "kept", "kept", "gone"].map(|text| place(&cache, text));
        let manifests: Vec<Manifest> =
            outputs.iter().enumerate().map(|(n, output)| manifest(&n.to_string(), output)).collect();
        let given_up = [&manifests[0], &manifests[2], &manifests[3]].map(Clone::clone);
        cache.give_up(&given_up, &manifests[1..2]);
        let states = outputs.each_ref().map(|output| cache.state(output).unwrap());
        assert_eq!(states, [State::Whole, State::Whole, State::Whole, State::Missing]);
        cache.record(&manifests[1]).unwrap();
    }

    #[test]
    fn what_was_synced_with_the_results_of_others_goes_with_its_own() {
        let (_folder, cache) = cache();
        let outputs = ["first", "second", "third"].map(|text| place(&cache, text));
        let (first, second) = (manifest("1", &outputs[0]), manifest("2", &outputs[1]));
        let mut third = manifest("3", &outputs[2]);
        third.outputs.insert("same".to_owned(), outputs[1].clone());
        // All three are in their place by then.
        cache.record(&first).unwrap();
        cache.record(&second).unwrap();
        cache.give_up(&[third], &[]);
        let states = outputs.each_ref().map(|output| cache.state(output).unwrap());
        assert_eq!(states, [State::Whole, State::Whole, State::Missing]);
        assert!(lock(&cache.placed).unrecorded.is_empty());
    }

    #[test]
    fn what_an_earlier_result_has_stays_when_a_task_that_wrote_it_again_is_given_up() {
        let (folder, cache) = cache();
        let output = place(&cache, "text");
        cache.record(&manifest("before", &output)).unwrap();
        // Old enough to be made young again when it is written once more.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let later = Cache::open(folder.path()).unwrap();
        assert_eq!(place(&later, "text"), output);
        assert!(lock(&later.placed).new.contains(&output.hash), "it was touched");
        later.give_up(&[manifest("again", &output)], &[]);
        assert_eq!(later.state(&output).unwrap(), State::Whole);
    }

    /// The manifest is what counts.
    #[test]
    fn a_result_that_only_the_index_does_not_know_is_recorded() {
        let (folder, cache) = cache();
        let broken = "CREATE TEMP TRIGGER broken BEFORE INSERT ON objects BEGIN SELECT RAISE(FAIL, 'broken'); END";
        cache.query(|index| index.execute_batch(broken)).unwrap();
        let manifest = manifest("a", &place(&cache, "text"));
        assert!(matches!(cache.record_some(std::slice::from_ref(&manifest)), (1, Ok(()))));
        assert!(matches!(cache.take_notices()[..], [Notice::NotIndexed(_)]));
        assert!(Cache::open(folder.path()).unwrap().find_result(&manifest.key).unwrap().is_some());
    }
}
