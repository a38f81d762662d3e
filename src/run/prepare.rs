//! What has to be done before a task can start: its locks, and its folder.
//!
//! Where nothing is in the way, it is done at once. What has to be waited for is waited for in a thread of its own, so that
//! those who wait keep nobody else from work.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::folder::Folders;
use super::task::{self, Spec, TaskError};
use super::{Message, NotStarted, Prepared};
use crate::artifact::Artifact;
use crate::cache::{self, Cache, CacheError, Claimed, Watch};
use crate::execute::{Executor, Handover, Job, Wanted, is_with_a_cluster, withdraw};
use crate::locks::{Attempt, Busy, Held, Holder, LockError, LockRequest, Locks, Waiter};
use crate::plan::{Done, InstanceId, Reason, Resolved};
use crate::report::Event;

/// All that is needed for it.
pub(super) struct Preparation<'a> {
    pub(super) id: InstanceId,
    pub(super) spec: Spec,
    pub(super) resolved: Arc<Resolved>,
    /// The locks of an earlier attempt.
    pub(super) held: Option<Held>,
    /// Held by its processes too. What waits for a lock has none.
    pub(super) lease: Result<Option<OwnedFd>, TaskError>,
    pub(super) cache: &'a Cache,
    pub(super) folders: Arc<Folders>,
    pub(super) locks: &'a Locks,
    pub(super) wait: Option<Duration>,
    /// Pause before this attempt.
    pub(super) delay: Duration,
    /// Whether it is then given its part of the machine anew: it has none now.
    pub(super) anew: bool,
    /// Set when the run is interrupted: nothing that waits is started any more.
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) timeout: Option<Duration>,
    /// Whether this machine executes it.
    pub(super) here: bool,
    /// Whether it gets a supervisor of its own.
    pub(super) apart: bool,
    pub(super) log: PathBuf,
    pub(super) holder: Holder,
    pub(super) messages: Sender<Message>,
}

