//! `ghtrader runs`, `show RUN` and `log RUN TASK`: the history.

use clap::Args;

use super::error::print;
use super::run::run_folder;
use super::{CliError, Exit, Project, completions};
use crate::diagnostic::{Diagnostic, nearest};
use crate::hash::Hash;
use crate::key::canonical;
use crate::provenance::{
    RunStart, RunTask, events, executed, find_run, instance, is_log_kept, list, load, load_counts, log as log_path,
    run_page, unfinished,
};
use crate::report::{Row, duration, put, table};

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A run's id, or its last digits; `last` for the newest
    #[arg(add = completions::runs())]
    run: String,
}

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// A run's id, or its last digits; `last` for the newest
    #[arg(add = completions::runs())]
    run: String,
    /// The instance: `train[variety=cu]`
    #[arg(add = completions::tasks_of_run())]
    task: String,
}

pub(super) fn runs(project: &Project) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let mut rows = Vec::new();
    for run in list(&cache.runs())? {
        let (start, end) = match load_counts(&cache.runs(), &run) {
            Ok(record) => record,
            // One damaged record must not hide the others.
            Err(error) => {
                rows.push(vec![run, String::new(), String::new(), String::new(), error.to_string()]);
                continue;
            }
        };
        let (counts, took) = match &end {
            Some(end) => (end.to_string(), duration(end.seconds)),
            None => (unfinished(&cache.runs(), &run).to_owned(), String::new()),
        };
        rows.push(vec![run, start.flow, start.started, took, counts]);
    }
    if rows.is_empty() {
        print("no runs yet");
    } else {
        print(&table(&["run", "flow", "started", "took", ""].map(str::to_owned), rows));
    }
    Ok(Exit::Done)
}

pub(super) fn show(project: &Project, args: &ShowArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let run = find_run(&cache, &args.run)?;
    let (start, end) = load(&cache.runs(), &run)?;
    head(&start);
    let rows: Vec<_> = match end {
        Some(end) => {
            print(&format!("{end} in {}", duration(end.seconds)));
            let of = |(task, told): (String, RunTask)| {
                row(task, told.state.to_string(), told.seconds, told.key, told.reason.unwrap_or_default())
            };
            end.tasks.into_iter().map(of).collect()
        }
        None => {
            print(unfinished(&cache.runs(), &run));
            let of = |of: Row| row(of.task, of.state, of.seconds, of.key, of.reason);
            run_page(&cache, &run)?.tasks.into_iter().map(of).collect()
        }
    };
    print(&table(&["task", "state", "took", "key", "why"].map(str::to_owned), rows));
    Ok(Exit::Done)
}

fn row(task: String, state: String, seconds: Option<f64>, key: Option<Hash>, why: String) -> Vec<String> {
    let key = key.map(|key| key.short()).unwrap_or_default();
    vec![task, state, seconds.map(duration).unwrap_or_default(), key, why]
}

fn head(start: &RunStart) {
    let commit = match (&start.commit, start.dirty) {
        (Some(commit), true) => format!(", commit {commit} with changes"),
        (Some(commit), false) => format!(", commit {commit}"),
        (None, _) => String::new(),
    };
    print(&format!(
        "run {} of {} by {} on {} at {}{commit}",
        start.run, start.file, start.user, start.host, start.started
    ));
    for (name, value) in &start.params {
        print(&format!("  {name} = {}", canonical(value)));
    }
}

pub(super) fn log(project: &Project, args: &LogArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let run = find_run(&cache, &args.run)?;
    let task = instance(&args.task);
    let path = log_path(&run_folder(&cache, &run), &task);
    if !path.is_file() {
        if executed(&events(&cache.runs(), &run)?).contains(&task) {
            // It wrote nothing.
            return Ok(Exit::Done);
        }
        let tasks = load(&cache.runs(), &run)?.1.map(|end| end.tasks).unwrap_or_default();
        let instances: Vec<&String> = tasks.keys().filter(|name| is_instance(name, &task)).collect();
        if let [first, ..] = instances.as_slice() {
            let message = format!("`{task}` has {} instances in run {run}: name one", instances.len());
            return Err(CliError::usage(message, format!("e.g. `ghtrader log {} '{first}'`", args.run)));
        }
        let why =
            if is_log_kept(&cache.runs(), &run) { "it did not execute it" } else { "it was removed by `cache gc`" };
        let message = format!("run {run} has no log of `{task}`: {why}");
        let help = match tasks.get(&task).and_then(|entry| entry.key) {
            // Its result was there: another run executed it.
            Some(key) => cache
                .find_result(&key)?
                .filter(|result| result.run != run)
                .map(|result| format!("run {} did: `ghtrader log {} '{}'`", result.run, result.run, result.task)),
            None => nearest(&task, tasks.keys().map(String::as_str).filter(|known| *known != task)),
        };
        return Err(CliError::Invalid(vec![Diagnostic::new(message).maybe_help(help)]));
    }
    put(&fs_err::read(path)?);
    Ok(Exit::Done)
}

/// Whether `name` is one of several instances of `task`.
fn is_instance(name: &str, task: &str) -> bool {
    name.strip_prefix(task).is_some_and(|rest| rest.starts_with('['))
}
