//! Arguments in, exit code out; one small file for each command.

mod cache;
mod check;
mod completions;
mod diff;
mod error;
mod explain;
mod get;
mod graph;
mod interrupts;
mod kinds;
mod lineage;
mod list;
mod locks;
mod plan;
mod project;
mod refs;
mod report;
mod run;
mod run_args;
mod runs;
mod schema;
mod serve;
mod simulate;
mod verify;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use error::{CliError, Exit};
use project::Project;

/// Bring declarative flows of quantitative research up to date, and say where any artifact came from.
#[derive(Debug, Parser)]
#[command(name = "ghtrader", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Project root [default: the nearest folder upwards that has `flows/`]
    #[arg(short = 'C', value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// The cache [default: GHTRADER_CACHE, or `cache/` in the project root]
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
    /// Show failures and the last line only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Show cached tasks too
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether to use colour: `auto` asks `NO_COLOR`, then `CLICOLOR_FORCE`, then whether there is a terminal.
    fn wanted(self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
            Self::Auto => set("CLICOLOR_FORCE") || project::terminal(),
        }
    }
}

/// A flow and its parameters.
#[derive(Debug, Args)]
struct FlowArgs {
    /// A name in `flows/`, or a path
    #[arg(add = completions::flows())]
    flow: String,
    /// A parameter; lists as YAML (`-p varieties=[cu,au]`)
    #[arg(short = 'p', value_name = "NAME=VALUE", add = completions::params())]
    params: Vec<String>,
    /// A YAML file with parameters; `-p` goes before it
    #[arg(long = "params", value_name = "FILE")]
    params_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a flow, or some of its tasks and what they need, up to date
    Run(run_args::RunArgs),
    /// What `run` would do, and why; with `--simulate`, how long it would take
    Plan(plan::PlanArgs),
    /// Validate a flow only
    Check(check::CheckArgs),
    /// Show the DAG of a flow
    Graph(graph::GraphArgs),
    /// Flows with descriptions and parameters
    List,
    /// Task kinds with their inputs, parameters and outputs
    Kinds(kinds::KindsArgs),
    /// The parts of a task's key now and at its last run, and what differs
    Explain(explain::ExplainArgs),
    /// The history of runs, the newest last
    Runs,
    /// One run: what was asked, and how each task ended
    Show(runs::ShowArgs),
    /// What differs between two runs, task by task
    Diff(diff::DiffArgs),
    /// A run as one HTML page
    Report(report::ReportArgs),
    /// The log of a task in a run
    Log(runs::LogArgs),
    /// Where an artifact came from
    Lineage(lineage::LineageArgs),
    /// Copy an artifact out of the cache
    Get(get::GetArgs),
    /// Named pointers to artifacts
    Refs(refs::RefsArgs),
    /// Run recorded tasks again and compare the hashes: which tasks are not deterministic
    Verify(verify::VerifyArgs),
    /// Who holds and who waits for what, since when
    Locks,
    /// The store: what it holds, whether it is whole, removing what nothing uses
    Cache(cache::CacheArgs),
    /// The web page, on 127.0.0.1: flows, runs, tasks, logs, lineage
    Serve(serve::ServeArgs),
    /// The JSON Schema of flow files
    Schema(schema::SchemaArgs),
    /// Shell completions
    Completions(completions::CompletionsArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    if completions::answered() {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows where help and errors go; a closed pipe is no error.
            if let Err(unprinted) = error.print()
                && unprinted.kind() != std::io::ErrorKind::BrokenPipe
            {
                return CliError::Unprinted(unprinted).show(false);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let color = cli.global.color.wanted();
    let exit = match dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => error.show(color),
    };
    match crate::report::unprinted() {
        Some(error) if exit == ExitCode::SUCCESS => CliError::Unprinted(error).show(color),
        Some(error) => {
            CliError::Unprinted(error).show(color);
            exit
        }
        None => exit,
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, CliError> {
    // These need no project.
    match &cli.command {
        Command::Schema(args) => return schema::schema(args),
        Command::Completions(args) => return completions::completions(args),
        Command::Kinds(args) => return kinds::kinds(args),
        _ => {}
    }
    let project = Project::find(&cli.global)?;
    match &cli.command {
        Command::Run(args) if args.watch => watch::watch(&project, args),
        Command::Run(args) => run::run(&project, args),
        Command::Plan(args) => plan::plan(&project, args),
        Command::Check(args) => check::check(&project, args),
        Command::Graph(args) => graph::graph(&project, args),
        Command::List => list::list(&project),
        Command::Explain(args) => explain::explain(&project, args),
        Command::Runs => runs::runs(&project),
        Command::Show(args) => runs::show(&project, args),
        Command::Diff(args) => diff::diff(&project, args),
        Command::Report(args) => report::report(&project, args),
        Command::Log(args) => runs::log(&project, args),
        Command::Lineage(args) => lineage::lineage(&project, args),
        Command::Get(args) => get::get(&project, args),
        Command::Refs(args) => refs::refs(&project, args),
        Command::Verify(args) => verify::verify(&project, args),
        Command::Locks => locks::locks(&project),
        Command::Cache(args) => cache::cache(&project, args),
        Command::Serve(args) => serve::serve(&project, args),
        Command::Schema(_) | Command::Completions(_) | Command::Kinds(_) => Ok(Exit::Done),
    }
}