/// How far it came without waiting.
enum Begun<'a> {
    Ended(Result<Ready, NotStarted>),
    /// It is too early for its next attempt.
    Early(Box<Preparation<'a>>),
    /// It has its place in the queues of locks.
    Behind(Box<Preparation<'a>>, Waiter),
    /// It has its locks, and a cluster may execute it.
    Elsewhere(Box<Preparation<'a>>, Held),
    /// Another machine has claimed it.
    Claimed(Box<Preparation<'a>>, Theirs),
}

/// What there is to do for a task that has its locks.
enum Locked {
    /// To execute it.
    Mine(Held),
    /// Nothing: somebody else has finished it meanwhile.
    Finished(Done),
    /// To wait for the machine that has claimed it, without its locks: others may need them.
    Theirs(Theirs),
}

/// What was seen of another machine's claim, and on whose behalf it is.
struct Theirs {
    watch: Watch,
    holder: Option<Holder>,
}

/// How often it is looked whether another machine has finished what it has claimed.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether that is still wanted.
const NAP: Duration = Duration::from_millis(50);

/// What came of it.
enum Ready {
    Job(Box<Job>, Held),
    /// Its locks are there, what it was given of the machine is not any more.
    Free(Held),
    /// Somebody else has finished it meanwhile.
    Cached(Done),
}

impl<'a> Preparation<'a> {
    /// Prepares a task and starts it; waits in another thread where it has to.
    pub(super) fn carry_out<'scope>(self, scope: &'scope Scope<'scope, 'a>, executor: &'a dyn Executor)
    where
        'a: 'scope,
    {
        let (id, messages) = (self.id, self.messages.clone());
        match self.begin() {
            Begun::Ended(ready) => start(id, ready, &messages, executor),
            Begun::Early(work) => drop(scope.spawn(move || match work.pause() {
                Ok(()) => Self { delay: Duration::ZERO, ..*work }.carry_out(scope, executor),
                Err(why) => start(id, Err(why), &messages, executor),
            })),
            Begun::Behind(work, waiter) => {
                let work = Self { lease: Ok(None), ..*work };
                // A run that is over does not listen.
                let _ = messages.send(Message::Waits(id));
                drop(scope.spawn(move || start(id, work.wait(waiter), &messages, executor)));
            }
            Begun::Claimed(work, theirs) => {
                let work = Self { lease: Ok(None), ..*work };
                let _ = messages.send(Message::Waits(id));
                drop(scope.spawn(move || start(id, work.wait_for_claim(theirs), &messages, executor)));
            }
            Begun::Elsewhere(work, held) => {
                let work = Self { lease: Ok(None), ..*work };
                let _ = messages.send(Message::Waits(id));
                drop(scope.spawn(move || start(id, work.withdraw(held), &messages, executor)));
            }
        }
    }

    /// Does what can be done without waiting.
    fn begin(mut self) -> Begun<'a> {
        if !self.delay.is_zero() {
            return Begun::Early(Box::new(self));
        }
        if let Some(held) = self.held.take() {
            return Begun::Ended(if self.anew { Ok(Ready::Free(held)) } else { self.lay_out(held) });
        }
        let mut waiter = self.waiter();
        match waiter.attempt() {
            Ok(Attempt::Got(held)) => Begun::Ended(match self.locked(held, None) {
                Ok(Locked::Finished(done)) => Ok(Ready::Cached(done)),
                Ok(Locked::Theirs(theirs)) => return Begun::Claimed(Box::new(self), theirs),
                Ok(Locked::Mine(held)) if self.is_elsewhere() => return Begun::Elsewhere(Box::new(self), held),
                Ok(Locked::Mine(held)) => self.lay_out(held),
                Err(error) => Err(NotStarted::Task(error.into())),
            }),
            Ok(Attempt::Busy(_)) => Begun::Behind(Box::new(self), waiter),
            Err(error) => Begun::Ended(Err(NotStarted::Lock(error))),
        }
    }

    /// Waits for the locks.
    fn wait(&self, waiter: Waiter) -> Result<Ready, NotStarted> {
        match self.wait_for_locks(waiter, None)? {
            Locked::Finished(done) => Ok(Ready::Cached(done)),
            Locked::Mine(held) => self.mine(held),
            Locked::Theirs(theirs) => self.wait_for_claim(theirs),
        }
    }

    fn wait_for_locks(&self, waiter: Waiter, own: Option<cache::Claim>) -> Result<Locked, NotStarted> {
        let given_up = || self.stopping.load(Ordering::Relaxed);
        match waiter.wait(self.wait, |busy| self.tell(busy), given_up) {
            Ok(held) => self.locked(held, own).map_err(|error| NotStarted::Task(error.into())),
            Err(LockError::GivenUp) => Err(NotStarted::Interrupted),
            Err(error) => Err(NotStarted::Lock(error)),
        }
    }

    /// It may be executed here as soon as no cluster does.
    fn mine(&self, held: Held) -> Result<Ready, NotStarted> {
        if self.is_elsewhere() { self.withdraw(held) } else { Ok(Ready::Free(held)) }
    }

    /// What there is to do now that nobody else on this machine executes it. `own`: the claim, where it was got already.
    fn locked(&self, held: Held, own: Option<cache::Claim>) -> Result<Locked, CacheError> {
        if let Some(done) = self.finished_elsewhere()? {
            return Ok(Locked::Finished(done));
        }
        // What is executed although it has a result has to be executed, whatever others do.
        if self.resolved.seen.is_some() || matches!(self.resolved.reason, Reason::NotCached | Reason::Forced) {
            return Ok(Locked::Mine(held));
        }
        if let Some(done) = self.finished_unrecorded()? {
            return Ok(Locked::Finished(done));
        }
        let mut watch = Watch::default();
        let claimed = match own {
            Some(claim) => Some(Claimed::Got(claim)),
            None => self.ask_for_claim(&mut watch)?,
        };
        match claimed {
            None => Ok(Locked::Mine(held)),
            Some(Claimed::Busy(holder)) => {
                Ok(Locked::Theirs(Theirs { watch, holder: serde_json::from_value(holder).ok() }))
            }
            Some(Claimed::Got(claim)) => {
                // Whoever had it before has shared the result, and then let go.
                self.cache.look_for_shared(&self.resolved.key)?;
                Ok(self.finished_elsewhere()?.map_or_else(|| Locked::Mine(held.with(claim)), Locked::Finished))
            }
        }
    }

    fn ask_for_claim(&self, watch: &mut Watch) -> Result<Option<Claimed>, CacheError> {
        let holder = serde_json::to_value(&self.holder).unwrap_or_default();
        self.cache.claim(&self.resolved.key, &holder, watch)
    }

    /// Waits until another machine has finished it, or is gone; then for its locks.
    fn wait_for_claim(&self, mut theirs: Theirs) -> Result<Ready, NotStarted> {
        loop {
            let own = self.wait_for_others(theirs)?;
            match self.wait_for_locks(self.waiter(), own)? {
                Locked::Finished(done) => return Ok(Ready::Cached(done)),
                Locked::Mine(held) => return self.mine(held),
                Locked::Theirs(again) => theirs = again,
            }
        }
    }

    /// Waits for the claim; none where the shared cache does not answer any more.
    fn wait_for_others(&self, Theirs { mut watch, mut holder }: Theirs) -> Result<Option<cache::Claim>, NotStarted> {
        let begun = Instant::now();
        let mut told = None;
        loop {
            let busy = Busy { lock: LockRequest::key(&self.resolved.key).name().to_owned(), holder };
            if self.wait.is_some_and(|wait| begun.elapsed() >= wait) {
                return Err(NotStarted::Lock(LockError::NotGot(Box::new(busy))));
            }
            if told.as_ref() != Some(&busy) {
                let who = |holder: &Holder| format!("{} on {}", holder.short(), holder.host);
                let who = busy.holder.as_ref().map_or_else(|| "another machine".to_owned(), who);
                let _ = self.messages.send(Message::Waiting(self.id, busy.lock.clone(), who));
                told = Some(busy);
            }
            let looked = Instant::now();
            while looked.elapsed() < LOOK {
                if self.stopping.load(Ordering::Relaxed) {
                    return Err(NotStarted::Interrupted);
                }
                std::thread::sleep(NAP);
            }
            match self.ask_for_claim(&mut watch).map_err(|error| NotStarted::Task(error.into()))? {
                None => return Ok(None),
                Some(Claimed::Got(claim)) => return Ok(Some(claim)),
                Some(Claimed::Busy(by)) => holder = serde_json::from_value(by).ok(),
            }
        }
    }

    fn pause(&self) -> Result<(), NotStarted> {
        let begun = Instant::now();
        while begun.elapsed() < self.delay {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(NotStarted::Interrupted);
            }
            std::thread::sleep(NAP.min(self.delay.saturating_sub(begun.elapsed())));
        }
        Ok(())
    }

    /// The lock on the key, so that nobody executes it at the same time, and those that the flow asks for.
    fn waiter(&self) -> Waiter {
        let mut requests = vec![LockRequest::key(&self.resolved.key)];
        requests.extend(self.resolved.locks.iter().map(|(name, shared)| LockRequest::named(name, *shared)));
        self.locks.waiter(&requests, self.holder.clone())
    }

    fn tell(&self, busy: &Busy) {
        let holder = busy.holder.as_ref().map_or_else(|| "somebody".to_owned(), Holder::short);
        let _ = self.messages.send(Message::Waiting(self.id, busy.lock.clone(), holder));
    }

    /// Lets nobody but this machine execute it: a run that was killed may have asked a cluster for it.
    fn withdraw(&self, held: Held) -> Result<Ready, NotStarted> {
        let text = format!("{}: a job of a cluster may execute it; that is waited for", self.spec.name);
        let _ = self.messages.send(Message::Told(Event::Notice { text }));
        let given_up = || self.stopping.load(Ordering::Relaxed);
        match withdraw(self.cache, &self.resolved.key, given_up) {
            Ok(true) => Ok(Ready::Free(held)),
            Ok(false) => Err(NotStarted::Interrupted),
            Err(error) => Err(NotStarted::Task(error.into())),
        }
    }

    /// Whether something has to be waited for before this machine may execute it.
    fn is_elsewhere(&self) -> bool {
        self.here && is_with_a_cluster(self.cache, &self.resolved.key)
    }

    /// The result, where somebody else recorded it between the plan and the lock.
    fn finished_elsewhere(&self) -> Result<Option<Done>, CacheError> {
        let key = self.resolved.key;
        // It runs every time, whoever has just run the same.
        if matches!(self.resolved.reason, Reason::NotCached) {
            return Ok(None);
        }
        let Some(recorded) = self.cache.newer_result(&key, self.resolved.seen)? else { return Ok(None) };
        Ok(self.are_usable(recorded.outputs.values())?.then_some(Done { key, outputs: recorded.outputs }))
    }

    /// The result of a job of a cluster that a run was putting in its place when it was killed: recorded now.
    fn finished_unrecorded(&self) -> Result<Option<Done>, CacheError> {
        let key = self.resolved.key;
        let handover = Handover::of(self.cache, &key);
        let Some((manifest, work)) = handover.begun().filter(|(manifest, _)| manifest.key == key) else {
            return Ok(None);
        };
        if let Some(work) = work {
            for output in &self.spec.outputs {
                self.cache.place_rest(&work, Path::new(&output.path))?;
            }
        }
        if !self.are_usable(manifest.outputs.values())? {
            return Ok(None);
        }
        let outputs = manifest.outputs.clone().into();
        self.cache.record_all(&[manifest])?;
        handover.recorded();
        Ok(Some(Done { key, outputs }))
    }

    fn are_usable<'b>(&self, artifacts: impl IntoIterator<Item = &'b Artifact>) -> Result<bool, CacheError> {
        for artifact in artifacts {
            if !self.cache.state(artifact)?.is_usable() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lay_out(self, held: Held) -> Result<Ready, NotStarted> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(NotStarted::Interrupted);
        }
        let command = task::lay_out(self.cache, &self.folders, &self.spec, &self.resolved).map_err(NotStarted::Task)?;
        let lease = self.lease.map_err(NotStarted::Task)?;
        let mut locks = held.share().map_err(|error| NotStarted::Task(TaskError::Io(error)))?;
        locks.extend(lease);
        let wanted = Wanted {
            key: self.resolved.key,
            request: self.resolved.request.clone(),
            fresh: matches!(self.resolved.reason, Reason::NotCached | Reason::Forced),
        };
        let job = Job {
            id: self.id as u64,
            wanted: Some(wanted),
            argv: command.argv,
            env: command.env,
            secrets: command.secrets,
            cwd: command.cwd,
            log: self.log,
            locks,
            timeout: self.timeout,
            memory: self.spec.limit,
            apart: self.apart,
        };
        Ok(Ready::Job(Box::new(job), held))
    }
}

/// Tells what came of it, and starts the job.
fn start(id: InstanceId, ready: Result<Ready, NotStarted>, messages: &Sender<Message>, executor: &dyn Executor) {
    let (prepared, job) = match ready {
        Ok(Ready::Job(job, locks)) => (Ok(Prepared::Started(locks)), Some(job)),
        Ok(Ready::Free(locks)) => (Ok(Prepared::Free(locks)), None),
        Ok(Ready::Cached(done)) => (Ok(Prepared::Cached(done)), None),
        Err(why) => (Err(why), None),
    };
    // The locks go before the job: its end must not be heard of first.
    let _ = messages.send(Message::Prepared(id, prepared));
    job.into_iter().for_each(|job| executor.start(*job));
}
