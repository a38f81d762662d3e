//! `ghtrader check FLOW`: validate only.

use clap::Args;

use super::error::print;
use super::project::kinds;
use super::{CliError, Exit, FlowArgs, Project};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    flow: FlowArgs,
}

pub(super) fn check(project: &Project, args: &CheckArgs) -> Result<Exit, CliError> {
    let kinds = kinds();
    let (flow, _) = project.bound(&args.flow, &kinds)?;
    let graph = project.graph(&flow, &kinds)?;
    if !project.quiet {
        print(&format!("{} is valid: {} tasks", flow.source.name, graph.tasks().len()));
    }
    Ok(Exit::Done)
}
