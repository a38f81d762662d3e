//! `ghtrader explain FLOW TASK`: the parts of its key now and at its last run, and what differs.

use std::collections::HashMap;

use clap::Args;

use super::error::print;
use super::project::refs_of;
use super::run_args::selectors;
use super::{CliError, Exit, FlowArgs, Project};
use crate::key::Part;
use crate::plan::{InstanceId, Outcome, Planner, Resolved, Wish, differences};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    flow: FlowArgs,
    /// A task, or an instance of it (`build[variety=cu,day=2022-02-18]`)
    #[arg(add = super::completions::tasks())]
    task: String,
}

pub(super) fn explain(project: &Project, args: &ExplainArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    let targets = selectors(std::slice::from_ref(&args.task))?;
    graph.check_selectors(&targets).map_err(CliError::Invalid)?;
    let cache = project.look()?;
    let refs = refs_of(&graph, &cache)?;
    let machine = project.this_machine(&graph)?;
    let context = loaded.context(project, &graph, &cache, &refs, &machine);
    let mut planner = Planner::new(context, Wish { targets: targets.clone(), force: Vec::new() });
    let runs: HashMap<InstanceId, Box<Resolved>> = planner.to_the_end().into_iter().collect();
    let errors = planner.take_errors()?;
    if !errors.is_empty() {
        return Err(CliError::Invalid(errors));
    }
    for id in planner.take_settled() {
        if !planner.is_selected(&targets, id) {
            continue;
        }
        let name = planner.name(id);
        let last = match cache.last(&loaded.flow.name, &name)? {
            Some(key) => cache.manifest(&key)?,
            None => None,
        };
        let state = match planner.outcome(id) {
            Some(Outcome::Cached(_)) => "cached".to_owned(),
            Some(Outcome::WillRun(reason)) => format!("runs ({reason})"),
            Some(Outcome::WillShare(first)) => format!("has the result of {first}, which runs and has the same key"),
            Some(Outcome::MayRun(task)) => format!("may run (waits for {task})"),
            Some(Outcome::Skipped { why, .. }) => format!("skipped ({why})"),
            _ => "not known".to_owned(),
        };
        print(&format!("{name}: {state}"));
        let now = match (planner.outcome(id), runs.get(&id)) {
            (_, Some(resolved)) => Some(resolved.parts.clone()),
            (Some(Outcome::Cached(done)), None) => cache.manifest(&done.key)?.map(|manifest| manifest.parts),
            _ => None,
        };
        if let Some(now) = now {
            show(&now, last.as_ref().map(|manifest| manifest.parts.as_slice()));
        }
        if let Some(cause) = planner.cause(id) {
            print(&format!("  because {cause}"));
        }
    }
    Ok(Exit::Done)
}

/// Every part; one that differs with its old value.
fn show(now: &[Part], last: Option<&[Part]>) {
    for part in now {
        let group = format!("{:?}", part.group).to_lowercase();
        let before =
            last.and_then(|last| last.iter().find(|other| other.group == part.group && other.name == part.name));
        let name = format!("{group} {}", part.name);
        match (last, before) {
            (Some(_), None) => print(&format!("+ {name}: {}", part.value)),
            (Some(_), Some(before)) if before.value != part.value => {
                print(&format!("- {name}: {}", before.value));
                print(&format!("+ {name}: {}", part.value));
            }
            _ => print(&format!("  {name}: {}", part.value)),
        }
    }
    for gone in last.unwrap_or_default() {
        if !now.iter().any(|part| part.group == gone.group && part.name == gone.name) {
            print(&format!("- {} {}: {}", format!("{:?}", gone.group).to_lowercase(), gone.name, gone.value));
        }
    }
    if let Some(last) = last {
        for reason in differences(last, now, |_| None) {
            print(&format!("  {reason}"));
        }
    }
}
