//! What a task that has to run is given.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::Reason;
use crate::artifact::Artifact;
use crate::hash::Hash;
use crate::key::Part;
use crate::manifest::Origin;
use crate::resources::Request;

/// A task whose inputs are all known, and which has to run.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its key.
    pub key: Hash,
    /// The parts that the key is the hash of.
    pub parts: Vec<Part>,
    /// Why it runs.
    pub reason: Reason,
    /// The command, with its expressions filled in; `None` for a kind.
    pub command: Option<String>,
    /// `with` values after defaults.
    pub with: Vec<(String, Value)>,
    /// Its inputs; an optional one that is absent is not in the list.
    pub inputs: Vec<ResolvedInput>,
    /// The variables of the caller that it sees, with their values.
    pub variables: Vec<(String, Option<String>)>,
    /// What it asks of the machine.
    pub request: Request,
    /// The number of the execution of this key that was recorded when it was planned, whole or not.
    pub seen: Option<u64>,
    /// Lock keys that it holds while it runs, and whether it shares each.
    pub locks: Vec<(String, bool)>,
}

/// One input.
#[derive(Clone, Debug)]
pub struct ResolvedInput {
    /// Its name.
    pub name: String,
    /// The name of its file or folder.
    pub file: String,
    /// Its content.
    pub data: Data,
    /// Where that came from.
    pub origins: Vec<Origin>,
}

/// The content of an input.
#[derive(Clone, Debug)]
pub enum Data {
    /// In the cache.
    Cached(Artifact),
    /// An entry of a JSON output, as canonical JSON.
    Json(Artifact, Arc<[u8]>),
    /// A folder in a folder that is in the cache: no object of its own, perhaps.
    Folder {
        /// What it is.
        artifact: Artifact,
        /// The folder that it is in.
        of: Artifact,
        /// Its path there.
        at: String,
    },
    /// Outside the cache.
    Source(Artifact, PathBuf),
    /// Outputs of several instances: what lies where in the folder.
    Gather(Artifact, Arc<[(String, Artifact)]>),
}

impl Data {
    /// What it is.
    pub fn artifact(&self) -> &Artifact {
        match self {
            Self::Cached(artifact)
            | Self::Json(artifact, _)
            | Self::Folder { artifact, .. }
            | Self::Source(artifact, _)
            | Self::Gather(artifact, _) => artifact,
        }
    }
}
