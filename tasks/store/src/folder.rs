//! A store that is a folder: `<table>/<market>/<symbol>/<day>.parquet`, with `~<variant>` after the day where there is one.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use ghtrader_market::table;

use crate::rows::{columns, digest, same};
use crate::{Column, Digest, Error, Result, Slice, Store};

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
        replace(folder, &path, rows)
    }

    fn put(&self, slice: &Slice, rows: &RecordBatch) -> Result<RecordBatch> {
        let there = self.read(slice).ok().flatten();
        if let Some(there) = there.filter(|there| same(there, rows)) {
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
    let new = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    table::write(new.path(), rows, &[])?;
    fs_err::File::open(new.path())?.sync_all()?;
    // What everybody may read in a folder that everybody may read: a temporary file is for its owner alone.
    fs_err::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    new.persist(path).map_err(|error| error.error)?;
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}

/// A text as the name of a file: letters, digits, `.`, `-`, `_` and `@` as they are, other bytes as `%XX`; also a first dot.
fn encode(text: &str) -> String {
    let plain =
        |place: usize, byte: u8| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte) || (byte == b'.' && place > 0);
    let one = |(place, byte)| if plain(place, byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder_and_apart() {
        assert_eq!(encode("KQ.m@SHFE.cu"), "KQ.m@SHFE.cu");
        assert_eq!(encode("../a b"), "%2E.%2Fa%20b");
        assert_ne!(encode("a%2F"), encode("a/"));
    }
}
