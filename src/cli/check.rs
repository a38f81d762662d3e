//! `ghtrader check FLOW`: validate only.

use std::io::Write as _;

use clap::Args;

use super::error::print;
use super::{CliError, Exit, FlowArgs, Project};
use crate::diagnostic::Diagnostic;
use crate::plan::lacks;
use crate::text::visible;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    flow: FlowArgs,
}

pub(super) fn check(project: &Project, args: &CheckArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    // The flow is valid whatever the machine has: another one may run it.
    let lacks = lacks(&graph, &project.this_machine(&graph)?);
    if !project.quiet {
        lacks.iter().for_each(notice);
        print(&format!("{} is valid: {} tasks", graph.source().name, graph.tasks().len()));
    }
    Ok(Exit::Done)
}

/// What `run` would refuse here.
fn notice(lack: &Diagnostic) {
    let place = lack.place().map_or_else(String::new, |place| format!("{place}: "));
    let help = lack.help.as_deref().map_or_else(String::new, |help| format!("\n  help: {}", visible(help)));
    let _ = writeln!(std::io::stderr().lock(), "notice: {place}{}{help}", visible(&lack.message));
}
