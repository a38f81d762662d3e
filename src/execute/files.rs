//! How many files may be open: runner and supervisor have several for each task, and the usual 1,024 are soon gone. A task
//! gets the limit that the runner was started with, for programs that go by it (`select`, loops that close all there could be).

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Child, Command};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with.
static GIVEN: OnceLock<Option<u64>> = OnceLock::new();

/// Lets this process, and what it starts from now on, open as many files as it may. Gives the limit that it was started with.
pub(super) fn raise() -> Option<u64> {
    *GIVEN.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile);
        // Where that is refused, things stay as they are.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        limit.current
    })
}

/// Starts processes under the limit for tasks.
#[derive(Debug)]
pub(super) struct Limit {
    own: Rlimit,
    tasks: Rlimit,
    /// They keep low numbers free: the C library hands over no descriptor whose number is beyond the limit.
    spare: Vec<OwnedFd>,
}

impl Limit {
    /// `given`: the soft limit that tasks get; this process's own where there is none.
    pub(super) fn new(given: Option<u64>) -> std::io::Result<Self> {
        let own = getrlimit(Resource::Nofile);
        let mut limit = Self { own, tasks: Rlimit { current: given.or(own.current), ..own }, spare: Vec::new() };
        limit.keep_spare()?;
        Ok(limit)
    }

    /// Starts a process with these as its standard input, output and error.
    pub(super) fn spawn(&mut self, mut command: Command, streams: [OwnedFd; 3]) -> std::io::Result<Child> {
        if self.own == self.tasks {
            return with(&mut command, streams).spawn();
        }
        let streams = self.below(streams)?;
        setrlimit(Resource::Nofile, self.tasks)?;
        let child = with(&mut command, streams).spawn();
        // What is started is told as that: lowering was allowed, so this is, and spares may be had the next time.
        let _ = setrlimit(Resource::Nofile, self.own);
        drop(command);
        let _ = self.keep_spare();
        child
    }

    /// The same with numbers below the limit.
    fn below(&mut self, streams: [OwnedFd; 3]) -> std::io::Result<[OwnedFd; 3]> {
        let number = |stream: &OwnedFd| u64::try_from(stream.as_raw_fd()).unwrap_or_default();
        let limit = self.tasks.current.unwrap_or(u64::MAX);
        if streams.iter().all(|stream| number(stream) < limit) {
            return Ok(streams);
        }
        self.spare.clear();
        let [input, output, errors] = &streams;
        Ok([input.try_clone()?, output.try_clone()?, errors.try_clone()?])
    }

    fn keep_spare(&mut self) -> std::io::Result<()> {
        while self.own != self.tasks && self.spare.len() < 3 {
            self.spare.push(fs_err::File::open("/dev/null")?.into_file().into());
        }
        Ok(())
    }
}

fn with(command: &mut Command, [input, output, errors]: [OwnedFd; 3]) -> &mut Command {
    command.stdin(input).stdout(output).stderr(errors)
}
