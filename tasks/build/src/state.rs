//! The carried state as a file: what one day of a segment hands to the next.

use std::collections::BTreeMap;

use ghtrader_market::Day;
use serde::{Deserialize, Serialize};

/// The version of the file's layout.
pub(crate) const FORMAT: u32 = 1;

/// The output `state`. The texts are numbers of 16 hexadecimal digits each, the 64 bits of a float or an integer; what
/// each means is in the walk of its factor, in the order of the walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// 1.
    pub format: u32,
    /// The contract whose rows made it.
    pub contract: String,
    /// Segment of the last row.
    pub segment: i32,
    /// Trading day of the last row.
    pub day: Day,
    /// Hash of the factor set.
    pub factors_hash: String,
    /// Label horizons.
    pub horizons: Vec<usize>,
    /// Ticks of a move.
    pub k: u32,
    /// The last row, and how many the day had.
    pub rows: String,
    /// The rows that wait for a label.
    pub labels: String,
    /// By factor.
    pub factors: BTreeMap<String, String>,
}
