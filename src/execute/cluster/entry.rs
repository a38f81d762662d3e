//! One job of a runner on a cluster: whether it is to be submitted, or is out and what is known of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;

use super::spool::{JobFolder, Place, Spool, Ticket};
use super::{End, JobState, Size};
use crate::cache::files::{parent, remove, remove_tree};
use crate::execute::wire::Start;
use crate::execute::{Exit, Job, Wanted};
use crate::hash::Hash;

/// A job.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Hash,
    pub(super) size: Size,
    pub(super) start: Start,
    pub(super) folder: JobFolder,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// To be submitted.
    Due,
    /// Submitted, by this run or an earlier one.
    Out(Out),
}

/// A job that was submitted.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) place: Place,
    /// Where it writes, where an earlier run had submitted it.
    pub(super) theirs: Option<Theirs>,
    /// Whether its start was told.
    pub(super) told: bool,
    /// So much of its reports was told.
    pub(super) read: u64,
    /// Whether the cluster says that it waits.
    pub(super) waits: bool,
    /// Since when the cluster does not know it, or says that it has ended.
    pub(super) over: Option<Instant>,
    pub(super) end: Option<End>,
    pub(super) stopping: bool,
}

/// Where a job of an earlier run writes.
#[derive(Debug)]
pub(super) struct Theirs {
    work: PathBuf,
    log: PathBuf,
}

impl Entry {
    /// A job to be submitted, or the one that an earlier run had submitted for its key.
    pub(super) fn of(job: Job, spool: &Spool) -> Option<Self> {
        let Wanted { key, request, fresh } = job.wanted.clone()?;
        let size = Size {
            cpus: (request.cpus().ceil() as u64).max(1),
            memory: request.bytes(),
            devices: (request.devices() * 1000.0).round() as u64,
            timeout: job.timeout,
        };
        // On the node, the claim on the key takes the place of its locks.
        let (start, _) = Start::of(job);
        let folder = spool.job(&key);
        let stage = found(&folder, fresh).map_or(Stage::Due, Stage::Out);
        Some(Self { key, size, start, folder, stage })
    }

    pub(super) fn out(&self) -> Option<&Out> {
        match &self.stage {
            Stage::Out(out) => Some(out),
            Stage::Due => None,
        }
    }

    pub(super) fn out_mut(&mut self) -> Option<&mut Out> {
        match &mut self.stage {
            Stage::Out(out) => Some(out),
            Stage::Due => None,
        }
    }
}

/// What an earlier run had submitted, where that may still come to something.
fn found(folder: &JobFolder, fresh: bool) -> Option<Out> {
    let ticket = folder.ticket()?;
    let work = folder.work(&ticket)?;
    let Ticket { place, start, .. } = ticket;
    let theirs = Theirs { work, log: start.log.0.into() };
    // Some of it may be in the cache, and what is not there any more was looked at before.
    let whole = folder.manifest().is_none();
    // One that failed while nobody waited for it is executed again, as any task that failed.
    let counts = folder.ended(&place).is_none_or(|ended| ended.exit == Exit::Code(0) && !fresh);
    (counts && whole).then(|| Out { waits: false, theirs: Some(theirs), ..Out::new(place) })
}

impl Out {
    pub(super) fn new(place: Place) -> Self {
        Self { place, theirs: None, told: false, read: 0, waits: true, over: None, end: None, stopping: false }
    }

    /// Takes note of what the cluster says; `None`: it does not know it.
    pub(super) fn heard(&mut self, state: Option<&JobState>) {
        self.waits = matches!(state, Some(JobState::Waits(_)));
        match state {
            Some(JobState::Waits(_) | JobState::Runs) => (self.over, self.end) = (None, None),
            Some(JobState::Ended(end)) => {
                self.over.get_or_insert_with(Instant::now);
                self.end = Some(end.clone());
            }
            None => {
                self.over.get_or_insert_with(Instant::now);
            }
        }
    }

    pub(super) fn is_over_since(&self, patience: Duration) -> bool {
        self.over.is_some_and(|over| over.elapsed() >= patience)
    }
}

impl Theirs {
    /// Moves what was written to where the job that was to be started would have written it.
    pub(super) fn bring_home(&self, folder: &JobFolder, start: &Start) -> std::io::Result<()> {
        let (work, log) = (Path::new(&start.cwd.0), Path::new(&start.log.0));
        if self.log != log && self.log.exists() {
            fs::copy(&self.log, log)?;
        }
        if self.work != work {
            remove_tree(work)?;
            // Before it is there: of a run that is killed here, the next one looks at both places.
            let mut moved = folder.moved();
            moved.push(start.cwd.clone());
            folder.write_moved(&moved)?;
            fs::rename(&self.work, work)?;
            // What is left of it goes with the next `cache gc` where it cannot be removed.
            let _ = remove(parent(&self.work));
        }
        Ok(())
    }
}
