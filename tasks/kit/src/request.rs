//! The JSON messages of the contract.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the contract; a program that speaks another one is refused by name.
pub const CONTRACT: u32 = 1;

/// The variable that names the file with the [`Request`].
pub const REQUEST_VARIABLE: &str = "GHTRADER_TASK";

/// All that a task is told, as JSON in the file that `GHTRADER_TASK` names.
///
/// A compiled kind and a shell command get the same request; for a command `kind` is empty and its values are also in
/// the environment (`INPUT_…`, `OUTPUT_…`, `PARAM_…`, `MATRIX_…`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`CONTRACT`].
    pub contract: u32,
    /// The kind to run; empty for a command.
    #[serde(default)]
    pub kind: String,
    /// The kind's parameters after defaults: a JSON object.
    pub params: Value,
    /// The values of the instance's axes, with their types.
    pub matrix: BTreeMap<String, Value>,
    /// Where each input lies; an optional input that is not there is left out.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Where each output is to be written.
    pub outputs: BTreeMap<String, PathBuf>,
    /// Processor cores that the task may use (fractions count as reserved).
    pub cpus: f64,
    /// Memory that the task may use, in bytes, where the flow states it.
    pub memory: Option<u64>,
    /// Indices of the devices that the task was given.
    pub devices: Vec<u32>,
}

/// The answer to `probe`: is an external result still what its hash says?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// What the outputs speak of is there, unchanged.
    Valid,
    /// It is gone or is different: the task has to run again.
    Changed {
        /// What changed, shown as the reason of the run.
        why: String,
    },
}
