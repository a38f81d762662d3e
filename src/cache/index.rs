//! The local index (SQLite, WAL): where the database lies, how it comes to be, and what happens when it is damaged.
//! What it holds is in `schema.sql` and `history.sql`; what is asked of it, in `tables.rs` and `history.rs`.
//!
//! Everyone who has the database open holds a shared lock on `index.lock`. It is made beside its place and linked into
//! it, so there is never half a database. A damaged one is made anew from `results/` by whoever gets the lock alone; one
//! that cannot get it (another runner is still on the damaged one) works on a copy in memory, and so does a dry run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use ulid::Ulid;

use super::files::{Scrap, remove};
use super::{CacheError, Result};

/// Raised with the schema: another version is made anew, but for the one before, to which `history.sql` is added.
const VERSION: i64 = 3;
const BEFORE_HISTORY: i64 = 2;
const SCHEMA: &str = concat!(include_str!("schema.sql"), include_str!("history.sql"));
const HISTORY: &str = include_str!("history.sql");
/// Writers wait for each other; each holds the database for milliseconds.
const BUSY: Duration = Duration::from_secs(60);

/// The open index.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    path: PathBuf,
    /// Which making of the database this is; 0 for one in memory.
    id: i64,
    /// Held for as long as the database at `path` is open.
    held: Option<fs::File>,
}

/// How the index was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Whole,
    Missing,
    Damaged,
}

/// Fills an empty index from `results/`.
pub(super) type Fill<'a> = &'a dyn Fn(&Transaction<'_>) -> rusqlite::Result<()>;

impl Index {
    /// Opens the index in `folder`, or makes it anew.
    pub(super) fn open(folder: &Path, scrap: &Scrap, fill: Fill<'_>) -> Result<(Self, Condition)> {
        let path = folder.join("index.db");
        let lock = lock_file(folder)?;
        lock.file().lock_shared()?;
        let found = if path.exists() { Condition::Whole } else { Condition::Missing };
        let failed = |source| CacheError::Index { path: path.clone(), source };
        match Self::connect(&path, scrap, fill).map_err(failed)? {
            Ok((connection, id)) => Ok((Self { connection, path, id, held: Some(lock) }, found)),
            Err(_) => Ok((Self::renew(path, lock, scrap, fill, 0)?, Condition::Damaged)),
        }
    }

    /// Opens the index in `folder` without writing anything; one that is not whole is made anew in memory.
    pub(super) fn open_read_only(folder: &Path, fill: Fill<'_>) -> Result<(Self, Condition)> {
        let path = folder.join("index.db");
        if path.exists()
            && let Ok((connection, id)) = connect_read_only(&path)
        {
            return Ok((Self { connection, path, id, held: None }, Condition::Whole));
        }
        let found = if path.exists() { Condition::Damaged } else { Condition::Missing };
        Ok((Self::in_memory(path, fill)?, found))
    }

    /// Runs `work`. Damage that shows only now is repaired, and the work done again; `true` says so.
    pub(super) fn run<T>(
        &mut self,
        scrap: Option<&Scrap>,
        fill: Fill<'_>,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, bool)> {
        match work(&mut self.connection) {
            Ok(value) => Ok((value, false)),
            Err(error) if is_damage(&error) => {
                self.repair(scrap, fill)?;
                Ok((work(&mut self.connection).map_err(|source| self.error(source))?, true))
            }
            Err(source) => Err(self.error(source)),
        }
    }

    /// Two more connections that only read, for two threads; none to one in memory.
    pub(super) fn readers(&self) -> Option<(Connection, Connection)> {
        let connect = || match (&self.held, self.id) {
            (_, 0) => None,
            (None, _) => connect_read_only(&self.path).ok().map(|(connection, _)| connection),
            (Some(_), _) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(&self.path, flags).ok()
            }
        };
        connect().zip(connect())
    }

    fn repair(&mut self, scrap: Option<&Scrap>, fill: Fill<'_>) -> Result<()> {
        let (path, id) = (self.path.clone(), self.id);
        // Closes the damaged one first, and lets go of its lock.
        *self = Self::in_memory(path.clone(), &|_| Ok(()))?;
        *self = match scrap {
            Some(scrap) => {
                let lock = lock_file(path.parent().unwrap_or(Path::new(".")))?;
                Self::renew(path, lock, scrap, fill, id)?
            }
            None => Self::in_memory(path, fill)?,
        };
        Ok(())
    }

    /// Makes the index anew where nobody else has it open, otherwise in memory. `damaged` is the one that was found so.
    fn renew(path: PathBuf, lock: fs::File, scrap: &Scrap, fill: Fill<'_>, damaged: i64) -> Result<Self> {
        lock.file().unlock()?;
        if lock.file().try_lock().is_err() {
            return Self::in_memory(path, fill);
        }
        // Another process may have been here between the two locks.
        let failed = |source| CacheError::Index { path: path.clone(), source };
        let mut connection = Self::connect(&path, scrap, fill).map_err(failed)?;
        if connection.as_ref().map_or(true, |(_, id)| *id == damaged) {
            drop(connection);
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                remove(Path::new(&name))?;
            }
            connection = Self::connect(&path, scrap, fill).map_err(failed)?;
        }
        let (connection, id) = connection.map_err(failed)?;
        // From here on as everybody else. The conversion is not atomic, but who comes between finds a whole database.
        lock.file().lock_shared()?;
        Ok(Self { connection, path, id, held: Some(lock) })
    }

    /// Opens the database, made first where it is missing. The inner error is damage.
    fn connect(path: &Path, scrap: &Scrap, fill: Fill<'_>) -> rusqlite::Result<rusqlite::Result<(Connection, i64)>> {
        if !path.exists() {
            create(path, &scrap.path(), fill)?;
        }
        match Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|mut connection| prepare(&mut connection, fill).map(|id| (connection, id)))
        {
            Ok(connected) => Ok(Ok(connected)),
            Err(error) if is_damage(&error) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    fn in_memory(path: PathBuf, fill: Fill<'_>) -> Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let mut connection = Connection::open_in_memory()?;
            make(&mut connection, fill)?;
            Ok(connection)
        };
        let connection = open().map_err(|source| CacheError::Index { path: path.clone(), source })?;
        Ok(Self { connection, path, id: 0, held: None })
    }

    fn error(&self, source: rusqlite::Error) -> CacheError {
        CacheError::Index { path: self.path.clone(), source }
    }
}

