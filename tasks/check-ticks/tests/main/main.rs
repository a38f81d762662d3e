//! Every check finds what is planted for it, and nothing on clean data; and what it finds in real files.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says what it found")]

mod day;
mod planted;
mod real;
mod task;
