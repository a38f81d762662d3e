//! What is written down of a finished task: enough to trust its result, to explain it, and to rebuild the index.
//!
//! A manifest is JSON beside the objects, never changed once written. Its JSON Schema follows from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::hash::Hash;
use crate::key::{DeviceClass, Part};

/// The version of the manifests' schema.
pub const SCHEMA: u32 = 1;

/// The record of one finished task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The task's key.
    pub key: Hash,
    /// The parts that the key is the hash of.
    pub parts: Vec<Part>,
    /// The flow in which it ran.
    pub flow: String,
    /// The instance: `main-l5[variety=cu,day=2022-02-18]`.
    pub task: String,
    /// The run that executed it.
    pub run: String,
    /// Where each input came from; what it was is in `parts`.
    pub inputs: BTreeMap<String, Input>,
    /// What it wrote.
    pub outputs: BTreeMap<String, Artifact>,
    /// How the execution went.
    pub execution: Execution,
}

/// One input: its content, and where that came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The content as the task saw it.
    pub artifact: Artifact,
    /// One origin, or for a gather one for each instance.
    pub origins: Vec<Origin>,
}

/// Where an input's content came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// A file or folder outside the cache, relative to the project root.
    Path(String),
    /// An output of another task.
    Task {
        /// The producing instance, as named in the run that read it.
        task: String,
        /// Its key.
        key: Hash,
        /// The output's name.
        output: String,
        /// The entry of it that was taken (`at`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// A named pointer, as it stood when the run started.
    Ref {
        /// Its name.
        name: String,
        /// The key of the task that made the move, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Hash>,
    },
}

impl Origin {
    /// The key of the task that it came from, where it came from one.
    pub fn key(&self) -> Option<&Hash> {
        match self {
            Self::Task { key, .. } | Self::Ref { key: Some(key), .. } => Some(key),
            Self::Path(_) | Self::Ref { key: None, .. } => None,
        }
    }
}

/// How an execution went. None of it is part of the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// The git commit of the project, where it is under git.
    pub commit: Option<String>,
    /// Whether the project had uncommitted changes.
    pub dirty: bool,
    /// The machine.
    pub host: String,
    /// Devices that the task was given.
    pub devices: Vec<u32>,
    /// What it ran on: of a task that can do without devices, whether it did.
    #[serde(default)]
    pub device_class: DeviceClass,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// End, RFC 3339 in UTC.
    pub finished: String,
    /// Seconds between ready and started.
    pub waited: f64,
    /// Seconds of processor time of all the task's processes.
    pub cpu: f64,
    /// Peak resident memory of its largest process, in bytes.
    pub peak_memory: u64,
    /// Attempts, with the last.
    pub attempts: u32,
    /// The exit status.
    pub exit: i32,
    /// Metrics that the task reported, the last value of each.
    pub metrics: BTreeMap<String, f64>,
    /// The hash of its log.
    pub log: Option<Hash>,
}
