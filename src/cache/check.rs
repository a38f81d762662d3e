//! `cache verify`: reads everything and says what is damaged or lost. It changes nothing; [`Cache::distrust`] does with what it
//! found.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;

use super::census::{Amount, each_result};
use super::kind::Kind;
use super::results::{manifest_paths, read_manifest};
use super::{Cache, CacheError, Outputs, Result};
use crate::artifact::Artifact;
use crate::hash::Hash;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// An object's bytes do not have its hash, or it is no file.
    Object {
        /// What it should be.
        hash: Hash,
        /// Where it lies.
        path: PathBuf,
    },
    /// An object that a result needs is not there.
    Lost {
        /// What it was.
        hash: Hash,
        /// What needs it: `output x of flow:task`.
        needed: String,
    },
    /// A manifest cannot be read.
    Manifest {
        /// Its key.
        key: Hash,
        /// Its number among the executions of the key.
        n: u64,
        /// Where it lies, and what is wrong.
        what: String,
    },
    /// The index is damaged, or does not say of a result what its manifest says.
    Index(String),
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Objects that were read.
    pub objects: Amount,
    /// Manifests that were read.
    pub manifests: u64,
    /// Results whose objects `cache gc` removed: not a loss.
    pub collected: u64,
    /// What is wrong, sorted.
    pub damage: Vec<Damage>,
    /// What lies among objects and results and is neither: no damage.
    pub strays: Vec<PathBuf>,
    /// The tasks (`flow:task[…]`) whose results have to be made again.
    pub tasks: Vec<(String, String)>,
}

/// What a manifest says of a result, without the rest.
struct Written {
    n: u64,
    flow: String,
    task: String,
    outputs: Outputs,
}

impl Cache {
    /// Reads and hashes every object, and compares manifests, objects and the index. `needed` are artifacts that have to be
    /// there beside those of results (refs), each with what needs it. `progress` is told of bytes that were read.
    ///
    /// # Errors
    /// What the file system says of anything that cannot be read at all.
    pub fn check(&self, needed: &[(String, Artifact)], progress: impl Fn(u64) + Sync) -> Result<Checked> {
        let mut checked = Checked { strays: self.strays()?, ..Checked::default() };
        let (present, broken) = self.check_objects(&mut checked, progress)?;
        let written = self.check_manifests(&mut checked)?;
        let unwritten = self.check_index(&written, &mut checked)?;
        let mut lost: Vec<(Hash, String)> = Vec::new();
        for (name, artifact) in needed {
            self.look_for(artifact, name, &present, &mut lost)?;
        }
        let mut affected: HashSet<(&str, &str)> =
            unwritten.iter().map(|(flow, task)| (flow.as_str(), task.as_str())).collect();
        for (key, result) in &written {
            if self.was_collected(key, result.n) {
                checked.collected += 1;
                continue;
            }
            for (name, output) in result.outputs.iter() {
                let before = lost.len();
                let named = format!("output {name} of {}:{}", result.flow, result.task);
                self.look_for(output, &named, &present, &mut lost)?;
                if lost.len() > before || self.is_broken(output, &broken) {
                    affected.insert((&result.flow, &result.task));
                }
            }
        }
        checked.damage.extend(lost.into_iter().map(|(hash, needed)| Damage::Lost { hash, needed }));
        checked.damage.sort();
        checked.damage.dedup();
        checked.tasks = affected.into_iter().map(|(flow, task)| (flow.to_owned(), task.to_owned())).collect();
        checked.tasks.sort();
        Ok(checked)
    }

    /// Hashes all objects; gives those that are there, and those of them that are damaged.
    fn check_objects(
        &self,
        checked: &mut Checked,
        progress: impl Fn(u64) + Sync,
    ) -> Result<(HashSet<Hash>, HashSet<Hash>)> {
        let objects = self.each_object(|hash, path, metadata| {
            let whole = metadata.is_file() && is_whole(hash, path, metadata)?;
            progress(metadata.len());
            Ok(Some((hash, metadata.len(), whole)))
        })?;
        let mut broken = HashSet::new();
        let mut present = HashSet::with_capacity(objects.len());
        for (hash, size, whole) in objects {
            checked.objects.add(size);
            present.insert(hash);
            if !whole {
                broken.insert(hash);
                checked.damage.push(Damage::Object { hash, path: self.object_path(&hash) });
            }
        }
        Ok((present, broken))
    }

