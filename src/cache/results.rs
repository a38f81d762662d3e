//! Results by key. A manifest in `results/` is what lasts; the row in the index is for speed.
//!
//! `results/ab/<key>.json` is the first execution of a key, `<key>.1.json` the second (a forced one, say), and so on: none
//! is ever changed. The newest counts. One that is damaged is set aside as `<key>.damaged`, and its number is not given again.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use rusqlite::Transaction;

use super::files::{entries, read_at_once};
use super::{Cache, CacheError, Known, Notice, Recorded, Result, tables};
use crate::artifact::Artifact;
use crate::hash::Hash;
use crate::manifest::Manifest;

impl Cache {
    /// The newest result of a key, as it was when the index was read ahead, or as it is; of one that is not known here, that
    /// of the shared cache.
    ///
    /// # Errors
    /// Where the index or the shared cache cannot be used.
    pub fn known_result(&self, key: &Hash) -> Result<Option<Known>> {
        if let Some(known) = self.result_ahead(key) {
            return Ok(Some(known));
        }
        let found = match self.find_result(key)? {
            None => self.shared_result(key)?,
            found => found,
        };
        Ok(found.map(Known::from))
    }

    /// The newest result of a key.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn find_result(&self, key: &Hash) -> Result<Option<Recorded>> {
        if let Some(recorded) = self.query(|index| tables::result(index, *key))? {
            return Ok(Some(recorded));
        }
        // The index may have lost its last rows with the power, or another process works on a copy of it.
        if self.is_taken(key, 0) { self.find_manifest(key) } else { Ok(None) }
    }

    /// The newest result of a key, where it is newer than the `seen`-th. The manifests say so, which are the same for
    /// processes of which each works on a copy of the index.
    ///
    /// # Errors
    /// What the file system says.
    pub fn newer_result(&self, key: &Hash, seen: Option<u64>) -> Result<Option<Recorded>> {
        let next = seen.map_or(0, |seen| seen.saturating_add(1));
        if !self.is_taken(key, next) {
            return Ok(None);
        }
        Ok(self.find_manifest(key)?.filter(|found| found.n >= next))
    }

    /// The number of the newest execution of a key; `seen` is one that is known of.
    pub fn newest_number(&self, key: &Hash, seen: Option<u64>) -> Option<u64> {
        let next = seen.map_or(0, |seen| seen.saturating_add(1));
        (next..).take_while(|n| self.is_taken(key, *n)).last().or(seen)
    }

    fn find_manifest(&self, key: &Hash) -> Result<Option<Recorded>> {
        let Some((manifest, n)) = self.newest(key, self.is_writable())? else { return Ok(None) };
        if self.is_writable() {
            // It only saves the next look, and a full disk takes none.
            let _ = self.write(|index| tables::add_result(index, &manifest, n));
        }
        Ok(Some(Recorded::of(&manifest, n)))
    }

    /// Whether there is a manifest of any execution of a key, whole or not: a look that costs less than
    /// [`Cache::find_result`].
    pub fn has_manifest(&self, key: &Hash) -> bool {
        self.is_taken(key, 0)
    }

    /// Whether an execution of a key has a number: its manifest is there, or was and is set aside.
    pub(super) fn is_taken(&self, key: &Hash, n: u64) -> bool {
        let path = self.manifest_path(key, n);
        path.exists() || self.is_set_aside(&path)
    }

    /// Whether what was at the path of a manifest was damaged, and is set aside.
    pub(super) fn is_set_aside(&self, path: &Path) -> bool {
        damaged_path(path).exists()
    }

    /// The manifest of the newest execution of a key.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn manifest(&self, key: &Hash) -> Result<Option<Manifest>> {
        Ok(self.newest(key, false)?.map(|(manifest, _)| manifest))
    }

    /// The manifests of all executions of a key, the first one first. A damaged one is left out, with a notice.
    ///
    /// # Errors
    /// What the file system says.
    pub fn executions(&self, key: &Hash) -> Result<Vec<Manifest>> {
        let mut manifests = Vec::new();
        for n in 0.. {
            match read_manifest(&self.manifest_path(key, n), key) {
                Ok(Some(manifest)) => manifests.push(manifest),
                Ok(None) if self.is_taken(key, n) => {}
                Ok(None) => break,
                Err(CacheError::Manifest { path, why }) => self.set_manifest_aside(key, n, &path, &why)?,
                Err(error) => return Err(error),
            }
        }
        Ok(manifests)
    }

    /// What a hash stands for: an output of a task, an input, or any object. `None` where it is not known.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn artifact(&self, hash: &Hash) -> Result<Option<Artifact>> {
        let fits = |artifact: &Artifact| artifact.hash == *hash;
        let [written, read] = self.query(|index| tables::one_use(index, *hash))?;
        if let Some((key, output)) = written {
            let executions = self.executions(&key)?;
            let mut outputs = executions.iter().filter_map(|manifest| manifest.outputs.get(&output));
            if let Some(artifact) = outputs.find(|artifact| fits(artifact)) {
                return Ok(Some(artifact.clone()));
            }
        }
        if let Some((key, input)) = read {
            let executions = self.executions(&key)?;
            let mut inputs = executions.iter().filter_map(|manifest| Some(&manifest.inputs.get(&input)?.artifact));
            if let Some(artifact) = inputs.find(|artifact| fits(artifact)) {
                return Ok(Some(artifact.clone()));
            }
        }
        self.object(hash)
    }

    /// The newest manifest of a key; with `all` those before it are read, too, so that damaged ones are found.
    fn newest(&self, key: &Hash, all: bool) -> Result<Option<(Manifest, u64)>> {
        let mut n = 0;
        while self.is_taken(key, n) {
            n += 1;
        }
        let mut newest = None;
        while let Some(before) = n.checked_sub(1).filter(|_| all || newest.is_none()) {
            n = before;
            match read_manifest(&self.manifest_path(key, n), key) {
                Ok(manifest) => newest = newest.or_else(|| manifest.map(|manifest| (manifest, n))),
                // A miss: the task runs again, and its manifest gets the next number.
                Err(CacheError::Manifest { path, why }) => self.set_manifest_aside(key, n, &path, &why)?,
                Err(error) => return Err(error),
            }
        }
        Ok(newest)
    }

    /// Sees to it that a damaged manifest is in nobody's way, and says so. Its result does not count any more, for the index
    /// could not be rebuilt with it.
    pub(super) fn set_manifest_aside(&self, key: &Hash, n: u64, path: &Path, why: &str) -> Result<()> {
        let aside = self.is_writable().then(|| set_aside(path)).transpose()?;
        if aside.is_some() {
            self.forget_results(&[(*key, n)])?;
        }
        self.notify(Notice::DamagedManifest { path: path.to_owned(), why: why.to_owned(), aside });
        Ok(())
    }

    /// Forgets executions whose manifests are damaged, so that the next run looks for those, and sets them aside.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn forget_results(&self, damaged: &[(Hash, u64)]) -> Result<()> {
        self.forget_ahead();
        self.write(|index| damaged.iter().try_for_each(|(key, n)| tables::forget_result(index, key, *n)))
    }

    /// Sets aside what is damaged among manifests that no run reads: all but those in `known`, the newest of each key.
    pub(super) fn sweep_manifests(&self, known: &HashMap<Hash, u64>) -> Result<()> {
        let mut paths = manifest_paths(&self.v1.join("results"))?;
        paths.retain(|(_, key, n)| known.get(key) != Some(n));
        let damaged: Vec<_> = paths
            .into_par_iter()
            .filter_map(|(path, key, n)| match read_manifest(&path, &key) {
                Err(CacheError::Manifest { why, .. }) => Some((path, key, n, why)),
                _ => None,
            })
            .collect();
        damaged.iter().try_for_each(|(path, key, n, why)| self.set_manifest_aside(key, *n, path, why))
    }

    pub(super) fn manifest_path(&self, key: &Hash, n: u64) -> PathBuf {
        let hex = key.to_string();
        let shard = hex.get(..2).unwrap_or_default();
        let name = if n == 0 { format!("{hex}.json") } else { format!("{hex}.{n}.json") };
        self.v1.join("results").join(shard).join(name)
    }

    /// The key that an instance of a flow had at its last execution.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn last(&self, flow: &str, task: &str) -> Result<Option<Hash>> {
        self.query(|index| tables::last(index, flow, task))
    }

    /// Says which keys instances of a flow, sorted by name, have now, where that is not the key of their last execution.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn update_last(&self, flow: &str, keys: &[(&str, Hash)]) -> Result<()> {
        let new = self.query(|index| tables::not_last(index, flow, keys))?;
        if new.is_empty() {
            return Ok(());
        }
        let now = jiff::Timestamp::now().to_string();
        self.write(|index| new.iter().try_for_each(|(task, key)| tables::set_last(index, flow, task, key, &now)))
    }

    /// The instances of a flow with the keys of their last executions.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn all_last(&self, flow: &str) -> Result<BTreeMap<String, Hash>> {
        self.query(|index| tables::all_last(index, flow))
    }

    /// The keys that wrote an artifact, each with the name of the output.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn produced(&self, hash: &Hash) -> Result<Vec<(Hash, String)>> {
        self.query(|index| tables::produced(index, *hash))
    }

    /// The keys that read an artifact, each with the name of the input.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn consumed(&self, hash: &Hash) -> Result<Vec<(Hash, String)>> {
        self.query(|index| tables::consumed(index, *hash))
    }

    /// The keys that read something of what the task with the key `source` wrote, each with the name of the input.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn followed(&self, source: &Hash) -> Result<Vec<(Hash, String)>> {
        self.query(|index| tables::followed(index, *source))
    }

    /// At most `limit` artifacts whose hash starts with these hexadecimal digits; none where they are not such.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn artifacts_with_prefix(&self, digits: &str, limit: u32) -> Result<Vec<Hash>> {
        let Some((low, high)) = range(digits) else { return Ok(Vec::new()) };
        self.query(|index| tables::between(index, low, high, limit))
    }

    /// At most `limit` keys that start with these hexadecimal digits; none where they are not such.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn keys_with_prefix(&self, digits: &str, limit: u32) -> Result<Vec<Hash>> {
        let Some((low, high)) = range(digits) else { return Ok(Vec::new()) };
        self.query(|index| tables::keys_between(index, low, high, limit))
    }
}

