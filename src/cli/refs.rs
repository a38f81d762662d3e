//! `ghtrader refs`, `refs log|set|rollback NAME`: named pointers to artifacts.

use clap::{Args, Subcommand};

use super::error::print;
use super::project::user;
use super::{CliError, Exit, Project, completions};
use crate::cache::State;
use crate::provenance::find;
use crate::refs::{Change, Move, Refs};
use crate::report::table;

#[derive(Debug, Args)]
pub(super) struct RefsArgs {
    #[command(subcommand)]
    command: Option<RefsCommand>,
}

#[derive(Debug, Subcommand)]
enum RefsCommand {
    /// Every move of a ref, the newest last
    Log {
        /// The ref
        #[arg(add = completions::refs())]
        name: String,
    },
    /// Point a ref to an artifact
    Set {
        /// The ref
        #[arg(add = completions::refs())]
        name: String,
        /// A hash, another ref, a file, or `flow:task[axis=value].output`
        #[arg(add = completions::artifacts())]
        artifact: String,
    },
    /// Point a ref back to what it pointed to before its last move
    Rollback {
        /// The ref
        #[arg(add = completions::refs())]
        name: String,
    },
}

pub(super) fn refs(project: &Project, args: &RefsArgs) -> Result<Exit, CliError> {
    match &args.command {
        None => list(project),
        Some(RefsCommand::Log { name }) => log(project, name),
        Some(RefsCommand::Set { name, artifact }) => set(project, name, artifact),
        Some(RefsCommand::Rollback { name }) => rollback(project, name),
    }
}

fn list(project: &Project) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let refs = Refs::open(&cache);
    let mut rows = Vec::new();
    for (name, Move { change, .. }) in refs.list()? {
        rows.push(vec![name, change.artifact.hash.short(), change.at.clone(), by(&change)]);
    }
    if rows.is_empty() {
        print("no refs yet");
    } else {
        print(&table(&["ref", "artifact", "moved", "by"].map(str::to_owned), rows));
    }
    Ok(Exit::Done)
}

fn log(project: &Project, name: &str) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let log = Refs::open(&cache).log(name)?;
    if log.is_empty() {
        return Err(CliError::usage(format!("the ref `{name}` was never set"), "see `ghtrader refs`"));
    }
    let rows = log.iter().map(|Move { n, restores, change }| {
        let decision = change.decision.as_ref().map(|decision| decision.hash.short()).unwrap_or_default();
        let why = restores.map_or_else(|| change.reason.clone(), |n| format!("{}, back to {n}", change.reason));
        vec![n.to_string(), change.at.clone(), change.artifact.hash.short(), decision, by(change), why]
    });
    print(&table(&["n", "moved", "artifact", "decision", "by", "why"].map(str::to_owned), rows.collect()));
    Ok(Exit::Done)
}

fn by(change: &Change) -> String {
    match (&change.task, &change.flow) {
        (Some(task), Some(flow)) => format!("{flow}:{task}"),
        _ => change.who.clone(),
    }
}

fn set(project: &Project, name: &str, artifact: &str) -> Result<Exit, CliError> {
    let cache = project.open()?;
    let Some(artifact) = find(&cache, Some(&project.root), artifact)?
        .artifact
        .filter(|artifact| cache.state(artifact).is_ok_and(State::is_usable))
    else {
        let message = format!("`{artifact}` is not an artifact of this cache");
        return Err(CliError::usage(message, "name one output of a task: `flow:task[axis=value].output`"));
    };
    // Others have to find what it points to.
    cache.share_artifact(&artifact)?;
    let hash = artifact.hash;
    let change = Change {
        artifact,
        key: None,
        flow: None,
        task: None,
        run: None,
        who: user(),
        at: jiff::Timestamp::now().to_string(),
        decision: None,
        reason: "set by hand".to_owned(),
    };
    Refs::open(&cache).set(name, &change)?;
    print(&format!("{name} → {}", hash.short()));
    Ok(Exit::Done)
}

fn rollback(project: &Project, name: &str) -> Result<Exit, CliError> {
    let cache = project.open()?;
    let step =
        Refs::open(&cache).rollback(name, &user(), &jiff::Timestamp::now().to_string(), "rolled back by hand")?;
    print(&format!(
        "{name} → {}, as after move {}",
        step.change.artifact.hash.short(),
        step.restores.unwrap_or(step.n)
    ));
    Ok(Exit::Done)
}
