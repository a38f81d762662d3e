//! Files and folders outside the cache: their hashes, read again only where the file system says that they changed.

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use fs_err as fs;
use rayon::prelude::*;

use super::kind::Kind;
use super::listing::{Entry, Listing};
use super::stat::{Stat, now};
use super::walk::{Seen, What, walk};
use super::{Cache, CacheError, Result, tables};
use crate::artifact::Artifact;
use crate::hash::Hash;

/// How often a file that is being written to is read before giving up.
const ATTEMPTS: usize = 3;

/// A hash that was just computed, and whether it can be trusted next time.
struct Fresh {
    hash: Hash,
    size: u64,
    stat: Stat,
    settled: bool,
}

impl Cache {
    /// What a file or folder outside the cache is. `path` may be a link; links inside a folder are links.
    ///
    /// # Errors
    /// Where it is missing, cannot be read, keeps changing, or holds what no artifact can (see the README).
    pub fn hash_source(&self, path: &Path) -> Result<Artifact> {
        let path = plain(path)?;
        let metadata = fs::metadata(&path)?;
        if metadata.is_file() {
            self.hash_source_file(&path, Stat::of(&metadata))
        } else if metadata.is_dir() {
            if fs::canonicalize(&path).is_ok_and(|folder| self.runs().starts_with(folder)) {
                return Err(CacheError::unfit(&path, "it contains the cache, which every run changes"));
            }
            self.hash_source_folder(&path)
        } else {
            Err(CacheError::unfit(&path, "an input is a file or a folder"))
        }
    }

    fn hash_source_file(&self, path: &Path, stat: Stat) -> Result<Artifact> {
        let known = match self.source_ahead(path, stat) {
            None => self.query(|index| tables::source(index, path, stat))?,
            known => known,
        };
        if let Some(hash) = known {
            return Ok(Artifact { hash, folder: false, size: stat.size });
        }
        let fresh = hash_file(path)?;
        if fresh.settled && self.is_writable() {
            self.write(|index| tables::set_source(index, path, fresh.stat, fresh.hash))?;
        }
        Ok(Artifact { hash: fresh.hash, folder: false, size: fresh.size })
    }

    fn hash_source_folder(&self, root: &Path) -> Result<Artifact> {
        let known = self.query(|index| tables::sources_below(index, root))?;
        let look = |seen: Seen| -> Result<(String, Entry, Option<Fresh>)> {
            let (full, metadata) = match seen.what {
                What::EmptyFolder => return Ok((seen.path, Entry::Folder { folder: true }, None)),
                What::Link(link) => return Ok((seen.path, Entry::Link { link }, None)),
                What::File { full, metadata } => (full, metadata),
            };
            let stat = Stat::of(&metadata);
            if let Some((then, hash)) = known.get(full.as_os_str().as_encoded_bytes())
                && *then == stat
            {
                return Ok((seen.path, Entry::File { hash: *hash, size: stat.size }, None));
            }
            let fresh = hash_file(&full)?;
            Ok((seen.path, Entry::File { hash: fresh.hash, size: fresh.size }, Some(fresh)))
        };
        let found: Vec<_> = walk(root)?.into_par_iter().map(look).collect::<Result<_>>()?;
        if self.is_writable() && found.iter().any(|(_, _, fresh)| fresh.as_ref().is_some_and(|fresh| fresh.settled)) {
            self.write(|index| {
                found.iter().try_for_each(|(path, _, fresh)| match fresh {
                    Some(fresh) if fresh.settled => tables::set_source(index, &root.join(path), fresh.stat, fresh.hash),
                    _ => Ok(()),
                })
            })?;
        }
        let mut listing = Listing::default();
        found.into_iter().try_for_each(|(path, entry, _)| listing.add(path, entry))?;
        Ok(listing.artifact()?.0)
    }

    /// What a file or folder outside the cache is now, read and hashed whatever the index says of it; nothing is remembered.
    ///
    /// # Errors
    /// Those of [`Cache::hash_source`].
    pub fn hash_anew(path: &Path) -> Result<Artifact> {
        if fs::metadata(path)?.is_file() {
            let Fresh { hash, size, .. } = hash_file(path)?;
            return Ok(Artifact { hash, folder: false, size });
        }
        let entries: Vec<(String, Entry)> = walk(path)?
            .into_par_iter()
            .map(|seen| {
                let entry = match seen.what {
                    What::EmptyFolder => Entry::Folder { folder: true },
                    What::Link(link) => Entry::Link { link },
                    What::File { full, .. } => {
                        let Fresh { hash, size, .. } = hash_file(&full)?;
                        Entry::File { hash, size }
                    }
                };
                Ok((seen.path, entry))
            })
            .collect::<Result<_>>()?;
        let mut listing = Listing::default();
        entries.into_iter().try_for_each(|(path, entry)| listing.add(path, entry))?;
        Ok(listing.artifact()?.0)
    }
}

/// The path from the root on, without `.` and `//`: one file is known under one name.
fn plain(path: &Path) -> Result<Cow<'_, Path>> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_plain = bytes.first() == Some(&b'/') && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"/.");
    Ok(if is_plain { Cow::Borrowed(path) } else { Cow::Owned(std::path::absolute(path)?) })
}

fn hash_file(path: &Path) -> Result<Fresh> {
    for _ in 0..ATTEMPTS {
        let file = fs::File::open(path)?;
        let moment = now();
        let before = file.metadata()?;
        let stat = Stat::of(&before);
        let (hash, size) = Kind::of_mode(before.mode()).hash_file(&file, before.len())?;
        if Stat::of(&file.metadata()?) == stat && size == stat.size {
            return Ok(Fresh { hash, size, stat, settled: stat.is_settled(moment) });
        }
    }
    Err(CacheError::Changed(path.to_owned()))
}
