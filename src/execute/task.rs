//! A task that runs, as the supervisor sees it.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ending::Ending;
use super::files::Limit;
use super::groups::Group;
use super::mask::Mask;
use super::output::{Lines, Report};
use super::processes::{Ended, ProcessId};
use super::programs::Programs;
use super::wire::Start;
use super::{ExecEvent, Exit, REQUEST_VARIABLE, Usage};

/// Progress is told at most this often.
const TELL: Duration = Duration::from_millis(50);

/// So much is read of each of a task's streams before the others are looked at: what a pipe holds.
const TURN: usize = 64 << 10;

/// A task from its start until all its processes have ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) main: ProcessId,
    /// The value of [`REQUEST_VARIABLE`].
    pub(super) mark: Vec<u8>,
    pub(super) exit: Option<Exit>,
    pub(super) ending: Option<Ending>,
    pub(super) deadline: Option<Instant>,
    pub(super) timed_out: bool,
    /// Readable when the main process has ended.
    pidfd: Option<OwnedFd>,
    output: Option<std::io::PipeReader>,
    errors: Option<std::io::PipeReader>,
    output_mask: Mask,
    errors_mask: Mask,
    lines: Lines,
    log: Log,
    progress: Option<Report>,
    told: Instant,
    started: Instant,
    usage: Usage,
    /// What holds all of its processes to its memory.
    group: Option<Group>,
    /// Locks are held until here, even where the task's processes closed them.
    _inherited: Vec<OwnedFd>,
}

