//! Tasks on this machine, by way of a supervisor.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::files;
use super::supervisor::WORD;
use super::wire::{self, MOST_DESCRIPTORS, Start, send_command};
use super::{ExecEvent, ExecuteError, Executor, Exit, GRACE, Job, Usage, sweep_within};
use crate::sync::lock;

/// Runs jobs through a supervisor of its own. When it is dropped, what still runs is ended, and that is waited for.
pub struct LocalExecutor {
    supervisor: Child,
    /// `None` once it is being dropped.
    commands: Option<Mutex<UnixStream>>,
    sink: Sink,
    running: Running,
    reader: Option<JoinHandle<()>>,
}

/// Hears of the jobs.
type Sink = Arc<dyn Fn(ExecEvent) + Send + Sync>;

/// Jobs that were started and have not ended.
type Running = Arc<Mutex<BTreeSet<u64>>>;

impl LocalExecutor {
    /// Starts a supervisor: this program again. `scratch` is the folder in which the jobs' request files lie.
    pub(super) fn new(scratch: &Path, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Result<Self, ExecuteError> {
        // Also right where the program's file was replaced since it was started.
        Self::start_supervisor(Path::new("/proc/self/exe"), scratch, GRACE, Arc::new(sink))
    }

    /// As [`super::local`], with another program, another time between SIGTERM and SIGKILL, and a channel.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn with(program: &Path, scratch: &Path, grace: Duration) -> Result<(Self, Receiver<ExecEvent>), ExecuteError> {
        let (sender, events) = channel();
        // Nobody listens any more: nobody who has to know.
        let sink = move |event| drop(sender.send(event));
        Ok((Self::start_supervisor(program, scratch, grace, Arc::new(sink))?, events))
    }

    fn start_supervisor(program: &Path, scratch: &Path, grace: Duration, sink: Sink) -> Result<Self, ExecuteError> {
        let failed = |source| ExecuteError::Supervisor { program: program.to_owned(), source };
        // For itself, and the supervisor has it from here.
        let given = files::raise().map(|limit| limit.to_string());
        let (near, far) = UnixStream::pair().map_err(failed)?;
        let mut supervisor = Command::new(program)
            .arg0("ghtrader")
            .args([WORD, &grace.as_millis().to_string()])
            .args(given)
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let stdout = supervisor.stdout.take().ok_or_else(|| failed(std::io::Error::other("it has no output")))?;
        let running = Running::default();
        let listener =
            Listener { running: Arc::clone(&running), sink: Arc::clone(&sink), scratch: scratch.to_owned(), grace };
        let reader = std::thread::spawn(move || listener.listen(stdout));
        Ok(Self { supervisor, commands: Some(Mutex::new(near)), sink, running, reader: Some(reader) })
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> u32 {
        self.supervisor.id()
    }

    fn send(&self, command: &wire::Command, descriptors: &[OwnedFd]) -> std::io::Result<()> {
        let commands = self.commands.as_ref().ok_or(std::io::ErrorKind::NotConnected)?;
        // A command may go in several pieces.
        send_command(&*lock(commands), command, descriptors)
    }

    fn tell_exit(&self, id: u64, exit: Exit) {
        (self.sink)(ended_badly(id, exit));
    }
}

/// The end of a job that nothing is known of.
fn ended_badly(id: u64, exit: Exit) -> ExecEvent {
    ExecEvent::Exited { id, exit, usage: Usage::default(), alone: false }
}

impl std::fmt::Debug for LocalExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalExecutor").field("supervisor", &self.supervisor).finish_non_exhaustive()
    }
}

impl Executor for LocalExecutor {
    fn start(&self, job: Job) {
        let id = job.id;
        if job.locks.len() > MOST_DESCRIPTORS {
            let why = format!("it holds {} locks, and {MOST_DESCRIPTORS} can be handed over", job.locks.len());
            return self.tell_exit(id, Exit::NotStarted(why));
        }
        lock(&self.running).insert(id);
        let (start, descriptors) = Start::of(job);
        // A supervisor that is gone: the listener tells of all that run, unless it has done so already.
        if self.send(&wire::Command::Start(start), &descriptors).is_err() && lock(&self.running).remove(&id) {
            self.tell_exit(id, Exit::Lost);
        }
    }

    fn stop(&self, id: u64) {
        // One that is gone has told the end of all its tasks.
        let _ = self.send(&wire::Command::Stop { id }, &[]);
    }
}

impl Drop for LocalExecutor {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.supervisor.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Passes on what the supervisor tells.
struct Listener {
    running: Running,
    sink: Sink,
    scratch: PathBuf,
    grace: Duration,
}

impl Listener {
    fn listen(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).split(b'\n') {
            let Some(event) = line.ok().and_then(|line| serde_json::from_slice::<ExecEvent>(&line).ok()) else { break };
            if let ExecEvent::Exited { id, .. } = &event {
                lock(&self.running).remove(id);
            }
            (self.sink)(event);
        }
        let lost = std::mem::take(&mut *lock(&self.running));
        if !lost.is_empty() {
            // The supervisor was killed, so its tasks are nobody's.
            let _ = sweep_within(&self.scratch, self.grace);
        }
        for id in lost {
            (self.sink)(ended_badly(id, Exit::Lost));
        }
    }
}
