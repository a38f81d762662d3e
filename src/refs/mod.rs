//! Refs: named pointers to artifacts, with their history. `v1/refs/<name>/<n>.json` is the n-th move of a ref; it is made
//! by giving a synced file a name that is free, so each move has exactly one number, and none is ever changed.
//!
//! Where the cache is shared with other machines, a move is made there first, and the moves of others are taken over from
//! there (`shared.rs`): its number is the same everywhere.
//!
//! A rollback is a move too. It names the move whose value it restores, so that a second rollback goes further back.

mod shared;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::artifact::Artifact;
use crate::cache::files::{claim, create_folder_synced, entries, read_at_once, write_synced};
use crate::cache::{Cache, RemoteError};
use crate::hash::Hash;
use shared::Shared;

/// One move of a ref.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Its number, from 1.
    pub n: u64,
    /// For a rollback, the move whose value it restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// What was asked for.
    pub change: Change,
}

/// What a move is asked to do, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The new value.
    pub artifact: Artifact,
    /// The key of the task that moved it; `None` for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Hash>,
    /// The flow of that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The user.
    pub who: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The output that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Artifact>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What became of [`Refs::set`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The ref was moved.
    Moved(Move),
    /// The key moved it already, with this move: a result moves a ref at most once, even after a rollback.
    Before(Move),
}

/// What can go wrong with refs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefError {
    /// The file system refused; the message names the path.
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Io(#[from] std::io::Error),
    /// A name that no ref can have.
    #[error("`{name}` cannot name a ref: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A ref that was never set.
    #[error("there is no ref `{0}`; `ghtrader refs` lists those there are")]
    Unknown(String),
    /// There is no value to go back to.
    #[error("`{0}` cannot be rolled back: it has no value before the present one")]
    First(String),
    /// The shared cache cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A ref that was moved here and elsewhere, neither knowing of the other.
    #[error("the ref `{name}` was moved here and in the shared cache independently: both have a move {n}, and they differ; \
             move {} away to take over the shared one, then set it again where it should point elsewhere", folder.display())]
    Diverged {
        /// The ref.
        name: String,
        /// The move's number.
        n: u64,
        /// Where its moves lie here.
        folder: PathBuf,
    },
    /// A move that cannot be read.
    #[error("{} is not a move of a ref: {why}; restore it from a copy of the cache", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

type Result<T, E = RefError> = std::result::Result<T, E>;

/// All refs as they stood at one moment: what a run plans with, whatever moves meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(BTreeMap<String, Vec<Move>>);

impl Snapshot {
    /// The move that had set the value; `None` where the ref was not set.
    pub fn get(&self, name: &str) -> Option<&Move> {
        self.log(name).last()
    }

    /// The refs that were set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All moves until then, the first one first.
    pub fn log(&self, name: &str) -> &[Move] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The refs of a cache.
#[derive(Clone, Debug)]
pub struct Refs {
    folder: PathBuf,
    shared: Option<Shared>,
}

impl Refs {
    /// The refs of `cache`, and of the one that it is shared with.
    pub fn open(cache: &Cache) -> Self {
        Self { shared: Shared::of(cache), ..Self::here(cache) }
    }

    /// The refs of `cache` as far as they are known here: nobody else is asked.
    pub fn here(cache: &Cache) -> Self {
        Self { folder: cache.folder().join("refs"), shared: None }
    }

    /// The move that set the present value; `None` where the ref was never set.
    ///
    /// # Errors
    /// Where the name cannot be one, or the move cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Move>> {
        let folder = self.folder_of(name)?;
        let elsewhere = self.elsewhere(name)?.pop();
        let last = numbers(&folder)?.pop().filter(|n| elsewhere.as_ref().is_none_or(|other| other.n < *n));
        last.map_or(Ok(elsewhere), |n| read(&folder, n).map(Some))
    }

    /// All moves, the first one first.
    ///
    /// # Errors
    /// Those of [`Refs::get`].
    pub fn log(&self, name: &str) -> Result<Vec<Move>> {
        let folder = self.folder_of(name)?;
        let mut log = self.elsewhere(name)?;
        for n in numbers(&folder)? {
            log.push(read(&folder, n)?);
        }
        log.sort_by_key(|one| one.n);
        Ok(log)
    }

    /// All refs, sorted by name, each with the move that set its value.
    ///
    /// # Errors
    /// Those of [`Refs::get`].
    pub fn list(&self) -> Result<Vec<(String, Move)>> {
        let mut found = Vec::new();
        for name in self.names()? {
            found.extend(self.get(&name)?.map(|last| (name, last)));
        }
        Ok(found)
    }

    /// The names of all refs, sorted.
    ///
    /// # Errors
    /// What the file system says.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut found = self.names_elsewhere()?;
        found.extend(self.names_here()?);
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn names_here(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![(self.folder.clone(), String::new())];
        while let Some((folder, name)) = folders.pop() {
            if !numbers(&folder)?.is_empty() {
                found.push(name.clone());
            }
            for entry in entries(&folder)? {
                if let (true, Ok(part)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                    let name = if name.is_empty() { part } else { format!("{name}/{part}") };
                    folders.push((entry.path(), name));
                }
            }
        }
        Ok(found)
    }

    /// All refs as they stand now.
    ///
    /// # Errors
    /// Those of [`Refs::get`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        let names = self.list()?.into_iter().map(|(name, _)| name);
        Ok(Snapshot(names.map(|name| Ok((name.clone(), self.log(&name)?))).collect::<Result<_>>()?))
    }

    /// Moves a ref, unless the change's key moved it before. Atomic, and lasting when it returns.
    ///
    /// # Errors
    /// Those of [`Refs::get`], and where the file system refuses.
    pub fn set(&self, name: &str, change: &Change) -> Result<Outcome> {
        loop {
            let log = self.log(name)?;
            if let Some(before) =
                log.iter().find(|before| before.change.key.is_some() && before.change.key == change.key)
            {
                return Ok(Outcome::Before(before.clone()));
            }
            let next = Move { n: following(&log), restores: None, change: change.clone() };
            if self.append(name, &next)? {
                return Ok(Outcome::Moved(next));
            }
        }
    }

    /// Moves a ref back to the value before the present one.
    ///
    /// # Errors
    /// [`RefError::First`] where there is none, [`RefError::Unknown`] for a ref that is not set, and those of
    /// [`Refs::set`].
    pub fn rollback(&self, name: &str, who: &str, at: &str, reason: &str) -> Result<Move> {
        loop {
            let log = self.log(name)?;
            let present = log.last().ok_or_else(|| RefError::Unknown(name.to_owned()))?;
            let restored = before(&log, present).ok_or_else(|| RefError::First(name.to_owned()))?;
            let change = Change {
                artifact: restored.change.artifact.clone(),
                key: None,
                flow: None,
                task: None,
                run: None,
                who: who.to_owned(),
                at: at.to_owned(),
                decision: None,
                reason: reason.to_owned(),
            };
            let next = Move { n: following(&log), restores: Some(restored.n), change };
            if self.append(name, &next)? {
                return Ok(next);
            }
        }
    }

    /// Writes a move under its number; `false` where another process or machine took the number.
    fn append(&self, name: &str, next: &Move) -> Result<bool> {
        let text = serde_json::to_vec_pretty(next).map_err(std::io::Error::from)?;
        if !self.append_elsewhere(name, next.n, &text)? {
            return Ok(false);
        }
        let written = self.write(name, next.n, &text)?;
        if !written && self.shared.is_some() && read(&self.folder_of(name)?, next.n)? != *next {
            return Err(self.diverged(name, next.n));
        }
        Ok(written || self.shared.is_some())
    }

    /// Writes a move here; `false` where the number is taken.
    fn write(&self, name: &str, n: u64, text: &[u8]) -> Result<bool> {
        let folder = self.folder_of(name)?;
        create_folder_synced(&folder)?;
        let temporary = folder.join(format!(".{}", Ulid::generate()));
        write_synced(&temporary, text)?;
        Ok(claim(&temporary, &folder.join(format!("{n}.json")))?)
    }

    fn folder_of(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.folder.join(name))
    }
}

