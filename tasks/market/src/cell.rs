//! The unit of ingest: one source file of a variety, or one day of a synthetic one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Day;

/// `cells.json`: by variety, then by the cell's name.
pub type Cells = BTreeMap<String, BTreeMap<String, Cell>>;

/// One cell: exactly one of the two is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The tick file, relative to the market folder.
    pub file: Option<String>,
    /// The invented day.
    pub synthetic: Option<SyntheticCell>,
}

/// One day of a synthetic variety: all that its ticks depend on, beside the variety's specification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticCell {
    /// The market's seed.
    pub seed: u64,
    /// The market's first trading day.
    pub first_day: Day,
    /// The trading day.
    pub day: Day,
    /// Rows of the main contract, about.
    pub rows: u32,
    /// How strongly the book's imbalance leads the mid.
    pub strength: f64,
}
