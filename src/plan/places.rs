//! Where paths outside the cache lead: two names of one place are one, however links and `..` write it. Each folder is resolved
//! once in a plan.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::sync::lock;

/// What was resolved so far.
#[derive(Default)]
pub(super) struct Places {
    folders: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    read: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
}

impl Places {
    /// The place that writing to a path gives: links above it are followed, one that is there itself is replaced.
    pub(super) fn written(&self, path: &Path) -> Option<PathBuf> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        Some(self.folder(folder)?.join(name))
    }

    /// The place that is read at a path.
    pub(super) fn read(&self, path: &Path) -> Option<PathBuf> {
        if let Some(known) = lock(&self.read).get(path) {
            return known.clone();
        }
        let is_link = path.file_name().is_none() || std::fs::read_link(path).is_ok();
        let place = if is_link { std::fs::canonicalize(path).ok() } else { self.written(path) };
        lock(&self.read).insert(path.to_owned(), place.clone());
        place
    }

    fn folder(&self, folder: &Path) -> Option<PathBuf> {
        if let Some(known) = lock(&self.folders).get(folder) {
            return known.clone();
        }
        let place = resolved(folder);
        lock(&self.folders).insert(folder.to_owned(), place.clone());
        place
    }
}

/// A folder without links, as far as it exists; `None` where `..` leads through what does not.
fn resolved(folder: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    let mut above = folder;
    loop {
        match std::fs::canonicalize(above) {
            Ok(place) => return Some(missing.iter().rev().fold(place, |place, name| place.join(name))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                missing.push(above.file_name()?);
                above = above.parent()?;
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn however_it_is_written_a_place_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("out")).unwrap();
        symlink("out", root.join("lnk")).unwrap();
        symlink("out/a", root.join("to-a")).unwrap();
        std::fs::write(root.join("out/a"), "").unwrap();
        let places = Places::default();
        for path in ["out/a", "lnk/a", "lnk/../out/a", "out/./a"] {
            assert_eq!(places.written(&root.join(path)), Some(root.join("out/a")), "{path}");
            assert_eq!(places.read(&root.join(path)), Some(root.join("out/a")), "{path}");
        }
        assert_eq!(places.written(&root.join("to-a")), Some(root.join("to-a")), "it is replaced");
        assert_eq!(places.read(&root.join("to-a")), Some(root.join("out/a")));
        assert_eq!(places.read(&root.join("lnk")), Some(root.join("out")));
        assert_eq!(places.written(&root.join("lnk/new/deep/b")), Some(root.join("out/new/deep/b")));
        assert_eq!(places.written(&root.join("none/../out/a")), None);
    }
}
