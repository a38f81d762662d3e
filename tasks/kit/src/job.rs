//! What a running task knows beside its parameters and files, and how it reports.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Request, Result};

/// The running task's surroundings.
#[derive(Clone, Debug, Default)]
pub struct Job {
    matrix: BTreeMap<String, Value>,
    cpus: f64,
    devices: Vec<u32>,
}

impl Job {
    /// The surroundings that a request describes.
    pub fn of(request: &Request) -> Self {
        Self { matrix: request.matrix.clone(), cpus: request.cpus, devices: request.devices.clone() }
    }

    /// The value of an axis.
    ///
    /// # Errors
    /// Where the flow's task has no such axis, or its value is of another type.
    pub fn axis<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self
            .matrix
            .get(name)
            .with_context(|| format!("this task needs the axis `{name}`: add it to its `matrix`"))?;
        serde_json::from_value(value.clone()).with_context(|| format!("the axis `{name}` is {value}"))
    }

    /// Threads that the task should use: at least one.
    pub fn threads(&self) -> usize {
        // A fraction is a share of a core, which still needs a thread.
        (self.cpus.floor() as usize).max(1)
    }

    /// Indices of the devices that the task was given.
    pub fn devices(&self) -> &[u32] {
        &self.devices
    }

    /// Reports progress: `done` of `total`, and what is being done.
    pub fn progress(&self, done: u64, total: u64, text: &str) {
        line(&format!("::progress {done}/{total} {text}"));
    }

    /// Reports a metric.
    pub fn metric(&self, name: &str, value: f64) {
        line(&format!("::metric {name}={value}"));
    }
}

/// A protocol line on standard output. A reader that has gone away is no reason to fail the task.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
