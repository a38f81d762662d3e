//! What can go wrong with the store. Every message names the path and the next step.

use std::path::{Path, PathBuf};

use super::RemoteError;
use crate::hash::Hash;

/// An error of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The file system refused; the message names the path.
    #[error("{0}{next}", next = hint(.0))]
    Io(#[from] std::io::Error),
    /// The index cannot be used.
    #[error("the index {path} cannot be used: {source}{next}", next = index_hint(.source))]
    Index {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// An object that is needed is not there.
    #[error("object {0} is not in the cache; `ghtrader run` makes it again where the flow still needs it")]
    Missing(Hash),
    /// An object is not what its hash says.
    #[error("object {hash} is damaged: {} does not have that hash; `ghtrader run` makes it again where the \
             flow still needs it", path.display())]
    Damaged {
        /// What it should be.
        hash: Hash,
        /// Where it lies.
        path: PathBuf,
    },
    /// A result that lies outside the cache cannot be asked for.
    #[error("a recorded result lies outside the cache, and whether it is still there cannot be found out: {0}")]
    Outside(String),
    /// A listing of a folder that no version of this program writes.
    #[error("the listing of folder {hash} is not valid: {why}")]
    Listing {
        /// The folder.
        hash: Hash,
        /// What is wrong.
        why: String,
    },
    /// A file system entry that cannot be an artifact, or be part of one.
    #[error("{} cannot be stored: {why}", path.display())]
    Unfit {
        /// Where it lies.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// Something at the place of a copy that is not to be replaced.
    #[error("{} is not replaced: {why}", path.display())]
    InTheWay {
        /// Where it lies.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A source that was written to while it was read.
    #[error("{} changed while it was read; run again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    /// Two things that would lie at the same place in one folder.
    #[error("`{0}` would lie in the folder twice; give the outputs that are gathered different names")]
    Clash(String),
    /// A manifest that is not one.
    #[error("{} is not a manifest: {why}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// JSON that is not.
    #[error("object {hash} is not JSON: {source}")]
    Json {
        /// The object.
        hash: Hash,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The shared cache cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Another process collects.
    #[error("another `ghtrader cache gc` is at work on this cache; run again when it has ended")]
    Collecting,
    /// The disk did not take what was written.
    #[error("what was written does not last: {0}; nothing of it is recorded, check the disk and run again")]
    NotSynced(String),
    /// A change was asked for of a cache that was opened for reading only.
    #[error("{} was opened for reading only", .0.display())]
    ReadOnly(PathBuf),
}

/// The result of what the cache does.
pub type Result<T, E = CacheError> = std::result::Result<T, E>;

impl CacheError {
    /// Whether it is the cache that is at fault, and not what was to be put into it or taken out of it.
    pub fn is_of_the_store(&self) -> bool {
        match self {
            Self::Io(_)
            | Self::Index { .. }
            | Self::Missing(_)
            | Self::Damaged { .. }
            | Self::Listing { .. }
            | Self::Manifest { .. }
            | Self::NotSynced(_)
            | Self::Outside(_)
            | Self::Remote(_)
            | Self::ReadOnly(_) => true,
            Self::Unfit { .. }
            | Self::InTheWay { .. }
            | Self::Changed(_)
            | Self::Clash(_)
            | Self::Json { .. }
            | Self::Collecting => false,
        }
    }

    /// Whether the disk or the quota is used up.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded))
    }

    pub(super) fn unfit(path: &Path, why: impl Into<String>) -> Self {
        Self::Unfit { path: path.to_owned(), why: why.into() }
    }
}

/// Whatever filled it: the next run carries on from what is recorded.
const FULL: &str = "; the disk is full: free some space and run again, what is recorded is kept";

fn index_hint(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => FULL,
        _ => "; it is rebuilt from `results/` when it is deleted while nothing runs",
    }
}

/// What to do where the file system refused; empty where the message says it all.
pub fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::StorageFull => FULL,
        std::io::ErrorKind::QuotaExceeded => "; the quota is used up: free some space and run again",
        std::io::ErrorKind::PermissionDenied => "; check who owns it, or choose another cache with `--cache`",
        std::io::ErrorKind::ReadOnlyFilesystem => "; choose a cache that can be written with `--cache`",
        _ => "",
    }
}
