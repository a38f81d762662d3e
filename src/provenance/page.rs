//! The record of a run as a page: what was asked, what its events and the manifests of its tasks tell.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::log::{Tail, tail};
use super::run::{RunEnd, RunStart, RunTask, events, is_going_on, load, log, tasks_so_far, unfinished};
use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::canonical;
use crate::manifest::{Manifest, Origin};
use crate::report::{FAILURES, Row, RunPage, duration};

/// The page of a run, whether it has ended or not.
///
/// # Errors
/// Where its record or the cache cannot be read.
pub fn run_page(cache: &Cache, run: &str) -> Result<RunPage, CacheError> {
    let runs = cache.runs();
    let (start, end) = load(&runs, run)?;
    let events = events(&runs, run)?;
    let tasks = end.as_ref().map_or_else(|| tasks_so_far(&events), |end| end.tasks.clone());
    let began: Timestamp = start.started.parse().unwrap_or(Timestamp::MIN);
    let times = times(&events);
    let mut record = Record { cache, folder: &runs.join(run), run, began, times, executed: Vec::new(), logs: 0 };
    let mut rows = Vec::with_capacity(tasks.len());
    if end.is_none() {
        rows.extend(record.begun(&events, &tasks));
    }
    for (name, task) in tasks {
        rows.push(record.row(name, task)?);
    }
    let seconds = match &end {
        Some(end) => end.seconds,
        None if is_going_on(&runs, run) => record.since(Timestamp::now()),
        None => 0.0,
    };
    let notes = cache.take_notices().iter().map(ToString::to_string).collect();
    let mut facts = facts(&start, end.as_ref(), unfinished(&runs, run));
    if let Some(path) = longest_path(record.executed).filter(|_| end.is_some()) {
        let what = format!("no less than {}, however many ran at once", duration(path));
        facts.push(("longest path".to_owned(), what));
    }
    let expected = end.is_none().then(|| expected(&events).unwrap_or_default());
    Ok(RunPage { run: run.to_owned(), facts, seconds, expected, tasks: rows, notes })
}

/// What there is to say of one task of a run; `None` where it has told of none of this name.
///
/// # Errors
/// Where its record or the cache cannot be read.
pub fn task_row(cache: &Cache, run: &str, task: &str) -> Result<Option<Row>, CacheError> {
    let runs = cache.runs();
    let (start, end) = load(&runs, run)?;
    let events = events(&runs, run)?;
    let began: Timestamp = start.started.parse().unwrap_or(Timestamp::MIN);
    let of_task: Vec<Value> = events.into_iter().filter(|event| text(&event["task"]) == task).collect();
    let told = match end {
        Some(mut end) => end.tasks.remove(task),
        None => tasks_so_far(&of_task).remove(task),
    };
    let times = times(&of_task);
    let mut record = Record { cache, folder: &runs.join(run), run, began, times, executed: Vec::new(), logs: 0 };
    match told {
        Some(told) => record.row(task.to_owned(), told).map(Some),
        None => Ok(record.begun(&of_task, &BTreeMap::new()).pop()),
    }
}

/// How many tasks a run has, as far as it has told.
fn expected(events: &[Value]) -> Option<usize> {
    let told = events.iter().rev().find(|event| event["event"] == "expected")?;
    told["tasks"].as_u64().and_then(|tasks| tasks.try_into().ok())
}

fn facts(start: &RunStart, end: Option<&RunEnd>, unfinished: &str) -> Vec<(String, String)> {
    let dirty = if start.dirty { ", with changes" } else { "" };
    let mut facts = vec![
        ("flow", format!("{} ({})", start.flow, start.file)),
        ("started", start.started.clone()),
        ("state", if end.is_none() { unfinished.to_owned() } else { String::new() }),
        ("ended", end.map(|end| end.finished.clone()).unwrap_or_default()),
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

/// What is read to make the rows.
struct Record<'a> {
    cache: &'a Cache,
    folder: &'a Path,
    run: &'a str,
    began: Timestamp,
    times: HashMap<&'a str, [Option<Timestamp>; 2]>,
    executed: Vec<Executed>,
    /// How many logs were read.
    logs: usize,
}

impl Record<'_> {
    fn since(&self, at: Timestamp) -> f64 {
        at.duration_since(self.began).as_secs_f64()
    }

    /// Rows for the tasks that have begun and not ended, with the last progress that they told.
    fn begun(&self, events: &[Value], ended: &BTreeMap<String, RunTask>) -> Vec<Row> {
        let of_task = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
        let told = of_task("progress").filter_map(|event| Some((event["task"].as_str()?, event)));
        let progress: HashMap<&str, &Value> = told.collect();
        let state = unfinished(&self.cache.runs(), self.run);
        let begun: BTreeMap<&str, &Value> = of_task("task")
            .filter(|event| event["state"] == "running")
            .filter_map(|event| Some((event["task"].as_str()?, event)))
            .collect();
        let open = begun.into_iter().filter(|(task, _)| !ended.contains_key(*task));
        let row = |(task, event): (&str, &Value)| {
            let started = self.times.get(task).and_then(|[started, _]| *started).filter(|_| state == "running");
            let seconds = started.map(|started| Timestamp::now().duration_since(started).as_secs_f64());
            let reason = match progress.get(task) {
                Some(told) => format!("{} of {} {}", told["done"], told["total"], text(&told["text"])),
                None => text(&event["reason"]).to_owned(),
            };
            let time = started.map(|started| self.since(started)).zip(seconds).map(|(at, took)| [at, at, at + took]);
            let key = text(&event["key"]).parse().ok();
            Row { task: task.to_owned(), state: state.to_owned(), reason, key, seconds, time, ..Row::default() }
        };
        open.map(row).collect()
    }

    fn row(&mut self, name: String, task: RunTask) -> Result<Row, CacheError> {
        let state = task.state.to_string();
        let reason = task.reason.clone().unwrap_or_default();
        let mut row = Row { state, reason, key: task.key, seconds: task.seconds, ..Row::default() };
        if row.state == "failed" {
            // A failed task has no manifest: what was heard of it tells its times.
            if let Some([Some(started), Some(ended)]) = self.times.get(name.as_str()) {
                row.time = Some([self.since(*started), self.since(*started), self.since(*ended)]);
                row.seconds = Some(ended.duration_since(*started).as_secs_f64());
            }
            if self.logs < FAILURES {
                row.log = end(&log(self.folder, &name));
            }
            self.logs += 1;
        }
        let key = task.key.filter(|_| row.state == "ran");
        if let Some(manifest) = key.map(|key| executed(self.cache, self.run, &key)).transpose()?.flatten() {
            let execution = &manifest.execution;
            if let (Ok(started), Ok(ended)) = (execution.started.parse(), execution.finished.parse()) {
                let ready = (self.since(started) - execution.waited).max(0.0);
                row.time = Some([ready, self.since(started), self.since(ended)]);
            }
            row.cpu = Some(execution.cpu);
            row.memory = Some(execution.peak_memory);
            row.attempts = Some(execution.attempts);
            row.devices.clone_from(&execution.devices);
            self.executed.extend(Executed::of(&manifest));
        }
        Ok(Row { task: name, ..row })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The execution of a key in a run.
fn executed(cache: &Cache, run: &str, key: &Hash) -> Result<Option<Manifest>, CacheError> {
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
