//! The runner end to end, by topic, on one small test bench.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail anywhere"
)]

mod contract;
mod daily;
mod examples;
mod failures;
mod gather;
mod history;
mod kill;
mod locks;
mod messages;
mod plan;
mod refs;
mod space;
