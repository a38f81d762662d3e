//! What is asked of the index, one function for each statement. They know SQL and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Result, Row, ToSql, params};

use super::stat::Stat;
use super::{Known, Recorded};
use crate::hash::{ByHash, Hash};
use crate::manifest::{Manifest, Origin};

impl ToSql for Hash {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl FromSql for Hash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let length = bytes.len();
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| FromSqlError::InvalidBlobSize { expected_size: 32, blob_size: length })?;
        Ok(bytes.into())
    }
}

/// Adds the `n`-th execution of a key.
pub(super) fn add_result(index: &Connection, manifest: &Manifest, n: u64) -> Result<()> {
    let Manifest { key, flow, task, run, .. } = manifest;
    let finished = &manifest.execution.finished;
    let outputs = serde_json::to_string(&manifest.outputs).map_err(|error| unfit(6, error))?;
    index
        .prepare_cached(
            "INSERT INTO results VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET
             n = ?2, flow = ?3, task = ?4, run = ?5, finished = ?6, outputs = ?7 WHERE ?2 > n",
        )?
        .execute(params![key, n.cast_signed(), flow, task, run, finished, outputs])?;
    let mut produced = index.prepare_cached("INSERT OR IGNORE INTO produced VALUES (?1, ?2, ?3)")?;
    for (name, artifact) in &manifest.outputs {
        produced.execute(params![artifact.hash, key, name])?;
    }
    let mut consumed = index.prepare_cached("INSERT OR IGNORE INTO consumed VALUES (?1, ?2, ?3)")?;
    for (name, input) in &manifest.inputs {
        consumed.execute(params![input.artifact.hash, key, name])?;
    }
    let mut followed = index.prepare_cached("INSERT OR IGNORE INTO followed VALUES (?1, ?2, ?3)")?;
    for (name, input) in &manifest.inputs {
        for source in input.origins.iter().filter_map(Origin::key) {
            followed.execute(params![source, key, name])?;
        }
    }
    super::history::add(index, manifest)?;
    set_last(index, flow, task, key, finished)
}

/// Forgets the `n`-th execution of a key, where that is the newest.
pub(super) fn forget_result(index: &Connection, key: &Hash, n: u64) -> Result<()> {
    let mut statement = index.prepare_cached("DELETE FROM results WHERE key = ?1 AND n = ?2")?;
    statement.execute(params![key, n.cast_signed()]).map(drop)
}

/// The key that an instance has, unless a later one is known.
pub(super) fn set_last(index: &Connection, flow: &str, task: &str, key: &Hash, at: &str) -> Result<()> {
    index
        .prepare_cached(
            "INSERT INTO last VALUES (?1, ?2, ?3, ?4) ON CONFLICT (flow, task) DO UPDATE SET key = ?3, finished = ?4
             WHERE ?4 >= finished",
        )?
        .execute(params![flow, task, key, at])
        .map(drop)
}

