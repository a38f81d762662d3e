//! A 64-bit hash of each tick, and its minimum, maximum and sum over a day: equal where two stores hold the same rows,
//! in whatever order they give them.

use rayon::prelude::*;

use crate::{Day, Hash64, Tick, Ticks, VALUES};

/// Rows that are worth a thread's while.
const ROWS: usize = 4_096;

/// Minimum, maximum and sum (modulo 2⁶⁴) of row hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowHashes {
    /// Smallest; all ones where there is no row.
    pub min: Hash64,
    /// Largest.
    pub max: Hash64,
    /// Sum.
    pub sum: Hash64,
}

impl Default for RowHashes {
    fn default() -> Self {
        Self { min: Hash64(u64::MAX), max: Hash64(0), sum: Hash64(0) }
    }
}

impl RowHashes {
    /// Those of a table's rows as rows of `contract`, by the threads of the calling rayon pool.
    pub fn of(ticks: &Ticks, contract: &str) -> Self {
        let parts = (0..ticks.len().div_ceil(ROWS)).into_par_iter().map(|part| {
            let rows = part * ROWS..((part + 1) * ROWS).min(ticks.len());
            let mut hashes = Self::default();
            ticks.row_hashes_of(contract, rows).for_each(|hash| hashes.add(hash));
            hashes
        });
        parts.reduce(Self::default, Self::with)
    }

    /// Takes in one more row.
    pub fn add(&mut self, hash: u64) {
        *self = self.with(Self { min: Hash64(hash), max: Hash64(hash), sum: Hash64(hash) });
    }

    fn with(self, other: Self) -> Self {
        Self {
            min: Hash64(self.min.0.min(other.min.0)),
            max: Hash64(self.max.0.max(other.max.0)),
            sum: Hash64(self.sum.0.wrapping_add(other.sum.0)),
        }
    }
}

/// The hash of a row: the first eight bytes, little endian, of the BLAKE3 hash of
/// `contract ‖ 0 ‖ trading_day (i32) ‖ datetime_ns (i64) ‖ the 26 values (f64)`, each little endian; null is the one
/// quiet NaN `7ff8000000000000`, and −0 is 0.
pub fn row_hash(contract: &str, tick: &Tick) -> u64 {
    RowHasher::new(contract).hash(tick.trading_day, tick.datetime_ns, tick.values.into_iter())
}

/// Bytes of a row beside its contract.
const BYTES: usize = 4 + 8 + 8 * VALUES;

/// Hashes rows of one contract, with the memory for a row's bytes kept.
pub(crate) struct RowHasher {
    bytes: Vec<u8>,
}

impl RowHasher {
    pub(crate) fn new(contract: &str) -> Self {
        let mut bytes = contract.as_bytes().to_vec();
        bytes.resize(contract.len() + 1 + BYTES, 0);
        Self { bytes }
    }

    /// [`row_hash`], of a row in parts.
    pub(crate) fn hash(&mut self, trading_day: Day, datetime_ns: i64, values: impl Iterator<Item = f64>) -> u64 {
        let row = self.bytes.len() - BYTES;
        let (day, rest) = self.bytes[row..].split_at_mut(4);
        let (stamp, rest) = rest.split_at_mut(8);
        day.copy_from_slice(&trading_day.0.to_le_bytes());
        stamp.copy_from_slice(&datetime_ns.to_le_bytes());
        for (place, value) in rest.chunks_exact_mut(8).zip(values) {
            let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { (value + 0.0).to_bits() };
            place.copy_from_slice(&bits.to_le_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(&self.bytes).as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_has_one_hash_and_every_value_counts() {
        let tick = Tick { trading_day: Day(1), datetime_ns: 2, values: [f64::NAN; VALUES] };
        let hash = row_hash("SHFE.cu2203", &tick);
        let mut other = tick.clone();
        other.values[3] = -f64::NAN;
        assert_eq!(row_hash("SHFE.cu2203", &other), hash);
        assert_ne!(row_hash("SHFE.cu2204", &tick), hash);
        for column in 0..VALUES {
            let mut other = tick.clone();
            other.values[column] = 0.0;
            let zero = row_hash("SHFE.cu2203", &other);
            assert_ne!(zero, hash, "column {column}");
            other.values[column] = -0.0;
            assert_eq!(row_hash("SHFE.cu2203", &other), zero, "column {column}");
        }
    }
}
