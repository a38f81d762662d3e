//! Kind `main-l5`: the main series of one trading day, spliced from the main contract's rows.
//!
//! | module | holds |
//! |---|---|
//! | [`splice`] | the splice, and the check against the raw rows |
//! | [`task`] | the files, the manifest |
//!
//! No price is changed: the series jumps where the contract changes, and `segment_id` says where. What was written is
//! read back and compared with the raw rows bit by bit before the task ends.

mod splice;
mod task;

pub use splice::{check, splice};
pub use task::{Inputs, MainL5, Manifest, Outputs, Params};
