//! Providers against each other and against the test server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

mod bench;
mod guard;
mod history;
mod live;
