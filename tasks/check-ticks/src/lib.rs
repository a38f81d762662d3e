//! Kind `check-ticks`: what is wrong with the canonical ticks of a cell.
//!
//! | module | holds |
//! |---|---|
//! | [`finding`] | what can be found, how bad it is, and how it is counted |
//! | [`rows`] | what a row says by itself, and beside the row before it |
//! | [`course`] | what a day says as a whole: gaps, quotes that stand still, spikes, coverage |
//! | [`day`] | one file beside its entry of the day index |
//! | [`task`] | the files of a cell |
//!
//! It changes nothing and fails on nothing that it finds: what is found goes into the report, and who reads that decides.

mod course;
mod day;
mod finding;
mod rows;
mod task;

pub use course::coverage;
pub use day::check_day;
pub use finding::{Check, Finding, Findings, Severity};
pub use task::{CellChecks, CheckTicks, DayChecks, Inputs, Outputs, Params};
