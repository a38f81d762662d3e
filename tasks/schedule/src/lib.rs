//! Kind `schedule`: which contract is the main one on which trading day.
//!
//! | module | holds |
//! |---|---|
//! | [`facts`] | what is known of each contract at the close of each day |
//! | [`oi`] | rule `oi`: by open interest |
//! | [`given`] | rule `given`: by a list of switches |
//! | [`table`] | the schedule: segments, entries, hashes |
//! | [`task`] | the files |
//!
//! Everything but [`task`] is a function of values. No rule sees the close of the day that it decides on, so an entry
//! of the schedule depends on earlier days alone.

mod facts;
mod given;
mod oi;
mod params;
mod table;
mod task;

pub use facts::{Close, Facts};
pub use params::Params;
pub use table::{Row, Scheduled, Status, schedule};
pub use task::{HashFile, Inputs, Outputs, Schedule, Window};
