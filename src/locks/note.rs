//! What the files of locks say, for people: who holds a lock, who shares it, who waits for it.

use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::Holder;
use crate::cache::files::{entries, is_locked, remove};

/// What is written into a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    pub(super) lock: String,
    pub(super) shared: bool,
    pub(super) waits: bool,
    pub(super) holder: Holder,
}

/// A note in a lock's folder, locked by who posted it.
#[derive(Debug)]
pub(super) struct Posted {
    path: PathBuf,
    file: fs::File,
}

impl Posted {
    /// Posts a note beside a lock.
    pub(super) fn beside(lock: &Path, ulid: &str, note: &Note) -> std::io::Result<Self> {
        let folder = beside(lock);
        let path = folder.join(format!("{ulid}.json"));
        loop {
            fs::create_dir_all(&folder)?;
            match post(&folder.join(format!("{ulid}.new")), &path, note) {
                Ok(file) => return Ok(Self { path, file }),
                // The last one to leave removed the folder.
                Err(error) if error.kind() == ErrorKind::NotFound && lock.parent().is_some_and(Path::is_dir) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn file(&self) -> &fs::File {
        &self.file
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        // One that stays is seen to be nobody's, for its lock is gone.
        let _ = remove(&self.path);
    }
}

fn post(temporary: &Path, path: &Path, note: &Note) -> std::io::Result<fs::File> {
    let mut file = fs::File::create(temporary)?;
    // Before it gets its name: a note without a lock is taken for one that was left behind.
    file.file().lock()?;
    write_note(&mut file, note)?;
    fs::rename(temporary, path)?;
    Ok(file)
}

pub(super) fn open_existing(path: &Path) -> std::io::Result<Option<fs::File>> {
    match fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder for the notes of those who wait for a lock or share it.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

/// The notes beside a lock whose authors live, the oldest first. The others are removed.
pub(super) fn living_notes(path: &Path) -> std::io::Result<Vec<(String, Note)>> {
    let mut notes = Vec::new();
    for entry in entries(&beside(path))? {
        let path = entry.path();
        let name = entry.file_name();
        let Some(ulid) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        let Some(mut file) = open_existing(&path)? else { continue };
        if is_locked(&file) {
            notes.extend(read_note(&mut file).map(|note| (ulid.to_owned(), note)));
        } else {
            // Whoever only looks, in a cache that is not theirs, may not remove it.
            let _ = remove(&path);
        }
    }
    Ok(notes)
}

pub(super) fn write_note(file: &mut fs::File, note: &Note) -> std::io::Result<()> {
    let text = serde_json::to_vec(note)?;
    file.rewind()?;
    file.write_all(&text)?;
    // Not emptied first: ext4 sends a file that was emptied and written to the disk as soon as it is closed.
    if file.metadata()?.len() > text.len() as u64 { file.set_len(text.len() as u64) } else { Ok(()) }
}

/// What a file says, if that is whole: it may be about to be written.
pub(super) fn read_note(file: &mut fs::File) -> Option<Note> {
    let mut text = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut text)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Who holds a lock now, where somebody does and has signed.
pub(super) fn holder_of(path: &Path) -> std::io::Result<Option<Holder>> {
    let Some(mut file) = open_existing(path)? else { return Ok(None) };
    let signed = if is_locked(&file) { read_note(&mut file) } else { None };
    if let Some(note) = signed {
        return Ok(Some(note.holder));
    }
    let sharing = living_notes(path)?.into_iter().map(|(_, note)| note).find(|note| !note.waits);
    Ok(sharing.map(|note| note.holder))
}
