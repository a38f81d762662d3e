//! Talks to a program of kinds: `describe` and `probe`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use ghtrader_kit::{CONTRACT, KindSpec, Probe, Program, REQUEST_VARIABLE, Request};
use serde_json::Value;

use crate::diagnostic::Diagnostic;

/// A program of kinds that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// It cannot be started.
    #[error("{} cannot be started: {why}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// It failed.
    #[error("{} {word}: {status}: {said}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        word: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last line that it wrote to standard error.
        said: String,
    },
    /// Its answer is not one.
    #[error("{} {word} does not answer as the contract says: {why}", program.display())]
    Answer {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        word: &'static str,
        /// Why.
        why: serde_json::Error,
    },
    /// It speaks another version of the contract.
    #[error("{} speaks version {theirs} of the task contract, this runner version {CONTRACT}", program.display())]
    Contract {
        /// The program.
        program: PathBuf,
        /// Its version.
        theirs: Value,
    },
    /// Two programs have a kind of one name.
    #[error("the kind `{kind}` is in {} and in {}", first.display(), second.display())]
    Twice {
        /// The kind.
        kind: String,
        /// One program.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl KindError {
    /// The same for people, with what to do.
    pub(super) fn diagnostic(&self) -> Diagnostic {
        let help = match self {
            Self::Start { .. } | Self::Failed { .. } | Self::Answer { .. } => {
                "it has to be a program of task kinds (see tasks/kit); otherwise give it another name"
            }
            Self::Contract { .. } => "build it and the runner from one source",
            Self::Twice { .. } => "remove one of the programs, or rename the kind",
        };
        Diagnostic::new(self.to_string()).help(help)
    }
}

/// The kinds of a program.
pub(super) fn describe(program: &Path) -> Result<Vec<KindSpec>, KindError> {
    const WORD: &str = "describe";
    let answer = |why| KindError::Answer { program: program.to_owned(), word: WORD, why };
    let bytes = ask(program, WORD, Command::new(program).arg(WORD))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(answer)?;
    if value["contract"] != CONTRACT {
        return Err(KindError::Contract { program: program.to_owned(), theirs: value["contract"].clone() });
    }
    let described: Program = serde_json::from_value(value).map_err(answer)?;
    Ok(described.kinds)
}

/// Why an external result is not what its outputs say. Asked in the project, wherever the runner was started: a task runs in a
/// folder of the project too, and finds its `.env` from there.
pub(super) fn probe(
    program: &Path,
    root: &Path,
    kind: &str,
    with: &[(String, Value)],
    outputs: &[(String, PathBuf)],
) -> Result<Option<String>, KindError> {
    const WORD: &str = "probe";
    let start = |why| KindError::Start { program: program.to_owned(), why };
    let answer = |why| KindError::Answer { program: program.to_owned(), word: WORD, why };
    let request = Request {
        contract: CONTRACT,
        kind: kind.to_owned(),
        params: Value::Object(with.iter().cloned().collect()),
        outputs: outputs.iter().cloned().collect(),
        cpus: 1.0,
        ..Request::default()
    };
    let file = tempfile::NamedTempFile::new().map_err(start)?;
    serde_json::to_writer(file.as_file(), &request).map_err(answer)?;
    let bytes =
        ask(program, WORD, Command::new(program).arg(WORD).env(REQUEST_VARIABLE, file.path()).current_dir(root))?;
    match serde_json::from_slice(&bytes).map_err(answer)? {
        Probe::Valid => Ok(None),
        Probe::Changed { why } => Ok(Some(why)),
    }
}

/// Runs a program to its end: what it wrote to standard output.
fn ask(program: &Path, word: &'static str, command: &mut Command) -> Result<Vec<u8>, KindError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|why| KindError::Start { program: program.to_owned(), why })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or("it said nothing").to_owned();
    Err(KindError::Failed { program: program.to_owned(), word, status: output.status, said })
}
