//! Locks across processes: on keys, so that a task is executed once, and on the names that a flow asks for.
//!
//! A lock is an OS lock on a file in `v1/locks`, so it ends with the last process that has the file open: the runner, the
//! supervisor, or anything a task started. What the files say is only for people, and is shown only as long as the lock
//! is really held.
//!
//! - `<lock>`: the locked file. In it, who holds it exclusively.
//! - `<lock>.d/<ULID>.json`: one file for each that waits for it or shares it, locked for as long as that is so.
//!
//! Locks are taken all or none, so nobody waits holding one. Who came first is served first: a claim steps back behind
//! the earlier ones that are in its way, and the order of their ULIDs is the same for all locks, so there is no deadlock.

use std::fs::TryLockError;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::cache::Cache;
use crate::cache::files::{entries, is_at, is_locked, remove};
use crate::hash::Hash;

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

    /// Whether others may share it.
    pub fn is_shared(&self) -> bool {
        self.shared
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

/// What is written into a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    lock: String,
    shared: bool,
    waits: bool,
    holder: Holder,
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

    /// A claim on all of `requests`; nothing is tried yet.
    pub fn claim(&self, requests: &[LockRequest], holder: Holder) -> Claim {
        let mut requests = requests.to_vec();
        // One that is asked for both ways is needed exclusively, which sorts first.
        requests.sort();
        requests.dedup_by(|later, earlier| later.file == earlier.file);
        Claim { folder: self.folder.clone(), requests, holder, place: None }
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

/// A claim on locks: it remembers its place in the queue from the first attempt that failed, and leaves it when dropped.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    requests: Vec<LockRequest>,
    holder: Holder,
    place: Option<Place>,
}

/// A place in the queues of all locks of a claim.
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

/// How long a claim sleeps between attempts: short at first, for most locks are held for a moment.
const NAPS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// Attempts in the face of a lock that nobody has signed, which is one that is being looked at or tidied away.
const BLINKS: usize = 20;

impl Claim {
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
        let mut blinks = BLINKS;
        loop {
            if let Some(earlier) = self.earlier(&path, request.shared)? {
                return Ok(Err(Busy { lock: request.name.clone(), holder: Some(earlier) }));
            }
            let mut file = fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            let tried = if request.shared { file.file().try_lock_shared() } else { file.file().try_lock() };
            match tried {
                // The holder before removed the file: that lock is on nothing.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => return Ok(Ok(file)),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) => {
                    let notes = living_notes(&path)?;
                    let shared = notes.into_iter().map(|(_, note)| note).find(|note| !note.waits);
                    let holder = read_note(&mut file).or(shared).map(|note| note.holder);
                    if holder.is_some() || blinks == 0 {
                        return Ok(Err(Busy { lock: request.name.clone(), holder }));
                    }
                    blinks -= 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// Who waits for a lock since before this claim and cannot have it together with it.
    fn earlier(&self, path: &Path, shared: bool) -> Result<Option<Holder>> {
        for (ulid, note) in living_notes(path)? {
            let before = self.place.as_ref().is_none_or(|place| ulid < place.ulid);
            if before && note.waits && !(note.shared && shared) {
                return Ok(Some(note.holder));
            }
        }
        Ok(None)
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
        let folder = beside(&self.folder.join(&request.file));
        let path = folder.join(format!("{ulid}.json"));
        loop {
            fs::create_dir_all(&folder)?;
            match post(&folder.join(format!("{ulid}.new")), &path, &self.note(request, waits)) {
                Ok(file) => return Ok(Posted { path, file }),
                // The last one to leave removed the folder.
                Err(error) if error.kind() == ErrorKind::NotFound && self.folder.is_dir() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes down who holds the locks now.
    fn sign(&self, locked: Vec<fs::File>) -> Result<Held> {
        let mut held = Held { locks: Vec::with_capacity(locked.len()), notes: Vec::new() };
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

/// A note in a lock's folder, locked by who posted it.
#[derive(Debug)]
struct Posted {
    path: PathBuf,
    file: fs::File,
}

impl Drop for Posted {
    fn drop(&mut self) {
        // One that stays is seen to be nobody's, for its lock is gone.
        let _ = remove(&self.path);
    }
}

fn post(temporary: &Path, path: &Path, note: &Note) -> std::io::Result<fs::File> {
    let mut file = fs::File::create(temporary)?;
    // Before it gets its name: a note without a lock is taken for one that was left behind.
    file.file().lock()?;
    write_note(&mut file, note)?;
    fs::rename(temporary, path)?;
    Ok(file)
}

/// Locks that are held. Those that nothing else has (see [`Held::share`]) are free again when this is dropped.
#[derive(Debug)]
pub struct Held {
    locks: Vec<(PathBuf, fs::File)>,
    notes: Vec<Posted>,
}

impl Held {
    /// Descriptors that hold the same locks, to be inherited by a task's processes.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn share(&self) -> std::io::Result<Vec<OwnedFd>> {
        let locks = self.locks.iter().map(|(_, file)| file);
        locks.chain(self.notes.iter().map(|note| &note.file)).map(|file| Ok(file.file().try_clone()?.into())).collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.notes.clear();
        for (path, file) in self.locks.drain(..) {
            drop(file);
            // Nothing depends on it: a file that stays is a lock that nobody holds.
            let _ = tidy(&path);
        }
    }
}

/// Removes a lock's file if nobody else, such as a process of the task, holds it.
fn tidy(path: &Path) -> std::io::Result<()> {
    let Some(file) = open_existing(path)? else { return Ok(()) };
    if file.file().try_lock().is_ok() && is_at(&file, path) {
        // Fails where somebody waits.
        let _ = std::fs::remove_dir(beside(path));
        remove(path)?;
    }
    Ok(())
}

fn open_existing(path: &Path) -> std::io::Result<Option<fs::File>> {
    match fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder for the notes of those who wait for a lock or share it.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

/// The notes beside a lock whose authors live, the oldest first. The others are removed.
fn living_notes(path: &Path) -> std::io::Result<Vec<(String, Note)>> {
    let mut notes = Vec::new();
    for entry in entries(&beside(path))? {
        let path = entry.path();
        let name = entry.file_name();
        let Some(ulid) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        let Some(mut file) = open_existing(&path)? else { continue };
        if is_locked(&file) {
            notes.extend(read_note(&mut file).map(|note| (ulid.to_owned(), note)));
        } else {
            // Whoever only looks, in a cache that is not theirs, may not remove it.
            let _ = remove(&path);
        }
    }
    Ok(notes)
}

fn write_note(file: &mut fs::File, note: &Note) -> std::io::Result<()> {
    let text = serde_json::to_vec(note)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

/// What a file says, if that is whole: it may be about to be written.
fn read_note(file: &mut fs::File) -> Option<Note> {
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut text)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn locks() -> (tempfile::TempDir, Locks) {
        let folder = tempfile::tempdir().unwrap();
        let locks = Locks::at(folder.path().to_owned());
        (folder, locks)
    }

    fn holder(task: &str) -> Holder {
        let text = || "x".to_owned();
        Holder { pid: 1, host: text(), who: text(), run: text(), task: task.to_owned(), since: String::new() }
    }

    fn exclusive(name: &str) -> LockRequest {
        LockRequest::named(name, false)
    }

    fn shared(name: &str) -> LockRequest {
        LockRequest::named(name, true)
    }

    fn got(claim: &mut Claim) -> Option<Held> {
        match claim.attempt().unwrap() {
            Attempt::Got(held) => Some(held),
            Attempt::Busy(_) => None,
        }
    }

    fn tasks(holders: &[Holder]) -> Vec<&str> {
        holders.iter().map(|holder| holder.task.as_str()).collect()
    }

    #[test]
    fn an_exclusive_lock_has_one_holder_and_says_who() {
        let (folder, locks) = locks();
        let held = got(&mut locks.claim(&[exclusive("a")], holder("one"))).unwrap();
        match locks.claim(&[exclusive("a")], holder("two")).attempt().unwrap() {
            Attempt::Busy(busy) => assert_eq!((busy.lock.as_str(), busy.holder.unwrap().task), ("a", "one".into())),
            Attempt::Got(_) => panic!("two holders"),
        }
        let error =
            locks.claim(&[shared("a")], holder("two")).wait(Some(Duration::ZERO), |_| (), || false).unwrap_err();
        assert!(error.to_string().contains("`a` is held by one"), "{error}");
        drop(held);
        assert!(got(&mut locks.claim(&[exclusive("a")], holder("two"))).is_some());
        assert_eq!(entries(folder.path()).unwrap().len(), 0, "nothing stays behind");
    }

    /// Claims of the same millisecond have no order.
    fn later() {
        std::thread::sleep(Duration::from_millis(3));
    }

    #[test]
    fn readers_share_and_a_waiting_writer_is_not_passed_by_later_readers() {
        let (_folder, locks) = locks();
        let one = got(&mut locks.claim(&[shared("a")], holder("one"))).unwrap();
        later();
        let two = got(&mut locks.claim(&[shared("a")], holder("two"))).unwrap();
        let mut writer = locks.claim(&[exclusive("a")], holder("writer"));
        assert!(got(&mut writer).is_none());
        later();
        let mut late = locks.claim(&[shared("a")], holder("late"));
        assert!(got(&mut late).is_none());
        let listed = locks.list().unwrap();
        assert_eq!((listed.len(), listed[0].shared), (1, true));
        assert_eq!(
            (tasks(&listed[0].holders), tasks(&listed[0].waiters)),
            (vec!["one", "two"], vec!["writer", "late"])
        );
        drop(one);
        assert!(got(&mut writer).is_none());
        drop(two);
        assert!(got(&mut late).is_none());
        let written = got(&mut writer).unwrap();
        assert!(got(&mut late).is_none());
        drop(written);
        assert!(got(&mut late).is_some());
    }

    #[test]
    fn a_claim_that_is_given_up_is_in_nobodys_way() {
        let (_folder, locks) = locks();
        let held = got(&mut locks.claim(&[shared("a")], holder("one"))).unwrap();
        let mut writer = locks.claim(&[exclusive("a")], holder("writer"));
        assert!(got(&mut writer).is_none());
        drop(writer);
        assert!(got(&mut locks.claim(&[shared("a")], holder("two"))).is_some());
        drop(held);
        assert!(locks.list().unwrap().is_empty());
    }

    #[test]
    fn what_the_dead_have_written_is_not_shown_and_in_nobodys_way() {
        let (folder, locks) = locks();
        let note = Note { lock: "a".into(), shared: false, waits: true, holder: holder("dead") };
        let text = serde_json::to_string(&note).unwrap();
        let file = exclusive("a").file;
        fs::write(folder.path().join(&file), &text).unwrap();
        fs::create_dir(folder.path().join(format!("{file}.d"))).unwrap();
        fs::write(folder.path().join(format!("{file}.d/00DEAD.json")), &text).unwrap();
        assert_eq!(locks.list().unwrap(), []);
        drop(got(&mut locks.claim(&[exclusive("a")], holder("one"))).unwrap());
        assert_eq!(entries(folder.path()).unwrap().len(), 0);
    }

    #[test]
    fn several_locks_are_taken_all_or_none() {
        let (_folder, locks) = locks();
        let held = got(&mut locks.claim(&[exclusive("b")], holder("one"))).unwrap();
        let mut both = locks.claim(&[exclusive("c"), exclusive("b"), shared("b"), exclusive("a")], holder("two"));
        assert!(got(&mut both).is_none());
        drop(both);
        assert!(got(&mut locks.claim(&[exclusive("a"), exclusive("c")], holder("three"))).is_some());
        drop(held);
    }

    #[test]
    fn a_lock_lasts_as_long_as_a_descriptor_that_shares_it() {
        let (folder, locks) = locks();
        let held = got(&mut locks.claim(&[exclusive("a")], holder("one"))).unwrap();
        let descriptors = held.share().unwrap();
        drop(held);
        assert!(got(&mut locks.claim(&[exclusive("a")], holder("two"))).is_none());
        assert_eq!(tasks(&locks.list().unwrap()[0].holders), ["one"]);
        drop(descriptors);
        assert!(got(&mut locks.claim(&[exclusive("a")], holder("two"))).is_some());
        assert_eq!(entries(folder.path()).unwrap().len(), 0);
    }

    #[test]
    fn any_text_names_a_lock_of_its_own() {
        let (_folder, locks) = locks();
        let long = "x".repeat(5000);
        let names = ["a/b", "a b", "", "..", "a.d", "-", "ü\n", &long, "hash-a", "a"];
        let held: Vec<Held> =
            names.iter().map(|name| got(&mut locks.claim(&[exclusive(name)], holder("t"))).unwrap()).collect();
        let mut expected: Vec<&str> = names.to_vec();
        expected.sort_unstable();
        let listed = locks.list().unwrap();
        assert_eq!(listed.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), expected);
        drop(held);
        assert_eq!(locks.list().unwrap(), []);
    }

    /// Eight threads, each with descriptors of its own as a process would have, want overlapping sets in changing orders.
    #[test]
    fn contenders_never_overlap_and_all_get_their_turn() {
        let (folder, locks) = locks();
        let inside: [AtomicUsize; 3] = Default::default();
        let turns = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for contender in 0..8 {
                let (locks, inside, turns) = (&locks, &inside, &turns);
                scope.spawn(move || {
                    for turn in 0..15 {
                        let wanted = [(contender + turn) % 3, (contender + 2 * turn + 1) % 3];
                        let requests: Vec<LockRequest> =
                            wanted.iter().map(|index| exclusive(&index.to_string())).collect();
                        let claim = locks.claim(&requests, holder("t"));
                        let held = claim.wait(Some(Duration::from_secs(60)), |_| (), || false).unwrap();
                        let mut unique = wanted.to_vec();
                        unique.dedup();
                        for index in &unique {
                            assert_eq!(inside[*index].fetch_add(1, Ordering::SeqCst), 0, "two holders");
                        }
                        std::thread::sleep(Duration::from_micros(200));
                        for index in &unique {
                            inside[*index].fetch_sub(1, Ordering::SeqCst);
                        }
                        turns.fetch_add(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 8 * 15);
        assert_eq!(entries(folder.path()).unwrap().len(), 0);
    }
}
