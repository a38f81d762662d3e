//! Tasks on this machine, by way of a supervisor.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::link::{Link, Origin, ended_badly};
use super::wire::MOST_DESCRIPTORS;
use super::{ExecEvent, ExecuteError, Executor, Exit, GRACE, Job};
use crate::sync::lock;

/// Runs jobs through a supervisor that they share, and some through one of their own. A supervisor that has died is replaced.
/// When it is dropped, what still runs is ended, and that is waited for.
pub struct LocalExecutor {
    origin: Origin,
    shared: RwLock<Arc<Link>>,
    apart: Mutex<BTreeMap<u64, Arc<Link>>>,
}

impl LocalExecutor {
    /// Starts a supervisor: this program again. `scratch` is the folder in which the jobs' request files lie.
    pub(super) fn new(scratch: &Path, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Result<Self, ExecuteError> {
        // Also right where the program's file was replaced since it was started.
        Self::of(Path::new("/proc/self/exe"), scratch, GRACE, sink)
    }

    /// As [`super::local`], with another program, another time between SIGTERM and SIGKILL, and a channel.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn with(program: &Path, scratch: &Path, grace: Duration) -> Result<(Self, Receiver<ExecEvent>), ExecuteError> {
        let (sender, events) = channel();
        // Nobody listens any more: nobody who has to know.
        Ok((Self::of(program, scratch, grace, move |event| drop(sender.send(event)))?, events))
    }

    fn of(
        program: &Path,
        scratch: &Path,
        grace: Duration,
        sink: impl Fn(ExecEvent) + Send + Sync + 'static,
    ) -> Result<Self, ExecuteError> {
        let origin = Origin { program: program.to_owned(), scratch: scratch.to_owned(), grace, sink: Arc::new(sink) };
        Ok(Self { shared: RwLock::new(Arc::new(Link::open(&origin)?)), apart: Mutex::default(), origin })
    }

    /// The process of the supervisor that jobs share.
    pub fn supervisor(&self) -> u32 {
        self.shared().id()
    }

    fn shared(&self) -> Arc<Link> {
        Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The supervisor for a job.
    fn link_for(&self, job: &Job) -> Result<Arc<Link>, ExecuteError> {
        if job.apart {
            let link = Arc::new(Link::open(&self.origin)?);
            let mut apart = lock(&self.apart);
            apart.insert(job.id, Arc::clone(&link));
            // Those of jobs that have ended end with them, after the lock: what such a job left behind may take its time.
            let over: Vec<Arc<Link>> =
                apart.extract_if(.., |id, link| *id != job.id && link.is_idle()).map(|(_, link)| link).collect();
            drop(apart);
            drop(over);
            return Ok(link);
        }
        let link = self.shared();
        if !link.has_ended() {
            return Ok(link);
        }
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if shared.has_ended() {
            *shared = Arc::new(Link::open(&self.origin)?);
        }
        Ok(Arc::clone(&shared))
    }

    fn tell_exit(&self, id: u64, exit: Exit) {
        (self.origin.sink)(ended_badly(id, exit));
    }
}

impl std::fmt::Debug for LocalExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalExecutor").field("supervisor", &self.supervisor()).finish_non_exhaustive()
    }
}

impl Executor for LocalExecutor {
    fn start(&self, job: Job) {
        let id = job.id;
        if job.locks.len() > MOST_DESCRIPTORS {
            let why = format!("it holds {} locks, and {MOST_DESCRIPTORS} can be handed over", job.locks.len());
            return self.tell_exit(id, Exit::NotStarted(why));
        }
        match self.link_for(&job) {
            Ok(link) if link.start(job) => {}
            Ok(_) => self.tell_exit(id, Exit::Lost),
            Err(error) => self.tell_exit(id, Exit::NotStarted(error.to_string())),
        }
    }

    fn stop(&self, id: u64) {
        let apart = lock(&self.apart).get(&id).cloned();
        apart.unwrap_or_else(|| self.shared()).stop(id);
    }
}
