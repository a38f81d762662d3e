//! The kind `eval` on files, and its metrics against other programs.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod golden;
mod kind;
