//! `build`: against an independent oracle, its invariants, the task, and real ticks.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it skips")]

mod golden;
mod invariants;
mod invented;
mod oracle;
mod task;
