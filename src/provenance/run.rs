//! The record of a run: a folder with what was asked, what happened, and the logs.
//!
//! ```text
//! runs/<id>/start.json     written when the run starts, never changed; locked while it goes on
//! runs/<id>/events.jsonl   the events, as `--format json` prints them, each with its time, but for what was cached
//! runs/<id>/logs/…         one file for each executed task that wrote something
//! runs/<id>/end.json       written when it ends; a run without one was killed
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::files::read_at_once;
use crate::hash::Hash;
use crate::report::{Event, Reporter, Summary, TaskState};

/// What was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStart {
    /// The run's id: a ULID, so that ids sort by time.
    pub run: String,
    /// The flow's name.
    pub flow: String,
    /// The flow's file, relative to the project root.
    pub file: String,
    /// Values of all parameters.
    pub params: BTreeMap<String, Value>,
    /// The tasks that were asked for; empty for all.
    pub targets: Vec<String>,
    /// The version of ghtrader.
    pub version: String,
    /// The git commit of the project, where it is under git.
    pub commit: Option<String>,
    /// Whether the project had uncommitted changes.
    pub dirty: bool,
    /// The machine.
    pub host: String,
    /// Who started it.
    pub user: String,
    /// RFC 3339, in UTC.
    pub started: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RunEnd")]
pub struct RunEnd<T = BTreeMap<String, RunTask>> {
    /// RFC 3339, in UTC.
    pub finished: String,
    /// How long it took.
    pub seconds: f64,
    /// The exit code.
    pub exit: u8,
    /// Executed.
    pub ran: usize,
    /// Had a recorded result.
    pub cached: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Every task of the run, by instance.
    pub tasks: T,
}

impl<T> std::fmt::Display for RunEnd<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ran, cached, failed, skipped, exit, .. } = self;
        write!(f, "{ran} ran, {cached} cached, {failed} failed, {skipped} skipped, exit {exit}")
    }
}

/// A task's part in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunTask {
    /// How it ended.
    pub state: RunTaskState,
    /// Why it ran, failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Hash>,
    /// How long it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// An event as it is kept: with its time, which `--format json` does not tell.
#[derive(Serialize)]
struct Kept<'a> {
    at: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// How a task's part in a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunTaskState {
    /// It was executed, and its result is recorded.
    Ran,
    /// Its result was recorded already.
    Cached,
    /// It failed.
    Failed,
    /// It was skipped.
    Skipped,
}

impl std::fmt::Display for RunTaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ran => "ran",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

impl RunTask {
    /// One that ended so, with nothing more to say.
    pub fn new(state: RunTaskState) -> Self {
        Self { state, reason: None, key: None, seconds: None }
    }
}

/// The folder of a run that goes on.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    events: BufWriter<File>,
    /// `start.json`, locked: who looks sees whether the run goes on.
    _going_on: File,
}

impl RunFolder {
    /// Makes the folder, and writes down what was asked.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn create(runs: &Path, start: &RunStart) -> std::io::Result<Self> {
        // Under another name until it is whole: a run that was killed at its start has no record.
        let half = runs.join(format!(".{}", start.run));
        let path = runs.join(&start.run);
        fs_err::create_dir_all(half.join("logs"))?;
        write_json(&half.join("start.json"), start)?;
        let events = BufWriter::new(File::create(half.join("events.jsonl"))?);
        let going_on = File::open(half.join("start.json"))?;
        // Where the file system has no locks, the run is taken for one that was killed, and its age protects it.
        let _ = going_on.try_lock();
        fs_err::rename(half, &path)?;
        Ok(Self { path, events, _going_on: going_on })
    }

    /// Removes the folder: nothing was started.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn discard(&self) -> std::io::Result<()> {
        fs_err::remove_dir_all(&self.path)
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn end(mut self, end: &RunEnd) -> std::io::Result<()> {
        self.events.flush()?;
        write_json(&self.path.join("end.json"), end)
    }
}

impl Reporter for RunFolder {
    /// What was cached is in `end.json`.
    fn shows(&self, state: TaskState) -> bool {
        state != TaskState::Cached
    }

    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Task(task) if task.state == TaskState::Cached) {
            return;
        }
        // The record of a run is for people; results do not depend on it, so a full disk must not end the run here.
        let kept = Kept { at: jiff::Timestamp::now().to_string(), event };
        let _ = serde_json::to_writer(&mut self.events, &kept).map(|()| self.events.write_all(b"\n"));
        if matches!(event, Event::Finished(Summary { .. })) {
            let _ = self.events.flush();
        }
    }

    /// Whoever looks at a run that goes on sees what has happened.
    fn pause(&mut self) {
        let _ = self.events.flush();
    }
}

/// The ids of all runs in the folder `runs`, the newest last.
///
/// # Errors
/// Where the folder cannot be read.
pub fn list(runs: &Path) -> std::io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Anything else is not a run's.
        if ulid::Ulid::from_string(&name).is_ok() {
            ids.push(name);
        }
    }
    ids.sort();
    Ok(ids)
}

