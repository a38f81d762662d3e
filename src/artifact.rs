//! What is stored, read and written: a file or a folder, by its content. It knows no place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// A file or folder by its content. Two artifacts with the same hash are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Of the content, see the cache's README.
    pub hash: Hash,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of the file, or of all files in the folder.
    pub size: u64,
}

impl Artifact {
    /// What a file with these bytes is, in the cache or not.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { hash: Hash::of(bytes), folder: false, size: bytes.len() as u64 }
    }
}
