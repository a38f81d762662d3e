//! What a run is given, and what it gives back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::message::Mailbox;
use crate::cache::CacheError;
use crate::diagnostic::Diagnostic;
use crate::execute::Executor;
use crate::leases::Leases;
use crate::locks::{Holder, Locks};
use crate::provenance::{Commit, RunTask};
use crate::refs::Refs;
use crate::report::{Event, Reporter, Summary};
use crate::resources::Pool;

/// What a run works with beside the plan.
pub struct Means<'a> {
    /// The refs of the cache, as they are; the plan sees them as they were.
    pub refs: &'a Refs,
    /// The locks of the cache.
    pub locks: &'a Locks,
    /// The leases of the machine; none where tasks run elsewhere.
    pub leases: Option<Leases>,
    /// Where tasks run.
    pub executor: &'a dyn Executor,
    /// What is heard of them, and of the user.
    pub mailbox: Mailbox,
    /// Who is told.
    pub reporter: &'a mut dyn Reporter,
    /// Called when all is planned that can be, before the first task starts.
    pub before_first: &'a mut dyn FnMut() -> std::io::Result<()>,
}

/// How to run.
pub struct Options<'a> {
    /// The run's id.
    pub run: String,
    /// On a failure, finish what does not depend on it.
    pub keep_going: bool,
    /// At most this many tasks at once.
    pub jobs: usize,
    /// What the machine has.
    pub machine: Pool,
    /// What each node of a cluster has, where tasks run on one, which shares it out itself. Empty where they run on `machine`.
    pub nodes: Vec<Pool>,
    /// How long to wait for a lock held elsewhere; `None` for ever.
    pub wait_locks: Option<Duration>,
    /// Where a task's log goes.
    pub log: &'a (dyn Fn(&str) -> PathBuf + Sync),
    /// The project's sources.
    pub commit: Commit,
    /// The machine's name.
    pub host: String,
    /// Who started the run.
    pub user: String,
}

impl Options<'_> {
    /// As whom the others on this machine and in this cache see a task.
    pub(super) fn holder(&self, task: String) -> Holder {
        Holder {
            pid: std::process::id(),
            host: self.host.clone(),
            who: self.user.clone(),
            run: self.run.clone(),
            task,
            since: jiff::Timestamp::now().to_string(),
        }
    }
}

/// How a run ended.
pub struct Ended {
    /// Counts.
    pub summary: Summary,
    /// Every task.
    pub tasks: BTreeMap<String, RunTask>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether a lock that was asked for was not got.
    pub lock_missed: bool,
    /// Whether the cache could not be read or written.
    pub cache_failed: bool,
    /// What the flow wants shown at the end.
    pub prints: Vec<Event>,
}

/// A run that could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The flow is wrong, or cannot run on this machine: nothing was started.
    #[error("the flow is not valid")]
    Invalid(Vec<Diagnostic>),
    /// The cache cannot be used: nothing was started.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What was to be done before the first task failed: nothing was started.
    #[error(transparent)]
    NotBegun(std::io::Error),
}
