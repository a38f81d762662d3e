//! A store that is a folder: `<table>/<market>/<symbol>/<day>.parquet`, with `~<variant>` after the day where there is one.
//!
//! Of tables whose slices have an owner, an empty file `<table>/<market>/.of/<owner>/<symbol>~<day>` says so beside: to find what
//! belongs to one cell, the lines of all the others need not be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use ghtrader_market::{Day, table};

use crate::rows::{columns, digest, same};
use crate::{Column, Digest, Error, Result, Slice, Store, Table};

/// How the name of a file begins that is being written.
const NEW: &str = ".new";
/// Nobody writes a day for so long.
const OLD: Duration = Duration::from_secs(3_600);

/// Parquet files below a folder.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The files below `root`, which is made when there is something to put into it.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a slice lies.
    pub fn path(&self, slice: &Slice) -> PathBuf {
        let Slice { table, market, symbol, day, variant } = slice;
        let name = if variant.is_empty() { format!("{day}") } else { format!("{day}~{}", encode(variant)) };
        self.root.join(table.name()).join(encode(market)).join(encode(symbol)).join(format!("{name}.parquet"))
    }

    /// Where it lies which slices of a table and market belong to an owner.
    fn of(&self, table: Table, market: &str, owner: &str) -> PathBuf {
        self.root.join(table.name()).join(encode(market)).join(".of").join(encode(owner))
    }

    /// Says beside whom a slice belongs to. Before the slice is written, so that none is there without; a mark alone says nothing.
    fn mark(&self, slice: &Slice, rows: &RecordBatch) -> Result<()> {
        let Some(owner) = owner(slice.table, rows) else { return Ok(()) };
        let marks = self.of(slice.table, &slice.market, owner);
        fs_err::create_dir_all(&marks)?;
        Ok(fs_err::write(marks.join(format!("{}~{}", encode(&slice.symbol), slice.day)), "")?)
    }

    fn read(&self, slice: &Slice) -> Result<Option<RecordBatch>> {
        let path = self.path(slice);
        match path.try_exists() {
            Ok(true) => Ok(Some(table::read(&path)?.0)),
            Ok(false) => Ok(None),
            Err(error) => Err(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()),
        }
    }
}

impl Store for Folder {
    fn write(&self, slice: &Slice, rows: &RecordBatch) -> Result<()> {
        let path = self.path(slice);
        let folder = path.parent().unwrap_or(&self.root);
        fs_err::create_dir_all(folder)?;
        self.mark(slice, rows)?;
        replace(folder, &path, rows)
    }

    fn remove(&self, slice: &Slice) -> Result<()> {
        let path = self.path(slice);
        match fs_err::remove_file(&path) {
            Ok(()) => Ok(fs_err::File::open(path.parent().unwrap_or(&self.root))?.sync_all()?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn owned(&self, table: Table, market: &str, of: &str) -> Result<BTreeSet<(String, Day)>> {
        let marks = self.of(table, market, of);
        let mut owned = BTreeSet::new();
        if !marks.try_exists()? {
            return Ok(owned);
        }
        for mark in fs_err::read_dir(marks)? {
            let mark = mark?;
            let name = mark.file_name();
            let Some((symbol, day)) = name.to_str().and_then(marked) else { continue };
            let (market, variant) = (market.to_owned(), String::new());
            let line = match self.read(&Slice { table, market, symbol: symbol.clone(), day, variant }) {
                // A line that cannot be read is its owner's to write again, or to take out.
                Err(error) if error.is_damage() => true,
                // It may have been taken out since, or over by another owner.
                line => line?.is_some_and(|line| owner(table, &line) == Some(of)),
            };
            if line {
                owned.insert((symbol, day));
            }
        }
        Ok(owned)
    }

    fn put(&self, slice: &Slice, rows: &RecordBatch) -> Result<RecordBatch> {
        let there = self.read(slice).ok().flatten();
        if let Some(there) = there.filter(|there| same(there, rows)) {
            self.mark(slice, rows)?;
            return Ok(there);
        }
        self.write(slice, rows)?;
        self.read(slice)?.filter(|there| same(there, rows)).ok_or_else(|| Error::Differs(Box::new(slice.clone())))
    }

    fn get(&self, slice: &Slice, wanted: &[Column]) -> Result<Option<RecordBatch>> {
        let Some(rows) = self.read(slice)? else { return Ok(None) };
        if columns(&rows)? == wanted {
            return Ok(Some(rows));
        }
        let what = format!("{} has other columns than it had", self.path(slice).display());
        Err(Error::Column { slice: Box::new(slice.clone()), what })
    }

    fn digest(&self, slice: &Slice) -> Result<Digest> {
        self.read(slice)?.map_or_else(|| Ok(Digest::of([])), |rows| digest(&slice.symbol, &rows))
    }
}

/// Puts a file in the place of another in one step: who reads sees one of them whole.
fn replace(folder: &Path, path: &Path, rows: &RecordBatch) -> Result<()> {
    sweep(folder)?;
    let new = tempfile::Builder::new().prefix(NEW).tempfile_in(folder)?;
    table::write(new.path(), rows, &[])?;
    fs_err::File::open(new.path())?.sync_all()?;
    // What everybody may read in a folder that everybody may read: a temporary file is for its owner alone.
    fs_err::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    new.persist(path).map_err(|error| error.error)?;
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Removes what writers that were killed have left.
fn sweep(folder: &Path) -> Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if entry.file_name().as_encoded_bytes().starts_with(NEW.as_bytes()) && age().is_some_and(|age| age > OLD) {
            // Another sweep may have been first.
            let _ = fs_err::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A text as the name of a file: letters, digits, `.`, `-`, `_` and `@` as they are, other bytes as `%XX`; also a first dot.
fn encode(text: &str) -> String {
    let plain =
        |place: usize, byte: u8| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte) || (byte == b'.' && place > 0);
    let one = |(place, byte)| if plain(place, byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().enumerate().map(one).collect()
}

/// What [`encode`] made a name of; none where it did not.
fn decode(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The slice that a mark speaks of.
fn marked(name: &str) -> Option<(String, Day)> {
    let (symbol, day) = name.split_once('~')?;
    Some((decode(symbol)?, day.parse().ok()?))
}

/// Whom a line belongs to.
fn owner(table: Table, line: &RecordBatch) -> Option<&str> {
    let texts = line.column_by_name(table.owner_column()?)?.as_string_opt::<i32>()?;
    texts.iter().next().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        for symbol in ["SHFE.cu2203", "KQ.m@SHFE.cu", "../a b", "铜~1", "%2"] {
            let name = format!("{}~2022-02-18", encode(symbol));
            assert_eq!(marked(&name), Some((symbol.to_owned(), "2022-02-18".parse().unwrap())), "{name}");
        }
        for none in ["", "a", "a~b", "%~2022-02-18", "%zz~2022-02-18"] {
            assert_eq!(marked(none), None, "{none}");
        }
    }

    #[test]
    fn names_stay_in_their_folder_and_apart() {
        assert_eq!(encode("KQ.m@SHFE.cu"), "KQ.m@SHFE.cu");
        assert_eq!(encode("../a b"), "%2E.%2Fa%20b");
        assert_ne!(encode("a%2F"), encode("a/"));
    }
}