/// The move that a rollback of `present` restores: the one that set the value before that of `present`.
fn before<'a>(log: &'a [Move], present: &Move) -> Option<&'a Move> {
    let origin = present.restores.unwrap_or(present.n);
    let previous = log.iter().rev().find(|other| other.n < origin)?;
    let n = previous.restores.unwrap_or(previous.n);
    log.iter().find(|other| other.n == n)
}

fn following(log: &[Move]) -> u64 {
    log.last().map_or(1, |last| last.n + 1)
}

/// The numbers of the moves in a ref's folder, rising.
fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = entries(folder)?
        .iter()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(folder: &Path, n: u64) -> Result<Move> {
    let path = folder.join(format!("{n}.json"));
    let text = read_at_once(&path)?;
    match serde_json::from_slice::<Move>(&text) {
        Ok(found) if found.n == n => Ok(found),
        Ok(found) => Err(RefError::Damaged { path, why: format!("it says that it is move {}", found.n) }),
        Err(error) => Err(RefError::Damaged { path, why: error.to_string() }),
    }
}

/// An error where no ref can have this name.
///
/// # Errors
/// [`RefError::Name`], which says why.
pub fn check_name(name: &str) -> Result<()> {
    let refuse = |why| Err(RefError::Name { name: name.to_owned(), why });
    if name.len() > 200 {
        return refuse("it is longer than 200 bytes");
    }
    for part in name.split('/') {
        if part.is_empty() {
            return refuse("it is empty, or has an empty part: write `model/cu/production`");
        }
        if part.starts_with(['.', '-']) {
            return refuse("no part of it may start with `.` or `-`");
        }
        if part.rsplit_once('.').is_some_and(|(_, extension)| extension == "json") {
            return refuse("no part of it may end in `.json`");
        }
        if !part.chars().all(|c| c.is_alphanumeric() || "-_.=+@%,".contains(c)) {
            return refuse("it has a character other than letters, digits, and `-_.=+@%,/`");
        }
    }
    Ok(())
}
