//! Errors as people see them, and the exit codes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cache::CacheError;
use crate::diagnostic::{Diagnostic, render};
use crate::provenance::FindError;
use crate::refs::RefError;
use crate::text::visible;

pub(super) use crate::report::print;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Up to date.
    Done = 0,
    /// A task failed.
    Failed = 1,
    /// Wrong usage or an invalid flow.
    Usage = 2,
    /// A lock was not got.
    Locked = 3,
    /// The cache or a store is damaged or cannot be reached.
    Damaged = 4,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line or a flow is wrong.
    #[error("{} errors", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An object that a task made is not there, or not whole.
    #[error(
        "object {hash} is {state}; `{task}` of flow {flow} made it\nhelp: `ghtrader run {flow} '{task}'` makes it again, with the \
         parameters and sources of then"
    )]
    Lost {
        /// The object.
        hash: crate::hash::Hash,
        /// `not in the cache` or `damaged`.
        state: &'static str,
        /// The flow of the task.
        flow: String,
        /// The instance.
        task: String,
    },
    /// Manifests that are damaged, and why: what came of them cannot be told.
    #[error("{}\nhelp: `ghtrader cache verify` names the flows whose next `ghtrader run` makes them again", damaged(.0))]
    Manifests(Vec<(PathBuf, String)>),
    /// Something cannot be read or written.
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Io(#[from] std::io::Error),
    /// Refs cannot be read or moved.
    #[error(transparent)]
    Ref(#[from] crate::refs::RefError),
    /// A lock cannot be looked at.
    #[error(transparent)]
    Lock(#[from] crate::locks::LockError),
    /// The leases of the machine cannot be used.
    #[error(transparent)]
    Lease(#[from] crate::leases::LeaseError),
    /// The processes that run tasks cannot be started.
    #[error(transparent)]
    Execute(#[from] crate::execute::ExecuteError),
    /// Something was not printed.
    #[error("standard output cannot be written to: {0}; what was printed is not whole")]
    Unprinted(std::io::Error),
}

impl From<FindError> for CliError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unclear(diagnostic) => Self::Invalid(vec![diagnostic]),
            FindError::Cache(error) => error.into(),
            FindError::Ref(error) => error.into(),
            FindError::Io(error) => error.into(),
        }
    }
}

impl CliError {
    /// One line of wrong usage, and what would be right.
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Invalid(vec![Diagnostic::new(message).help(help)])
    }

    /// Prints it, and gives its exit code.
    pub(super) fn show(&self, color: bool) -> ExitCode {
        let exit = match self {
            Self::Invalid(_) | Self::Cache(CacheError::InTheWay { .. }) => Exit::Usage,
            Self::Ref(RefError::Io(_) | RefError::Damaged { .. } | RefError::Remote(_) | RefError::Diverged { .. }) => {
                Exit::Damaged
            }
            Self::Ref(_) => Exit::Usage,
            Self::Cache(CacheError::Collecting) => Exit::Locked,
            Self::Lost { .. } | Self::Manifests(_) | Self::Cache(_) => Exit::Damaged,
            Self::Io(_) | Self::Lock(_) | Self::Lease(_) => Exit::Damaged,
            Self::Execute(_) | Self::Unprinted(_) => Exit::Failed,
        };
        let text = match self {
            Self::Invalid(errors) => render(errors, color),
            other => format!("error: {}\n", visible(&other.to_string())),
        };
        let _ = write!(std::io::stderr().lock(), "{text}");
        exit.into()
    }
}

fn damaged(manifests: &[(PathBuf, String)]) -> String {
    let damaged = manifests.iter().map(|(path, why)| format!("the manifest {} is damaged: {why}", path.display()));
    damaged.collect::<Vec<_>>().join("\nerror: ")
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;
    use crate::locks::LockError;

    #[test]
    fn a_full_disk_is_called_so_wherever_it_is_met() {
        let full = || Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let sqlite = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        let errors = [
            CliError::Io(full()),
            CacheError::Io(full()).into(),
            CacheError::Index { path: "index.db".into(), source: sqlite }.into(),
            RefError::Io(full()).into(),
            LockError::Io(full()).into(),
        ];
        for error in errors {
            assert!(error.to_string().ends_with("free some space and run again, what is recorded is kept"), "{error}");
        }
    }
}
