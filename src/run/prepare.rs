//! What has to be waited for before a task can start: its locks, and its folder. Done in a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::task::{self, Spec};
use super::{Message, Prepared, Stop};
use crate::cache::{Cache, State};
use crate::execute::Job;
use crate::locks::{Held, Holder, LockError, LockRequest, Locks};
use crate::plan::{Done, InstanceId, Resolved};

/// All that the thread needs.
pub(super) struct Preparation<'a> {
    pub(super) id: InstanceId,
    pub(super) spec: Spec,
    pub(super) resolved: Box<Resolved>,
    /// The locks of an earlier attempt.
    pub(super) held: Option<Held>,
    pub(super) cache: &'a Cache,
    pub(super) locks: &'a Locks,
    pub(super) wait: Option<Duration>,
    /// Pause before this attempt.
    pub(super) delay: Duration,
    /// Set when the run is interrupted: nothing that waits is started any more.
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) timeout: Option<Duration>,
    pub(super) log: PathBuf,
    pub(super) holder: Holder,
}

impl Preparation<'_> {
    pub(super) fn prepare(mut self, messages: &Sender<Message>) -> Result<Prepared, Stop> {
        self.pause()?;
        let held = match self.held.take() {
            Some(held) => held,
            None => {
                let held = self.lock(messages)?;
                if let Some(done) = self.finished_elsewhere()? {
                    return Ok(Prepared::Cached(done));
                }
                held
            }
        };
        let command = task::lay_out(self.cache, &self.spec, &self.resolved).map_err(Stop::Task)?;
        let job = Job {
            id: self.id as u64,
            argv: command.argv,
            env: command.env,
            cwd: command.cwd,
            log: self.log,
            locks: held.share().map_err(|error| Stop::Task(error.into()))?,
            timeout: self.timeout,
        };
        Ok(Prepared::Start(Box::new(job), held))
    }

    fn pause(&self) -> Result<(), Stop> {
        const NAP: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        while begun.elapsed() < self.delay {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Stop::Interrupted);
            }
            std::thread::sleep(NAP.min(self.delay.saturating_sub(begun.elapsed())));
        }
        Ok(())
    }

    /// The lock on the key, so that nobody executes it at the same time, and those that the flow asks for.
    fn lock(&self, messages: &Sender<Message>) -> Result<Held, Stop> {
        let mut requests = vec![LockRequest::key(&self.resolved.key)];
        requests.extend(self.resolved.locks.iter().map(|(name, shared)| LockRequest::named(name, *shared)));
        let told = |busy: &crate::locks::Busy| {
            let holder = busy.holder.as_ref().map_or_else(
                || "somebody".to_owned(),
                |holder| format!("{} of run {} by {} (process {})", holder.task, holder.run, holder.who, holder.pid),
            );
            let _ = messages.send(Message::Waiting(self.id, busy.lock.clone(), holder));
        };
        let given_up = || self.stopping.load(Ordering::Relaxed);
        match self.locks.claim(&requests, self.holder.clone()).wait(self.wait, told, given_up) {
            Err(LockError::GivenUp) => Err(Stop::Interrupted),
            held => held.map_err(Stop::Lock),
        }
    }

    /// The result, where somebody else recorded it between the plan and the lock.
    fn finished_elsewhere(&self) -> Result<Option<Done>, Stop> {
        let key = self.resolved.key;
        let Some(recorded) = self.cache.find_result(&key).map_err(|error| Stop::Task(error.into()))? else {
            return Ok(None);
        };
        if self.resolved.seen == Some(recorded.n) {
            return Ok(None);
        }
        for artifact in recorded.outputs.values() {
            if self.cache.state(artifact).map_err(|error| Stop::Task(error.into()))? != State::Whole {
                return Ok(None);
            }
        }
        Ok(Some(Done { key, outputs: recorded.outputs }))
    }
}