    /// Reads all manifests; gives the newest of each key.
    fn check_manifests(&self, checked: &mut Checked) -> Result<HashMap<Hash, Written>> {
        let mut newest: HashMap<Hash, Written> = HashMap::new();
        for part in manifest_paths(&self.v1.join("results"))?.chunks(10_000) {
            let read: Vec<_> = part.par_iter().map(|(path, key, n)| (read_manifest(path, key), *key, *n)).collect();
            for (manifest, key, n) in read {
                match manifest {
                    Ok(Some(manifest)) => {
                        checked.manifests += 1;
                        if newest.get(&key).is_none_or(|other| other.n < n) {
                            let (flow, task, outputs) = (manifest.flow, manifest.task, manifest.outputs.into());
                            newest.insert(key, Written { n, flow, task, outputs });
                        }
                    }
                    Ok(None) => {}
                    Err(error @ CacheError::Manifest { .. }) => {
                        checked.damage.push(Damage::Manifest { key, n, what: error.to_string() });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(newest)
    }

    /// Compares the index with the manifests; gives flow and task of each result whose manifest is damaged.
    fn check_index(&self, written: &HashMap<Hash, Written>, checked: &mut Checked) -> Result<Vec<(String, String)>> {
        let number =
            |damage: &Damage| if let Damage::Manifest { key, n, .. } = damage { Some((*key, *n)) } else { None };
        let damaged: HashSet<(Hash, u64)> = checked.damage.iter().filter_map(number).collect();
        let (wrong, unwritten) = self.query(|index| {
            let (mut wrong, mut unwritten) = (Vec::new(), Vec::new());
            let mut seen = HashSet::with_capacity(written.len());
            each_result(index, |row| {
                seen.insert(row.key);
                match written.get(&row.key) {
                    _ if damaged.contains(&(row.key, row.n)) => unwritten.push((row.flow, row.task)),
                    None => wrong.push(format!("it has a result of key {} that has no manifest", row.key.short())),
                    Some(result) if result.n != row.n || result.outputs != row.outputs => {
                        wrong.push(format!("it does not say of key {} what its manifest says", row.key.short()));
                    }
                    Some(_) => {}
                }
            })?;
            let unknown = written.keys().filter(|key| !seen.contains(*key));
            wrong.extend(unknown.map(|key| format!("it has no result of key {}, which has a manifest", key.short())));
            Ok((wrong, unwritten))
        })?;
        checked.damage.extend(wrong.into_iter().map(Damage::Index));
        Ok(unwritten)
    }

    /// Adds what of an artifact is not there.
    fn look_for(
        &self,
        artifact: &Artifact,
        needed: &str,
        present: &HashSet<Hash>,
        lost: &mut Vec<(Hash, String)>,
    ) -> Result<()> {
        // What the shared cache has can be had again.
        if self.is_known_elsewhere(&artifact.hash)? {
            return Ok(());
        }
        if !present.contains(&artifact.hash) {
            lost.push((artifact.hash, needed.to_owned()));
        } else if artifact.folder {
            for hash in self.parts(artifact)?.into_iter().filter(|hash| !present.contains(hash)) {
                lost.push((hash, needed.to_owned()));
            }
        }
        Ok(())
    }

    fn is_broken(&self, artifact: &Artifact, broken: &HashSet<Hash>) -> bool {
        let part = || self.parts(artifact).unwrap_or_default().iter().any(|hash| broken.contains(hash));
        !broken.is_empty() && (broken.contains(&artifact.hash) || artifact.folder && part())
    }

    /// The files of a folder; none where its listing is damaged, which is told of the listing itself.
    fn parts(&self, folder: &Artifact) -> Result<Vec<Hash>> {
        match self.listing(folder) {
            Ok(listing) => Ok(listing.files().map(|(_, hash, _)| hash).collect()),
            Err(CacheError::Missing(_) | CacheError::Damaged { .. } | CacheError::Listing { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the file at `path` has this hash, as whatever kind of object: which one it is, the hash alone does not say.
fn is_whole(hash: Hash, path: &Path, metadata: &Metadata) -> Result<bool> {
    let likely = Kind::of_mode(metadata.mode());
    let others = [Kind::File, Kind::Folder, Kind::Program].into_iter().filter(|kind| *kind != likely);
    for kind in std::iter::once(likely).chain(others) {
        if kind.hash_file(&fs::File::open(path)?, metadata.len())?.0 == hash {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{Execution, Input, Manifest, SCHEMA};

    fn filled(root: &Path) -> (Cache, Artifact, Manifest) {
        let cache = Cache::open(root).unwrap();
        let folder = root.join("out");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("one"), "one").unwrap();
        fs::write(folder.join("two"), "two").unwrap();
        let output = cache.store(&folder).unwrap();
        let manifest = Manifest {
            schema: SCHEMA,
            key: Hash::of(b"key"),
            parts: Vec::new(),
            flow: "daily".into(),
            task: "task[day=1]".into(),
            run: "01RUN".into(),
            inputs: [("gone".to_owned(), Input { artifact: Artifact::of_bytes(b"a source"), origins: Vec::new() })]
                .into(),
            outputs: [("out".to_owned(), output.clone())].into(),
            execution: Execution { finished: "2026-01-01T00:00:00Z".into(), ..Execution::default() },
        };
        cache.record(&manifest).unwrap();
        (cache, output, manifest)
    }

    fn check(cache: &Cache) -> Checked {
        cache.check(&[], |_| ()).unwrap()
    }

    #[test]
    fn a_whole_cache_has_nothing_to_report() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, ..) = filled(folder.path());
        let checked = check(&cache);
        assert_eq!((checked.objects.count, checked.manifests, checked.damage), (3, 1, Vec::new()));
        assert_eq!(check(&Cache::open_read_only(&folder.path().join("nowhere")).unwrap()).objects.count, 0);
    }

    #[test]
    fn a_damaged_and_a_lost_object_inside_a_folder_are_told_with_their_task() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, output, _) = filled(folder.path());
        let (one, two) = (Hash::of(b"one"), Hash::of(b"two"));
        let path = cache.object_path(&one);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        fs::write(&path, "eno").unwrap();
        fs::remove_file(cache.object_path(&two)).unwrap();
        let checked = cache.check(&[("ref r".to_owned(), output)], |_| ()).unwrap();
        let lost = |needed: &str| Damage::Lost { hash: two, needed: needed.to_owned() };
        assert_eq!(
            checked.damage,
            [Damage::Object { hash: one, path: path.clone() }, lost("output out of daily:task[day=1]"), lost("ref r")]
        );
        assert_eq!(checked.tasks, [("daily".to_owned(), "task[day=1]".to_owned())]);
        // It only reports.
        assert_eq!(fs::read(&path).unwrap(), b"eno");
    }

    #[test]
    fn a_manifest_that_is_damaged_or_says_other_than_the_index_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _, manifest) = filled(folder.path());
        let path = cache.manifest_path(&manifest.key, 0);
        let other = Manifest { outputs: BTreeMap::new(), ..manifest.clone() };
        fs::write(&path, serde_json::to_vec(&other).unwrap()).unwrap();
        assert!(matches!(check(&cache).damage.as_slice(), [Damage::Index(_)]));
        fs::write(&path, "{").unwrap();
        let Checked { damage, tasks, .. } = check(&cache);
        assert!(matches!(damage.as_slice(), [Damage::Manifest { n: 0, .. }]), "{damage:?}");
        assert_eq!(tasks, [("daily".to_owned(), "task[day=1]".to_owned())]);
    }
}
