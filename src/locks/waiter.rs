//! Who wants several locks: tries, waits, and gives up.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use ulid::Ulid;

use super::note::{Note, Posted, holder_of, living_notes, write_note};
use super::{Busy, Held, Holder, LockError, LockRequest, Result};
use crate::cache::files::is_at;

/// Who wants locks: it has its place in the queue from the first attempt that failed, and leaves it when dropped.
#[derive(Debug)]
pub struct Waiter {
    folder: PathBuf,
    requests: Vec<LockRequest>,
    holder: Holder,
    place: Option<Place>,
}

/// Its place in the queues of all these locks.
#[derive(Debug)]
struct Place {
    ulid: String,
    _notes: Vec<Posted>,
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// All locks are held.
    Got(Held),
    /// One is not to be had now; none is held.
    Busy(Busy),
}

/// How long it sleeps between attempts: short at first, for most locks are held for a moment.
const NAPS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// Attempts in the face of a lock that nobody has signed, which is one that is being looked at or tidied away.
const BLINKS: usize = 20;

impl Waiter {
    pub(super) fn new(folder: PathBuf, requests: Vec<LockRequest>, holder: Holder) -> Self {
        Self { folder, requests, holder, place: None }
    }

    /// Tries to get all locks without waiting for any.
    ///
    /// # Errors
    /// What the file system says.
    pub fn attempt(&mut self) -> Result<Attempt> {
        let mut locked = Vec::with_capacity(self.requests.len());
        for request in &self.requests {
            match self.lock(request)? {
                Ok(file) => locked.push(file),
                Err(busy) => {
                    drop(locked);
                    self.queue()?;
                    return Ok(Attempt::Busy(busy));
                }
            }
        }
        let held = self.sign(locked)?;
        self.place = None;
        Ok(Attempt::Got(held))
    }

    /// Waits until all locks are held, at most as long as `limit` says and until `given_up`. `waiting` is told of each new
    /// lock in the way.
    ///
    /// # Errors
    /// [`LockError::NotGot`] when the time is up, [`LockError::GivenUp`].
    pub fn wait(
        mut self,
        limit: Option<Duration>,
        mut waiting: impl FnMut(&Busy),
        given_up: impl Fn() -> bool,
    ) -> Result<Held> {
        let start = Instant::now();
        let (mut nap, longest) = NAPS;
        let mut told: Option<Busy> = None;
        loop {
            let busy = match self.attempt()? {
                Attempt::Got(held) => return Ok(held),
                Attempt::Busy(busy) => busy,
            };
            let left = limit.map(|limit| limit.saturating_sub(start.elapsed()));
            if given_up() {
                return Err(LockError::GivenUp);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Err(LockError::NotGot(Box::new(busy)));
            }
            if told.as_ref() != Some(&busy) {
                waiting(&busy);
                told = Some(busy);
            }
            std::thread::sleep(left.map_or(nap, |left| left.min(nap)));
            nap = (nap * 3 / 2).min(longest);
        }
    }

    /// Locks one file, or says who is in the way.
    fn lock(&self, request: &LockRequest) -> Result<std::result::Result<fs::File, Busy>> {
        let path = self.folder.join(&request.file);
        let busy = |holder| Ok(Err(Busy { lock: request.name.clone(), holder }));
        let mut blinks = BLINKS;
        loop {
            if self.is_behind(&path, request.shared)? {
                // Whoever waits in front of this one is not who holds the lock.
                return busy(holder_of(&path)?);
            }
            let file = fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            let tried = if request.shared { file.file().try_lock_shared() } else { file.file().try_lock() };
            match tried {
                // The holder before removed the file: that lock is on nothing.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => return Ok(Ok(file)),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder_of(&path)?;
                    if holder.is_some() || blinks == 0 {
                        return busy(holder);
                    }
                    blinks -= 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// Whether somebody waits for a lock since before this one and cannot have it together with it.
    fn is_behind(&self, path: &Path, shared: bool) -> Result<bool> {
        let before = |ulid: &String| self.place.as_ref().is_none_or(|place| *ulid < place.ulid);
        let in_front = |(ulid, note): &(String, Note)| before(ulid) && note.waits && !(note.shared && shared);
        Ok(living_notes(path)?.iter().any(in_front))
    }

    /// Takes a place in the queue of each lock.
    fn queue(&mut self) -> Result<()> {
        if self.place.is_some() {
            return Ok(());
        }
        let ulid = Ulid::generate().to_string();
        let post = |request: &LockRequest| self.post(request, &ulid, true);
        let notes = self.requests.iter().map(post).collect::<Result<_>>()?;
        self.place = Some(Place { ulid, _notes: notes });
        Ok(())
    }

    fn note(&self, request: &LockRequest, waits: bool) -> Note {
        let holder = Holder { since: jiff::Timestamp::now().to_string(), ..self.holder.clone() };
        Note { lock: request.name.clone(), shared: request.shared, waits, holder }
    }

    fn post(&self, request: &LockRequest, ulid: &str, waits: bool) -> Result<Posted> {
        Ok(Posted::beside(&self.folder.join(&request.file), ulid, &self.note(request, waits))?)
    }

    /// Writes down who holds the locks now.
    fn sign(&self, locked: Vec<fs::File>) -> Result<Held> {
        let mut held = Held { locks: Vec::with_capacity(locked.len()), notes: Vec::new(), claim: None };
        for (request, mut file) in self.requests.iter().zip(locked) {
            if request.shared {
                held.notes.push(self.post(request, &Ulid::generate().to_string(), false)?);
            } else {
                write_note(&mut file, &self.note(request, false))?;
            }
            held.locks.push((self.folder.join(&request.file), file));
        }
        Ok(held)
    }
}
