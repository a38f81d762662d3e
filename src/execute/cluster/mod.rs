//! Tasks on the nodes of a cluster whose own queue starts them. What is the same for all clusters is in here; a cluster is a
//! [`Cluster`]: submit many, ask for all at once, cancel many.
//!
//! [`ClusterExecutor`] is the runner's side, with a thread of its own (`desk`) that submits and asks; `node` is what runs on a
//! node; `spool` the files in the cache's folder that join the two.

mod desk;
mod entry;
mod handover;
mod node;
mod pilot;
mod spool;
mod submit;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ExecEvent, ExecuteError, Executor, Job, files};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::sync::lock;
use desk::{Desk, Order};
pub use handover::Handover;
pub(super) use node::WORD as JOB;
pub use node::execute_job;
pub use pilot::run_pilot;
pub(super) use pilot::{Load, WORD as PILOT, close, stop};
use spool::Spool;

/// The queue of a cluster.
pub(super) trait Cluster: Send + 'static {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// So many jobs may be in one batch.
    fn most(&self) -> usize;

    /// Between its own SIGTERM and SIGKILL.
    fn grace(&self) -> Duration;

    /// What of these resources it cannot share out, for people; empty where it can.
    fn rounds(&self, size: &Size) -> Option<String>;

    /// Submits all jobs of a batch at once.
    fn submit(&mut self, batch: &Batch<'_>) -> Result<(), Refused>;

    /// What it knows of the jobs of these batches, in one question. A job that it does not know is left out.
    fn ask(&mut self, batches: &BTreeSet<&str>) -> Result<BTreeMap<(String, u32), JobState>, String>;

    /// Cancels jobs, whether they run or wait.
    fn cancel(&mut self, jobs: &[(&str, u32)]) -> Result<(), String>;

    /// Nothing more will be submitted.
    fn close(&mut self) {}
}

/// What each job of a batch asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Size {
    /// Whole cores.
    pub(super) cpus: u64,
    /// Bytes.
    pub(super) memory: Option<u64>,
    /// Devices, in thousandths.
    pub(super) devices: u64,
    /// When the task is stopped.
    pub(super) timeout: Option<Duration>,
}

/// What is submitted together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) name: &'a str,
    pub(super) count: usize,
    pub(super) size: &'a Size,
    /// This program.
    pub(super) program: &'a Path,
    /// The folder of all jobs.
    pub(super) jobs: &'a Path,
    /// Where what a job's process says, that is not its task, is to go: `<index>.out`.
    pub(super) folder: &'a Path,
}

impl Batch<'_> {
    /// What a node is to run: a program and its arguments; the index of the job comes behind them.
    pub(super) fn command<'b>(&'b self, word: &'b str) -> [&'b OsStr; 4] {
        [self.program.as_os_str(), OsStr::new(word), self.jobs.as_os_str(), OsStr::new(self.name)]
    }
}

/// One word for a shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Why a batch was not submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It may be taken later.
    Later(String),
    /// It will never be.
    Never(String),
}

/// What a cluster says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// It waits, and for what.
    Waits(String),
    /// It runs, or is about to.
    Runs,
    /// It has ended, and how.
    Ended(End),
}

/// How a job ended, as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// In the cluster's words.
    pub(super) how: String,
    /// Whether that was not the job's doing, so that it may well succeed elsewhere.
    pub(super) innocent: bool,
}

/// Sees to it that no job of a cluster executes a key that is to be executed here: waits until none does, and takes away what
/// was to be executed. Only for who has the lock on the key. `false`: given up.
///
/// # Errors
/// What the file system says.
pub fn withdraw(cache: &Cache, key: &Hash, given_up: impl Fn() -> bool) -> std::io::Result<bool> {
    const NAP: Duration = Duration::from_millis(100);
    let folder = spool(cache).job(key);
    while is_with_a_cluster(cache, key) {
        if let Some(_claim) = folder.claim(NAP)? {
            folder.remove()?;
        } else if given_up() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a cluster was asked to execute a key, and no run has seen what came of that.
pub fn is_with_a_cluster(cache: &Cache, key: &Hash) -> bool {
    spool(cache).job(key).has_ticket()
}

fn spool(cache: &Cache) -> Spool {
    Spool::at(cache.folder().join("jobs"))
}

/// Runs jobs on a cluster. When it is dropped, what still runs goes on, and the next run finds it.
pub struct ClusterExecutor {
    orders: Mutex<Option<Sender<Order>>>,
    desk: Option<JoinHandle<()>>,
}

impl ClusterExecutor {
    pub(super) fn start(
        cluster: impl Cluster,
        cache: &Cache,
        sink: impl Fn(ExecEvent) + Send + Sync + 'static,
    ) -> Result<Self, ExecuteError> {
        // The locks of many tasks are open at once.
        files::raise();
        let spool = spool(cache);
        fs_err::create_dir_all(spool.folder())?;
        // As long as `cache gc` keeps the folders of tasks that nobody waits for.
        spool.sweep(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * 30))?;
        let desk = Desk::new(cluster, spool, own_program()?, Box::new(sink));
        Ok(Self::of(desk))
    }

    fn of<C: Cluster>(desk: Desk<C>) -> Self {
        let (sender, inbox) = channel();
        let thread = std::thread::spawn(move || desk.attend(&inbox));
        Self { orders: Mutex::new(Some(sender)), desk: Some(thread) }
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &*lock(&self.orders) {
            // It listens until this is dropped.
            let _ = orders.send(order);
        }
    }
}

/// This program, as the nodes see it: they have to find it under the same path.
fn own_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

impl std::fmt::Debug for ClusterExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterExecutor").finish_non_exhaustive()
    }
}

impl Executor for ClusterExecutor {
    fn start(&self, job: Job) {
        self.order(Order::Start(Box::new(job)));
    }

    fn stop(&self, id: u64) {
        self.order(Order::Stop(id));
    }

    fn recall(&self) {
        self.order(Order::Recall);
    }
}

impl Drop for ClusterExecutor {
    fn drop(&mut self) {
        *lock(&self.orders) = None;
        let _ = self.desk.take().map(JoinHandle::join);
    }
}
