//! Kind `build`: factors and labels of the main series of one trading day.
//!
//! ```text
//! rows of the day ──┐
//!                   ├─> Engine::update, row by row ──> features, labels, state for the next day of the segment
//! carried state ────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | the one path: a row in, a row of features out |
//! | [`registry`], [`factors`] | what the factors are, and their code |
//! | [`labels`] | event-time direction labels |
//! | [`row`], [`clock`], [`rolling`] | a snapshot, its place in the day, windows |
//! | [`state`], [`store`] | the carried state, bit for bit |
//! | [`features`], [`output`] | the tables |
//!
//! It knows no roll rule: the segment of a row is what `main-l5` wrote.

mod clock;
mod engine;
mod factors;
mod features;
mod labels;
mod output;
mod params;
mod registry;
mod rolling;
mod row;
mod state;
mod store;
mod task;
#[cfg(test)]
mod testing;

pub use engine::{Built, Engine};
pub use features::Features;
pub use labels::{Counts, Excluded, Label, LabelTable, Labelled};
pub use output::{FACTORS_HASH, FEATURES};
pub use params::{CrossDay, Decay, FactorParams, Params, PerLevel, PerLevelAndWindow, PerWindow};
pub use registry::{Listed, Listing, Missing};
pub use row::{LEVELS, Quote, Row};
pub use state::State;
pub use task::{Build, DayCounts, HorizonCounts, Inputs, Outputs};
