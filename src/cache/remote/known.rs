//! What is known to be in a shared cache: a database of its own for each, beside the index, which only saves questions. It
//! may be deleted; what it said is asked for again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use fs_err as fs;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::cache::files::remove;
use crate::cache::index::{is_damage, open_quietly};
use crate::cache::{CacheError, Result};
use crate::hash::Hash;
use crate::sync::lock;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS results (key BLOB, n INTEGER, run TEXT NOT NULL, PRIMARY KEY (key, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (hash BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damaged (hash BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL);
";

/// What is known. One that may not write keeps what is new in memory.
#[derive(Debug)]
pub(super) struct Known {
    path: PathBuf,
    writable: bool,
    /// Opened at the first question.
    database: Mutex<Option<Connection>>,
    /// Of one that may not write.
    fresh: Mutex<Fresh>,
}

/// What was found since the database was written.
#[derive(Debug, Default)]
struct Fresh {
    results: HashSet<(Hash, u64)>,
    objects: HashSet<Hash>,
}

impl Known {
    pub(super) fn new(path: PathBuf, writable: bool) -> Self {
        Self { path, writable, database: Mutex::default(), fresh: Mutex::default() }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Says of which store it is: what was known of another one is forgotten.
    pub(super) fn is_of(&self, id: &str) -> Result<()> {
        let same = self.ask(|database| {
            let known = database.query_row("SELECT id FROM store", [], |row| row.get::<_, String>(0)).optional()?;
            Ok(known.as_deref() == Some(id))
        })?;
        if same {
            return Ok(());
        }
        if !self.writable {
            // As if nothing were known.
            *lock(&self.database) =
                Some(empty().map_err(|source| CacheError::Index { path: self.path.clone(), source })?);
            return Ok(());
        }
        self.change(|database| {
            database
                .execute_batch("DELETE FROM results; DELETE FROM objects; DELETE FROM damaged; DELETE FROM store")?;
            database.execute("INSERT INTO store VALUES (?1)", [id]).map(drop)
        })
    }

    /// The executions that are there.
    pub(super) fn results(&self) -> Result<HashSet<(Hash, u64)>> {
        let mut results: HashSet<(Hash, u64)> = self.ask(|database| {
            let mut statement = database.prepare("SELECT key, n FROM results")?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
            statement.query_map([], row)?.collect()
        })?;
        results.extend(&lock(&self.fresh).results);
        Ok(results)
    }

    /// The executions that are there, by the runs that they were of.
    pub(super) fn runs(&self) -> Result<HashSet<(Hash, String)>> {
        self.ask(|database| {
            let mut statement = database.prepare("SELECT key, run FROM results")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Whether an object is there; of a folder, all that it holds.
    pub(super) fn has_object(&self, hash: &Hash) -> Result<bool> {
        if lock(&self.fresh).objects.contains(hash) {
            return Ok(true);
        }
        self.ask(|database| {
            let mut statement = database.prepare_cached("SELECT 1 FROM objects WHERE hash = ?1")?;
            Ok(statement.query_row([hash], |_| Ok(())).optional()?.is_some())
        })
    }

    /// Whether an object was found damaged there.
    pub(super) fn is_damaged(&self, hash: &Hash) -> Result<bool> {
        self.ask(|database| {
            let mut statement = database.prepare_cached("SELECT 1 FROM damaged WHERE hash = ?1")?;
            Ok(statement.query_row([hash], |_| Ok(())).optional()?.is_some())
        })
    }

    /// These executions and objects are there.
    pub(super) fn add(&self, results: &[(Hash, u64, String)], objects: &[Hash]) -> Result<()> {
        if !self.writable {
            let mut fresh = lock(&self.fresh);
            fresh.results.extend(results.iter().map(|(key, n, _)| (*key, *n)));
            fresh.objects.extend(objects);
            return Ok(());
        }
        self.change(|database| {
            for (key, n, run) in results {
                let mut statement = database.prepare_cached("INSERT OR IGNORE INTO results VALUES (?1, ?2, ?3)")?;
                statement.execute(params![key, n.cast_signed(), run])?;
            }
            for hash in objects {
                database.prepare_cached("INSERT OR IGNORE INTO objects VALUES (?1)")?.execute([hash])?;
                database.prepare_cached("DELETE FROM damaged WHERE hash = ?1")?.execute([hash])?;
            }
            Ok(())
        })
    }

    /// An object that was damaged there was put right.
    pub(super) fn is_whole(&self, hash: &Hash) -> Result<()> {
        self.ask(|database| database.prepare_cached("DELETE FROM damaged WHERE hash = ?1")?.execute([hash]).map(drop))
    }

    /// An object is not there, or not as it should be.
    pub(super) fn forget(&self, hash: &Hash, damaged: bool) -> Result<()> {
        lock(&self.fresh).objects.remove(hash);
        if !self.writable {
            return Ok(());
        }
        self.change(|database| {
            database.prepare_cached("DELETE FROM objects WHERE hash = ?1")?.execute([hash])?;
            if damaged {
                database.prepare_cached("INSERT OR IGNORE INTO damaged VALUES (?1)")?.execute([hash])?;
            }
            Ok(())
        })
    }

    fn change(&self, work: impl Fn(&Connection) -> rusqlite::Result<()>) -> Result<()> {
        self.ask(|database| {
            database.execute_batch("BEGIN IMMEDIATE")?;
            let done = work(database);
            database.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            done
        })
    }

    /// Asks it. One that is damaged is made anew.
    fn ask<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut database = lock(&self.database);
        let mut asked = self.open(&mut database).and_then(&work);
        if asked.as_ref().is_err_and(is_damage) && self.writable {
            *database = None;
            self.discard()?;
            asked = self.open(&mut database).and_then(&work);
        }
        asked.map_err(|source| CacheError::Index { path: self.path.clone(), source })
    }

    fn open<'c>(&self, database: &'c mut Option<Connection>) -> rusqlite::Result<&'c Connection> {
        if database.is_none() {
            *database = Some(if self.writable { create(&self.path)? } else { read(&self.path)? });
        }
        database.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Removes what cannot be used.
    fn discard(&self) -> std::io::Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            remove(Path::new(&path))?;
        }
        Ok(())
    }
}

fn create(path: &Path) -> rusqlite::Result<Connection> {
    if let Some(folder) = path.parent() {
        // Where that fails, the database says so.
        let _ = fs::create_dir_all(folder);
    }
    let database = Connection::open(path)?;
    database.busy_timeout(Duration::from_secs(60))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

/// As it is, without writing anything; an empty one where there is none that can be used.
fn read(path: &Path) -> rusqlite::Result<Connection> {
    let Ok(source) = open_quietly(path) else { return empty() };
    let whole = source.query_row("SELECT count(*) FROM store", [], |row| row.get::<_, i64>(0));
    if whole.is_ok() { Ok(source) } else { empty() }
}

fn empty() -> rusqlite::Result<Connection> {
    let memory = Connection::open_in_memory()?;
    memory.execute_batch(SCHEMA)?;
    Ok(memory)
}
