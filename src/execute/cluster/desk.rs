//! The thread that deals with a cluster for a runner: gathers jobs, submits them together, asks for all of them once a
//! second, and tells what became of them.
//!
//! What a cluster says of a job is never taken for what became of the task: that is in the job's folder ([`super::spool`]).
//! The cluster's word only tells when there is nothing to wait for any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::entry::{Entry, Stage};
use super::spool::{Ended, Place, Spool};
use super::{Cluster, End, JobState};
use crate::execute::link::ended_badly;
use crate::execute::{ExecEvent, Exit, Job};

/// What the runner asks for.
#[derive(Debug)]
pub(super) enum Order {
    Start(Box<Job>),
    Stop(u64),
    Recall,
}

/// Jobs that come one after the other are submitted together: until nothing has come for this long.
pub(super) const LULL: Duration = Duration::from_millis(50);
/// How often the cluster is asked.
pub(super) const ASK: Duration = Duration::from_secs(1);
/// How often the jobs' folders are looked at, where there are few.
const LOOK: Duration = Duration::from_millis(200);
/// So many are few: the others are looked at when the cluster says that there is something to see.
const FEW: usize = 100;
/// What a node has written may be seen here only some time later.
const PATIENCE: Duration = Duration::from_secs(3);

/// All that a runner has on a cluster.
pub(super) struct Desk<C> {
    pub(super) cluster: C,
    pub(super) spool: Spool,
    pub(super) program: PathBuf,
    pub(super) sink: Box<dyn Fn(ExecEvent) + Send>,
    pub(super) entries: BTreeMap<u64, Entry>,
    /// Stopped before they were started.
    pub(super) stopped: BTreeSet<u64>,
    /// Batches of this runner, with how many of their jobs are not over.
    pub(super) batches: BTreeMap<String, usize>,
    pub(super) cancels: Vec<Place>,
    /// When the first and the last of those came that are to be submitted.
    pub(super) due: Option<(Instant, Instant)>,
    /// Before this, nothing is submitted; and how long the pause was.
    pub(super) again: Option<(Instant, Duration)>,
    pub(super) asked: Option<Instant>,
    pub(super) looked: Option<Instant>,
    /// Whether the cluster does not answer.
    pub(super) silent: bool,
    pub(super) told: BTreeSet<String>,
}

impl<C: Cluster> Desk<C> {
    pub(super) fn new(cluster: C, spool: Spool, program: PathBuf, sink: Box<dyn Fn(ExecEvent) + Send>) -> Self {
        Self {
            cluster,
            spool,
            program,
            sink,
            entries: BTreeMap::new(),
            stopped: BTreeSet::new(),
            batches: BTreeMap::new(),
            cancels: Vec::new(),
            due: None,
            again: None,
            asked: None,
            looked: None,
            silent: false,
            told: BTreeSet::new(),
        }
    }

