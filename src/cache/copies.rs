//! Copies out of the cache and of sources: for a task to read, and for people to keep. Never a link into the cache, so
//! what is done to a copy changes nothing else.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use ulid::Ulid;

use super::files::{create_folder_synced, entries, parent, remove, sync};
use super::kind::Kind;
use super::listing::Entry;
use super::walk::{What, walk};
use super::{Cache, CacheError, Result};
use crate::artifact::Artifact;
use crate::hash::Hash;

impl Cache {
    /// Makes a private read-only copy at `dest`, which does not exist yet, in a folder that does. The file system shares
    /// the blocks where it can.
    ///
    /// # Errors
    /// Where an object is missing or damaged, so that nothing is ever fed on that is not what its hash says.
    pub fn materialise(&self, artifact: &Artifact, dest: &Path) -> Result<()> {
        let copied = self.bring_all(artifact).and_then(|_| self.copy_out(artifact, dest));
        if matches!(copied, Err(CacheError::Missing(_) | CacheError::Damaged { .. })) {
            self.forget_elsewhere(&artifact.hash)?;
        }
        copied
    }

    fn copy_out(&self, artifact: &Artifact, dest: &Path) -> Result<()> {
        if !artifact.folder {
            fs::copy(self.demand(artifact.hash)?, dest)?;
            return Ok(());
        }
        let listing = self.listing(artifact)?;
        fs::create_dir(dest)?;
        let folders: BTreeSet<&str> = listing
            .entries()
            .iter()
            .filter_map(|(path, entry)| match entry {
                Entry::Folder { .. } => Some(path.as_str()),
                _ => path.rsplit_once('/').map(|(folder, _)| folder),
            })
            .collect();
        folders.into_iter().try_for_each(|folder| fs::create_dir_all(dest.join(folder)))?;
        listing.entries().par_iter().try_for_each(|(path, entry)| match entry {
            Entry::Folder { .. } => Ok(()),
            Entry::Link { link } => Ok(fs_err::os::unix::fs::symlink(link, dest.join(path))?),
            Entry::File { hash, .. } => {
                fs::copy(self.demand(*hash)?, dest.join(path))?;
                Ok(())
            }
        })
    }

    /// Makes a private read-only copy of a source at `dest`, which does not exist yet.
    ///
    /// # Errors
    /// [`CacheError::Changed`] where it is no longer what it was when it was hashed.
    pub fn copy_source(&self, path: &Path, expected: &Artifact, dest: &Path) -> Result<()> {
        let metadata = fs::metadata(path)?;
        if metadata.is_file() && metadata.len() <= SMALL {
            return copy_small(path, expected, dest);
        } else if metadata.is_file() {
            copy_read_only(path, dest)?;
        } else {
            copy_folder(path, dest)?;
        }
        // What counts is what the task will see, so it is the copy that is hashed.
        match Self::hash_anew(dest)? {
            copied if copied.hash == expected.hash => Ok(()),
            _ => Err(CacheError::Changed(path.to_owned())),
        }
    }

    /// Puts a copy at `dest` for people, in one step. Folders above it are made. A file that is there is replaced, a folder
    /// only where it is empty or was put there by this cache: nobody's work is removed.
    ///
    /// # Errors
    /// Where something is at `dest` that is not to be replaced; where an object is missing or damaged; else what the file
    /// system says.
    pub fn export(&self, artifact: &Artifact, dest: &Path) -> Result<()> {
        self.check_replaceable(artifact, dest)?;
        create_folder_synced(parent(dest))?;
        if artifact.folder && self.is_writable() {
            // Before the copy: a kill in between only means that an empty place is known.
            let marker = self.exported(dest)?;
            create_folder_synced(parent(&marker))?;
            fs::write(marker, dest.display().to_string())?;
        }
        let staged = self.staged(dest)?;
        let done =
            self.materialise(artifact, &staged).and_then(|()| finish(&staged)).and_then(|()| swap(&staged, dest));
        // After a swap this is what was there before.
        remove(&staged)?;
        done
    }

