//! Leases: what the tasks of all runners on this machine use of its devices, cores, memory and tokens.
//!
//! A lease is a file in one folder for all users of a machine, with an OS lock that the runner and every process of the
//! task share. So it ends with the last of them, whatever is killed, and there is nothing to be cleaned up or unlocked.
//!
//! - `turn`: locked by the runner that decides what it starts. Only who has the turn takes anything.
//! - `<ULID>.lease`: what one task uses. Locked as long as it does.
//! - `<ULID>-<number>.wait`: what one runner waits for; one file for each request. The ULID is the time since when, so that who
//!   came first is served first; what comes behind another request of its runner does so in this order too, or two runners could
//!   wait for each other. Locked and touched from time to time by its runner; one that is not touched is of a runner that was
//!   stopped.
//!
//! What a file says is never changed. It gets its name when it is whole and locked, so one that is not locked is of nobody.
//!
//! It starts nothing, and decides nothing but who comes first: what fits is for [`crate::schedule`].

mod files;
mod folder;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::locks::Holder;
use crate::resources::Request;
use crate::schedule::Others;
use files::{Living, Posted};
pub use folder::folder;

/// How often a runner that waits shows that it is still there, and after what time it is taken not to be.
const TOUCH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// For so many requests a runner waits at once. What waits behind them is of less weight than any of them.
const MOST: usize = 16;
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
    /// The devices; of what is waited for, those of which it could use some.
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
    /// The leases that this runner has given and not taken back, by name.
    own: BTreeMap<String, Own>,
    /// What the files of others say. They are never changed.
    known: BTreeMap<String, Terms>,
    /// What this runner waits for.
    waiting: BTreeMap<Request, Waiting>,
    /// How many files have said so.
    numbers: u64,
}

/// A lease of this runner.
#[derive(Debug)]
struct Own {
    terms: Terms,
    /// What stands for it where somebody has removed its file.
    again: Option<Posted>,
}

