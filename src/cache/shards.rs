//! The folders that objects and manifests lie in, by the first two digits of their hashes.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::Ordering;

use fs_err as fs;

use super::Cache;
use super::files::{create_folder_synced, parent, sync};

/// So many are made one by one as they are needed, then all the others: each that is made alone is waited for.
const SINGLY: usize = 16;

impl Cache {
    /// Gives something the name `path` in a shard, by `name`, which is called again where the shard had to be made, or where
    /// something that is not the cache's was in the way.
    pub(super) fn in_shard<T>(&self, path: &Path, name: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
        match name() {
            // Another thread may be making it: it is not asked whether it is missing.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.clear_way(path)?;
                if self.shards_made.fetch_add(1, Ordering::Relaxed) == SINGLY {
                    ["objects", "results"].into_iter().try_for_each(|folder| make_all(&self.v1.join(folder)))?;
                }
                create_folder_synced(parent(path))?;
                name()
            }
            Err(error) if matches!(error.kind(), ErrorKind::IsADirectory | ErrorKind::NotADirectory) => {
                self.clear_way(path)?;
                create_folder_synced(parent(path))?;
                name()
            }
            other => other,
        }
    }

    /// Does away with what a rename cannot replace: a folder at `path`, which is set aside, and what is no folder in the place
    /// of its shard. Another thread may have done so meanwhile: neither call takes what it has put there.
    fn clear_way(&self, path: &Path) -> std::io::Result<()> {
        let shard = parent(path);
        if !shard.is_dir() {
            unless(fs::remove_file(shard), &[ErrorKind::NotFound, ErrorKind::IsADirectory])?;
        }
        let Some(scrap) = &self.scrap else { return Ok(()) };
        // A path that ends in `/` is one of a folder only.
        unless(fs::rename(path.join(""), scrap.path()), &[ErrorKind::NotFound, ErrorKind::NotADirectory])
    }
}

/// Whether it went well, or as it may have.
fn unless(done: std::io::Result<()>, kinds: &[ErrorKind]) -> std::io::Result<()> {
    done.or_else(|error| if kinds.contains(&error.kind()) { Ok(()) } else { Err(error) })
}

fn make_all(folder: &Path) -> std::io::Result<()> {
    for shard in 0..=u8::MAX {
        match fs::create_dir(folder.join(format!("{shard:02x}"))) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    sync(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::files::entries;

    #[test]
    fn shards_are_made_as_they_are_needed_and_all_when_many_are() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let objects = cache.v1.join("objects");
        for count in 1..=SINGLY + 1 {
            let path = objects.join(format!("{count:02x}/x"));
            cache.in_shard(&path, || fs::write(&path, "")).unwrap();
            assert_eq!(entries(&objects).unwrap().len(), if count <= SINGLY { count } else { 256 });
        }
        assert_eq!(entries(&cache.v1.join("results")).unwrap().len(), 256);
    }

    #[test]
    fn names_that_need_the_same_new_shard_at_once_are_all_given() {
        let root = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let cache = Cache::open(&root.path().join(round.to_string())).unwrap();
            for shard in 0..2 * SINGLY {
                let folder = cache.v1.join(format!("objects/{shard:02x}"));
                std::thread::scope(|scope| {
                    for name in ["a", "b", "c", "d"] {
                        let (cache, path) = (&cache, folder.join(name));
                        scope.spawn(move || cache.in_shard(&path, || fs::write(&path, "")).unwrap());
                    }
                });
                assert_eq!(entries(&folder).unwrap().len(), 4);
            }
        }
    }
}