impl Running {
    /// Starts a task, in `group` where there is one.
    pub(super) fn start(
        start: &Start,
        programs: &mut Programs,
        limit: &mut Limit,
        group: Option<Group>,
        inherited: Vec<OwnedFd>,
    ) -> std::io::Result<Self> {
        if inherited.len() != start.descriptors {
            return Err(locks_lost(inherited.len(), start.descriptors));
        }
        let log = Log::new(Path::new(&start.log))?;
        let (output, writer) = std::io::pipe()?;
        let (errors, error_writer) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&output, true)?;
        rustix::io::ioctl_fionbio(&errors, true)?;
        let spawn = || spawn(start, programs, limit, &inherited, writer, error_writer);
        let child = match &group {
            Some(group) => group.around(spawn)?,
            None => spawn()?,
        };
        let main = ProcessId::try_from(child.id()).map_err(std::io::Error::other)?;
        // Without pidfds (a kernel before 5.3) the end is noticed at the next tick.
        let pidfd = Pid::from_raw(main).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let now = Instant::now();
        let mask = Mask::new(start.secrets());
        let mark = start.env.iter().find(|(name, _)| name.0 == REQUEST_VARIABLE);
        Ok(Self {
            id: start.id,
            main,
            mark: mark.map(|(_, value)| value.0.as_bytes().to_vec()).unwrap_or_default(),
            exit: None,
            ending: None,
            deadline: start.timeout.and_then(|timeout| now.checked_add(timeout)),
            timed_out: false,
            pidfd,
            output: Some(output),
            errors: Some(errors),
            output_mask: mask.clone(),
            errors_mask: mask,
            lines: Lines::default(),
            log,
            progress: None,
            told: now.checked_sub(TELL).unwrap_or(now),
            started: now,
            usage: Usage::default(),
            group,
            _inherited: inherited,
        })
    }

    /// Descriptors to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pidfd = self.pidfd.as_ref().filter(|_| self.exit.is_none()).map(AsFd::as_fd);
        let pipes = [&self.output, &self.errors].into_iter().flatten().map(AsFd::as_fd);
        pidfd.into_iter().chain(pipes)
    }

    /// When there is something to do again without anything being heard.
    pub(super) fn alarm(&self) -> Option<Instant> {
        let progress = self.progress.as_ref().map(|_| self.told + TELL);
        let deadline = self.deadline.filter(|_| self.exit.is_none() && self.ending.is_none());
        progress.into_iter().chain(deadline).min()
    }

    /// Whether some of it, or all, is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.exit.is_some() || self.ending.is_some()
    }

    /// Adds what a process of the task used.
    pub(super) fn add_usage(&mut self, ended: &Ended) {
        self.usage.cpu += ended.cpu;
        self.usage.peak_memory = self.usage.peak_memory.max(ended.peak_memory);
    }

    /// The main process has ended.
    pub(super) fn ended(&mut self, ended: &Ended) {
        self.add_usage(ended);
        let exit =
            ended.status.code().map_or_else(|| Exit::Signal(ended.status.signal().unwrap_or_default()), Exit::Code);
        self.exit = Some(match self.ending {
            _ if self.timed_out => Exit::Timeout,
            Some(_) => Exit::Stopped,
            None => exit,
        });
        // What it leaves behind is to be told.
        if let Some(ending) = &mut self.ending {
            ending.hurry();
        }
    }

    /// Reads what the task has written, and no more than [`TURN`] of each stream: others have something to say too. Whether
    /// there may be more.
    pub(super) fn read_output(&mut self, events: &mut Vec<ExecEvent>) -> bool {
        self.read_at_most(TURN, events)
    }

    fn read_at_most(&mut self, most: usize, events: &mut Vec<ExecEvent>) -> bool {
        let mut buffer = [0; 8 << 10];
        let (mut errors, mut output) = (0, 0);
        while errors < most
            && let Some(read) = read(&mut self.errors, &mut buffer)
        {
            errors += read.len();
            let read = self.errors_mask.push(read);
            self.pass_on(Vec::new(), &read, events);
        }
        while output < most
            && let Some(read) = read(&mut self.output, &mut buffer)
        {
            output += read.len();
            let (mut reports, mut log) = (Vec::new(), Vec::new());
            self.lines.push(&self.output_mask.push(read), &mut reports, &mut log);
            self.pass_on(reports, &log, events);
        }
        errors >= most || output >= most
    }

    /// Reads what is in the pipes. Somebody whom nobody knows may go on writing, so that they need not become empty.
    fn read_rest(&mut self, events: &mut Vec<ExecEvent>) {
        if self.read_output(events) {
            let pipes = [&self.errors, &self.output].into_iter().flatten();
            let sizes = pipes.filter_map(|pipe| rustix::pipe::fcntl_getpipe_size(pipe).ok());
            self.read_at_most(sizes.max().unwrap_or_default(), events);
        }
    }

    fn pass_on(&mut self, reports: Vec<Report>, log: &[u8], events: &mut Vec<ExecEvent>) {
        for report in reports {
            match report {
                Report::Metric { name, value } => events.push(ExecEvent::Metric { id: self.id, name, value }),
                progress @ Report::Progress { .. } => self.progress = Some(progress),
            }
        }
        if self.told.elapsed() >= TELL {
            self.tell_progress(events);
        }
        if !log.is_empty()
            && let Err(error) = self.log.write(log)
        {
            events.push(ExecEvent::Problem { id: self.id, text: format!("its log is not complete: {error}") });
        }
    }

    pub(super) fn tell_progress(&mut self, events: &mut Vec<ExecEvent>) {
        if let Some(Report::Progress { done, total, text }) = self.progress.take() {
            events.push(ExecEvent::Progress { id: self.id, done, total, text });
            self.told = Instant::now();
        }
    }

    /// All processes have ended: reads the rest of the output, and tells the end. `alone`: see [`ExecEvent::Exited`].
    pub(super) fn finish(mut self, alone: bool, events: &mut Vec<ExecEvent>) {
        self.read_rest(events);
        let (mut reports, mut log) = (Vec::new(), self.errors_mask.end());
        self.lines.push(&self.output_mask.end(), &mut reports, &mut log);
        self.lines.end_line(&mut reports, &mut log);
        self.pass_on(reports, &log, events);
        self.tell_progress(events);
        let exceeded = || self.group.as_ref().and_then(Group::exceeded);
        let exit = match self.exit.unwrap_or(Exit::Lost) {
            // A shell says only that what it called was killed.
            exit @ (Exit::Code(1..) | Exit::Signal(_)) => exceeded().map_or(exit, Exit::OutOfMemory),
            exit => exit,
        };
        let usage = Usage { time: self.started.elapsed(), ..self.usage };
        events.push(ExecEvent::Exited { id: self.id, exit, usage, alone });
    }
}

/// What is there to be read from a pipe, if anything is.
fn read<'b>(pipe: &mut Option<std::io::PipeReader>, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    loop {
        match pipe.as_mut()?.read(buffer) {
            Ok(count) if count > 0 => return buffer.get(..count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Ok(_) | Err(_) => *pipe = None,
        }
    }
}

/// A task's log: a file from the first byte on.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<fs::File>,
}

