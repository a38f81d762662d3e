//! One supervisor, as the runner sees it: a child to which commands go and from which events come. It sees to it that a
//! supervisor which somebody has stopped keeps no task from its end.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::processes::WORD;
use super::processes::{ProcessId, process, signal};
use super::wire::{self, Start, send_command};
use super::{ExecEvent, ExecuteError, Exit, Job, Usage, files, sweep_within};
use crate::sync::lock;

/// Hears of the jobs.
pub(super) type Sink = Arc<dyn Fn(ExecEvent) + Send + Sync>;

/// How often it is looked at whether a supervisor does what is due.
const TICK: Duration = Duration::from_secs(1);
/// So long after the end of the grace a supervisor that is stopped again and again is killed.
const PATIENCE: Duration = Duration::from_secs(3);

/// How supervisors are started.
#[derive(Clone)]
pub(super) struct Origin {
    /// The program that is the supervisor.
    pub(super) program: PathBuf,
    /// The folder in which the jobs' request files lie.
    pub(super) scratch: PathBuf,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    pub(super) sink: Sink,
}

/// A supervisor. When it is dropped, what still runs is ended, and that is waited for.
pub(super) struct Link {
    supervisor: Child,
    /// `None` once it is being dropped.
    commands: Option<Mutex<UnixStream>>,
    jobs: Arc<Mutex<Jobs>>,
    reader: Option<JoinHandle<()>>,
}

/// What the supervisor has to do.
#[derive(Default)]
struct Jobs {
    /// Those that were started and have not ended.
    running: BTreeMap<u64, Due>,
    /// Since when the supervisor has to come to its end.
    closing: Option<Instant>,
    /// Whether nothing is heard of the supervisor any more.
    ended: bool,
}

/// From when on a job has to come to its end.
#[derive(Clone, Copy, Default)]
struct Due {
    timeout: Option<Instant>,
    stopped: Option<Instant>,
}

impl Due {
    fn at(self) -> Option<Instant> {
        self.timeout.into_iter().chain(self.stopped).min()
    }

    /// How it ended, where its supervisor died.
    fn exit(self) -> Exit {
        match self {
            Self { stopped: Some(_), .. } => Exit::Stopped,
            Self { timeout: Some(timeout), .. } if timeout <= Instant::now() => Exit::Timeout,
            _ => Exit::Lost,
        }
    }
}

impl Jobs {
    /// For how long something has been due.
    fn overdue(&self) -> Option<Duration> {
        let due = self.running.values().filter_map(|due| due.at()).chain(self.closing).min()?;
        Instant::now().checked_duration_since(due)
    }
}

impl Link {
    pub(super) fn open(origin: &Origin) -> Result<Self, ExecuteError> {
        let failed = |source| ExecuteError::Supervisor { program: origin.program.clone(), source };
        // For itself, and the supervisor has it from here.
        let given = files::raise().map(|limit| limit.to_string());
        let (near, far) = UnixStream::pair().map_err(failed)?;
        let mut supervisor = Command::new(&origin.program)
            .arg0("ghtrader")
            .args([WORD, &origin.grace.as_millis().to_string()])
            .args(given)
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let stdout = supervisor.stdout.take().ok_or_else(|| failed(std::io::Error::other("it has no output")))?;
        let jobs = Arc::<Mutex<Jobs>>::default();
        let supervisor_id = supervisor.id().cast_signed();
        let listener = Listener { supervisor: supervisor_id, jobs: Arc::clone(&jobs), origin: origin.clone() };
        let reader = std::thread::spawn(move || listener.listen(stdout));
        Ok(Self { supervisor, commands: Some(Mutex::new(near)), jobs, reader: Some(reader) })
    }

    /// The supervisor's process.
    pub(super) fn id(&self) -> u32 {
        self.supervisor.id()
    }

