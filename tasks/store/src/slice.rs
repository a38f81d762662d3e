//! A slice: what a table holds of one symbol and trading day; and how its content is told.

use ghtrader_market::{Day, Hash64, RowHashes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Table;

/// The part of a table that is written, read and compared as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The table.
    pub table: Table,
    /// The market: two of them may trade contracts of one name.
    pub market: String,
    /// `SHFE.cu2203`, or `KQ.m@SHFE.cu`.
    pub symbol: String,
    /// The trading day.
    pub day: Day,
    /// Which of several, by the name that the user gives: of main series a roll rule, of features a set of factors. Empty where there
    /// is one only.
    pub variant: String,
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, market, symbol, day, variant } = self;
        write!(f, "{} of {symbol} on {day} (market `{market}`", table.name())?;
        if variant.is_empty() { f.write_str(")") } else { write!(f, ", variant `{variant}`)") }
    }
}

/// How many rows, and the minimum, maximum and sum of their hashes: the content of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Rows.
    pub rows: u64,
    /// Their hashes.
    pub hashes: RowHashes,
}

impl Digest {
    /// Of the hashes of all rows.
    pub fn of(rows: impl IntoIterator<Item = u64>) -> Self {
        let mut digest = Self { rows: 0, hashes: RowHashes::default() };
        for hash in rows {
            digest.rows += 1;
            digest.hashes.add(hash);
        }
        digest
    }

    /// Minimum, maximum and sum as a column of signed numbers has them, in which each hash has its first bit turned: so their
    /// order is that of the hashes.
    pub fn as_numbers(&self) -> [i64; 3] {
        let Self { rows, hashes: RowHashes { min, max, sum } } = *self;
        let turns = if rows % 2 == 1 { TURN } else { 0 };
        [to_number(min.0), to_number(max.0), sum.0.wrapping_add(turns).cast_signed()]
    }

    /// From what [`Digest::as_numbers`] gives.
    pub(crate) fn from_numbers(rows: u64, [min, max, sum]: [i64; 3]) -> Self {
        let turns = if rows % 2 == 1 { TURN } else { 0 };
        let [min, max] = [min, max].map(|number| Hash64(number.cast_unsigned() ^ TURN));
        Self { rows, hashes: RowHashes { min, max, sum: Hash64(sum.cast_unsigned().wrapping_add(turns)) } }
    }
}

const TURN: u64 = 1 << 63;

/// A hash as a signed number.
pub(crate) fn to_number(hash: u64) -> i64 {
    (hash ^ TURN).cast_signed()
}

/// A slice that was stored, and all that is needed to ask for it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Which.
    pub slice: Slice,
    /// Rows.
    pub rows: u64,
    /// Smallest row hash.
    pub hash_min: Hash64,
    /// Largest row hash.
    pub hash_max: Hash64,
    /// Sum of the row hashes, modulo 2⁶⁴.
    pub hash_sum: Hash64,
    /// The columns in their order.
    pub columns: Vec<Column>,
}

/// A column of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub of: Of,
    /// Whether a value may be missing.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// A text.
    Text,
    /// Yes or no.
    Bool,
    /// A whole number of 8 bits.
    Int8,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A double; NaN is a missing one.
    Float64,
    /// A day.
    Day,
}

impl Stored {
    /// Its content.
    pub fn digest(&self) -> Digest {
        let Self { rows, hash_min: min, hash_max: max, hash_sum: sum, .. } = *self;
        Digest { rows, hashes: RowHashes { min, max, sum } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_keep_their_order_and_sum_as_numbers() {
        let hashes = [0_u64, 1, TURN - 1, TURN, u64::MAX];
        assert!(hashes.windows(2).all(|pair| to_number(pair[0]) < to_number(pair[1])));
        for count in 1..=hashes.len() {
            let digest = Digest::of(hashes.iter().copied().take(count));
            let numbers = hashes.iter().take(count).map(|hash| to_number(*hash));
            let expected = [
                numbers.clone().min().unwrap(),
                numbers.clone().max().unwrap(),
                numbers.fold(0_i64, |sum, number| sum.wrapping_add(number)),
            ];
            assert_eq!(digest.as_numbers(), expected, "what a server makes of the column");
            assert_eq!(Digest::from_numbers(count as u64, expected), digest);
        }
    }
}