impl Log {
    fn new(path: &Path) -> std::io::Result<Self> {
        // That nothing can be written is told before the task runs.
        let folder = path.parent().unwrap_or(Path::new("/"));
        match std::fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => Ok(Self { path: path.to_owned(), file: None }),
            Ok(_) => Err(std::io::Error::other(format!("{} is not a folder", folder.display()))),
            Err(error) => Err(std::io::Error::new(error.kind(), format!("its log {}: {error}", path.display()))),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = Some(fs::OpenOptions::new().create(true).append(true).open(&self.path)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }
}

/// Starts the main process in a group of its own. The supervisor has one thread, so no other task can inherit what is
/// open for this one in between.
fn spawn(
    start: &Start,
    programs: &mut Programs,
    limit: &mut Limit,
    inherited: &[OwnedFd],
    output: std::io::PipeWriter,
    errors: std::io::PipeWriter,
) -> std::io::Result<std::process::Child> {
    let Some((program, arguments)) = start.argv.split_first() else {
        return Err(std::io::Error::other("there is no program to start"));
    };
    let path = start.env.iter().find(|(name, _)| name.0 == "PATH").map(|(_, path)| path.as_ref());
    let located = programs
        .find(program.as_ref(), path)
        .ok_or_else(|| std::io::Error::other(format!("{}: not in the task's PATH", program.0.display())))?;
    // Here, and not by `Stdio::null`: under the limit for tasks nothing more might be opened.
    let nothing = fs::File::open("/dev/null")?.into_file();
    inherited.iter().try_for_each(|descriptor| fcntl_setfd(descriptor, FdFlags::empty()))?;
    let mut command = Command::new(located);
    command
        .args(arguments)
        .env_clear()
        .envs(start.env.iter().map(|(name, value)| (name, value)))
        .current_dir(Path::new(&start.cwd))
        .process_group(0);
    let child = limit.spawn(command, [nothing.into(), output.into(), errors.into()]);
    inherited.iter().try_for_each(|descriptor| fcntl_setfd(descriptor, FdFlags::CLOEXEC))?;
    child.map_err(|error| why_not_started(&error, program.as_ref(), Path::new(&start.cwd)))
}

/// The kernel drops descriptors for which there is no room, and without one of its locks a task must not run.
fn locks_lost(there: usize, sent: usize) -> std::io::Error {
    let why = format!("too many open files: {there} of its {sent} locks came through; raise the limit (`ulimit -Hn`)");
    std::io::Error::other(why)
}

/// The kernel says only "not found", whether it is the program or the folder.
fn why_not_started(error: &std::io::Error, program: &OsStr, folder: &Path) -> std::io::Error {
    let what = if folder.is_dir() { Path::new(program).display() } else { folder.display() };
    std::io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::wire::Text;

    #[test]
    fn a_task_is_not_started_without_all_of_its_locks() {
        let start = Start {
            id: 1,
            argv: vec![Text("/bin/true".into())],
            env: Vec::new(),
            secrets: Vec::new(),
            cwd: Text("/".into()),
            log: Text("/log".into()),
            descriptors: 2,
            timeout: None,
            memory: None,
        };
        let there = vec![std::io::pipe().unwrap().0.into()];
        let mut limit = Limit::new(None).unwrap();
        let why = Running::start(&start, &mut Programs::default(), &mut limit, None, there).unwrap_err();
        assert!(why.to_string().contains("1 of its 2 locks"), "{why}");
    }

    /// A pipe that holds half a million bytes.
    fn full_pipe() -> std::io::PipeReader {
        let (reader, mut writer) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&reader, 1 << 20).unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        writer.write_all(&[b'x'; 500_000]).unwrap();
        reader
    }

    /// Without a process, for no lock of another test is to be open in one.
    #[test]
    fn of_a_flood_so_much_is_read_at_a_time_and_at_the_end_all() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let now = Instant::now();
        let mut task = Running {
            id: 1,
            main: 0,
            mark: Vec::new(),
            exit: Some(Exit::Code(0)),
            ending: None,
            deadline: None,
            timed_out: false,
            pidfd: None,
            output: Some(full_pipe()),
            errors: Some(full_pipe()),
            output_mask: Mask::default(),
            errors_mask: Mask::default(),
            lines: Lines::default(),
            log: Log::new(&log).unwrap(),
            progress: None,
            told: now,
            started: now,
            usage: Usage::default(),
            group: None,
            _inherited: Vec::new(),
        };
        let size = || std::fs::metadata(&log).unwrap().len();
        assert!(task.read_output(&mut Vec::new()));
        assert!(size() >= TURN as u64 && size() < 4 * TURN as u64, "{}", size());
        task.finish(true, &mut Vec::new());
        assert_eq!(size(), 1_000_000);
    }
}
