//! Folders as artifacts: reading their listings, gathering, and taking one part.

use std::sync::Arc;

use super::listing::{Entry, Found, Listing};
use super::{Cache, Result};
use crate::artifact::Artifact;
use crate::sync::lock;

/// Listings that are kept in memory, so that taking one part of the same folder 100,000 times reads it once.
const KEPT: usize = 32;

impl Cache {
    /// What a folder holds.
    ///
    /// # Errors
    /// Where its listing is missing, damaged or invalid.
    pub fn listing(&self, folder: &Artifact) -> Result<Arc<Listing>> {
        let hash = folder.hash;
        if let Some(listing) = lock(&self.listings).get(&hash) {
            return Ok(Arc::clone(listing));
        }
        let listing = Arc::new(Listing::parse(hash, &self.read(&hash)?)?);
        let mut kept = lock(&self.listings);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(hash, Arc::clone(&listing));
        Ok(listing)
    }

    /// The file or folder at `path` in a folder, through links; `None` where there is nothing. Nothing is stored: the
    /// listing of a folder that is found so may be no object yet, see [`Cache::place_subfolder`].
    ///
    /// # Errors
    /// Those of [`Cache::listing`], and what the file system says.
    pub fn entry(&self, folder: &Artifact, path: &str) -> Result<Option<Artifact>> {
        if !folder.folder {
            return Ok(None);
        }
        match self.listing(folder)?.find(path) {
            Found::Nothing => Ok(None),
            Found::File(artifact) => Ok(Some(artifact)),
            Found::Folder(listing) => Ok(Some(listing.artifact()?.0)),
        }
    }

    /// Stores the listing of a folder in a folder, which no task wrote as an output of its own.
    ///
    /// # Errors
    /// Those of [`Cache::entry`].
    pub fn place_subfolder(&self, folder: &Artifact, path: &str) -> Result<()> {
        if let Found::Folder(listing) = self.listing(folder)?.find(path) {
            self.place_listing(&listing)?;
        }
        Ok(())
    }

    /// A folder with these artifacts at these paths, stored; it lasts from the next [`Cache::record_all`] on.
    ///
    /// # Errors
    /// Where two of them clash or a path is not plain, and those of [`Cache::listing`].
    pub fn place_gather(&self, parts: &[(String, Artifact)]) -> Result<Artifact> {
        self.place_listing(&self.gathered(parts)?)
    }

    /// What [`Cache::place_gather`] would give; nothing is stored.
    ///
    /// # Errors
    /// Those of [`Cache::place_gather`].
    pub fn gather_hash(&self, parts: &[(String, Artifact)]) -> Result<Artifact> {
        Ok(self.gathered(parts)?.artifact()?.0)
    }

    fn gathered(&self, parts: &[(String, Artifact)]) -> Result<Listing> {
        let mut listing = Listing::default();
        for (path, artifact) in parts {
            if artifact.folder {
                listing.graft(path, &*self.listing(artifact)?)?;
            } else {
                listing.add(path.clone(), Entry::File { hash: artifact.hash, size: artifact.size })?;
            }
        }
        listing.check_nesting()?;
        Ok(listing)
    }
}
