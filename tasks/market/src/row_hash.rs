//! A 64-bit hash of each tick, and its minimum, maximum and sum over a day: equal where two stores hold the same rows,
//! in whatever order they give them.

use crate::{Hash64, Tick, Ticks};

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
    /// Of all rows of a table, as rows of a contract.
    pub fn of(ticks: &Ticks, contract: &str) -> Self {
        let mut hashes = Self::default();
        ticks.row_hashes(contract).for_each(|hash| hashes.add(hash));
        hashes
    }

    /// Takes in one more row.
    pub fn add(&mut self, hash: u64) {
        self.min.0 = self.min.0.min(hash);
        self.max.0 = self.max.0.max(hash);
        self.sum.0 = self.sum.0.wrapping_add(hash);
    }
}

/// The hash of a row: the first eight bytes, little endian, of the BLAKE3 hash of
/// `contract ‖ 0 ‖ trading_day (i32) ‖ datetime_ns (i64) ‖ the 26 values (f64)`, each little endian; null is the one
/// quiet NaN `7ff8000000000000`, and −0 is 0.
pub fn row_hash(contract: &str, tick: &Tick) -> u64 {
    let mut bytes = [0; 12 + 8 * 26];
    let mut rest = bytes.as_mut_slice();
    let mut put = |part: &[u8]| {
        let (here, later) = std::mem::take(&mut rest).split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = later;
    };
    put(&tick.trading_day.0.to_le_bytes());
    put(&tick.datetime_ns.to_le_bytes());
    for value in tick.values {
        let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { (value + 0.0).to_bits() };
        put(&bits.to_le_bytes());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(contract.as_bytes()).update(&[0]).update(&bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Day, VALUES};

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