/// A run's record; the end is missing while it runs, and where it was killed.
///
/// # Errors
/// Where the record cannot be read.
pub fn load(runs: &Path, run: &str) -> std::io::Result<(RunStart, Option<RunEnd>)> {
    read(runs, run)
}

fn read<T: DeserializeOwned>(runs: &Path, run: &str) -> std::io::Result<(RunStart, Option<RunEnd<T>>)> {
    let path = runs.join(run);
    let start = read_json(&path.join("start.json"))?;
    match read_json(&path.join("end.json")) {
        Ok(end) => Ok((start, Some(end))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((start, None)),
        Err(error) => Err(error),
    }
}

/// What was asked of a run.
///
/// # Errors
/// Where the record cannot be read.
pub fn load_start(runs: &Path, run: &str) -> std::io::Result<RunStart> {
    read_json(&runs.join(run).join("start.json"))
}

/// The same without its tasks, of which there may be very many.
///
/// # Errors
/// Where the record cannot be read.
pub fn load_counts(runs: &Path, run: &str) -> std::io::Result<(RunStart, Option<RunEnd<IgnoredAny>>)> {
    read(runs, run)
}

/// Whether a run goes on: one without an end that does not was killed.
pub fn is_going_on(runs: &Path, run: &str) -> bool {
    let start = File::open(runs.join(run).join("start.json"));
    start.is_ok_and(|start| matches!(start.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// What is to be said of a run that has no end.
pub fn unfinished(runs: &Path, run: &str) -> &'static str {
    if is_going_on(runs, run) { "running" } else { "killed" }
}

/// The keys of all results that a run has executed or used; none where its record cannot be read.
pub fn used_keys(runs: &Path, run: &str) -> Vec<Hash> {
    match load(runs, run) {
        Ok((_, Some(end))) => end.tasks.into_values().filter_map(|task| task.key).collect(),
        _ => Vec::new(),
    }
}

/// The events of a run, as they were kept; those that were removed by `cache gc` are none. The last line may be half-written.
///
/// # Errors
/// Where they cannot be read.
pub fn events(runs: &Path, run: &str) -> std::io::Result<Vec<Value>> {
    match read_at_once(&runs.join(run).join("events.jsonl")) {
        Ok(text) => {
            Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What the events of a run without an end tell of its tasks so far, by instance: all but those that are cached.
pub fn tasks_so_far(events: &[Value]) -> BTreeMap<String, RunTask> {
    let mut tasks = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "task") {
        let told = serde_json::json!({
            "state": event["state"], "reason": event["reason"], "key": event["key"], "seconds": event["seconds"],
        });
        if let (Some(task), Ok(told)) = (event["task"].as_str(), serde_json::from_value(told)) {
            tasks.insert(task.to_owned(), told);
        }
    }
    tasks
}

/// Whether the logs of a run are still there.
pub fn is_log_kept(runs: &Path, run: &str) -> bool {
    runs.join(run).join("logs").is_dir()
}

/// Removes the logs and events of a run, unless it is only `asked`; gives their size. What was asked and how it ended stays.
///
/// # Errors
/// Where they cannot be removed.
pub fn forget_log(runs: &Path, run: &str, asked: bool) -> std::io::Result<u64> {
    let (logs, events) = (runs.join(run).join("logs"), runs.join(run).join("events.jsonl"));
    let mut bytes = std::fs::metadata(&events).map_or(0, |events| events.len());
    for log in fs_err::read_dir(&logs)? {
        bytes += log?.metadata()?.len();
    }
    if !asked {
        if events.exists() {
            fs_err::remove_file(events)?;
        }
        fs_err::remove_dir_all(logs)?;
    }
    Ok(bytes)
}

/// The instances that were started, as far as the events of a run say; those of a killed run may lack the last ones.
pub fn executed(events: &[Value]) -> BTreeSet<String> {
    let started = events.iter().filter(|event| event["state"] == "running");
    started.filter_map(|event| event["task"].as_str().map(str::to_owned)).collect()
}

/// Where the log of a task lies in a run's folder; one that wrote nothing has none.
pub fn log(run: &Path, task: &str) -> PathBuf {
    run.join("logs").join(format!("{}.log", file_name(task)))
}

/// The name of an instance as that of a file: safe, not too long, and different for different instances.
pub fn file_name(task: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.=,".contains(c) { c } else { '_' };
    let name: String = task.chars().take(80).map(plain).collect();
    format!("{name}-{}", Hash::of(task.as_bytes()).short())
}

fn write_json(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    // On one line: with 100,000 tasks, spaces would be half of it.
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    let half = path.with_extension("part");
    fs_err::write(&half, text)?;
    fs_err::rename(half, path)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> std::io::Result<T> {
    serde_json::from_slice(&read_at_once(path)?).map_err(|error| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{} is damaged: {error}", path.display()))
    })
}