    /// Whether nothing is heard of the supervisor any more.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.jobs).ended
    }

    /// Whether none of its jobs runs.
    pub(super) fn is_idle(&self) -> bool {
        lock(&self.jobs).running.is_empty()
    }

    /// Whether it took the job on: its end is told, then.
    pub(super) fn start(&self, job: Job) -> bool {
        let id = job.id;
        let due = Due { timeout: job.timeout.and_then(|timeout| Instant::now().checked_add(timeout)), stopped: None };
        {
            let mut jobs = lock(&self.jobs);
            if jobs.ended {
                return false;
            }
            jobs.running.insert(id, due);
        }
        let (start, descriptors) = Start::of(job);
        // A supervisor that is gone: the listener tells of all that run, unless it has done so already.
        self.send(&wire::Command::Start(start), &descriptors).is_ok() || lock(&self.jobs).running.remove(&id).is_none()
    }

    pub(super) fn stop(&self, id: u64) {
        // First, as a supervisor that does not listen may keep the command from being sent.
        if let Some(due) = lock(&self.jobs).running.get_mut(&id) {
            due.stopped.get_or_insert_with(Instant::now);
        }
        // One that is gone has told the end of all its jobs.
        let _ = self.send(&wire::Command::Stop { id }, &[]);
    }

    fn send(&self, command: &wire::Command, descriptors: &[OwnedFd]) -> std::io::Result<()> {
        let commands = self.commands.as_ref().ok_or(std::io::ErrorKind::NotConnected)?;
        // A command may go in several pieces.
        send_command(&*lock(commands), command, descriptors)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.jobs).closing = Some(Instant::now());
        self.commands = None;
        // Before it is taken leave of: until then nobody else has its number.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = self.supervisor.wait();
    }
}

/// The end of a job that nothing is known of.
pub(super) fn ended_badly(id: u64, exit: Exit) -> ExecEvent {
    ExecEvent::Exited { id, exit, usage: Usage::default(), alone: false }
}

/// Passes on what the supervisor tells, until it has ended.
struct Listener {
    supervisor: ProcessId,
    jobs: Arc<Mutex<Jobs>>,
    origin: Origin,
}

impl Listener {
    fn listen(&self, mut stdout: ChildStdout) {
        let (mut text, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        let tick = Timespec::try_from(TICK).ok();
        loop {
            match poll(&mut [PollFd::new(&stdout.as_fd(), PollFlags::IN)], tick.as_ref()) {
                Ok(0) => {
                    self.look();
                    continue;
                }
                Err(rustix::io::Errno::INTR) => continue,
                _ => {}
            }
            match stdout.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend(buffer.iter().take(read)),
            }
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let rest = text.split_off(whole);
            if !std::mem::replace(&mut text, rest).split_inclusive(|byte| *byte == b'\n').all(|line| self.tell(line)) {
                break;
            }
        }
        self.lose();
    }

    /// Whether it was understood.
    fn tell(&self, line: &[u8]) -> bool {
        let Ok(event) = serde_json::from_slice::<ExecEvent>(line) else { return false };
        if let ExecEvent::Exited { id, .. } = &event {
            lock(&self.jobs).running.remove(id);
        }
        (self.origin.sink)(event);
        true
    }

    /// A supervisor that was stopped, by a task or by somebody else, carries on where something is due; it is killed where
    /// that does not help. One that is at work is let be, however long a process takes to end.
    fn look(&self) {
        let Some(overdue) = lock(&self.jobs).overdue() else { return };
        if process(self.supervisor).is_some_and(|supervisor| supervisor.stopped) {
            let helpless = overdue > self.origin.grace + PATIENCE;
            signal(self.supervisor, if helpless { Signal::KILL } else { Signal::CONT });
        }
    }

    /// The supervisor has died or is not to be trusted, so its jobs are nobody's.
    fn lose(&self) {
        signal(self.supervisor, Signal::KILL);
        if !lock(&self.jobs).running.is_empty() {
            let _ = sweep_within(&self.origin.scratch, self.origin.grace);
        }
        // What was sent meanwhile, too.
        let lost = {
            let mut jobs = lock(&self.jobs);
            jobs.ended = true;
            std::mem::take(&mut jobs.running)
        };
        for (id, due) in lost {
            (self.origin.sink)(ended_badly(id, due.exit()));
        }
    }
}
