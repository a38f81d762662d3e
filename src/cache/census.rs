//! All that lies in the store: what `cache stats`, `verify` and `gc` go through. It judges nothing.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use rusqlite::{Connection, params};

use super::files::entries;
use super::{Cache, Recorded, Result, tables};
use crate::hash::Hash;

/// How many, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes in all.
    pub bytes: u64,
}

impl Amount {
    /// One more, of this size.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

/// What a cache holds.
#[derive(Debug, Default)]
pub struct Stats {
    /// Objects.
    pub objects: Amount,
    /// Keys with a result, and what their outputs would take if nothing were shared.
    pub results: Amount,
    /// Task folders that failed tasks left, or in which tasks run now.
    pub scratch: Amount,
    /// The index, with its log.
    pub index: u64,
    /// The results of each task (`flow:task`), the largest first.
    pub tasks: Vec<(String, Amount)>,
}

impl Cache {
    /// What the cache holds. Sizes are those that the file system and the index say; no object is read.
    ///
    /// # Errors
    /// What the file system says, and where the index cannot be used.
    pub fn stats(&self) -> Result<Stats> {
        let sizes = self.each_object(|_, _, metadata| Ok(metadata.is_file().then_some(metadata.len())))?;
        let mut stats = Stats { index: self.index_size(), ..Stats::default() };
        sizes.into_iter().for_each(|size| stats.objects.add(size));
        let tasks = self.query(|index| {
            let mut tasks: HashMap<String, Amount> = HashMap::new();
            each_result(index, |recorded| {
                let bytes = recorded.outputs.values().map(|output| output.size).sum();
                tasks.entry(task_of(&recorded)).or_default().add(bytes);
            })?;
            Ok(tasks)
        })?;
        stats.results = tasks.values().fold(Amount::default(), |sum, amount| sum.plus(*amount));
        stats.tasks = tasks.into_iter().collect();
        stats.tasks.sort_by(|(one, a), (two, b)| b.bytes.cmp(&a.bytes).then_with(|| one.cmp(two)));
        for run in entries(&self.scratch())? {
            for task in entries(&run.path())? {
                stats.scratch.add(size_below(&task.path()));
            }
        }
        Ok(stats)
    }

    fn index_size(&self) -> u64 {
        let files = ["index.db", "index.db-wal", "index.db-shm"];
        files.iter().filter_map(|name| std::fs::metadata(self.v1.join(name)).ok()).map(|file| file.len()).sum()
    }

    /// What `look` makes of each object, in no order, and of what lies in the place of one.
    pub(super) fn each_object<T: Send>(
        &self,
        look: impl Fn(Hash, &Path, &Metadata) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<T>> {
        let shards = entries(&self.v1.join("objects"))?;
        let found: Vec<Vec<T>> = shards
            .par_iter()
            .map(|shard| {
                let name = shard.file_name();
                let mut found = Vec::new();
                let entries = match fs::read_dir(shard.path()) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(found),
                    Err(error) => return Err(error.into()),
                };
                for entry in entries {
                    let entry = entry?;
                    let hex = format!("{}{}", name.to_string_lossy(), entry.file_name().to_string_lossy());
                    // Anything else is not an object.
                    let Ok(hash) = hex.parse::<Hash>() else { continue };
                    // One that is gone meanwhile is no error.
                    let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
                    found.extend(look(hash, &entry.path(), &metadata)?);
                }
                Ok(found)
            })
            .collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What lies among objects and results and is neither: nobody reads it, and nobody removes it.
    pub(super) fn strays(&self) -> Result<Vec<PathBuf>> {
        let is_object = |shard: &str, name: &str| format!("{shard}{name}").parse::<Hash>().is_ok();
        let is_result = |shard: &str, name: &str| {
            let of_key = name.split_once('.').filter(|(key, _)| key.starts_with(shard));
            of_key.is_some_and(|(key, _)| key.parse::<Hash>().is_ok())
        };
        let mut strays = self.strays_in("objects", is_object)?;
        strays.extend(self.strays_in("results", is_result)?);
        Ok(strays)
    }

    fn strays_in(&self, folder: &str, belongs: impl Fn(&str, &str) -> bool) -> Result<Vec<PathBuf>> {
        let mut strays = Vec::new();
        for shard in entries(&self.v1.join(folder))? {
            let (path, name) = (shard.path(), shard.file_name());
            let name = name.to_string_lossy();
            if !path.is_dir() || name.len() != 2 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                strays.push(path);
                continue;
            }
            let strange = |entry: &fs::DirEntry| !belongs(&name, &entry.file_name().to_string_lossy());
            strays.extend(entries(&path)?.iter().filter(|entry| strange(entry)).map(fs::DirEntry::path));
        }
        Ok(strays)
    }
}

/// `flow:task`, without the values of its axes.
fn task_of(recorded: &Recorded) -> String {
    let task = recorded.task.split_once('[').map_or(recorded.task.as_str(), |(task, _)| task);
    format!("{}:{task}", recorded.flow)
}

/// Bytes of all files below a folder, as far as they can be seen.
pub(super) fn size_below(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(std::result::Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(Metadata::is_file).map(|file| file.len()).sum()
}

/// The newest execution of every key.
pub(super) fn each_result(index: &Connection, mut each: impl FnMut(Recorded)) -> rusqlite::Result<()> {
    let mut statement = index.prepare("SELECT flow, task, run, finished, outputs, n, key FROM results")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(tables::recorded(row, row.get(6)?)?);
    }
    Ok(())
}

/// The keys that any instance of any flow had last.
pub(super) fn last_keys(index: &Connection) -> rusqlite::Result<HashSet<Hash>> {
    index.prepare("SELECT key FROM last")?.query_map([], |row| row.get(0))?.collect()
}

/// Forgets what the file system said of objects that are gone.
pub(super) fn forget_objects(index: &Connection, gone: &[Hash]) -> rusqlite::Result<()> {
    let mut statement = index.prepare("DELETE FROM objects WHERE hash = ?1")?;
    gone.iter().try_for_each(|hash| statement.execute(params![hash]).map(drop))
}
