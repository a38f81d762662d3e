//! The kind `train` on files, and its models against other programs.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod kind;
mod oracle;
