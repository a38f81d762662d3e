//! Errors as people see them, and the exit codes.

use std::io::Write as _;
use std::process::ExitCode;

use crate::cache::CacheError;
use crate::diagnostic::{Diagnostic, render};
use crate::refs::RefError;

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
    /// Something cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Refs cannot be read or moved.
    #[error(transparent)]
    Ref(#[from] crate::refs::RefError),
    /// A lock cannot be looked at.
    #[error(transparent)]
    Lock(#[from] crate::locks::LockError),
    /// The processes that run tasks cannot be started.
    #[error(transparent)]
    Execute(#[from] crate::execute::ExecuteError),
}

impl CliError {
    /// One line of wrong usage, and what would be right.
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Invalid(vec![Diagnostic::new(message).help(help)])
    }

    /// Prints it, and gives its exit code.
    pub(super) fn show(&self, color: bool) -> ExitCode {
        let (text, exit) = match self {
            Self::Invalid(errors) => (render(errors, color), Exit::Usage),
            Self::Cache(error @ CacheError::InTheWay { .. }) => (format!("error: {error}\n"), Exit::Usage),
            Self::Cache(error) => (format!("error: {error}\n"), Exit::Damaged),
            Self::Io(error) => (format!("error: {error}\n"), Exit::Damaged),
            Self::Ref(error @ (RefError::Io(_) | RefError::Damaged { .. })) => {
                (format!("error: {error}\n"), Exit::Damaged)
            }
            Self::Ref(error) => (format!("error: {error}\n"), Exit::Usage),
            Self::Lock(error) => (format!("error: {error}\n"), Exit::Damaged),
            Self::Execute(error) => (format!("error: {error}\n"), Exit::Failed),
        };
        let _ = write!(std::io::stderr().lock(), "{text}");
        exit.into()
    }
}

/// Prints a line on standard output; a reader that has gone away is no error.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
