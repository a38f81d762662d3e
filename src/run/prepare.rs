//! What has to be done before a task can start: its locks, and its folder.
//!
//! Where nothing is in the way, it is done at once. What has to be waited for is waited for in a thread of its own, so that
//! those who wait keep nobody else from work.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::folder::Folders;
use super::task::{self, Spec, TaskError};
use super::{Message, NotStarted};
use crate::cache::{Cache, CacheError, State};
use crate::execute::Job;
use crate::locks::{Attempt, Busy, Claim, Held, Holder, LockError, LockRequest, Locks};
use crate::plan::{Done, InstanceId, Reason, Resolved};

/// All that is needed for it.
pub(super) struct Preparation<'a> {
    pub(super) id: InstanceId,
    pub(super) spec: Spec,
    pub(super) resolved: Arc<Resolved>,
    /// The locks of an earlier attempt.
    pub(super) held: Option<Held>,
    pub(super) cache: &'a Cache,
    pub(super) folders: Arc<Folders>,
    pub(super) locks: &'a Locks,
    pub(super) wait: Option<Duration>,
    /// Pause before this attempt.
    pub(super) delay: Duration,
    /// Set when the run is interrupted: nothing that waits is started any more.
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) timeout: Option<Duration>,
    /// Whether it gets a supervisor of its own.
    pub(super) apart: bool,
    pub(super) log: PathBuf,
    pub(super) holder: Holder,
    pub(super) messages: Sender<Message>,
}

/// How far it came without waiting.
pub(super) enum Begun<'a> {
    Ended(Result<Ready, NotStarted>),
    /// Something has to be waited for; the claim, if any, has its place in the queues.
    Waits(Box<Preparation<'a>>, Option<Claim>),
}

/// What came of it.
pub(super) enum Ready {
    Job(Box<Job>, Held),
    /// Somebody else has finished it meanwhile.
    Cached(Done),
}

impl<'a> Preparation<'a> {
    /// Does what can be done without waiting.
    pub(super) fn begin(mut self) -> Begun<'a> {
        if !self.delay.is_zero() {
            return Begun::Waits(Box::new(self), None);
        }
        if let Some(held) = self.held.take() {
            return Begun::Ended(self.lay_out(held));
        }
        let mut claim = self.claim();
        match claim.attempt() {
            Ok(Attempt::Got(held)) => Begun::Ended(self.look_again(held)),
            Ok(Attempt::Busy(_)) => Begun::Waits(Box::new(self), Some(claim)),
            Err(error) => Begun::Ended(Err(NotStarted::Lock(error))),
        }
    }

    /// Waits for the rest.
    pub(super) fn wait(mut self, claim: Option<Claim>) -> Result<Ready, NotStarted> {
        self.pause()?;
        if let Some(held) = self.held.take() {
            return self.lay_out(held);
        }
        let given_up = || self.stopping.load(Ordering::Relaxed);
        let claim = claim.unwrap_or_else(|| self.claim());
        match claim.wait(self.wait, |busy| self.tell(busy), given_up) {
            Ok(held) => self.look_again(held),
            Err(LockError::GivenUp) => Err(NotStarted::Interrupted),
            Err(error) => Err(NotStarted::Lock(error)),
        }
    }

    fn pause(&self) -> Result<(), NotStarted> {
        const NAP: Duration = Duration::from_millis(50);
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
    fn claim(&self) -> Claim {
        let mut requests = vec![LockRequest::key(&self.resolved.key)];
        requests.extend(self.resolved.locks.iter().map(|(name, shared)| LockRequest::named(name, *shared)));
        self.locks.claim(&requests, self.holder.clone())
    }

    fn tell(&self, busy: &Busy) {
        let holder = busy.holder.as_ref().map_or_else(
            || "somebody".to_owned(),
            |holder| format!("{} of run {} by {} (process {})", holder.task, holder.run, holder.who, holder.pid),
        );
        let _ = self.messages.send(Message::Waiting(self.id, busy.lock.clone(), holder));
    }

    fn look_again(self, held: Held) -> Result<Ready, NotStarted> {
        match self.finished_elsewhere().map_err(|error| NotStarted::Task(error.into()))? {
            Some(done) => Ok(Ready::Cached(done)),
            None => self.lay_out(held),
        }
    }

    /// The result, where somebody else recorded it between the plan and the lock.
    fn finished_elsewhere(&self) -> Result<Option<Done>, CacheError> {
        let key = self.resolved.key;
        // It runs every time, whoever has just run the same.
        if matches!(self.resolved.reason, Reason::NotCached) {
            return Ok(None);
        }
        let Some(recorded) = self.cache.newer_result(&key, self.resolved.seen)? else { return Ok(None) };
        for artifact in recorded.outputs.values() {
            if self.cache.state(artifact)? != State::Whole {
                return Ok(None);
            }
        }
        Ok(Some(Done { key, outputs: recorded.outputs }))
    }

    fn lay_out(self, held: Held) -> Result<Ready, NotStarted> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(NotStarted::Interrupted);
        }
        let command = task::lay_out(self.cache, &self.folders, &self.spec, &self.resolved).map_err(NotStarted::Task)?;
        let job = Job {
            id: self.id as u64,
            argv: command.argv,
            env: command.env,
            secrets: command.secrets,
            cwd: command.cwd,
            log: self.log,
            locks: held.share().map_err(|error| NotStarted::Task(TaskError::Io(error)))?,
            timeout: self.timeout,
            apart: self.apart,
        };
        Ok(Ready::Job(Box::new(job), held))
    }
}
