//! The files by which a runner and the processes on the nodes know of a job. Both see the cache's folder; nothing else joins
//! them, so a runner that was killed and started again finds all that there is to know here.
//!
//! ```text
//! jobs/<key>/claim         locked by whoever executes the key: the process on the node, the task, and all that it starts
//! jobs/<key>/ticket.json   what is to be executed; a process on a node executes no other
//! jobs/<key>/begun.json    it was begun, where and with which devices: no ticket is begun twice
//! jobs/<key>/events.jsonl  what it reports while it runs
//! jobs/<key>/exit.json     how it ended
//! jobs/<key>/moved.json     to where runs that took it over have moved what it wrote
//! jobs/<key>/manifest.json  what it wrote is on its way into the cache, and this is to be recorded of it
//! jobs/batches/<batch>/keys     the keys of what was submitted together, one a line
//! jobs/batches/<batch>/<n>.out  what went wrong before a task could begin
//! ```
//!
//! It knows no cluster.

use std::fs::TryLockError;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::files::entries;
use crate::cache::is_older;
use crate::execute::wire::{Start, Text};
use crate::execute::{ExecEvent, Exit, Usage};
use crate::hash::Hash;
use crate::manifest::Manifest;

/// A job's place among what was submitted together: by this the cluster knows it. No two are the same, ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) batch: String,
    pub(super) index: u32,
}

/// What is to be executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ticket {
    pub(super) place: Place,
    pub(super) start: Start,
    /// Whether it is told which devices it got.
    pub(super) devices: bool,
    /// What it declares, in bytes; it may use what the cluster gives it where it declares none.
    pub(super) memory: Option<u64>,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
}

/// Where a ticket was begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    pub(super) place: Place,
    pub(super) host: String,
    pub(super) devices: Vec<u32>,
    pub(super) pid: u32,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    pub(super) place: Place,
    pub(super) exit: Exit,
    pub(super) usage: Usage,
    pub(super) alone: bool,
}

/// The folder for all jobs of a cache.
#[derive(Clone, Debug)]
pub(super) struct Spool(PathBuf);

impl Spool {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn batch(&self, batch: &str) -> PathBuf {
        self.0.join("batches").join(batch)
    }

    pub(super) fn job(&self, key: &Hash) -> JobFolder {
        JobFolder(self.0.join(key.to_string()))
    }

    /// Removes what runs that were killed have left, where that began before `since` and nothing of it lives.
    pub(super) fn sweep(&self, since: Timestamp) -> std::io::Result<()> {
        let is_old = |name: &str| is_older(name.rsplit(['-', '.']).next().unwrap_or_default(), since);
        for folder in ["batches", "pilots"] {
            for entry in entries(&self.0.join(folder))? {
                if is_old(&entry.file_name().to_string_lossy()) {
                    crate::cache::files::remove(&entry.path())?;
                }
            }
        }
        for entry in entries(&self.0)? {
            let folder = JobFolder(entry.path());
            if folder.ticket().is_some_and(|ticket| is_old(&ticket.place.batch))
                && let Some(_claim) = folder.claim(Duration::ZERO)?
            {
                folder.remove()?;
            }
        }
        Ok(())
    }

    /// Writes down which keys a batch has.
    pub(super) fn make_batch(&self, batch: &str, keys: &[Hash]) -> std::io::Result<()> {
        let folder = self.batch(batch);
        fs::create_dir_all(&folder)?;
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        fs::write(folder.join("keys"), text)
    }

    /// The key at a place.
    pub(super) fn key(&self, place: &Place) -> std::io::Result<Hash> {
        let text = fs::read_to_string(self.batch(&place.batch).join("keys"))?;
        let key = text.lines().nth(place.index as usize).and_then(|line| line.parse().ok());
        key.ok_or_else(|| std::io::Error::other(format!("batch {} has no job {}", place.batch, place.index)))
    }

    /// What went wrong before the task at a place could begin, as far as it was written down.
    pub(super) fn complaint(&self, place: &Place) -> Option<String> {
        let text = std::fs::read(self.batch(&place.batch).join(format!("{}.out", place.index))).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    }
}

