//! Leases: what the tasks of all runners on this machine use of its devices, cores, memory and tokens.
//!
//! A lease is a file in one folder for all users of a machine, with an OS lock that the runner and every process of the
//! task share. So it ends with the last of them, whatever is killed, and there is nothing to be cleaned up or unlocked.
//!
//! - `turn`: locked by the runner that decides what it starts. Only who has the turn takes anything.
//! - `<ULID>.lease`: what one task uses. Locked as long as it does.
//! - `<ULID>-<number>.wait`: what one runner waits for. The ULID is the time since when, so that who came first is served
//!   first. Locked and touched from time to time by its runner; one that is not touched is of a runner that was stopped.
//!
//! What a file says is never changed; what is new has another name.
//!
//! It starts nothing, and decides nothing but who comes first: what fits is for [`crate::schedule`].

mod files;
mod folder;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::locks::Holder;
use crate::resources::Request;
use crate::schedule::Others;
use files::Posted;
pub use folder::folder;

/// How often a runner that waits shows that it is still there, and after what time it is taken not to be.
const TOUCH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long to try for the turn before something else is done: who has it only looks and writes a few lines.
const PATIENCE: Duration = Duration::from_millis(50);

/// What can go wrong with leases.
#[derive(Debug, thiserror::Error)]
#[error(
    "the leases of this machine cannot be used: {why}; set GHTRADER_LEASES to a folder that all who share its devices can write"
)]
pub struct LeaseError {
    #[from]
    why: std::io::Error,
}

type Result<T, E = LeaseError> = std::result::Result<T, E>;

/// What a lease's file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Whose it is.
    pub holder: Holder,
    /// What it is for.
    pub request: Request,
    /// The devices.
    pub devices: Vec<u32>,
    /// The folder below which the task's own folder is: by it, its processes are known.
    pub scratch: PathBuf,
}

impl std::fmt::Display for Terms {
    /// What of the machine, such as `cpu 1, gpu 2 (devices 0, 1)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let devices: Vec<String> = self.devices.iter().map(u32::to_string).collect();
        match devices.as_slice() {
            [] => write!(f, "{}", self.request),
            [one] => write!(f, "{} (device {one})", self.request),
            several => write!(f, "{} (devices {})", self.request, several.join(", ")),
        }
    }
}

/// What a task uses; to be given back by [`Leases::give_back`].
#[derive(Debug)]
#[must_use]
pub struct Lease {
    file: Posted,
}

impl Lease {
    /// A descriptor that holds the same lease, to be inherited by the task's processes.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn share(&self) -> std::io::Result<OwnedFd> {
        Ok(self.file.file().file().try_clone()?.into())
    }
}

/// The leases of a machine, as one runner sees them.
#[derive(Debug)]
pub struct Leases {
    folder: PathBuf,
    turn: fs::File,
    /// The names of the leases that this runner has given and not taken back.
    own: BTreeSet<String>,
    /// What the files of others say. They are never changed.
    known: BTreeMap<String, Terms>,
    waiting: Option<Waiting>,
    /// How many files said what this runner waits for.
    numbers: u64,
}

/// What this runner waits for.
#[derive(Debug)]
struct Waiting {
    request: Request,
    since: Ulid,
    file: Posted,
    touched: Instant,
    /// Whether one that asked for it has started: the next one has waited since then.
    served: bool,
}

/// The turn: as long as it lasts, nobody else takes anything.
#[derive(Debug)]
pub struct Turn<'a> {
    leases: &'a mut Leases,
    others: Others,
    /// Those of [`Others::used`] whose runner is no more.
    pub left_behind: Vec<Terms>,
    /// One of those that are in the way.
    holder: Option<Holder>,
}

