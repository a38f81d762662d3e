//! `ghtrader plan FLOW`, which is `ghtrader run --dry-run`: the plan and the reason for every task. It writes nothing.

use std::time::Instant;

use clap::Args;

use super::project::refs_of;
use super::run_args::{ExecutorName, RunArgs, declared, reporter, selectors};
use super::simulate::simulate;
use super::{CliError, Exit, Project};
use crate::execute;
use crate::flow::Flow;
use crate::plan::{Context, Outcome, Planner, Wish};
use crate::report::{Event, Summary, TaskEvent, TaskState};
use crate::resources::Pool;

/// It takes what `run` takes, so that the one word is all that differs.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Draw the expected time line, and say what no schedule can do better than
    #[arg(long)]
    simulate: bool,
}

pub(super) fn plan(project: &Project, args: &PlanArgs) -> Result<Exit, CliError> {
    if args.run.watch {
        return Err(CliError::usage("`plan` does not watch", "use `ghtrader run --dry-run --watch`"));
    }
    with_plan(project, &args.run, true, |_, context, wish, place| match args.simulate {
        true => simulate(&args.run, context, wish),
        false => dry_run(project, &args.run, context, wish, place),
    })
}

/// Where tasks run, beside the machine of the plan.
#[derive(Debug)]
pub(super) struct Where {
    /// The nodes of the cluster where there is one.
    pub(super) nodes: Vec<Pool>,
    /// What there is to be said of the devices that are declared.
    pub(super) doubt: Option<String>,
}

/// Reads what a plan is made from, and hands it on, with where tasks run; `look` changes nothing.
pub(super) fn with_plan(
    project: &Project,
    args: &RunArgs,
    look: bool,
    work: impl FnOnce(&Flow, Context<'_>, Wish, Where) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    let wish = Wish { force: selectors(&args.force)?, targets: selectors(&args.tasks)? };
    graph.check_selectors(wish.force.iter().chain(&wish.targets)).map_err(CliError::Invalid)?;
    let nodes = match args.executor {
        ExecutorName::Local => Vec::new(),
        ExecutorName::Slurm => execute::slurm_nodes()?,
        ExecutorName::Ray => execute::ray_nodes()?,
    };
    // Of a cluster, what the node with the most devices has decides what becomes of a task that can do without them.
    let (machine, doubt) = match nodes.iter().max_by_key(|node| node.device_indices().count()) {
        Some(node) => (node.clone(), None),
        None => project.machine_and_doubt(&graph, declared(args)?)?,
    };
    let cache = if look { project.look()? } else { project.open()? };
    cache.reach()?;
    let refs = refs_of(&graph, &cache)?;
    work(&loaded.flow, loaded.context(project, &graph, &cache, &refs, &machine), wish, Where { nodes, doubt })
}

pub(super) fn dry_run(
    project: &Project,
    args: &RunArgs,
    context: Context<'_>,
    wish: Wish,
    Where { nodes, doubt }: Where,
) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let mut planner = Planner::new(context, wish);
    let mut errors = if nodes.is_empty() { planner.too_much(context.machine) } else { planner.fits_no_node(&nodes) };
    planner.to_the_end();
    errors.extend(planner.take_errors()?);
    if errors.is_empty() {
        errors.extend(planner.does_not_fit());
    }
    if !errors.is_empty() {
        return Err(CliError::Invalid(crate::diagnostic::in_order(errors)));
    }
    let mut reporter = reporter(project, args);
    doubt.into_iter().for_each(|text| reporter.event(&Event::Notice { text }));
    let mut summary = Summary::default();
    let known = planner.take_settled().into_iter().map(|id| (planner.name(id), planner.outcome(id).cloned()));
    let known: Vec<_> = known.collect();
    let unknown = planner.unknown().into_iter().map(|(name, outcome)| (name, Some(outcome)));
    for (name, outcome) in known.into_iter().chain(unknown) {
        if let Some(event) = event(name, outcome, &mut summary) {
            reporter.event(&Event::Task(event));
        }
    }
    summary.seconds = begun.elapsed().as_secs_f64();
    reporter.event(&Event::Finished(summary));
    Ok(Exit::Done)
}

fn event(name: String, outcome: Option<Outcome>, summary: &mut Summary) -> Option<TaskEvent> {
    let event = |state, reason| TaskEvent { reason, ..TaskEvent::new(name, state) };
    match outcome? {
        Outcome::Cached(done) => {
            summary.cached += 1;
            Some(TaskEvent { key: Some(done.key), ..event(TaskState::Cached, None) })
        }
        Outcome::WillRun(reason) => {
            summary.ran += 1;
            Some(event(TaskState::Runs, Some(reason.to_string())))
        }
        Outcome::WillShare(first) => {
            summary.cached += 1;
            Some(event(TaskState::Cached, Some(format!("has the key of {first}, which runs"))))
        }
        Outcome::MayRun(task) => {
            summary.ran += 1;
            Some(event(TaskState::MayRun, Some(format!("waits for {task}"))))
        }
        Outcome::Skipped { why, .. } => {
            summary.skipped += 1;
            Some(event(TaskState::Skipped, Some(why)))
        }
        Outcome::Ran(_) | Outcome::Failed => None,
    }
}
