//! One task to its end: starting it, hearing what it reports, and ending all of it. It knows no flow.
//!
//! Tasks are started by a supervisor, a process that outlives the runner by as much as it takes to end them. See the
//! README beside this file.

mod cluster;
mod ending;
mod files;
mod groups;
mod link;
mod local;
mod mask;
mod output;
mod processes;
mod programs;
mod ray;
mod slurm;
mod supervisor;
mod sweep;
mod task;
mod wire;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::flow::units;
use crate::hash::Hash;
use crate::resources::{Pool, Request};

pub use cluster::{ClusterExecutor, Handover, execute_job, is_with_a_cluster, run_pilot, withdraw};
pub use local::LocalExecutor;
pub(crate) use mask::masked;
pub use supervisor::supervise;
pub use sweep::{sweep_holders, sweep_within};

/// The variable by which a task's processes are known: its value is a path in the task's scratch folder, so no two
/// tasks have the same.
pub use ghtrader_kit::REQUEST_VARIABLE;

/// Between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// A task to run.
#[derive(Debug)]
pub struct Job {
    /// The caller's number for it; no two running jobs have the same.
    pub id: u64,
    /// What a cluster has to know of it.
    pub wanted: Option<Wanted>,
    /// Program and arguments. A program without a slash is looked for in the job's `PATH`.
    pub argv: Vec<OsString>,
    /// The whole environment. It has [`REQUEST_VARIABLE`], by which what the task leaves behind is found.
    pub env: Vec<(OsString, OsString)>,
    /// Those of its variables whose values are kept out of its log and of all that is told of it.
    pub secrets: Vec<String>,
    /// The folder to start it in.
    pub cwd: PathBuf,
    /// The file to which its standard output (protocol lines left out) and error are appended; made when there is something
    /// to write.
    pub log: PathBuf,
    /// Its locks ([`crate::locks::Held::share`]): descriptors that all its processes have open, so that a lock is free only
    /// when the last of them has ended.
    pub locks: Vec<OwnedFd>,
    /// After this it is stopped.
    pub timeout: Option<Duration>,
    /// All its processes together are held to so many bytes, where the system can do that.
    pub memory: Option<u64>,
    /// Under a supervisor of its own: where that dies, it is this job's doing, or somebody's who knows nothing of jobs.
    pub apart: bool,
}

/// What a cluster has to know of a job, beside how it is run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it computes. By it the job is found again by a later run.
    pub key: Hash,
    /// What it needs: the cluster shares that out.
    pub request: Request,
    /// Whether what an earlier run had executed to its end does not count.
    pub fresh: bool,
}

/// What is heard of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecEvent {
    /// It runs.
    Started {
        /// The job.
        id: u64,
        /// Its main process.
        pid: u32,
    },
    /// It reported progress. Of many reports in a short time, the last one is told.
    Progress {
        /// The job.
        id: u64,
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: u64,
        /// What it is doing.
        text: String,
    },
    /// It reported a metric.
    Metric {
        /// The job.
        id: u64,
        /// Name.
        name: String,
        /// Value.
        value: f64,
    },
    /// It runs on another machine than the caller's, with these devices.
    Placed {
        /// The job.
        id: u64,
        /// The machine's name.
        host: String,
        /// Indices of the devices that it got.
        devices: Vec<u32>,
    },
    /// Something to be known that is of no one job, such as a cluster that does not answer.
    Notice {
        /// For people.
        text: String,
    },
    /// Something is wrong that does not end it, such as a log that cannot be written.
    Problem {
        /// The job.
        id: u64,
        /// For people.
        text: String,
    },
    /// All its processes have ended. Nothing is heard of it any more.
    Exited {
        /// The job.
        id: u64,
        /// How its main process ended.
        exit: Exit,
        /// What it used.
        usage: Usage,
        /// Whether no process is left either that nobody can be held to have left behind.
        alone: bool,
    },
}