fn unfit(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// How many keys have a result.
pub(super) fn count_results(index: &Connection) -> Result<u64> {
    let count = index.query_row("SELECT count(*) FROM results", [], |row| row.get::<_, i64>(0))?;
    Ok(count.cast_unsigned())
}

/// The newest execution of a key.
pub(super) fn result(index: &Connection, key: Hash) -> Result<Option<Recorded>> {
    index
        .prepare_cached("SELECT flow, task, run, finished, outputs, n FROM results WHERE key = ?1")?
        .query_row([key], |row| recorded(row, key))
        .optional()
}

pub(super) fn recorded(row: &Row<'_>, key: Hash) -> Result<Recorded> {
    let text = row.get_ref(4)?.as_str()?;
    let outputs = serde_json::from_str(text).map_err(|error| unfit(4, error))?;
    let n: i64 = row.get(5)?;
    Ok(Recorded {
        key,
        flow: row.get(0)?,
        task: row.get(1)?,
        run: row.get(2)?,
        finished: row.get(3)?,
        outputs,
        n: n.cast_unsigned(),
    })
}

/// A row of the results, its outputs as they are written.
#[derive(Debug)]
pub(super) struct ResultRow {
    n: u64,
    finished: Box<str>,
    outputs: Box<str>,
}

impl ResultRow {
    /// `None` where its outputs cannot be read.
    pub(super) fn known(&self, key: Hash) -> Option<Known> {
        let outputs = serde_json::from_str(&self.outputs).ok()?;
        Some(Known { key, n: self.n, finished: self.finished.to_string(), outputs })
    }
}

/// The newest execution of every key.
pub(super) fn all_results(index: &Connection) -> Result<ByHash<ResultRow>> {
    index
        .prepare("SELECT key, n, finished, outputs FROM results")?
        .query_map([], |row| {
            let n: i64 = row.get(1)?;
            let text = |column| Ok::<_, rusqlite::Error>(Box::from(row.get_ref(column)?.as_str()?));
            Ok((row.get(0)?, ResultRow { n: n.cast_unsigned(), finished: text(2)?, outputs: text(3)? }))
        })?
        .collect()
}

/// What the file system said of every object when it was whole.
pub(super) fn all_objects(index: &Connection) -> Result<ByHash<Stat>> {
    index
        .prepare("SELECT size, mtime, ctime, inode, mode, hash FROM objects")?
        .query_map([], |row| Ok((row.get(5)?, stat(row)?)))?
        .collect()
}

/// What the file system said of source files when they had these hashes, by path.
pub(super) type Sources = HashMap<Box<[u8]>, (Stat, Hash)>;

/// All source files.
pub(super) fn all_sources(index: &Connection) -> Result<Sources> {
    index
        .prepare("SELECT size, mtime, ctime, inode, mode, hash, path FROM sources")?
        .query_map([], |row| Ok((Box::from(row.get_ref(6)?.as_blob()?), (stat(row)?, row.get(5)?))))?
        .collect()
}

/// The key of the last execution of an instance.
pub(super) fn last(index: &Connection, flow: &str, task: &str) -> Result<Option<Hash>> {
    index
        .prepare_cached("SELECT key FROM last WHERE flow = ?1 AND task = ?2")?
        .query_row([flow, task], |row| row.get(0))
        .optional()
}

/// Instances of a flow with the keys of their last executions.
pub(super) fn all_last(index: &Connection, flow: &str) -> Result<BTreeMap<String, Hash>> {
    index
        .prepare_cached("SELECT task, key FROM last WHERE flow = ?1")?
        .query_map([flow], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Those of the instances of a flow, sorted by name, whose key is not the one that is known for them. One pass over the
/// known ones, which come in the same order.
pub(super) fn not_last(index: &Connection, flow: &str, keys: &[(&str, Hash)]) -> Result<Vec<(String, Hash)>> {
    let (Some((first, _)), Some((end, _))) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let sql = "SELECT task, key FROM last WHERE flow = ?1 AND task BETWEEN ?2 AND ?3 ORDER BY task";
    let mut statement = index.prepare_cached(sql)?;
    let mut rows = statement.query([flow, first, end])?;
    let mut keys = keys.iter().peekable();
    let mut new = Vec::new();
    while let Some(row) = rows.next()? {
        let task = row.get_ref(0)?.as_str()?;
        while let Some((name, key)) = keys.next_if(|(name, _)| *name < task) {
            new.push(((*name).to_owned(), *key));
        }
        if let Some((name, key)) = keys.next_if(|(name, _)| *name == task)
            && row.get::<_, Hash>(1)? != *key
        {
            new.push(((*name).to_owned(), *key));
        }
    }
    new.extend(keys.map(|(name, key)| ((*name).to_owned(), *key)));
    Ok(new)
}

/// Keys that wrote `hash`, with the output's name.
pub(super) fn produced(index: &Connection, hash: Hash) -> Result<Vec<(Hash, String)>> {
    uses(index, "SELECT key, name FROM produced WHERE hash = ?1 ORDER BY key, name", hash)
}

/// Keys that read `hash`, with the input's name.
pub(super) fn consumed(index: &Connection, hash: Hash) -> Result<Vec<(Hash, String)>> {
    uses(index, "SELECT key, name FROM consumed WHERE hash = ?1 ORDER BY key, name", hash)
}

/// Keys that read something of what `source` wrote, with the input's name.
pub(super) fn followed(index: &Connection, source: Hash) -> Result<Vec<(Hash, String)>> {
    uses(index, "SELECT key, name FROM followed WHERE source = ?1 ORDER BY key, name", source)
}

/// One key that wrote `hash`, and one that read it, each with the name under which it did.
pub(super) fn one_use(index: &Connection, hash: Hash) -> Result<[Option<(Hash, String)>; 2]> {
    let one = |sql: &str| index.prepare_cached(sql)?.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?))).optional();
    Ok([
        one("SELECT key, name FROM produced WHERE hash = ?1 LIMIT 1")?,
        one("SELECT key, name FROM consumed WHERE hash = ?1 LIMIT 1")?,
    ])
}