/// The first and the last hash with these digits.
fn range(digits: &str) -> Option<(Hash, Hash)> {
    let missing = 64_usize.checked_sub(digits.len())?;
    let padded = |digit: &str| format!("{}{}", digits.to_lowercase(), digit.repeat(missing)).parse().ok();
    Some((padded("0")?, padded("f")?))
}

/// The manifest at `path`, which has to be one of `key`; `None` where there is none.
pub(super) fn read_manifest(path: &Path, key: &Hash) -> Result<Option<Manifest>> {
    let invalid = |why: String| CacheError::Manifest { path: path.to_owned(), why };
    let text = match read_at_once(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Err(invalid("it is a folder".to_owned())),
        Err(error) => return Err(error.into()),
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    if manifest.key == *key { Ok(Some(manifest)) } else { Err(invalid(format!("it is one of key {}", manifest.key))) }
}

/// Where a damaged manifest is set aside.
fn damaged_path(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// Gives a damaged manifest another name, so that it is in nobody's way.
pub(super) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let aside = damaged_path(path);
    match fs::rename(path, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(aside),
    }
}

/// A manifest that cannot be read, and why.
pub(super) type Broken = (PathBuf, String);

/// Fills an empty index from `results/`; gives the number of manifests, and those left out.
pub(super) fn refill(results: &Path, index: &Transaction<'_>) -> rusqlite::Result<(usize, Vec<Broken>)> {
    let paths = manifest_paths(results).map_err(|error| io_error(&error))?;
    let mut count = 0;
    let mut wrong = Vec::new();
    // In parts, so that a million manifests are not in memory at once.
    for part in paths.chunks(10_000) {
        let read: Vec<_> = part.par_iter().map(|(path, key, n)| (read_manifest(path, key), path, *n)).collect();
        for (manifest, path, n) in read {
            match manifest {
                Ok(Some(manifest)) => {
                    tables::add_result(index, &manifest, n)?;
                    count += 1;
                }
                Ok(None) => {}
                Err(CacheError::Manifest { why, .. }) => wrong.push((path.clone(), why)),
                Err(error) => return Err(io_error(&error)),
            }
        }
    }
    Ok((count, wrong))
}

fn io_error(error: &dyn std::error::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(error.to_string()))
}

pub(super) fn manifest_paths(results: &Path) -> std::io::Result<Vec<(PathBuf, Hash, u64)>> {
    let mut paths = Vec::new();
    for shard in entries(results)? {
        for entry in entries(&shard.path())? {
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            let (key, n) = stem.split_once('.').unwrap_or((stem, "0"));
            if let (Ok(key), Ok(n)) = (key.parse(), n.parse()) {
                paths.push((entry.path(), key, n));
            }
        }
    }
    Ok(paths)
}