    /// Until nobody can ask for anything any more.
    pub(super) fn attend(mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(self.pause()) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.cancel();
                    return self.cluster.close();
                }
            }
            inbox.try_iter().for_each(|order| self.take(order));
            self.turn();
        }
    }

    fn pause(&self) -> Duration {
        match (self.entries.is_empty(), self.due) {
            (true, _) => Duration::from_secs(3600),
            (false, Some(_)) => LULL,
            (false, None) => LOOK,
        }
    }

    fn turn(&mut self) {
        self.cancel();
        if self.is_time_to_submit() {
            self.submit_due();
        }
        let out = self.entries.values().any(|entry| matches!(entry.stage, Stage::Out(_)));
        if out && self.asked.is_none_or(|asked| asked.elapsed() >= ASK) {
            self.ask();
            self.asked = Some(Instant::now());
        }
        if out && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look();
            self.looked = Some(Instant::now());
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Start(job) => self.start(*job),
            Order::Stop(id) => self.stop(id),
            Order::Recall => self.recall(),
        }
    }

    fn start(&mut self, job: Job) {
        let id = job.id;
        if self.stopped.remove(&id) {
            return (self.sink)(ended_badly(id, Exit::Stopped));
        }
        let Some(entry) = Entry::of(job, &self.spool) else {
            let why = "a cluster has to know its key".to_owned();
            return (self.sink)(ended_badly(id, Exit::NotStarted(why)));
        };
        if let Some(text) = self.cluster.rounds(&entry.size) {
            self.notice_once(text);
        }
        match &entry.stage {
            Stage::Out(_) => {
                let text = format!("a job that an earlier run had submitted to {} is waited for", self.cluster.name());
                self.notice_once(text);
                self.asked = None;
            }
            Stage::Due => self.is_due(),
        }
        self.entries.insert(id, entry);
    }

    fn ask(&mut self) {
        let outs = self.entries.values().filter_map(Entry::out);
        let batches: BTreeSet<&str> = outs.map(|out| out.place.batch.as_str()).collect();
        let name = self.cluster.name();
        let states = match self.cluster.ask(&batches) {
            Ok(states) => states,
            Err(why) => {
                if !std::mem::replace(&mut self.silent, true) {
                    self.notice(format!("{name} does not answer: {why}; what runs goes on, and it is asked again"));
                }
                return;
            }
        };
        if std::mem::take(&mut self.silent) {
            self.notice(format!("{name} answers again"));
        }
        let mut reasons = BTreeSet::new();
        for out in self.entries.values_mut().filter_map(Entry::out_mut) {
            let state = states.get(&(out.place.batch.clone(), out.place.index));
            if let Some(JobState::Waits(reason)) = state
                && !reason.is_empty()
            {
                reasons.insert(reason.clone());
            }
            out.heard(state);
        }
        for reason in reasons {
            self.notice_once(format!("jobs wait in {name}: {reason}"));
        }
    }

    fn look(&mut self) {
        let few = self.entries.len() <= FEW || self.silent;
        let seen = |entry: &Entry| entry.out().is_some_and(|out| few || !out.waits);
        let ids: Vec<u64> = self.entries.iter().filter(|(_, entry)| seen(entry)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.look_at(id));
    }

    fn look_at(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Stage::Out(out) = &mut entry.stage else { return };
        if !out.told {
            let Some(begun) = entry.folder.begun(&out.place) else { return self.look_for_the_end(id) };
            out.told = true;
            (self.sink)(ExecEvent::Started { id, pid: begun.pid });
            (self.sink)(ExecEvent::Placed { id, host: begun.host, devices: begun.devices });
        }
        // In this order: what it reports comes before its end.
        let ended = entry.folder.ended(&out.place);
        for event in entry.folder.reports_from(&mut out.read) {
            (self.sink)(of(id, event));
        }
        match ended {
            Some(ended) => self.collect(id, ended),
            None => self.look_for_the_end(id),
        }
    }

    /// There is no record of how it ended: whether there will be none.
    fn look_for_the_end(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        let Some(out) = entry.out().filter(|out| out.is_over_since(PATIENCE)) else { return };
        // Where a process of it lives, that decides, whatever the cluster knows.
        let Ok(claim) = entry.folder.claim(Duration::ZERO) else { return };
        let executed = claim.is_none() && entry.folder.is_there();
        if executed || entry.folder.ended(&out.place).is_some() {
            return;
        }
        let (begun, name) = (entry.folder.begun(&out.place), self.cluster.name());
        let exit = match &out.end {
            _ if out.stopping => Exit::Stopped,
            // What happened to it while nobody waited for it is no attempt of this run.
            _ if out.theirs.is_some() => return self.submit_again(id),
            Some(end) => {
                let said = self.spool.complaint(&out.place).filter(|_| begun.is_none());
                let said = said.map_or_else(String::new, |said| format!(": {said}"));
                end.exit(format!("{name} ended its job ({}) before it left a record{said}", end.how))
            }
            None if begun.is_none() => {
                self.notice(format!("{name} does not know a job that it had taken; it is submitted again"));
                return self.submit_again(id);
            }
            None => Exit::Vanished(format!("{name} does not know its job any more, and none of its processes is left")),
        };
        drop(claim);
        self.finish(id, exit);
    }

    fn submit_again(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Stage::Out(out) = std::mem::replace(&mut entry.stage, Stage::Due) {
            self.leave_batch(&out.place.batch);
        }
        self.is_due();
    }

    /// Its processes have ended, and how is written down.
    fn collect(&mut self, id: u64, ended: Ended) {
        let Some((entry, out)) = self.entries.get(&id).and_then(|entry| Some((entry, entry.out()?))) else { return };
        let name = self.cluster.name();
        let (mut exit, mut alone) = (ended.exit, ended.alone);
        if exit == Exit::Stopped && !out.stopping {
            let end = match &out.end {
                Some(end) => end.clone(),
                // Why is known soon.
                None if !out.is_over_since(PATIENCE) && !self.silent => return,
                None => End { how: "unknown".to_owned(), innocent: true },
            };
            exit = end.exit(format!("stopped by {name} ({})", end.how));
        }
        if let Some(theirs) = &out.theirs {
            alone = false;
            if let Err(error) = theirs.bring_home(&entry.folder, &entry.start) {
                exit = Exit::Vanished(format!("what a job of an earlier run wrote cannot be taken over: {error}"));
            }
        }
        // What it wrote is to be had until it is recorded, whatever happens to this process.
        if exit == Exit::Code(0) {
            self.let_go(id)
        } else {
            self.remove(id)
        }
        (self.sink)(ExecEvent::Exited { id, exit, usage: ended.usage, alone });
    }

    fn stop(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else {
            self.stopped.insert(id);
            return;
        };
        let Stage::Out(out) = &mut entry.stage else { return self.finish(id, Exit::Stopped) };
        if std::mem::replace(&mut out.stopping, true) {
            return;
        }
        self.cancels.push(out.place.clone());
        self.take_back(id, Exit::Stopped);
    }

    /// Takes back all that waits.
    fn recall(&mut self) {
        for id in self.entries.keys().copied().collect::<Vec<_>>() {
            let Some(entry) = self.entries.get(&id) else { continue };
            let place = entry.out().map(|out| out.place.clone());
            if self.take_back(id, Exit::Recalled) {
                self.cancels.extend(place);
            }
        }
    }

    /// Takes away the ticket of a job that has not begun: it never will, even where the cluster forgets that it was cancelled.
    fn take_back(&mut self, id: u64, exit: Exit) -> bool {
        let Some(entry) = self.entries.get(&id) else { return false };
        if let Stage::Out(out) = &entry.stage {
            let Ok(Some(_claim)) = entry.folder.claim(Duration::ZERO) else { return false };
            if entry.folder.begun(&out.place).is_some() || entry.folder.remove().is_err() {
                return false;
            }
        }
        self.finish(id, exit);
        true
    }

    fn cancel(&mut self) {
        if self.cancels.is_empty() {
            return;
        }
        let jobs: Vec<(&str, u32)> = self.cancels.iter().map(|place| (place.batch.as_str(), place.index)).collect();
        if let Err(why) = self.cluster.cancel(&jobs) {
            let text = format!("{} cancels no jobs: {why}; it is asked again", self.cluster.name());
            return self.notice_once(text);
        }
        self.cancels.clear();
    }

    pub(super) fn finish(&mut self, id: u64, exit: Exit) {
        self.remove(id);
        (self.sink)(ended_badly(id, exit));
    }

    fn remove(&mut self, id: u64) {
        if let Some(entry) = self.entries.get(&id) {
            entry.folder.remove_unclaimed();
        }
        self.let_go(id);
    }

    /// The same, but its folder stays.
    fn let_go(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Stage::Out(out) = entry.stage {
            self.leave_batch(&out.place.batch);
        }
    }

    /// One job less of a batch is of interest.
    pub(super) fn leave_batch(&mut self, batch: &str) {
        let Some(left) = self.batches.get_mut(batch) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.batches.remove(batch);
            self.remove_batch(batch);
        }
    }

    pub(super) fn remove_batch(&self, batch: &str) {
        let _ = crate::cache::files::remove(&self.spool.batch(batch));
    }

    fn notice(&self, text: String) {
        (self.sink)(ExecEvent::Notice { text });
    }

    pub(super) fn notice_once(&mut self, text: String) {
        if self.told.insert(text.clone()) {
            self.notice(text);
        }
    }
}

impl End {
    fn exit(&self, why: String) -> Exit {
        if self.innocent { Exit::Vanished(why) } else { Exit::Evicted(why) }
    }
}

/// A report, under the number that the runner knows the job by.
fn of(number: u64, event: ExecEvent) -> ExecEvent {
    match event {
        ExecEvent::Progress { done, total, text, .. } => ExecEvent::Progress { id: number, done, total, text },
        ExecEvent::Metric { name, value, .. } => ExecEvent::Metric { id: number, name, value },
        ExecEvent::Problem { text, .. } => ExecEvent::Problem { id: number, text },
        other => other,
    }
}