/// The files of one key.
#[derive(Clone, Debug)]
pub(super) struct JobFolder(PathBuf);

impl JobFolder {
    /// Makes it, where it is not there. Its owner alone may read what a ticket holds.
    pub(super) fn make(&self) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let claim = fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.0.join("claim"));
        claim.map(drop)
    }

    /// Takes the claim, unless it is held; waits so long for that. `None`: held, or there is none any more.
    pub(super) fn claim(&self, patience: Duration) -> std::io::Result<Option<fs::File>> {
        let file = match fs::OpenOptions::new().read(true).write(true).open(self.0.join("claim")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let begun = Instant::now();
        loop {
            match file.file().try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// False where somebody has removed it.
    pub(super) fn is_there(&self) -> bool {
        self.0.join("claim").exists()
    }

    pub(super) fn has_ticket(&self) -> bool {
        self.0.join("ticket.json").exists()
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.read("ticket.json")
    }

    /// Puts a ticket in the place of any other, and of what became of that. Only for who holds the claim.
    pub(super) fn put(&self, ticket: &Ticket) -> std::io::Result<()> {
        self.clear()?;
        self.write("ticket.json", ticket)
    }

    /// Takes the ticket away: it will not be begun. Only for who holds the claim.
    pub(super) fn clear(&self) -> std::io::Result<()> {
        let files = ["ticket.json", "begun.json", "events.jsonl", "exit.json", "moved.json", "manifest.json"];
        files.iter().try_for_each(|name| crate::cache::files::remove(&self.0.join(name)))
    }

    /// Removes all of it. Only for who holds the claim.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        // The ticket first: what is left halfway is nothing that could be begun.
        self.clear()?;
        crate::cache::files::remove(&self.0)
    }

    /// Removes all of it, unless somebody executes its key.
    pub(super) fn remove_unclaimed(&self) {
        // What stays has ended, and is swept some day.
        if let Ok(Some(_claim)) = self.claim(Duration::ZERO) {
            let _ = self.remove();
        }
    }

    pub(super) fn begun(&self, place: &Place) -> Option<Begun> {
        self.read("begun.json").filter(|begun: &Begun| begun.place == *place)
    }

    pub(super) fn write_begun(&self, begun: &Begun) -> std::io::Result<()> {
        self.write("begun.json", begun)
    }

    pub(super) fn ended(&self, place: &Place) -> Option<Ended> {
        self.read("exit.json").filter(|ended: &Ended| ended.place == *place)
    }

    pub(super) fn write_ended(&self, ended: &Ended) -> std::io::Result<()> {
        self.write("exit.json", ended)
    }

    /// The folders to which what it wrote was moved, one after the other.
    pub(super) fn moved(&self) -> Vec<Text> {
        self.read("moved.json").unwrap_or_default()
    }

    pub(super) fn write_moved(&self, to: &[Text]) -> std::io::Result<()> {
        self.write("moved.json", &to)
    }

    /// Where what it wrote lies now.
    pub(super) fn work(&self, ticket: &Ticket) -> Option<PathBuf> {
        let moved = self.moved().into_iter().map(|path| path.0);
        std::iter::once(ticket.start.cwd.0.clone()).chain(moved).map(PathBuf::from).find(|work| work.is_dir())
    }

    pub(super) fn manifest(&self) -> Option<Manifest> {
        self.read("manifest.json")
    }

    pub(super) fn write_manifest(&self, manifest: &Manifest) -> std::io::Result<()> {
        self.write("manifest.json", manifest)
    }

    /// Where its reports go.
    pub(super) fn reports(&self) -> std::io::Result<fs::File> {
        fs::OpenOptions::new().create(true).append(true).open(self.0.join("events.jsonl"))
    }

    /// The reports from `at` on, which is moved behind them.
    pub(super) fn reports_from(&self, at: &mut u64) -> Vec<ExecEvent> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = std::fs::File::open(self.0.join("events.jsonl"))?;
            file.seek(SeekFrom::Start(*at))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        // A file that is not there has none.
        let mut bytes = read().unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        *at += whole as u64;
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// `None` where it is not there, or is not what this version writes.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.0.join(name)).ok()?).ok()
    }

    /// In one step: nobody sees half of it.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> std::io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        drop(file);
        fs::rename(new, self.0.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::Job;

    fn ticket(batch: &str, index: u32) -> Ticket {
        let job = Job {
            id: 1,
            wanted: None,
            argv: vec!["true".into()],
            env: vec![("TOKEN".into(), "secret".into())],
            secrets: vec!["TOKEN".into()],
            cwd: "/".into(),
            log: "/log".into(),
            locks: Vec::new(),
            timeout: None,
            memory: None,
            apart: false,
        };
        let place = Place { batch: batch.to_owned(), index };
        Ticket { place, start: Start::of(job).0, devices: false, memory: None, grace: Duration::from_secs(1) }
    }

    #[test]
    fn what_is_written_of_one_ticket_is_not_taken_for_anothers() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::at(root.path().join("jobs"));
        let folder = spool.job(&Hash::of(b"key"));
        folder.make().unwrap();
        let (first, second) = (ticket("a", 0), ticket("b", 0));
        folder.put(&first).unwrap();
        let begun = Begun { place: first.place.clone(), host: "n".into(), devices: vec![1], pid: 1 };
        folder.write_begun(&begun).unwrap();
        assert!(folder.begun(&first.place).is_some() && folder.begun(&second.place).is_none());
        folder.put(&second).unwrap();
        assert!(folder.begun(&first.place).is_none() && folder.ticket().unwrap().place == second.place);
        folder.remove().unwrap();
        assert!(!folder.has_ticket() && folder.claim(Duration::ZERO).unwrap().is_none());
    }

    #[test]
    fn a_claim_is_had_once_and_a_ticket_is_read_by_its_owner_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let root = tempfile::tempdir().unwrap();
        let folder = Spool::at(root.path().join("jobs")).job(&Hash::of(b"key"));
        folder.make().unwrap();
        let claim = folder.claim(Duration::ZERO).unwrap();
        assert!(claim.is_some() && folder.claim(Duration::from_millis(30)).unwrap().is_none());
        drop(claim);
        assert!(folder.claim(Duration::ZERO).unwrap().is_some());
        folder.put(&ticket("a", 0)).unwrap();
        assert_eq!(fs::metadata(folder.0.join("ticket.json")).unwrap().mode() & 0o077, 0);
    }

    #[test]
    fn reports_are_read_line_by_line_as_they_come() {
        let root = tempfile::tempdir().unwrap();
        let folder = Spool::at(root.path().join("jobs")).job(&Hash::of(b"key"));
        folder.make().unwrap();
        let event = ExecEvent::Metric { id: 7, name: "loss".into(), value: 0.5 };
        let line = serde_json::to_vec(&event).unwrap();
        let mut at = 0;
        assert!(folder.reports_from(&mut at).is_empty());
        let mut file = folder.reports().unwrap();
        file.write_all(&[line.as_slice(), b"\n", &line[..5]].concat()).unwrap();
        assert_eq!(folder.reports_from(&mut at).as_slice(), std::slice::from_ref(&event));
        file.write_all(&[&line[5..], b"\n"].concat()).unwrap();
        assert_eq!(folder.reports_from(&mut at), [event]);
    }

    #[test]
    fn what_was_left_long_ago_goes() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::at(root.path().to_owned());
        let batch = format!("ghtrader-{}", ulid::Ulid::generate());
        let (key, held) = (Hash::of(b"key"), Hash::of(b"held"));
        spool.make_batch(&batch, &[key, held]).unwrap();
        for (index, key) in (0..).zip([key, held]) {
            spool.job(&key).make().unwrap();
            spool.job(&key).put(&ticket(&batch, index)).unwrap();
        }
        let _claim = spool.job(&held).claim(Duration::ZERO).unwrap().unwrap();
        spool.sweep(Timestamp::now() - jiff::SignedDuration::from_hours(1)).unwrap();
        assert!(spool.job(&key).has_ticket() && spool.batch(&batch).exists());
        spool.sweep(Timestamp::now() + jiff::SignedDuration::from_hours(1)).unwrap();
        assert!(!spool.job(&key).has_ticket() && !spool.batch(&batch).exists());
        assert!(spool.job(&held).has_ticket(), "somebody executes it");
    }
}
