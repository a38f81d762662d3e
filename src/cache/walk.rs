//! What a folder on disk holds, with links as links. Follows none.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::listing::stays_inside;
use super::{CacheError, Result};

/// Something found in a folder.
pub(super) struct Seen {
    /// Relative to the folder that was walked.
    pub(super) path: String,
    pub(super) what: What,
}

pub(super) enum What {
    File { full: PathBuf, metadata: Metadata },
    Link(String),
    EmptyFolder,
}

/// All that lies below `root`, in no order.
///
/// # Errors
/// A name that is not UTF-8, a link that leads out, and anything that is neither file, folder nor link.
pub(super) fn walk(root: &Path) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let mut empty = true;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            empty = false;
            let full = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(CacheError::unfit(&full, "its name is not UTF-8; rename it"));
            };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let metadata = entry.metadata()?;
            let what = if metadata.is_dir() {
                folders.push((full, path));
                continue;
            } else if metadata.is_symlink() {
                What::Link(link(&path, &full)?)
            } else if metadata.is_file() {
                What::File { full, metadata }
            } else {
                return Err(CacheError::unfit(&full, "it is neither a file, a folder nor a link; remove it"));
            };
            seen.push(Seen { path, what });
        }
        if empty && !prefix.is_empty() {
            seen.push(Seen { path: prefix, what: What::EmptyFolder });
        }
    }
    Ok(seen)
}

fn link(path: &str, full: &Path) -> Result<String> {
    let Ok(text) = fs::read_link(full)?.into_os_string().into_string() else {
        return Err(CacheError::unfit(full, "the link's text is not UTF-8; write it anew"));
    };
    match stays_inside(path, &text) {
        Ok(()) => Ok(text),
        Err(why) => Err(CacheError::unfit(full, format!("the link to `{text}` {why}"))),
    }
}
