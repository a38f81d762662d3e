//! The listing of a folder: what it holds, by path. Its canonical JSON is the folder's object.
//!
//! ```json
//! {"a/b.txt":{"hash":"…","size":12},"empty":{"folder":true},"link":{"link":"a/b.txt"}}
//! ```
//!
//! It is flat, so that a gather of 100,000 outputs is one object, and sorted by path, so that the same folder gives the
//! same bytes. A folder is named only where it is empty. The executable bit is in the hash of the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::{CacheError, Result};
use crate::artifact::Artifact;
use crate::hash::Hash;

/// What lies at a path of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Entry {
    /// A file.
    File {
        /// Of its content and executable bit.
        hash: Hash,
        /// In bytes.
        size: u64,
    },
    /// A symbolic link to a place in the same folder.
    Link {
        /// Its text.
        link: String,
    },
    /// An empty folder.
    Folder {
        /// Always true.
        folder: bool,
    },
}

/// The contents of a folder by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    entries: BTreeMap<String, Entry>,
}

impl Listing {
    /// What lies where, sorted by path.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// Adds an entry. A path that is not plain, or clashes with another, is an error.
    pub(super) fn add(&mut self, path: String, entry: Entry) -> Result<()> {
        if !is_plain(&path) {
            return Err(CacheError::unfit(path.as_ref(), "a path inside a folder is relative, without `.` and `..`"));
        }
        if self.entries.contains_key(&path) {
            return Err(CacheError::Clash(path));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// An error where something lies below a path that is not a folder.
    pub(super) fn check_nesting(&self) -> Result<()> {
        for path in self.entries.keys() {
            for (index, _) in path.match_indices('/') {
                if let Some(above) = path.get(..index).filter(|above| self.entries.contains_key(*above)) {
                    return Err(CacheError::Clash(above.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// The canonical bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.entries).map_err(|error| CacheError::Io(error.into()))
    }

    /// The folder as an artifact, with its bytes.
    pub(super) fn artifact(&self) -> Result<(Artifact, Vec<u8>)> {
        let bytes = self.bytes()?;
        Ok((Artifact { hash: Kind::Folder.hash(&bytes), folder: true, size: self.size() }, bytes))
    }

    /// Reads the object of folder `hash`; what it names is checked, for it may come from another machine.
    pub(super) fn parse(hash: Hash, bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| CacheError::Listing { hash, why };
        let entries: BTreeMap<String, Entry> =
            serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        for (path, entry) in &entries {
            if !is_plain(path) {
                return Err(invalid(format!("the path `{path}`")));
            }
            if let Entry::Link { link } = entry {
                stays_inside(path, link).map_err(|why| invalid(format!("the link `{path}` {why}")))?;
            }
        }
        let listing = Self { entries };
        listing.check_nesting().map_err(|error| invalid(error.to_string()))?;
        Ok(listing)
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> u64 {
        self.files().map(|(_, _, size)| size).sum()
    }

    /// Path, hash and size of all files.
    pub fn files(&self) -> impl Iterator<Item = (&str, Hash, u64)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File { hash, size } => Some((path.as_str(), *hash, *size)),
            Entry::Link { .. } | Entry::Folder { .. } => None,
        })
    }

    /// Adds all of `other` below `path`.
    pub(super) fn graft(&mut self, path: &str, other: &Self) -> Result<()> {
        if other.entries.is_empty() {
            return self.add(path.to_owned(), Entry::Folder { folder: true });
        }
        other.entries.iter().try_for_each(|(below, entry)| self.add(format!("{path}/{below}"), entry.clone()))
    }

    /// What lies at `path`, through links: a file, a folder as its own listing, or nothing.
    pub(super) fn find(&self, path: &str) -> Found {
        let mut path = path.to_owned();
        // As many links as the kernel follows.
        for _ in 0..40 {
            match self.entries.get(&path) {
                Some(Entry::File { hash, size }) => {
                    return Found::File(Artifact { hash: *hash, folder: false, size: *size });
                }
                Some(Entry::Folder { .. }) => return Found::Folder(Self::default()),
                Some(Entry::Link { link }) => path = joined(&path, link),
                None => match self.link_above(&path) {
                    Some(through) => path = through,
                    None => return self.below(&path),
                },
            }
        }
        Found::Nothing
    }

    /// `path` with the first link on the way to it replaced by where it leads.
    fn link_above(&self, path: &str) -> Option<String> {
        path.match_indices('/').find_map(|(index, _)| {
            let (above, rest) = path.split_at(index);
            match self.entries.get(above) {
                Some(Entry::Link { link }) => Some(format!("{}{rest}", joined(above, link))),
                _ => None,
            }
        })
    }

    fn below(&self, path: &str) -> Found {
        if path.is_empty() {
            return Found::Folder(self.clone());
        }
        let prefix = format!("{path}/");
        let entries: BTreeMap<String, Entry> = self
            .entries
            .range(prefix.clone()..)
            .map_while(|(below, entry)| Some((below.strip_prefix(&prefix)?.to_owned(), entry.clone())))
            .collect();
        if entries.is_empty() { Found::Nothing } else { Found::Folder(Self { entries }) }
    }
}

/// What a path of a listing leads to.
pub(super) enum Found {
    Nothing,
    File(Artifact),
    Folder(Listing),
}

/// Whether a path is relative and has only names in it.
pub(super) fn is_plain(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|name| !name.is_empty() && name != "." && name != "..")
}

/// Whether the link at `path` stays in its folder: relative, with `..` only at its start and no higher than the folder.
/// The folders on the way to the link are real ones, so those `..` lead where they say; what follows goes only down,
/// through links of which the same holds.
pub(super) fn stays_inside(path: &str, link: &str) -> std::result::Result<(), &'static str> {
    let depth = path.matches('/').count();
    let mut ups = 0;
    let mut down = false;
    if link.is_empty() || link.starts_with('/') || link.contains('\0') {
        return Err("is absolute; only relative links that stay inside the folder are kept");
    }
    for name in link.split('/') {
        match name {
            "" | "." => {}
            ".." if down => return Err("has `..` after a name; write it without"),
            ".." => ups += 1,
            _ => down = true,
        }
    }
    if ups > depth { Err("leads out of the folder; only links that stay inside are kept") } else { Ok(()) }
}

/// Where the link at `path` leads.
fn joined(path: &str, link: &str) -> String {
    let mut names: Vec<&str> = path.split('/').collect();
    names.pop();
    for name in link.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Entry {
        Entry::File { hash: Hash::of(text.as_bytes()), size: text.len() as u64 }
    }

    fn link(text: &str) -> Entry {
        Entry::Link { link: text.to_owned() }
    }

    fn listing(entries: &[(&str, Entry)]) -> Listing {
        let mut listing = Listing::default();
        for (path, entry) in entries {
            listing.add((*path).to_owned(), entry.clone()).unwrap();
        }
        listing
    }

    fn is_file(found: &Found, text: &str) -> bool {
        matches!(found, Found::File(artifact) if artifact.hash == Hash::of(text.as_bytes()))
    }

    #[test]
    fn the_order_of_adding_changes_nothing_and_bytes_are_read_back() {
        let one = listing(&[("b", file("1")), ("a b/\n-c", file("2")), ("ü", Entry::Folder { folder: true })]);
        let two = listing(&[("ü", Entry::Folder { folder: true }), ("a b/\n-c", file("2")), ("b", file("1"))]);
        let (artifact, bytes) = one.artifact().unwrap();
        assert_eq!(two.artifact().unwrap().1, bytes);
        assert_eq!((artifact.size, artifact.folder), (2, true));
        assert_eq!(Listing::parse(artifact.hash, &bytes).unwrap(), one);
    }

    #[test]
    fn a_listing_that_leads_out_is_refused() {
        let hash = Hash::of(b"");
        for path in ["../a", "/a", "a/../b", "a//b", "./a", ""] {
            let text = format!(r#"{{"{path}":{{"hash":"{hash}","size":0}}}}"#);
            assert!(matches!(Listing::parse(hash, text.as_bytes()), Err(CacheError::Listing { .. })), "{path}");
        }
        let nested = format!(r#"{{"a":{{"link":"b"}},"a/b":{{"hash":"{hash}","size":0}},"b":{{"folder":true}}}}"#);
        assert!(matches!(Listing::parse(hash, nested.as_bytes()), Err(CacheError::Listing { .. })));
        assert!(Listing::parse(hash, br#"{"a/b":{"link":"../../c"}}"#).is_err());
    }

    #[test]
    fn links_stay_inside() {
        for (path, text) in [("l", "a"), ("d/l", "../a"), ("d/e/l", "../../a/b"), ("l", "./a/"), ("d/l", "..")] {
            assert!(stays_inside(path, text).is_ok(), "{path} → {text}");
        }
        // `k` leads up, so `k/..` would not be where its text says.
        for (path, text) in [("l", "/a"), ("l", ".."), ("d/l", "../../a"), ("l", "a/../b"), ("l", "k/.."), ("l", "")] {
            assert!(stays_inside(path, text).is_err(), "{path} → {text}");
        }
    }

    #[test]
    fn an_entry_is_found_through_links() {
        let listing = listing(&[
            ("d/f", file("f")),
            ("d/e/g", file("g")),
            ("l", link("d/f")),
            ("m", link("d")),
            ("d/up", link("../l")),
            ("round", link("round")),
            ("void", Entry::Folder { folder: true }),
        ]);
        assert!(is_file(&listing.find("d/f"), "f") && is_file(&listing.find("l"), "f"));
        assert!(is_file(&listing.find("m/e/g"), "g") && is_file(&listing.find("m/up"), "f"));
        assert!(matches!(listing.find("m/e"), Found::Folder(below) if below.entries().len() == 1));
        assert!(matches!(listing.find("void"), Found::Folder(below) if below.entries().is_empty()));
        for nothing in ["x", "d/x", "round", "l/x", "d/f/x"] {
            assert!(matches!(listing.find(nothing), Found::Nothing), "{nothing}");
        }
    }

    #[test]
    fn two_things_at_one_place_clash() {
        let mut one = listing(&[("a", file("1"))]);
        assert!(matches!(one.add("a".into(), file("2")), Err(CacheError::Clash(_))));
        one.add("a/b".into(), file("2")).unwrap();
        assert!(matches!(one.check_nesting(), Err(CacheError::Clash(path)) if path == "a"));
    }
}
