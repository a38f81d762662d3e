//! Slurm's commands, called.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::execute::ExecuteError;

/// Why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// It is not there.
    #[error("`{0}` is not in PATH")]
    Missing(String),
    /// It cannot be started or spoken to.
    #[error("`{0}` cannot be run: {1}")]
    Io(String, std::io::Error),
    /// It ended with an error, and said this.
    #[error("{0}")]
    Said(String),
}

impl Failed {
    /// As it is told before anything runs.
    pub(super) fn at_the_start(self) -> ExecuteError {
        let (what, help) = match &self {
            Self::Missing(_) => (
                format!("`--executor slurm`: there are no Slurm commands here: {self}"),
                "run on a machine that submits to the cluster, or without `--executor` on this one",
            ),
            Self::Io(..) => (format!("`--executor slurm`: {self}"), "see that it can be executed"),
            Self::Said(why) if why.contains("contact") || why.contains("imed out") => (
                format!("`--executor slurm`: Slurm's controller (slurmctld) cannot be reached: {why}"),
                "`scontrol ping` says whether it is up; SLURM_CONF names the configuration where it is not the usual one",
            ),
            Self::Said(why) => (
                format!("`--executor slurm`: Slurm's commands do not work here: {why}"),
                "`sinfo` has to answer on this machine; SLURM_CONF names the configuration where it is not the usual one",
            ),
        };
        ExecuteError::Cluster { what, help: help.to_owned() }
    }
}

/// What a command answers; it is given `input`.
pub(super) fn call(program: &str, args: &[&str], input: &str) -> Result<String, Failed> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Failed::Missing(program.to_owned()),
        _ => Failed::Io(program.to_owned(), error),
    };
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut command = Command::new(program);
    // Its own language is what its answers are understood in; a group of its own keeps Ctrl-C from it.
    command.args(args).env("LC_ALL", "C").stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(failed)?;
    // Less than a pipe holds, so that nobody waits for anybody; one that does not read it says why.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(|line| without_prefix(program, line.trim())).collect();
    let said = if lines.is_empty() { format!("`{program}` failed ({})", output.status) } else { lines.join("; ") };
    Err(Failed::Said(said))
}

/// `sbatch: error: …` without what is known.
fn without_prefix<'l>(program: &str, line: &'l str) -> &'l str {
    let line = line.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
    line.strip_prefix("error: ").unwrap_or(line)
}
