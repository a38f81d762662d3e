//! The states of contracts' days, each from a case made for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod states;
mod ticks;