/// A place among those that wait.
#[derive(Debug)]
struct Waiting {
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
    /// Those of [`Others::used`] whose runner is no more, with their files.
    pub left_behind: Vec<(Terms, PathBuf)>,
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
        Ok(Self { folder, turn, own: BTreeMap::new(), known: BTreeMap::new(), waiting: BTreeMap::new(), numbers: 0 })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The turn to decide, or `None` where somebody else has it for unusually long.
    ///
    /// # Errors
    /// What the file system says.
    pub fn turn(&mut self) -> Result<Option<Turn<'_>>> {
        if !files::take_turn(&mut self.turn, &self.folder, PATIENCE)? {
            return Ok(None);
        }
        let mut turn = Turn { leases: self, others: Others::default(), left_behind: Vec::new() };
        turn.look()?;
        Ok(Some(turn))
    }

    /// Ends a lease, unless the task has left something behind that still holds it. `alone`: nothing can be left, so
    /// that whoever has a descriptor of it is just being started for something else, and holds nothing.
    pub fn give_back(&mut self, lease: Lease, alone: bool) {
        if let Some(again) = self.own.remove(lease.file.name()).and_then(|own| own.again) {
            again.end(true);
        }
        lease.file.end(alone);
    }

    /// Nothing is waited for any more.
    pub fn wait_no_more(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(|waiting| waiting.file.end(true));
    }

    /// Shows that what was waited for still is.
    ///
    /// # Errors
    /// What the file system says.
    pub fn wait_on(&mut self) -> Result<()> {
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.touched.elapsed() >= TOUCH.0) {
            waiting.file.touch()?;
            waiting.touched = Instant::now();
        }
        Ok(())
    }

    /// All that is used and waited for: by whom, and what. Those that wait longest come first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(folder: &Path) -> Result<(Vec<Terms>, Vec<Terms>)> {
        let folder = folder.join("v1");
        let (mut used, mut waiting) = (Vec::new(), Vec::new());
        for name in files::names(&folder)? {
            // Who only looks removes nothing.
            let Living::Of(found) = files::living(&folder, &name, None)? else { continue };
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

    /// Somebody who is in the way of a request, if anybody is.
    pub fn in_the_way(&self, request: &Request) -> Option<&Holder> {
        let of = |end: &'static str| self.leases.known.iter().filter(move |(name, _)| name.ends_with(end));
        let contends = |(_, terms): &(&String, &Terms)| request.contends(&terms.request);
        let (mut used, mut waits) = (of(files::LEASE), of(files::WAIT));
        used.find(contends).or_else(|| waits.find(contends)).map(|(_, terms)| &terms.holder)
    }

    fn look(&mut self) -> Result<()> {
        let leases = &mut *self.leases;
        let names = files::names(&leases.folder)?;
        leases.post_again(&names)?;
        // What waits and its file has gone has to say so again.
        leases.waiting.retain(|_, waiting| names.iter().any(|name| name == waiting.file.name()));
        let own_waits: BTreeMap<&str, &Request> =
            leases.waiting.iter().map(|(request, waiting)| (waiting.file.name(), request)).collect();
        let mut seen = BTreeMap::new();
        for name in names {
            if leases.own.contains_key(&name) || leases.own.values().any(|own| own.is_again(&name)) {
                continue;
            }
            if let Some(request) = own_waits.get(name.as_str()) {
                self.others.before.insert((*request).clone(), self.others.waits.len());
                continue;
            }
            // Whoever was making it had the turn.
            let living = match name.ends_with(files::NEW) {
                true => Living::Dead,
                false => files::living(&leases.folder, &name, leases.known.remove(&name))?,
            };
            let found = match living {
                Living::Of(found) => found,
                Living::Dead => {
                    files::forget(&leases.folder, &name);
                    continue;
                }
                Living::Strange => continue,
            };
            seen.insert(name.clone(), found.terms.clone());
            if name.ends_with(files::LEASE) {
                if found.is_left_behind() {
                    self.left_behind.push((found.terms.clone(), leases.folder.join(&name)));
                }
                self.others.used.push((found.terms.request, found.terms.devices));
            } else if found.age < TOUCH.1 {
                self.others.waits.push((found.terms.request, found.terms.devices));
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
        self.leases.own.insert(name, Own { terms: terms.clone(), again: None });
        if let Some(waiting) = self.leases.waiting.get_mut(&terms.request) {
            waiting.served = true;
        }
        Ok(Lease { file })
    }

    /// Writes down what this runner waits for, with the devices that it knows of: the first of its tasks that do not fit, one for
    /// each request, in the order in which they are to start.
    ///
    /// # Errors
    /// What the file system says.
    pub fn wait_for(&mut self, wanted: &[Terms]) -> Result<()> {
        // Whoever is alone need not say so: the next one who comes finds out by waiting.
        if self.others.is_empty() {
            self.leases.wait_no_more();
            return Ok(());
        }
        let leases = &mut *self.leases;
        let is_wanted = |request: &Request| wanted.iter().take(MOST).any(|terms| terms.request == *request);
        let over = leases.waiting.extract_if(.., |request, waiting| waiting.served || !is_wanted(request));
        over.for_each(|(_, waiting)| waiting.file.end(true));
        // Nothing comes before what it is behind here.
        let mut last: Option<(Ulid, String)> = None;
        for terms in wanted.iter().take(MOST) {
            let known = leases.waiting.get(&terms.request);
            let in_order = |known: &&Waiting| last.as_ref().is_none_or(|(_, name)| known.file.name() > name.as_str());
            if known.filter(in_order).is_none() {
                let since = last.as_ref().map_or(Ulid::nil(), |(since, _)| *since);
                let since = known.map_or_else(Ulid::generate, |known| known.since).max(since);
                leases.wait_since(since, terms)?;
            }
            last = leases.waiting.get(&terms.request).map(|it| (it.since, it.file.name().to_owned()));
        }
        leases.wait_on()
    }
}

impl Leases {
    /// Gives a request a place behind all that this runner has waited for since then.
    fn wait_since(&mut self, since: Ulid, terms: &Terms) -> Result<()> {
        self.numbers += 1;
        let name = format!("{since}-{:010}{}", self.numbers, files::WAIT);
        let file = Posted::new(&self.folder, name, terms)?;
        let waiting = Waiting { since, file, touched: Instant::now(), served: false };
        if let Some(before) = self.waiting.insert(terms.request.clone(), waiting) {
            before.file.end(true);
        }
        Ok(())
    }

    /// Writes down once more what somebody has removed: the tasks go on. (systemd removes a user's files in `/dev/shm` with that
    /// user's last session, where it is not told otherwise: RemoveIPC.)
    fn post_again(&mut self, names: &[String]) -> Result<()> {
        for (name, own) in &mut self.own {
            if !names.iter().any(|there| there == name || own.is_again(there)) {
                let again = format!("{}{}", Ulid::generate(), files::LEASE);
                own.again = Some(Posted::new(&self.folder, again, &own.terms)?);
            }
        }
        Ok(())
    }
}

impl Own {
    fn is_again(&self, name: &str) -> bool {
        self.again.as_ref().is_some_and(|again| again.name() == name)
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
