//! Tasks on this machine, by way of a supervisor.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::link::{Link, Origin, ended_badly};
use super::wire::MOST_DESCRIPTORS;
use super::{ExecEvent, ExecuteError, Executor, Exit, GRACE, Job};

/// Runs jobs through a supervisor of its own. When it is dropped, what still runs is ended, and that is waited for.
pub struct LocalExecutor {
    origin: Origin,
    link: Link,
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
        Ok(Self { link: Link::open(&origin)?, origin })
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> u32 {
        self.link.id()
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
        if !self.link.start(job) {
            self.tell_exit(id, Exit::Lost);
        }
    }

    fn stop(&self, id: u64) {
        self.link.stop(id);
    }
}
