//! `ghtrader report RUN -o FILE.html`: a run as one HTML page.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::error::print;
use super::run::run_folder;
use super::runs::{find, unfinished};
use super::{CliError, Exit, Project};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::key::canonical;
use crate::manifest::{Manifest, Origin};
use crate::provenance::{RunEnd, RunStart, RunTask, Tail, events, load, log, tail, tasks_so_far};
use crate::report::{Page, Row, duration, page};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A run's id, or its last digits; `last` for the newest
    run: String,
    /// Where to put the page; a file that lies there is replaced
    #[arg(short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn report(project: &Project, args: &ReportArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let run = find(&cache, &args.run)?;
    let (start, end) = load(&cache.runs(), &run)?;
    let events = events(&cache.runs(), &run)?;
    let tasks = end.as_ref().map_or_else(|| tasks_so_far(&events), |end| end.tasks.clone());
    let times = times(&events);
    let began: Timestamp = start.started.parse().unwrap_or(Timestamp::MIN);
    let mut rows = Vec::with_capacity(tasks.len());
    let mut executed = Vec::new();
    for (name, task) in tasks {
        rows.push(row(&cache, &run, began, &times, name, task, &mut executed)?);
    }
    let seconds = end.as_ref().map_or(0.0, |end| end.seconds);
    let notes = cache.take_notices().iter().map(ToString::to_string).collect();
    let mut facts = facts(&start, end.as_ref(), unfinished(&cache, &run));
    if let Some(path) = longest_path(executed) {
        let what = format!("no less than {}, however many ran at once", duration(path));
        facts.push(("longest path".to_owned(), what));
    }
    let html = page(&Page { run, facts, seconds, tasks: rows, notes });
    replace(&args.output, &html)?;
    if !project.quiet {
        print(&format!("{} → {}", start.run, args.output.display()));
    }
    Ok(Exit::Done)
}

fn facts(start: &RunStart, end: Option<&RunEnd>, unfinished: &str) -> Vec<(String, String)> {
    let dirty = if start.dirty { ", with changes" } else { "" };
    let mut facts = vec![
        ("flow", format!("{} ({})", start.flow, start.file)),
        ("started", start.started.clone()),
        ("ended", end.map_or(unfinished.to_owned(), |end| end.finished.clone())),
        ("took", end.map(|end| duration(end.seconds)).unwrap_or_default()),
        ("exit code", end.map(|end| end.exit.to_string()).unwrap_or_default()),
        ("asked for", start.targets.join(" ")),
        ("commit", start.commit.as_ref().map(|commit| format!("{commit}{dirty}")).unwrap_or_default()),
        ("by", format!("{} on {}, ghtrader {}", start.user, start.host, start.version)),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    let mut facts: Vec<(String, String)> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    facts.extend(start.params.iter().map(|(name, value)| (format!("parameter {name}"), canonical(value))));
    facts
}

/// When each task was last told to run, and when its end was told.
fn times(events: &[Value]) -> HashMap<&str, [Option<Timestamp>; 2]> {
    let mut times: HashMap<&str, [Option<Timestamp>; 2]> = HashMap::new();
    for event in events.iter().filter(|event| event["event"] == "task") {
        let at = event["at"].as_str().and_then(|at| at.parse().ok());
        let Some(task) = event["task"].as_str() else { continue };
        let [started, ended] = times.entry(task).or_default();
        *(if event["state"] == "running" { started } else { ended }) = at;
    }
    times
}

fn row(
    cache: &Cache,
    run: &str,
    began: Timestamp,
    times: &HashMap<&str, [Option<Timestamp>; 2]>,
    name: String,
    task: RunTask,
    ran: &mut Vec<Executed>,
) -> Result<Row, CliError> {
    let since = |at: Timestamp| at.duration_since(began).as_secs_f64();
    let state = task.state.to_string();
    let reason = task.reason.clone().unwrap_or_default();
    let mut row = Row { state, reason, seconds: task.seconds, ..Row::default() };
    if row.state == "failed" {
        // A failed task has no manifest: what was heard of it tells its times.
        if let Some([Some(started), Some(ended)]) = times.get(name.as_str()) {
            row.time = Some([since(*started), since(*started), since(*ended)]);
            row.seconds = Some(ended.duration_since(*started).as_secs_f64());
        }
        row.log = end(&log(&run_folder(cache, run), &name));
    }
    let key = task.key.filter(|_| row.state == "ran");
    if let Some(manifest) = key.map(|key| executed(cache, run, &key)).transpose()?.flatten() {
        let execution = &manifest.execution;
        if let (Ok(started), Ok(ended)) = (execution.started.parse(), execution.finished.parse()) {
            row.time = Some([(since(started) - execution.waited).max(0.0), since(started), since(ended)]);
        }
        row.cpu = Some(execution.cpu);
        row.memory = Some(execution.peak_memory);
        row.attempts = Some(execution.attempts);
        row.devices.clone_from(&execution.devices);
        ran.extend(Executed::of(&manifest));
    }
    Ok(Row { task: name, ..row })
}

/// The execution of a key in a run.
fn executed(cache: &Cache, run: &str, key: &Hash) -> Result<Option<Manifest>, CliError> {
    Ok(cache.executions(key)?.into_iter().find(|manifest| manifest.run == run))
}

/// As much of an execution as the longest path follows from.
struct Executed {
    key: Hash,
    started: Timestamp,
    seconds: f64,
    /// The keys of what it read.
    sources: Vec<Hash>,
}

impl Executed {
    fn of(manifest: &Manifest) -> Option<Self> {
        let started: Timestamp = manifest.execution.started.parse().ok()?;
        let ended: Timestamp = manifest.execution.finished.parse().ok()?;
        let origins = manifest.inputs.values().flat_map(|input| &input.origins);
        Some(Self {
            key: manifest.key,
            started,
            seconds: ended.duration_since(started).as_secs_f64(),
            sources: origins.filter_map(Origin::key).copied().collect(),
        })
    }
}

/// The longest path of executions of which each read what the one before it wrote, in seconds; `None` where there are none.
fn longest_path(mut executed: Vec<Executed>) -> Option<f64> {
    // Whoever wrote what another one read had ended when that one started.
    executed.sort_by_key(|executed| executed.started);
    let mut paths: HashMap<Hash, f64> = HashMap::with_capacity(executed.len());
    for Executed { key, seconds, sources, .. } in executed {
        let before = sources.iter().filter_map(|key| paths.get(key)).fold(0.0, |a: f64, b| a.max(*b));
        paths.insert(key, before + seconds);
    }
    paths.into_values().reduce(f64::max)
}

/// The end of a log; `None` where there is none.
fn end(log: &Path) -> Option<String> {
    const BYTES: u64 = 16 << 10;
    let Tail { text, cut } = tail(log, BYTES).ok()?;
    Some(if cut { format!("…\n{text}") } else { text })
}

/// Writes the page beside its place and gives it its name in one step.
fn replace(path: &Path, html: &str) -> Result<(), CliError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || path.is_dir() {
        return Err(CliError::usage(
            format!("{} is not the name of a file", path.display()),
            "name one: `-o run.html`",
        ));
    }
    // A link stays, and what it leads to is written; to a device or a pipe there is only writing.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(fs_err::write(&target, html)?);
    }
    let path = target.as_path();
    let half = path.with_file_name(format!(".{name}.{}", ulid::Ulid::generate()));
    let written = fs_err::write(&half, html).and_then(|()| fs_err::rename(&half, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&half);
    }
    Ok(written?)
}