    fn check_replaceable(&self, artifact: &Artifact, dest: &Path) -> Result<()> {
        let keep = |why: &str| Err(CacheError::InTheWay { path: dest.to_owned(), why: why.to_owned() });
        let Ok(there) = fs::metadata(dest) else { return Ok(()) };
        if !there.is_dir() {
            return if there.is_file() { Ok(()) } else { keep("it is neither a file nor a folder") };
        }
        if entries(dest)?.is_empty() || self.exported(dest)?.is_file() {
            return Ok(());
        }
        if !artifact.folder {
            return keep("it is a folder, and the artifact is a file; name a file in it");
        }
        keep("it is a folder that this cache did not put there; move it away first")
    }

    /// The marker that says that the folder at `dest` was put there by this cache.
    fn exported(&self, dest: &Path) -> Result<PathBuf> {
        let path = std::path::absolute(dest)?;
        let name = Hash::of(path.as_os_str().as_encoded_bytes()).to_string();
        Ok(self.v1.join("exported").join(name))
    }

    /// A place on the file system of `dest`: in the cache where that is the same, so that a kill leaves nothing behind.
    fn staged(&self, dest: &Path) -> Result<PathBuf> {
        use std::os::unix::fs::MetadataExt as _;
        if self.is_writable() && fs::metadata(parent(dest))?.dev() == fs::metadata(&self.v1)?.dev() {
            return Ok(self.scrap()?.path());
        }
        Ok(parent(dest).join(format!(".ghtrader-{}.part", Ulid::generate())))
    }
}

/// How often something is put in a place that others change.
const ATTEMPTS: usize = 100;
/// Up to here a file is copied through memory: hashed on its way, and not read again.
const SMALL: u64 = 256 << 10;

fn copy_small(path: &Path, expected: &Artifact, dest: &Path) -> Result<()> {
    let mut file = fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if Kind::of_mode(mode).hash(&bytes) != expected.hash {
        return Err(CacheError::Changed(path.to_owned()));
    }
    let mut options = fs::OpenOptions::new();
    let mut copy = options.write(true).create_new(true).mode(0o444 | (mode & 0o111)).open(dest)?;
    Ok(copy.write_all(&bytes)?)
}

fn copy_read_only(path: &Path, dest: &Path) -> Result<()> {
    fs::copy(path, dest)?;
    let mode = fs::metadata(dest)?.permissions().mode();
    Ok(fs::set_permissions(dest, std::fs::Permissions::from_mode(0o444 | (mode & 0o111)))?)
}

fn copy_folder(path: &Path, dest: &Path) -> Result<()> {
    fs::create_dir(dest)?;
    let seen = walk(path)?;
    for seen in &seen {
        let place = dest.join(&seen.path);
        match seen.what {
            What::EmptyFolder => fs::create_dir_all(place)?,
            What::File { .. } | What::Link(_) => fs::create_dir_all(parent(&place))?,
        }
    }
    seen.into_par_iter().try_for_each(|seen| match seen.what {
        What::EmptyFolder => Ok(()),
        What::Link(link) => Ok(fs_err::os::unix::fs::symlink(link, dest.join(seen.path))?),
        What::File { full, .. } => copy_read_only(&full, &dest.join(seen.path)),
    })
}

/// Makes a copy one that its owner may change, and syncs it.
fn finish(staged: &Path) -> Result<()> {
    let open = |path: &Path, mode: u32| -> Result<()> {
        fs::set_permissions(path, std::fs::Permissions::from_mode(mode | 0o200))?;
        Ok(sync(path)?)
    };
    let metadata = fs::symlink_metadata(staged)?;
    if metadata.is_file() {
        return open(staged, metadata.permissions().mode());
    }
    walk(staged)?.into_par_iter().try_for_each(|seen| match seen.what {
        What::File { full, metadata } => open(&full, metadata.permissions().mode()),
        What::EmptyFolder | What::Link(_) => Ok(()),
    })
}

/// Exchanges `staged` with what is at `dest`, or moves it there.
fn swap(staged: &Path, dest: &Path) -> Result<()> {
    let mut attempts = 0;
    loop {
        match renameat_with(CWD, staged, CWD, dest, RenameFlags::EXCHANGE) {
            Ok(()) => break,
            Err(rustix::io::Errno::NOENT) => {}
            // The file system cannot exchange: a folder then goes away before the new one comes.
            Err(_) if dest.is_dir() && !dest.is_symlink() => remove(dest)?,
            Err(_) => {}
        }
        attempts += 1;
        match fs::rename(staged, dest) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::NotADirectory => fs::remove_file(dest)?,
            // Another run has just put the same there.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && attempts < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sync(parent(dest))?)
}
