//! How long executions took, and how much memory: what the next ones are expected to take. The tables and what is asked of
//! them; what follows from the answers is `src/schedule/forecast.rs`.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Cache, Result};
use crate::key::{Group, Part};
use crate::manifest::Manifest;

/// So many of the last executions count: what was long ago was other data, perhaps.
pub const LAST: u32 = 5;

/// A task that was executed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTask {
    /// Its number in the index.
    pub id: i64,
    /// Its kind; empty for a command.
    pub kind: String,
    /// The flow in which it ran.
    pub flow: String,
    /// Its name there.
    pub name: String,
}

/// An execution, as far as it tells what the next one takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// When it ended, in microseconds since 1970.
    pub finished: i64,
    /// How long it ran.
    pub seconds: f64,
    /// Its peak memory, in bytes.
    pub memory: u64,
}

/// What an instance does, as far as that tells how long it takes: command, parameters and axes, whatever its inputs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Work(i64);

impl Work {
    /// Of an instance, by the parts of its key and its name.
    pub fn of(parts: &[Part], instance: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        let counts = |part: &&Part| matches!(part.group, Group::Command | Group::With);
        let texts = parts.iter().filter(counts).flat_map(|part| [part.name.as_str(), part.value.as_str()]);
        for text in texts.chain([instance.split_once('[').map_or("", |(_, axes)| axes)]) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        Self(i64::from_le_bytes(bytes))
    }
}

impl Cache {
    /// All tasks of all flows that were executed before.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn past_tasks(&self) -> Result<Vec<PastTask>> {
        self.query(|index| {
            let row = |row: &Row<'_>| {
                Ok(PastTask { id: row.get(0)?, kind: row.get(1)?, flow: row.get(2)?, name: row.get(3)? })
            };
            index.prepare_cached("SELECT id, kind, flow, name FROM tasks ORDER BY id")?.query_map([], row)?.collect()
        })
    }

    /// The last executions of any instance of a task, the last one first.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn past_of_task(&self, task: i64) -> Result<Vec<Past>> {
        self.query(|index| {
            index
                .prepare_cached(
                    "SELECT finished, seconds, memory FROM history WHERE task = ?1 ORDER BY finished DESC LIMIT ?2",
                )?
                .query_map(params![task, LAST], |row| past(row, 0))?
                .collect()
        })
    }

    /// The last executions of what an instance of a task does, the last one first.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn past_of_work(&self, task: i64, work: Work) -> Result<Vec<Past>> {
        let sql = "SELECT finished, seconds, memory FROM history WHERE task = ?1 AND work = ?2
                   ORDER BY finished DESC LIMIT ?3";
        self.query(|index| {
            index.prepare_cached(sql)?.query_map(params![task, work.0, LAST], |row| past(row, 0))?.collect()
        })
    }

    /// The same of all that instances of a task ever did, in one question.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn past_by_work(&self, task: i64) -> Result<HashMap<Work, Vec<Past>>> {
        let sql = "SELECT work, finished, seconds, memory FROM history WHERE task = ?1 ORDER BY work, finished DESC";
        self.query(|index| {
            let mut all: HashMap<Work, Vec<Past>> = HashMap::new();
            let mut statement = index.prepare_cached(sql)?;
            let mut rows = statement.query([task])?;
            while let Some(row) = rows.next()? {
                let of_work = all.entry(Work(row.get(0)?)).or_default();
                if of_work.len() < LAST as usize {
                    of_work.push(past(row, 1)?);
                }
            }
            Ok(all)
        })
    }
}

fn past(row: &Row<'_>, first: usize) -> rusqlite::Result<Past> {
    let memory: i64 = row.get(first + 2)?;
    Ok(Past { finished: row.get(first)?, seconds: row.get(first + 1)?, memory: memory.cast_unsigned() })
}

/// Adds an execution; one that is there already is not added again.
pub(super) fn add(index: &Connection, manifest: &Manifest) -> rusqlite::Result<()> {
    let Manifest { parts, flow, task, execution, .. } = manifest;
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let (Some(started), Some(finished)) = (time(&execution.started), time(&execution.finished)) else { return Ok(()) };
    let seconds = finished.duration_since(started).as_secs_f64().max(0.0);
    let kind = parts.iter().find(|part| part.group == Group::Kind).map_or("", |part| part.name.as_str());
    let name = task.split_once('[').map_or(task.as_str(), |(name, _)| name);
    let id = task_id(index, kind, flow, name)?;
    index.prepare_cached("INSERT OR IGNORE INTO history VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        id,
        Work::of(parts, task).0,
        finished.as_microsecond(),
        seconds,
        execution.peak_memory.cast_signed()
    ])?;
    Ok(())
}

fn task_id(index: &Connection, kind: &str, flow: &str, name: &str) -> rusqlite::Result<i64> {
    let known = index
        .prepare_cached("SELECT id FROM tasks WHERE flow = ?1 AND name = ?2 AND kind = ?3")?
        .query_row([flow, name, kind], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    index.prepare_cached("INSERT INTO tasks (kind, flow, name) VALUES (?1, ?2, ?3)")?.insert([kind, flow, name])
}
