//! Results by key. A manifest in `results/` is what lasts; the row in the index is for speed.
//!
//! `results/ab/<key>.json` is the first execution of a key, `<key>.1.json` the second (a forced one, say), and so on: none
//! is ever changed. The newest counts.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use rusqlite::Transaction;

use super::files::entries;
use super::{Artifact, Cache, CacheError, Notice, Outputs, Result, tables};
use crate::hash::Hash;
use crate::provenance::Manifest;

/// What the index knows of the newest execution of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The task's key.
    pub key: Hash,
    /// The flow in which it ran.
    pub flow: String,
    /// The instance.
    pub task: String,
    /// The run that executed it.
    pub run: String,
    /// When it ended, RFC 3339 in UTC.
    pub finished: String,
    /// What it wrote.
    pub outputs: Outputs,
    /// How many executions of the key came before.
    pub n: u64,
}

impl Recorded {
    fn of(manifest: &Manifest, n: u64) -> Self {
        Self {
            key: manifest.key,
            flow: manifest.flow.clone(),
            task: manifest.task.clone(),
            run: manifest.run.clone(),
            finished: manifest.execution.finished.clone(),
            outputs: manifest.outputs.clone().into(),
            n,
        }
    }
}

/// As much of [`Recorded`] as it takes to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The task's key.
    pub key: Hash,
    /// When it ended, RFC 3339 in UTC.
    pub finished: String,
    /// What it wrote.
    pub outputs: Outputs,
    /// How many executions of the key came before.
    pub n: u64,
}

impl From<Recorded> for Known {
    fn from(Recorded { key, finished, outputs, n, .. }: Recorded) -> Self {
        Self { key, finished, outputs, n }
    }
}

impl Cache {
    /// The newest result of a key, as it was when the index was read ahead, or as it is.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn known_result(&self, key: &Hash) -> Result<Option<Known>> {
        match self.result_ahead(key) {
            None => Ok(self.find_result(key)?.map(Known::from)),
            known => Ok(known),
        }
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
        if !self.manifest_path(key, 0).exists() {
            return Ok(None);
        }
        let Some((manifest, n)) = self.newest(key)? else { return Ok(None) };
        if self.is_writable() {
            // It only saves the next look, and a full disk takes none.
            let _ = self.write(|index| tables::add_result(index, &manifest, n));
        }
        Ok(Some(Recorded::of(&manifest, n)))
    }

    /// Whether there is a manifest of any execution of a key, whole or not: a look that costs less than
    /// [`Cache::find_result`].
    pub fn has_manifest(&self, key: &Hash) -> bool {
        self.manifest_path(key, 0).exists()
    }

    /// The manifest of the newest execution of a key.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn manifest(&self, key: &Hash) -> Result<Option<Manifest>> {
        Ok(self.newest(key)?.map(|(manifest, _)| manifest))
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
                Ok(None) => break,
                Err(error @ CacheError::Manifest { .. }) => self.notify(Notice::DamagedManifest(error.to_string())),
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

    fn newest(&self, key: &Hash) -> Result<Option<(Manifest, u64)>> {
        let mut n = 0;
        while self.manifest_path(key, n).exists() {
            n += 1;
        }
        while let Some(before) = n.checked_sub(1) {
            n = before;
            match read_manifest(&self.manifest_path(key, n), key) {
                Ok(Some(manifest)) => return Ok(Some((manifest, n))),
                Ok(None) => {}
                // A miss: the task runs again, and its manifest gets the next number.
                Err(error @ CacheError::Manifest { .. }) => self.notify(Notice::DamagedManifest(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
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
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let invalid = |why: String| CacheError::Manifest { path: path.to_owned(), why };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    if manifest.key == *key { Ok(Some(manifest)) } else { Err(invalid(format!("it is one of key {}", manifest.key))) }
}

/// Fills an empty index from `results/`; gives the number of manifests, and what is wrong with those left out.
pub(super) fn refill(results: &Path, index: &Transaction<'_>) -> rusqlite::Result<(usize, Vec<String>)> {
    let paths = manifest_paths(results).map_err(|error| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(error.to_string()))
    })?;
    let mut count = 0;
    let mut wrong = Vec::new();
    // In parts, so that a million manifests are not in memory at once.
    for part in paths.chunks(10_000) {
        let read: Vec<_> = part.par_iter().map(|(path, key, n)| (read_manifest(path, key), *n)).collect();
        for (manifest, n) in read {
            match manifest {
                Ok(Some(manifest)) => {
                    tables::add_result(index, &manifest, n)?;
                    count += 1;
                }
                Ok(None) => {}
                Err(error) => wrong.push(error.to_string()),
            }
        }
    }
    Ok((count, wrong))
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
