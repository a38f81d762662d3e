//! `ghtrader completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, CliError, Exit};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, CliError> {
    clap_complete::generate(args.shell, &mut Cli::command(), "ghtrader", &mut std::io::stdout());
    Ok(Exit::Done)
}
