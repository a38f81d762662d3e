//! The project's git commit, as part of the record of a run. Read with `git` itself, once a run.

use std::path::Path;
use std::process::{Command, Stdio};

/// The state of the project's sources.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The commit's hash; `None` where the project is not under git.
    pub hash: Option<String>,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

/// The commit of the project at `root`.
pub fn commit(root: &Path) -> Commit {
    let Some(hash) = git(root, &["rev-parse", "HEAD"]) else { return Commit::default() };
    let dirty = git(root, &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    Commit { hash: Some(hash), dirty }
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root)
        // A status must not write the index of a repository that somebody else works in.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