fn uses(index: &Connection, sql: &str, hash: Hash) -> Result<Vec<(Hash, String)>> {
    index.prepare_cached(sql)?.query_map([hash], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Hashes between two, written, read or stored, at most `limit`.
pub(super) fn between(index: &Connection, low: Hash, high: Hash, limit: u32) -> Result<Vec<Hash>> {
    index
        .prepare_cached(
            "SELECT hash FROM (SELECT * FROM (SELECT DISTINCT hash FROM produced WHERE hash BETWEEN ?1 AND ?2 LIMIT ?3)
             UNION SELECT * FROM (SELECT DISTINCT hash FROM consumed WHERE hash BETWEEN ?1 AND ?2 LIMIT ?3)
             UNION SELECT * FROM (SELECT hash FROM objects WHERE hash BETWEEN ?1 AND ?2 LIMIT ?3)) ORDER BY hash LIMIT ?3",
        )?
        .query_map(params![low, high, limit], |row| row.get(0))?
        .collect()
}

/// Keys between two, at most `limit`.
pub(super) fn keys_between(index: &Connection, low: Hash, high: Hash, limit: u32) -> Result<Vec<Hash>> {
    index
        .prepare_cached("SELECT key FROM results WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3")?
        .query_map(params![low, high, limit], |row| row.get(0))?
        .collect()
}

fn stat(row: &Row<'_>) -> Result<Stat> {
    let (size, inode): (i64, i64) = (row.get(0)?, row.get(3)?);
    Ok(Stat {
        size: size.cast_unsigned(),
        mtime: row.get(1)?,
        ctime: row.get(2)?,
        inode: inode.cast_unsigned(),
        mode: row.get(4)?,
    })
}

/// What the file system said of an object when it was whole.
pub(super) fn object(index: &Connection, hash: Hash) -> Result<Option<Stat>> {
    index
        .prepare_cached("SELECT size, mtime, ctime, inode, mode FROM objects WHERE hash = ?1")?
        .query_row([hash], stat)
        .optional()
}

pub(super) fn set_object(index: &Connection, hash: Hash, stat: Stat) -> Result<()> {
    index.prepare_cached("REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        hash,
        stat.size.cast_signed(),
        stat.mtime,
        stat.ctime,
        stat.inode.cast_signed(),
        stat.mode
    ])?;
    Ok(())
}

/// The hash of a source file, if the file system still says the same of it.
pub(super) fn source(index: &Connection, path: &Path, now: Stat) -> Result<Option<Hash>> {
    let found = index
        .prepare_cached("SELECT size, mtime, ctime, inode, mode, hash FROM sources WHERE path = ?1")?
        .query_row([bytes(path)], |row| Ok((stat(row)?, row.get(5)?)))
        .optional()?;
    Ok(found.filter(|(then, _)| *then == now).map(|(_, hash)| hash))
}

/// All source files below a folder, by path.
pub(super) fn sources_below(index: &Connection, folder: &Path) -> Result<HashMap<Vec<u8>, (Stat, Hash)>> {
    let mut low = bytes(folder).to_vec();
    let mut high = low.clone();
    low.push(b'/');
    high.push(b'/' + 1);
    index
        .prepare_cached(
            "SELECT size, mtime, ctime, inode, mode, hash, path FROM sources WHERE path > ?1 AND path < ?2",
        )?
        .query_map([low, high], |row| Ok((row.get(6)?, (stat(row)?, row.get(5)?))))?
        .collect()
}

pub(super) fn set_source(index: &Connection, path: &Path, stat: Stat, hash: Hash) -> Result<()> {
    index.prepare_cached("REPLACE INTO sources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        bytes(path),
        stat.size.cast_signed(),
        stat.mtime,
        stat.ctime,
        stat.inode.cast_signed(),
        stat.mode,
        hash
    ])?;
    Ok(())
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}
