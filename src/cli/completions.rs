//! `ghtrader completions SHELL`: a script that asks the program itself, so that it knows the flows, tasks, parameters, refs
//! and runs of the project that the command line is about.
//!
//! The script calls the program with `GHTRADER_COMPLETE` set and the words so far. Nothing is run then, nothing written, and
//! what cannot be read completes to nothing.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::{CompleteEnv, Shells};

use super::{Cli, CliError, Exit, Global, Project};
use crate::flow::{Flow, Param};
use crate::kinds::Kinds;
use crate::provenance::{list, load};
use crate::refs::Refs;

const VARIABLE: &str = "GHTRADER_COMPLETE";
const NAME: &str = "ghtrader";

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, CliError> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell.to_string()) else {
        return Err(CliError::usage(format!("no completions for {}", args.shell), "one of bash, fish, zsh"));
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, NAME, NAME, &program(), &mut script)?;
    super::error::print(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Done)
}

/// The name of this program where the shell finds it by that, otherwise its path.
fn program() -> String {
    let here = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(NAME));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).any(|folder| folder.join(NAME).is_file());
    if on_path { NAME.to_owned() } else { here.display().to_string() }
}

/// Answers a shell that asks; whether one did.
pub(super) fn answered() -> bool {
    let here = std::env::current_dir().ok();
    let env = CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin(NAME);
    // What cannot be completed is no error that a shell could show.
    env.try_complete(std::env::args_os(), here.as_deref()).unwrap_or(true)
}

/// The command line so far, as far as it can be understood.
fn line() -> Option<clap::ArgMatches> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    Cli::command().ignore_errors(true).try_get_matches_from(words).ok()
}

fn project() -> Option<Project> {
    let global = Global::from_arg_matches(&line()?).ok()?;
    Project::find(&global).ok()
}

/// An argument of the subcommand.
fn argument(name: &str) -> Option<String> {
    line()?.subcommand()?.1.try_get_one::<String>(name).ok()?.cloned()
}

/// The flow of the command line, also where it is broken.
fn flow() -> Option<Flow> {
    let (project, name) = (project()?, argument("flow")?);
    let broken = || {
        let path = project.flow_path(&name).ok()?;
        Flow::read(&path, "", std::fs::read_to_string(&path).ok()?).0
    };
    project.flow(&name, &Kinds::installed()).ok().or_else(broken)
}

/// Those of `names` that begin as the present word does; an explanation each.
fn starting<N: Into<String>>(
    current: &OsStr,
    names: impl IntoIterator<Item = (N, String)>,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let names =
        names.into_iter().map(|(name, help)| (name.into(), help)).filter(|(name, _)| name.starts_with(&*current));
    names.map(|(name, help)| CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into()))).collect()
}

/// FLOW: names, and files.
pub(super) fn flows() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let names = project().and_then(|project| project.flows().ok()).unwrap_or_default();
        let mut found = starting(current, names.into_iter().map(|name| (name, String::new())));
        if found.is_empty() {
            found = PathCompleter::any().complete(current);
        }
        found
    })
}

/// TASK.
pub(super) fn tasks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let tasks = flow().map(|flow| flow.tasks).unwrap_or_default();
        starting(current, tasks.into_iter().map(|task| (task.name.value, String::new())))
    })
}

/// NAME=VALUE of `-p`: the names, and the choices or the default as a value.
pub(super) fn params() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let params = flow().map(|flow| flow.params).unwrap_or_default();
        if !current.to_string_lossy().contains('=') {
            let name = |param: Param| (format!("{}=", param.name), param.help.unwrap_or_default());
            return starting(current, params.into_iter().map(name));
        }
        let values = params.iter().flat_map(|param| {
            let values = param.choices.iter().flatten().chain(&param.default);
            values.map(|value| (format!("{}={}", param.name, crate::plan::text_of(value)), String::new()))
        });
        // A default is often one of the choices.
        let mut seen = std::collections::BTreeSet::new();
        starting(current, values.filter(|(value, _)| seen.insert(value.clone())))
    })
}

/// RUN: `last`, and the newest ones.
pub(super) fn runs() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let runs = project().and_then(|project| list(&project.look().ok()?.runs()).ok()).unwrap_or_default();
        let newest = runs.into_iter().rev().take(20).map(|run| (run, String::new()));
        starting(current, [("last".to_owned(), "the newest run".to_owned())].into_iter().chain(newest))
    })
}

/// The tasks of a run.
pub(super) fn tasks_of_run() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let tasks = || {
            let (runs, run) = (project()?.look().ok()?.runs(), argument("run")?);
            let run = list(&runs).ok()?.into_iter().rfind(|id| run == "last" || id.ends_with(&run.to_uppercase()))?;
            Some(load(&runs, &run).ok()?.1?.tasks)
        };
        starting(current, tasks().unwrap_or_default().into_iter().map(|(task, entry)| (task, entry.state.to_string())))
    })
}

fn ref_names() -> Vec<(String, String)> {
    let refs = || Refs::here(&project()?.look().ok()?).list().ok();
    refs().unwrap_or_default().into_iter().map(|(name, _)| (name, String::new())).collect()
}

/// The name of a ref.
pub(super) fn refs() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| starting(current, ref_names()))
}

/// ARTIFACT: refs and files.
pub(super) fn artifacts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mut found = starting(current, ref_names());
        found.extend(PathCompleter::any().complete(current));
        found
    })
}

/// KIND.
pub(super) fn kinds() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let kinds = Kinds::installed();
        let all = kinds.all().unwrap_or_default();
        starting(current, all.into_iter().map(|kind| (kind.spec.name.clone(), kind.spec.about.clone())))
    })
}
