//! `ghtrader get ARTIFACT -o PATH`: a copy of an artifact.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::print;
use super::{CliError, Exit, Project};
use crate::cache::{Cache, CacheError};
use crate::provenance::{Found, find};

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// A hash, a ref, a file, or `flow:task[axis=value].output`
    #[arg(add = super::completions::artifacts())]
    artifact: String,
    /// Where to put it; what lies there is replaced
    #[arg(short, value_name = "PATH")]
    output: PathBuf,
}

pub(super) fn get(project: &Project, args: &GetArgs) -> Result<Exit, CliError> {
    let mut cache = project.look()?;
    if cache.shared_at().is_some() {
        // What is not here is brought here first.
        cache = project.open()?;
    }
    let found = match find(&cache, Some(&project.root), &args.artifact) {
        // Another machine may know it.
        Err(_) if cache.shared_at().is_some() => {
            cache.learn()?;
            find(&cache, Some(&project.root), &args.artifact)?
        }
        found => found?,
    };
    let Some(artifact) = found.artifact.clone() else {
        let message = format!("`{}` names a task with several outputs", args.artifact);
        return Err(CliError::usage(message, "name one of them: `flow:task.output`"));
    };
    cache.export(&artifact, &destination(&args.output)?).map_err(|error| lost(&found, &cache, error))?;
    if !project.quiet {
        print(&format!("{} → {}", artifact.hash, args.output.display()));
    }
    Ok(Exit::Done)
}

/// Where a copy goes: a link stays, and what it leads to is replaced.
fn destination(path: &Path) -> Result<PathBuf, CliError> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    std::fs::canonicalize(path).map_err(|error| {
        let message = format!("{} is a link that leads nowhere: {error}", path.display());
        CliError::usage(message, "remove it, or name another place")
    })
}

/// An error about an object that is not there, with what makes it again.
fn lost(found: &Found, cache: &Cache, error: CacheError) -> CliError {
    let (CacheError::Missing(hash) | CacheError::Damaged { hash, .. }) = &error else { return error.into() };
    let maker = found.keys.first().and_then(|key| cache.find_result(key).ok().flatten());
    let (Some(maker), state) =
        (maker, if matches!(error, CacheError::Missing(_)) { "not in the cache" } else { "damaged" })
    else {
        return error.into();
    };
    CliError::Lost { hash: *hash, state, flow: maker.flow, task: maker.task }
}
