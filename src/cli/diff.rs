//! `ghtrader diff RUN RUN`: what differs between two runs, task by task.

use clap::Args;

use super::error::print;
use super::{CliError, Exit, Format, Project};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::key::canonical;
use crate::provenance::{
    Change, PartDiff, RunDiff, Side, TaskDiff, diff as compare, events, find_run, load, tasks_so_far,
};
use crate::report::duration;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// A run's id, or its last digits; `last` for the newest
    before: String,
    /// The run to compare it with
    after: String,
    /// People, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn diff(project: &Project, args: &DiffArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let (one, two) = (side(&cache, &args.before)?, side(&cache, &args.after)?);
    let found = compare(&cache, &one, &two)?;
    match args.format {
        Format::Json => print(&serde_json::to_string_pretty(&found).unwrap_or_default()),
        Format::Human => show(&found, project.style.verbose),
    }
    Ok(Exit::Done)
}

fn side(cache: &Cache, text: &str) -> Result<Side, CliError> {
    let run = find_run(cache, text)?;
    let (start, end) = load(&cache.runs(), &run)?;
    let tasks = match end {
        Some(end) => end.tasks,
        // It goes on, or was killed: what it has told so far.
        None => tasks_so_far(&events(&cache.runs(), &run)?),
    };
    Ok(Side { start, tasks })
}

fn show(found: &RunDiff, all: bool) {
    let [before, after] = &found.runs;
    print(&format!("{before} → {after}"));
    for (name, change) in &found.params {
        print(&format!("  {name} = {}", arrow(change, canonical)));
    }
    let (alike, others): (Vec<&TaskDiff>, Vec<&TaskDiff>) = found.tasks.iter().partition(|task| task.is_alike());
    others.into_iter().for_each(task);
    if all {
        alike.iter().copied().for_each(task);
    } else {
        print(&format!("{} of {} tasks are alike", alike.len(), found.tasks.len()));
    }
}

fn task(task: &TaskDiff) {
    let took = match (task.seconds.before, task.seconds.after) {
        (None, None) => String::new(),
        _ => format!(", took {}", arrow(&task.seconds, |seconds| duration(*seconds))),
    };
    let state = arrow(&task.state, Clone::clone);
    print(&format!("{}: {state}, key {}{took}", task.task, arrow(&task.key, Hash::short)));
    for PartDiff { group, name, value } in &task.parts {
        let group = format!("{group:?}").to_lowercase();
        print(&format!("    {group} {name}: {}", arrow(value, |text| text.trim_end().replace('\n', "; "))));
    }
    for (name, change) in &task.outputs {
        print(&format!("    wrote {name}: {}", arrow(change, Hash::short)));
    }
}

/// `1 → 2`, or the one value that both have.
fn arrow<T: PartialEq>(change: &Change<T>, text: impl Fn(&T) -> String) -> String {
    let shown = |value: &Option<T>| value.as_ref().map_or_else(|| "none".to_owned(), &text);
    let (before, after) = (shown(&change.before), shown(&change.after));
    if change.before == change.after { before } else { format!("{before} → {after}") }
}
