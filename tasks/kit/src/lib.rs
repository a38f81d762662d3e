//! The task contract: what the runner (`ghtrader`) and a program of task kinds (`ghtrader-tasks`) say to each other.
//!
//! A program of kinds answers three words:
//!
//! | call | reads | answers |
//! |---|---|---|
//! | `describe` | nothing | a [`Program`] as JSON on standard output |
//! | `run` | a [`Request`] in the file that `GHTRADER_TASK` names | writes the outputs; progress and metric lines; exit status |
//! | `probe` | the same, with the outputs of an earlier run as they are in the cache | a [`Probe`] as JSON on standard output |
//!
//! In Rust, a kind implements [`Task`], and [`main`] does the rest. It knows no market and no flow.

#[cfg(feature = "bench")]
mod bench;
mod describe;
mod files;
mod job;
mod program;
mod request;
mod task;

#[cfg(feature = "bench")]
pub use bench::{Bench, Done};
pub use describe::{InputSpec, KindSpec, OutputSpec, PathType, Program};
pub use files::{InputFile, InputFolder, InputJson, OutputFile, OutputFolder, OutputJson};
pub use job::Job;
pub use program::main;
pub use request::{CONTRACT, Probe, REQUEST_VARIABLE, Request};
pub use task::{Kind, Task, kind};

/// The result of a task: its errors are read by people, so they carry context rather than variants.
pub type Result<T> = anyhow::Result<T>;
