//! `ghtrader check FLOW`: validate only.

use clap::Args;

use super::error::print;
use super::{CliError, Exit, FlowArgs, Project};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    flow: FlowArgs,
}

pub(super) fn check(project: &Project, args: &CheckArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    if !project.quiet {
        print(&format!("{} is valid: {} tasks", graph.source().name, graph.tasks().len()));
    }
    Ok(Exit::Done)
}
