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

/// Runs jobs through a supervisor that they share, and some through one of their own. It is started with the first job, and
/// replaced when it has died. When the executor is dropped, what still runs is ended, and that is waited for.
pub struct LocalExecutor {
    origin: Origin,
    shared: RwLock<Option<Arc<Link>>>,
    apart: Mutex<BTreeMap<u64, Arc<Link>>>,
}

impl LocalExecutor {
    /// The supervisor will be this program again. `scratch` is the folder in which the jobs' request files lie.
    pub(super) fn new(scratch: &Path, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Self {
        // Also right where the program's file was replaced since it was started.
        Self::of(Path::new("/proc/self/exe"), scratch, GRACE, sink)
    }

    /// As [`super::local`], with another program, another time between SIGTERM and SIGKILL, and a channel; the supervisor is
    /// started at once.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn with(program: &Path, scratch: &Path, grace: Duration) -> Result<(Self, Receiver<ExecEvent>), ExecuteError> {
        let (sender, events) = channel();
        // Nobody listens any more: nobody who has to know.
        let executor = Self::of(program, scratch, grace, move |event| drop(sender.send(event)));
        executor.shared()?;
        Ok((executor, events))
    }

    fn of(program: &Path, scratch: &Path, grace: Duration, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Self {
        let origin = Origin { program: program.to_owned(), scratch: scratch.to_owned(), grace, sink: Arc::new(sink) };
        Self { shared: RwLock::default(), apart: Mutex::default(), origin }
    }

    /// The process of the supervisor that jobs share, once there is one.
    pub fn supervisor(&self) -> Option<u32> {
        self.started().map(|link| link.id())
    }

    fn started(&self) -> Option<Arc<Link>> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The supervisor that jobs share; a new one where there is none that lives.
    fn shared(&self) -> Result<Arc<Link>, ExecuteError> {
        let lives = |link: &Arc<Link>| !link.has_ended();
        if let Some(link) = self.started().filter(lives) {
            return Ok(link);
        }
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        match shared.clone().filter(lives) {
            Some(link) => Ok(link),
            None => Ok(Arc::clone(shared.insert(Arc::new(Link::open(&self.origin)?)))),
        }
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
        self.shared()
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
        if let Some(link) = apart.or_else(|| self.started()) {
            link.stop(id);
        }
    }
}
