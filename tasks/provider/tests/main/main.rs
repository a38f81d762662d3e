//! Providers against each other and against the test server.

mod bench;
mod guard;
mod history;
mod live;
