//! Ticks in files, the calendar against its golden cases, and `market.yaml`.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them by panicking")]

mod calendar;
mod listing;
mod market_file;
mod ticks;
