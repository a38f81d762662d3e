//! Locks across processes: on keys, so that a task is executed once, and on the names that a flow asks for.
//!
//! A lock is an OS lock on a file in `v1/locks`, so it ends with the last process that has the file open: the runner, the
//! supervisor, or anything a task started. What the files say is only for people, and is shown only as long as the lock
//! is really held.
//!
//! - `<lock>`: the locked file. In it, who holds it exclusively.
//! - `<lock>.d/<ULID>.json`: one file for each that waits for it or shares it, locked for as long as that is so.
//!
//! Locks are taken all or none, so nobody waits holding one. Who came first is served first: a waiter steps back behind
//! the earlier ones that are in its way, and the order of their ULIDs is the same for all locks, so there is no deadlock.

mod held;
mod note;
#[cfg(test)]
mod tests;
mod waiter;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::cache::files::{entries, is_locked};
use crate::hash::Hash;
pub use held::Held;
use note::{Note, living_notes, open_existing, read_note};
pub use waiter::{Attempt, Waiter};

/// A lock that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockRequest {
    file: String,
    name: String,
    shared: bool,
}

impl LockRequest {
    /// The lock on the execution of a key.
    pub fn key(key: &Hash) -> Self {
        Self { file: format!("key-{key}"), name: format!("key {}", key.short()), shared: false }
    }

    /// The lock that a flow calls `name`.
    pub fn named(name: &str, shared: bool) -> Self {
        let plain = !name.is_empty() && name.len() <= 100;
        let plain = plain && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:=,+@".contains(&byte));
        let file = if plain { format!("name-{name}") } else { format!("hash-{}", Hash::of(name.as_bytes())) };
        Self { file, name: name.to_owned(), shared }
    }

    /// As people see it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who holds a lock or waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The runner's process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// The user.
    pub who: String,
    /// The run.
    pub run: String,
    /// The instance.
    pub task: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

impl Holder {
    /// Who it is, in a few words.
    pub fn short(&self) -> String {
        format!("{} of run {} by {} (process {})", self.task, self.run, self.who, self.pid)
    }

    /// All that is known of it.
    pub fn full(&self) -> String {
        let Self { task, run, who, host, pid, since } = self;
        format!("{task} in run {run} of {who} on {host} (process {pid}) since {since}")
    }
}

/// One lock, as `ghtrader locks` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockState {
    /// As the flow calls it.
    pub name: String,
    /// Whether it is shared by its holders.
    pub shared: bool,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Who waits for it, the first one first.
    pub waiters: Vec<Holder>,
}

/// A lock that was not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// As the flow calls it.
    pub lock: String,
    /// Who holds it, where that is known.
    pub holder: Option<Holder>,
}

/// What can go wrong with locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file system refused; the message names the path.
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Io(#[from] std::io::Error),
    /// It is held elsewhere.
    #[error("lock `{}` is held{}; `ghtrader locks` shows who waits for it", .0.lock, by(.0))]
    NotGot(Box<Busy>),
    /// Whoever waited for it did not want it any more.
    #[error("a lock is not wanted any more")]
    GivenUp,
}

fn by(busy: &Busy) -> String {
    busy.holder.as_ref().map_or_else(String::new, |Holder { pid, host, who, task, since, .. }| {
        format!(" by {task} (process {pid} of {who} on {host}) since {since}")
    })
}

type Result<T, E = LockError> = std::result::Result<T, E>;

/// The locks of a cache.
#[derive(Clone, Debug)]
pub struct Locks {
    folder: PathBuf,
}

impl Locks {
    /// The locks of `cache`.
    pub fn open(cache: &Cache) -> Self {
        Self::at(cache.folder().join("locks"))
    }

    /// Locks in any folder that exists.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Who wants all of `requests`; nothing is tried yet.
    pub fn waiter(&self, requests: &[LockRequest], holder: Holder) -> Waiter {
        let mut requests = requests.to_vec();
        // One that is asked for both ways is needed exclusively, which sorts first.
        requests.sort();
        requests.dedup_by(|later, earlier| later.file == earlier.file);
        Waiter::new(self.folder.clone(), requests, holder)
    }

    /// All locks that are held or waited for, sorted by name.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self) -> Result<Vec<LockState>> {
        let mut states = Vec::new();
        for entry in entries(&self.folder)? {
            if entry.file_type()?.is_file()
                && let Some(state) = state(&entry.path())?
            {
                states.push(state);
            }
        }
        states.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(states)
    }
}

fn state(path: &Path) -> Result<Option<LockState>> {
    let Some(mut file) = open_existing(path)? else { return Ok(None) };
    let mut notes = Vec::new();
    if is_locked(&file) {
        notes.extend(read_note(&mut file));
    }
    notes.extend(living_notes(path)?.into_iter().map(|(_, note)| note));
    let Some(first) = notes.first() else { return Ok(None) };
    let name = first.lock.clone();
    let shared = notes.iter().any(|note| note.shared && !note.waits);
    let (waiters, holders): (Vec<Note>, Vec<Note>) = notes.into_iter().partition(|note| note.waits);
    let people = |notes: Vec<Note>| notes.into_iter().map(|note| note.holder).collect();
    Ok(Some(LockState { name, shared, holders: people(holders), waiters: people(waiters) }))
}
