//! The trait of a store.

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use ghtrader_market::Day;

use crate::rows::{columns, digest};
use crate::{Column, Digest, Result, Slice, Stored, Table};

/// Holds slices. Writing one twice changes nothing; after [`Store::put`] it holds these rows and no others.
pub trait Store {
    /// Writes the rows of a slice without a look before or after: other rows of it stay. Each is acknowledged.
    ///
    /// # Errors
    /// Where the store cannot be reached for long, or refuses.
    fn write(&self, slice: &Slice, rows: &RecordBatch) -> Result<()>;

    /// Writes the rows of a slice, unless it holds just these; then reads them back and compares every bit.
    ///
    /// # Errors
    /// Where the store cannot be reached for long, refuses, or gives other rows back.
    fn put(&self, slice: &Slice, rows: &RecordBatch) -> Result<RecordBatch>;

    /// The rows of a slice in the order of `datetime_ns`, with these columns; none where it does not hold the slice.
    ///
    /// # Errors
    /// Where the store cannot be reached for long, or a column is missing there.
    fn get(&self, slice: &Slice, columns: &[Column]) -> Result<Option<RecordBatch>>;

    /// What the store says that a slice holds, by the hashes that were written with the rows: fast, and blind for a value that
    /// somebody changed and left its hash as it was.
    ///
    /// # Errors
    /// Where the store cannot be reached for long.
    fn digest(&self, slice: &Slice) -> Result<Digest>;

    /// Takes a slice out: the store holds no row of it then. Nothing happens where it holds none.
    ///
    /// # Errors
    /// Where the store cannot be reached for long, or refuses.
    fn remove(&self, slice: &Slice) -> Result<()>;

    /// The slices (symbol, day) of a table that belong to an owner, as its column [`Table::owner_column`] says.
    ///
    /// # Errors
    /// Where the store cannot be reached for long.
    fn owned(&self, table: Table, market: &str, owner: &str) -> Result<BTreeSet<(String, Day)>>;

    /// [`Store::put`], and what is to be remembered of it.
    ///
    /// # Errors
    /// As [`Store::put`].
    fn keep(&self, slice: Slice, rows: &RecordBatch) -> Result<(Stored, RecordBatch)> {
        let there = self.put(&slice, rows)?;
        let digest = digest(&slice.symbol, &there)?;
        let stored = Stored {
            slice,
            rows: digest.rows,
            hash_min: digest.hashes.min,
            hash_max: digest.hashes.max,
            hash_sum: digest.hashes.sum,
            columns: columns(&there)?,
        };
        Ok((stored, there))
    }

    /// Why a slice is not what it was when it was stored; none where it is. Reads all its values.
    ///
    /// # Errors
    /// Where the store cannot be reached for long.
    fn changed(&self, stored: &Stored) -> Result<Option<String>> {
        let said = match self.digest(&stored.slice) {
            Err(error) if error.is_damage() => return Ok(Some(format!("{} cannot be read: {error}", stored.slice))),
            said => said?,
        };
        if said != stored.digest() {
            return Ok(Some(differs(stored, said)));
        }
        let there = match self.get(&stored.slice, &stored.columns) {
            Ok(Some(rows)) => digest(&stored.slice.symbol, &rows)?,
            Ok(None) => return Ok(Some(format!("{} is gone", stored.slice))),
            Err(crate::Error::Column { slice, what }) => return Ok(Some(format!("{slice}: {what}"))),
            Err(error) => return Err(error),
        };
        Ok((there != stored.digest()).then(|| format!("{} has other values", stored.slice)))
    }
}

/// Why the first of these that is not what it was is not; none where all are.
///
/// # Errors
/// As [`Store::changed`].
pub fn changed(store: &dyn Store, all: &[Stored]) -> Result<Option<String>> {
    all.iter().find_map(|stored| store.changed(stored).transpose()).transpose()
}

fn differs(stored: &Stored, said: Digest) -> String {
    match (stored.rows, said.rows) {
        (_, 0) => format!("{} is gone", stored.slice),
        (was, is) if was != is => format!("{} has {is} rows and had {was}", stored.slice),
        _ => format!("{} has other rows", stored.slice),
    }
}