impl Leases {
    /// The leases in `folder`, which is made where there is none.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = folder.join("v1");
        folder::create(&folder)?;
        let turn = files::turn(&folder)?;
        Ok(Self { folder, turn, own: BTreeSet::new(), known: BTreeMap::new(), waiting: None, numbers: 0 })
    }

    /// The turn to decide, or `None` where somebody else has it for unusually long.
    ///
    /// # Errors
    /// What the file system says.
    pub fn turn(&mut self) -> Result<Option<Turn<'_>>> {
        if !files::take_turn(&mut self.turn, &self.folder, PATIENCE)? {
            return Ok(None);
        }
        let mut turn = Turn { leases: self, others: Others::default(), left_behind: Vec::new(), holder: None };
        turn.look()?;
        Ok(Some(turn))
    }

    /// Ends a lease, unless the task has left something behind that still holds it. `alone`: nothing can be left, so
    /// that whoever has a descriptor of it is just being started for something else, and holds nothing.
    pub fn give_back(&mut self, lease: Lease, alone: bool) {
        self.own.remove(lease.file.name());
        lease.file.end(alone);
    }

    /// Nothing is waited for any more.
    pub fn wait_no_more(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.file.end(true);
        }
    }

    /// All that is used and waited for: by whom, and what. Those that wait longest come first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(folder: &Path) -> Result<(Vec<Terms>, Vec<Terms>)> {
        let folder = folder.join("v1");
        let (mut used, mut waiting) = (Vec::new(), Vec::new());
        for name in files::names(&folder)? {
            let Some(found) = files::living(&folder, &name)? else { continue };
            if name.ends_with(files::LEASE) { used.push(found.terms) } else { waiting.push(found.terms) }
        }
        Ok((used, waiting))
    }
}

impl Turn<'_> {
    /// What others use and wait for.
    pub fn others(&self) -> &Others {
        &self.others
    }

    /// Somebody who is in the way, if anybody is.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn look(&mut self) -> Result<()> {
        let leases = &mut *self.leases;
        let own_wait = leases.waiting.as_ref().map(|waiting| waiting.file.name().to_owned());
        let mut seen = BTreeMap::new();
        for name in files::names(&leases.folder)? {
            if leases.own.contains(&name) || own_wait.as_ref() == Some(&name) {
                continue;
            }
            let known = leases.known.remove(&name);
            let Some(found) = files::living_again(&leases.folder, &name, known)? else { continue };
            seen.insert(name.clone(), found.terms.clone());
            if name.ends_with(files::LEASE) {
                self.holder.get_or_insert_with(|| found.terms.holder.clone());
                if found.is_left_behind() {
                    self.left_behind.push(found.terms.clone());
                }
                self.others.used.push((found.terms.request, found.terms.devices));
            } else if found.age < TOUCH.1 {
                let earlier = own_wait.as_ref().is_none_or(|own| name < *own);
                let line = if earlier { &mut self.others.earlier } else { &mut self.others.later };
                line.push(found.terms.request);
            }
        }
        leases.known = seen;
        Ok(())
    }

    /// Writes down what a task is given.
    ///
    /// # Errors
    /// What the file system says.
    pub fn lease(&mut self, terms: &Terms) -> Result<Lease> {
        let name = format!("{}{}", Ulid::generate(), files::LEASE);
        let file = Posted::new(&self.leases.folder, name.clone(), terms)?;
        self.leases.own.insert(name);
        if let Some(waiting) = &mut self.leases.waiting {
            waiting.served |= waiting.request == terms.request;
        }
        Ok(Lease { file })
    }

    /// Writes down what this runner waits for: the first of its tasks that does not fit.
    ///
    /// # Errors
    /// What the file system says.
    pub fn wait_for(&mut self, terms: Option<&Terms>) -> Result<()> {
        // Whoever is alone need not say so: the next one who comes finds out by waiting.
        let Some(terms) = terms.filter(|_| !self.others.is_empty()) else {
            self.leases.wait_no_more();
            return Ok(());
        };
        let leases = &mut *self.leases;
        if let Some(waiting) = leases.waiting.as_mut().filter(|it| it.request == terms.request && !it.served) {
            if waiting.touched.elapsed() >= TOUCH.0 {
                waiting.file.touch()?;
                waiting.touched = Instant::now();
            }
            return Ok(());
        }
        // What takes the place of a request that still waits takes over its time.
        let since = leases.waiting.as_ref().filter(|it| !it.served).map_or_else(Ulid::generate, |it| it.since);
        leases.wait_no_more();
        leases.numbers += 1;
        let file = Posted::new(&leases.folder, format!("{since}-{}{}", leases.numbers, files::WAIT), terms)?;
        leases.waiting =
            Some(Waiting { request: terms.request.clone(), since, file, touched: Instant::now(), served: false });
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It is free again at the latest when this process ends.
        let _ = self.leases.turn.file().unlock();
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.wait_no_more();
    }
}
