//! What the index tells of a result.

use super::Outputs;
use crate::hash::Hash;
use crate::manifest::Manifest;

/// What the index knows of the newest execution of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The task's key.
    pub key: Hash,
    /// The flow in which it ran.
    pub flow: String,
    /// The instance.
    pub task: String,
    /// The run that executed it.
    pub run: String,
    /// When it ended, RFC 3339 in UTC.
    pub finished: String,
    /// What it wrote.
    pub outputs: Outputs,
    /// How many executions of the key came before.
    pub n: u64,
}

impl Recorded {
    pub(super) fn of(manifest: &Manifest, n: u64) -> Self {
        Self {
            key: manifest.key,
            flow: manifest.flow.clone(),
            task: manifest.task.clone(),
            run: manifest.run.clone(),
            finished: manifest.execution.finished.clone(),
            outputs: manifest.outputs.clone().into(),
            n,
        }
    }
}

/// As much of [`Recorded`] as it takes to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The task's key.
    pub key: Hash,
    /// When it ended, RFC 3339 in UTC.
    pub finished: String,
    /// What it wrote.
    pub outputs: Outputs,
    /// How many executions of the key came before.
    pub n: u64,
}

impl From<Recorded> for Known {
    fn from(Recorded { key, finished, outputs, n, .. }: Recorded) -> Self {
        Self { key, finished, outputs, n }
    }
}