/// What a job used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// From the start to the end of the last process.
    pub time: Duration,
    /// Processor time of all its processes.
    pub cpu: Duration,
    /// Peak resident memory of its largest process, in bytes. Of a tiny one it is that of the supervisor, some megabytes.
    pub peak_memory: u64,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Exit {
    /// With this status; 0 is success.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was stopped when its time was up.
    Timeout,
    /// It was stopped because the caller asked for it, whatever it said at its end.
    Stopped,
    /// The kernel ended it, or one of its processes, for it used more memory than this.
    OutOfMemory(u64),
    /// It was taken back before it began.
    Recalled,
    /// It could not be started, and why.
    NotStarted(String),
    /// The supervisor died, and the task was ended.
    Lost,
    /// It is gone without a trace of its own doing, and why: the node failed, for example.
    Vanished(String),
    /// The cluster ended it, and why: a limit, or somebody who may.
    Evicted(String),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Timeout => f.write_str("stopped at its timeout"),
            Self::Stopped => f.write_str("stopped"),
            Self::OutOfMemory(limit) => {
                let limit = units::shown(*limit);
                write!(f, "killed: it used more than its memory of {limit} (raise `memory` in its `resources`)")
            }
            Self::Recalled => f.write_str("taken back before it began"),
            Self::NotStarted(why) => write!(f, "not started: {why}"),
            Self::Lost => f.write_str("ended because its supervisor died"),
            Self::Vanished(why) | Self::Evicted(why) => f.write_str(why),
        }
    }
}

/// Where tasks run: on this machine ([`local`]) or on a cluster ([`slurm`], [`ray`]). Jobs are started from several threads.
pub trait Executor: Sync {
    /// Starts a job. Whatever comes of it is told by events, of which [`ExecEvent::Exited`] is the last in every case.
    fn start(&self, job: Job);

    /// Stops a job: SIGTERM to all its processes, SIGKILL after [`GRACE`]. Its end is told by an event.
    fn stop(&self, id: u64);

    /// Takes back the jobs that were started and have not begun, as they wait in a queue: each is told as
    /// [`Exit::Recalled`], unless it begins in the meantime. On this machine there are none.
    fn recall(&self) {}
}

/// An executor on this machine for the tasks of `cache`; `sink` hears of its jobs.
pub fn local(cache: &Cache, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> LocalExecutor {
    LocalExecutor::new(&cache.scratch(), sink)
}

/// An executor on the Slurm that this machine's commands speak to, and what its nodes have.
///
/// # Errors
/// Where there is no Slurm, or it cannot be reached.
pub fn slurm(cache: &Cache, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Result<ClusterExecutor, ExecuteError> {
    ClusterExecutor::start(slurm::Slurm::reach(cache.folder().join("jobs"))?, cache, sink)
}

/// What each node of the Slurm has that this machine's commands speak to.
///
/// # Errors
/// Where there is no Slurm, or it cannot be reached.
pub fn slurm_nodes() -> Result<Vec<Pool>, ExecuteError> {
    slurm::nodes()
}

/// The same for what Ray's variables name (`RAY_API_SERVER_ADDRESS`, else `RAY_ADDRESS`, else this machine).
///
/// # Errors
/// Where it does not answer.
pub fn ray(cache: &Cache, sink: impl Fn(ExecEvent) + Send + Sync + 'static) -> Result<ClusterExecutor, ExecuteError> {
    ClusterExecutor::start(ray::Ray::reach()?, cache, sink)
}

/// What each node of it has.
///
/// # Errors
/// Where it does not answer, or has none.
pub fn ray_nodes() -> Result<Vec<Pool>, ExecuteError> {
    ray::nodes()
}

/// Ends the processes of `cache`'s tasks that have no supervisor any more, and waits for that: what survived when a
/// runner and its supervisor were both killed. Gives their numbers.
///
/// # Errors
/// Where it cannot be found out which processes there are.
pub fn sweep(cache: &Cache) -> Result<Vec<u32>, ExecuteError> {
    sweep_within(&cache.scratch(), GRACE)
}

/// What can go wrong with executing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The supervisor cannot be started.
    #[error("the supervisor {} cannot be started: {source}", program.display())]
    Supervisor {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A cluster cannot be used.
    #[error("{what}\nhelp: {help}")]
    Cluster {
        /// What is wrong, and where.
        what: String,
        /// What to do.
        help: String,
    },
    /// The folder for the jobs of clusters cannot be made.
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Io(#[from] std::io::Error),
    /// It cannot be seen whether tasks of a killed run are still there.
    #[error("the processes of this machine cannot be listed: {0}; mount /proc")]
    Processes(std::io::Error),
}