fn lock_file(folder: &Path) -> std::io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(folder.join("index.lock"))
}

/// Makes a database beside its place and links it there, unless another process was faster.
fn create(path: &Path, temporary: &Path, fill: Fill<'_>) -> rusqlite::Result<()> {
    let mut connection = Connection::open(temporary)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    make(&mut connection, fill)?;
    connection.close().map_err(|(_, error)| error)?;
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(cannot_open(&error)),
        _ => fs::remove_file(temporary).map_err(|error| cannot_open(&error)),
    }
}

fn cannot_open(error: &std::io::Error) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN), Some(error.to_string()))
}

fn make(connection: &mut Connection, fill: Fill<'_>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    // Tells one making from the next: the damaged one from the one that another process has made since.
    let id = (Ulid::generate().0 & 0x7fff_ffff) as i64;
    transaction.pragma_update(None, "application_id", id.max(1))?;
    fill(&transaction)?;
    transaction.commit()
}

fn prepare(connection: &mut Connection, fill: Fill<'_>) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The manifests in `results/` are what has to last. A row that is lost with the power is found there again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65536)?;
    if version(connection)? == BEFORE_HISTORY {
        add_history(connection, fill)?;
    }
    check(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Adds to an index of the version before what that did not have. To fill it again changes nothing of what it has: rows that
/// are newer than the manifests (which key an instance has now) stay.
fn add_history(connection: &mut Connection, fill: Fill<'_>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been here meanwhile.
    if version(&transaction)? != BEFORE_HISTORY {
        return Ok(());
    }
    transaction.execute_batch(HISTORY)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    fill(&transaction)?;
    transaction.commit()
}

/// Which making of the database this is. An error where it is not a whole one of this version.
fn check(connection: &Connection) -> rusqlite::Result<i64> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))?;
    let expected = SCHEMA.matches("CREATE TABLE").count();
    if version(connection)? != VERSION || usize::try_from(tables) != Ok(expected) {
        return Err(not_ours());
    }
    id(connection)
}

fn id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

fn not_ours() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), None)
}

fn connect_read_only(path: &Path) -> rusqlite::Result<(Connection, i64)> {
    let connection = open_quietly(path)?;
    if version(&connection)? == BEFORE_HISTORY {
        // Who only reads has no history before somebody has written.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.execute_batch(&HISTORY.replace("CREATE TABLE", "CREATE TEMP TABLE"))?;
        let id = id(&connection)?;
        return Ok((connection, id));
    }
    let id = check(&connection)?;
    Ok((connection, id))
}

/// Opens a database to read, and writes nothing. Where nobody has the database open there is no write-ahead log, and SQLite would make one even to read; `immutable`
/// keeps it from that. A writer that comes later can then be seen in half, which shows as damage: `results/` is read.
pub(super) fn open_quietly(path: &Path) -> rusqlite::Result<Connection> {
    let text = path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let quiet = std::fs::metadata(wal).map_or(true, |metadata| metadata.len() == 0);
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{escaped}{}", if quiet { "?immutable=1" } else { "" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => match failure.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
            // A schema that was replaced by something else.
            ErrorCode::Unknown => text.as_deref().is_some_and(|text| text.starts_with("no such")),
            _ => false,
        },
        // A value of the wrong type or length: no version of this program writes one.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        rusqlite::Error::SqlInputError { msg, .. } => msg.starts_with("no such"),
        _ => false,
    }
}
