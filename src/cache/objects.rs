//! Objects: files by content, at `objects/ab/cdef…`. What lies there is a plain read-only file that any tool opens.
//!
//! An object is put in its place by a rename. A row in the index says what the file system said of it once its bytes had
//! been hashed and synced; as long as it says the same, the object is whole without reading it. Every object has the same
//! mtime, so an edit shows however soon it comes. Without such a row, or with another answer, it is read and hashed.

use std::fs::{FileTimes, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_err as fs;
use rayon::prelude::*;

use super::census::forget_objects;
use super::files::sync;
use super::kind::Kind;
use super::listing::{Entry, Listing};
use super::stat::Stat;
use super::walk::{Seen, What, walk};
use super::{Cache, CacheError, Result, tables};
use crate::artifact::Artifact;
use crate::hash::Hash;
use crate::sync::lock;

/// Whether an artifact can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it is there, with the right bytes.
    Whole,
    /// Some of it is not there.
    Missing,
    /// Some of it has other bytes.
    Damaged,
    /// It is not whole here, and the shared cache has it.
    Elsewhere,
}

impl State {
    /// Whether it is there, or can be brought here.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Whole | Self::Elsewhere)
    }

    /// Missing objects are told before damaged ones: both are made again alike.
    fn and(self, other: impl FnOnce() -> Result<Self>) -> Result<Self> {
        if self == Self::Whole { other() } else { Ok(self) }
    }
}

/// What is in the place of an object.
enum Place {
    Empty,
    File(Metadata),
    /// A folder, a link, a pipe: whatever it is, it is not the object, and gives way when that is made again.
    Other,
}

/// As in the Nix store: a time that no edit will have.
const MTIME: Duration = Duration::from_secs(1);

impl Cache {
    /// Where an object lies, or would.
    pub fn object_path(&self, hash: &Hash) -> PathBuf {
        let hex = hash.hex();
        let (shard, name) = hex.split_at(2);
        let mut path = PathBuf::with_capacity(self.v1.as_os_str().len() + "/objects//".len() + hex.len());
        path.push(&self.v1);
        ["objects", shard, name].iter().for_each(|part| path.push(part));
        path
    }

    /// Moves an output of a task, at `relative` in its folder, into the store: a file, or a folder with all it holds. It can be
    /// used at once, and lasts from the next [`Cache::record_all`] on. What lay there is gone or may be deleted afterwards.
    ///
    /// # Errors
    /// Where it is a link, a link on the way leads out of the task's folder, or a folder holds what no artifact can (see the
    /// README); else what the file system says.
    pub fn place_output(&self, folder: &Path, relative: &Path) -> Result<Artifact> {
        self.place(&inside(folder, relative)?)
    }

    /// What [`Cache::place_output`] will give. The output stays where it is, and can be placed by pieces: what is no file of its
    /// own, the listing of a folder, gets its place here.
    ///
    /// # Errors
    /// Those of [`Cache::place_output`].
    pub fn foresee_output(&self, folder: &Path, relative: &Path) -> Result<Artifact> {
        self.taken_in(&inside(folder, relative)?, |path, metadata| {
            let file = fs::File::open(path).map_err(|error| unreadable(path, error.into()))?;
            let (hash, size) = Kind::of_mode(metadata.mode()).hash_file(&file, metadata.len())?;
            Ok(Artifact { hash, folder: false, size })
        })
    }

    /// Goes on with a [`Cache::place_output`] that was broken off after [`Cache::foresee_output`]: whatever file is still there
    /// gets its place. It lasts from the next [`Cache::record_all`] on.
    ///
    /// # Errors
    /// Those of [`Cache::place_output`], but not that nothing is there.
    pub fn place_rest(&self, folder: &Path, relative: &Path) -> Result<()> {
        let path = folder.join(relative);
        self.scrap()?;
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => self.place_file(&path, &metadata).map(drop),
            Ok(metadata) if metadata.is_dir() => {
                walk(&path)?.into_par_iter().try_for_each(|seen| entry(seen, self.placing()).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// Stores a file with these bytes; it lasts from the next [`Cache::record_all`] on.
    ///
    /// # Errors
    /// What the file system says.
    pub fn place_bytes(&self, bytes: &[u8]) -> Result<Artifact> {
        let artifact = Artifact::of_bytes(bytes);
        self.place_content(Kind::File, artifact.hash, bytes)?;
        Ok(artifact)
    }

    pub(super) fn place_listing(&self, listing: &Listing) -> Result<Artifact> {
        let (artifact, bytes) = listing.artifact()?;
        self.place_content(Kind::Folder, artifact.hash, &bytes)?;
        Ok(artifact)
    }

    /// Puts all of it in its place; nothing is synced yet.
    pub(super) fn place(&self, path: &Path) -> Result<Artifact> {
        self.taken_in(path, self.placing())
    }

    fn placing(&self) -> impl Fn(&Path, &Metadata) -> Result<Artifact> {
        |path, metadata| self.place_file(path, metadata)
    }

    /// What lies at `path`, with `file` for each file of it; of a folder, the listing is placed.
    fn taken_in(&self, path: &Path, file: impl Fn(&Path, &Metadata) -> Result<Artifact> + Sync) -> Result<Artifact> {
        self.scrap()?;
        let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(path, error.into()))?;
        if metadata.is_file() {
            return file(path, &metadata);
        }
        if !metadata.is_dir() {
            return Err(CacheError::unfit(path, "an output is a file or a folder; write the content itself there"));
        }
        let seen = walk(path).map_err(|error| unreadable(path, error))?;
        let entries: Vec<(String, Entry)> =
            seen.into_par_iter().map(|seen| entry(seen, &file)).collect::<Result<_>>()?;
        let mut listing = Listing::default();
        entries.into_iter().try_for_each(|(path, entry)| listing.add(path, entry))?;
        self.place_listing(&listing)
    }

    fn place_file(&self, path: &Path, metadata: &Metadata) -> Result<Artifact> {
        let kind = Kind::of_mode(metadata.mode());
        // A file with a second name could be changed through it later: its content goes in, the file does not.
        let mut file = fs::File::open(path).map_err(|error| unreadable(path, error.into()))?;
        let copied = if metadata.nlink() > 1 { Some(self.copy_in(path)?) } else { None };
        if let Some(copied) = &copied {
            file = fs::File::open(copied)?;
        }
        let path = copied.as_deref().unwrap_or(path);
        let (hash, size) = kind.hash_file(&file, metadata.len())?;
        self.put(kind, hash, path, file)?;
        Ok(Artifact { hash, folder: false, size })
    }

    fn copy_in(&self, path: &Path) -> Result<PathBuf> {
        let copy = self.scrap()?.path();
        fs::copy(path, &copy)?;
        Ok(copy)
    }

    pub(super) fn place_content(&self, kind: Kind, hash: Hash, bytes: &[u8]) -> Result<()> {
        if self.keeps(kind, hash)? {
            return Ok(());
        }
        let path = self.scrap()?.path();
        fs::write(&path, bytes)?;
        self.put(kind, hash, &path, fs::File::open(&path)?)
    }

    /// Gives the file at `path`, which has this hash and is open as `file`, its place.
    pub(super) fn put(&self, kind: Kind, hash: Hash, path: &Path, file: fs::File) -> Result<()> {
        if self.keeps(kind, hash)? {
            return Ok(());
        }
        let place = self.object_path(&hash);
        let mut file = file;
        if let Err(error) = seal(&file, kind).and_then(|()| self.in_shard(&place, || fs::rename(path, &place))) {
            // Another file system, or a folder that the task made read-only.
            if !matches!(error.kind(), ErrorKind::CrossesDevices | ErrorKind::PermissionDenied) {
                return Err(error.into());
            }
            let copy = self.copy_in(path)?;
            file = fs::File::open(&copy)?;
            seal(&file, kind)?;
            self.in_shard(&place, || fs::rename(&copy, &place))?;
        }
        self.add_placed(place, hash, Stat::of(&file.metadata()?));
        Ok(())
    }

    /// Whether an object that is to be placed is there already, and will stay until its result is recorded: `gc` removes
    /// what is older than the oldest process, so an old one is made young. It lasts as it is.
    fn keeps(&self, kind: Kind, hash: Hash) -> Result<bool> {
        let (State::Whole, Some(stat)) = self.look(hash, kind == Kind::Folder)? else { return Ok(false) };
        if !stat.is_settled(self.scrap()?.begun()) {
            return Ok(true);
        }
        let path = self.object_path(&hash);
        let file = match fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        // The time of access is for a `gc` that has seen the old one: it goes with the file where that is set aside.
        file.file().set_times(FileTimes::new().set_modified(UNIX_EPOCH + MTIME).set_accessed(SystemTime::now()))?;
        let now = Stat::of(&file.metadata()?);
        // Was it set aside before that?
        let stays = self.object_metadata(hash)?.is_some_and(|metadata| Stat::of(&metadata) == now);
        if stays {
            self.add_touched(hash, now);
        }
        Ok(stays)
    }

    /// Whether an artifact can be used: a folder, with all it holds.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub fn state(&self, artifact: &Artifact) -> Result<State> {
        match self.state_here(artifact)? {
            State::Missing | State::Damaged if self.is_elsewhere(&artifact.hash)? => Ok(State::Elsewhere),
            state => Ok(state),
        }
    }

    /// The same of what is here.
    pub(super) fn state_here(&self, artifact: &Artifact) -> Result<State> {
        let state = self.object_state(artifact.hash, artifact.folder)?;
        if !artifact.folder {
            return Ok(state);
        }
        state.and(|| {
            let listing = match self.listing(artifact) {
                Err(CacheError::Missing(_)) => return Ok(State::Missing),
                Err(CacheError::Damaged { .. }) => return Ok(State::Damaged),
                listing => listing?,
            };
            listing.files().try_fold(State::Whole, |state, (_, hash, _)| state.and(|| self.object_state(hash, false)))
        })
    }

    pub(super) fn object_state(&self, hash: Hash, folder: bool) -> Result<State> {
        Ok(self.look(hash, folder)?.0)
    }

    /// The state of an object, and what the file system said of it.
    fn look(&self, hash: Hash, folder: bool) -> Result<(State, Option<Stat>)> {
        let metadata = match self.object_place(hash)? {
            Place::Empty => return Ok((State::Missing, None)),
            Place::Other => return Ok((State::Damaged, None)),
            Place::File(metadata) => metadata,
        };
        let now = Some(Stat::of(&metadata));
        // What this process placed and has not committed yet is newer than any row.
        let whole = match self.placed_stat(&hash) {
            Some(placed) => Some(placed) == now,
            None => self.object_ahead(&hash) == now || self.query(|index| tables::object(index, hash))? == now,
        };
        Ok((if whole { State::Whole } else { self.reread(hash, folder)? }, now))
    }

    fn object_place(&self, hash: Hash) -> Result<Place> {
        // Not through `fs_err`: that an object is not there is no error, and its message costs more than the look.
        let path = self.object_path(&hash);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Place::File(metadata)),
            Ok(_) => Ok(Place::Other),
            // Where its shard is no folder, there is nothing in it.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Place::Empty),
            Err(_) => Ok(Place::File(fs::symlink_metadata(&path)?)),
        }
    }

    /// What the file system says of an object; `None` where there is none.
    fn object_metadata(&self, hash: Hash) -> Result<Option<Metadata>> {
        Ok(if let Place::File(metadata) = self.object_place(hash)? { Some(metadata) } else { None })
    }

    fn reread(&self, hash: Hash, folder: bool) -> Result<State> {
        let Some(metadata) = self.object_metadata(hash)? else { return Ok(State::Missing) };
        let path = self.object_path(&hash);
        let likely = if folder { Kind::Folder } else { Kind::of_mode(metadata.mode()) };
        let other = if likely == Kind::Program { Kind::File } else { Kind::Program };
        for kind in [likely, other] {
            // Permissions that were changed from outside are no damage.
            if kind.hash_file(&fs::File::open(&path)?, metadata.len())?.0 == hash {
                if self.is_writable() {
                    self.approve(hash, kind, &path)?;
                }
                return Ok(State::Whole);
            }
            if folder {
                break;
            }
        }
        Ok(State::Damaged)
    }

    /// Writes down that an object was found whole. It may be another process's that has not synced it yet.
    fn approve(&self, hash: Hash, kind: Kind, path: &Path) -> Result<()> {
        let stat = Stat::of(&fs::symlink_metadata(path)?);
        if stat.mode & 0o777 != kind.mode() {
            fs::set_permissions(path, std::fs::Permissions::from_mode(kind.mode()))?;
        }
        let file = fs::File::open(path)?;
        if stat.mtime != i64::try_from(MTIME.as_nanos()).unwrap_or_default() {
            file.file().set_times(FileTimes::new().set_modified(UNIX_EPOCH + MTIME))?;
        }
        file.sync_all()?;
        sync(super::files::parent(path))?;
        let stat = Stat::of(&file.metadata()?);
        self.write(|index| tables::set_object(index, hash, stat))
    }

    /// What the object with this hash is, read and checked; `None` where it is not whole.
    pub(super) fn object(&self, hash: &Hash) -> Result<Option<Artifact>> {
        let Some(metadata) = self.object_metadata(*hash)? else { return Ok(None) };
        let path = self.object_path(hash);
        for kind in [Kind::File, Kind::Program, Kind::Folder] {
            if kind.hash_file(&fs::File::open(&path)?, metadata.len())?.0 == *hash {
                let found = Artifact { hash: *hash, folder: kind == Kind::Folder, size: metadata.len() };
                let size = if found.folder { self.listing(&found)?.size() } else { found.size };
                return Ok(Some(Artifact { size, ..found }));
            }
        }
        Ok(None)
    }

    /// The bytes of an object, checked.
    ///
    /// # Errors
    /// Where it is missing or damaged.
    pub fn read(&self, hash: &Hash) -> Result<Vec<u8>> {
        let path = self.object_path(hash);
        match self.object_place(*hash)? {
            Place::Empty if self.bring(hash)? => {}
            Place::Empty => return self.bytes_elsewhere(hash)?.ok_or(CacheError::Missing(*hash)),
            Place::Other => return Err(CacheError::Damaged { hash: *hash, path }),
            Place::File(_) => {}
        }
        let bytes = fs::read(&path)?;
        if is_of(&bytes, hash) {
            return Ok(bytes);
        }
        if self.is_writable() {
            self.distrust(&[*hash])?;
            if self.bring(hash)? {
                return Ok(fs::read(&path)?);
            }
        }
        Err(CacheError::Damaged { hash: *hash, path })
    }

    /// Forgets what the file system said of objects that were found damaged, although it may say the same now: a failing
    /// disk changes bytes and no time. The next look at them reads them, so that the next run makes them again.
    ///
    /// # Errors
    /// Where the index cannot be used.
    pub fn distrust(&self, damaged: &[Hash]) -> Result<()> {
        self.forget_ahead();
        self.forget_placed(damaged);
        lock(&self.listings).retain(|hash, _| !damaged.contains(hash));
        self.write(|index| forget_objects(index, damaged))
    }

    /// An object of JSON.
    ///
    /// # Errors
    /// Those of [`Cache::read`], and where it is not JSON.
    pub fn json(&self, hash: &Hash) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.read(hash)?).map_err(|source| CacheError::Json { hash: *hash, source })
    }

    /// An error where an object cannot be used.
    pub(super) fn demand(&self, hash: Hash) -> Result<PathBuf> {
        let path = self.object_path(&hash);
        match self.object_state(hash, false)? {
            State::Whole => Ok(path),
            State::Missing | State::Elsewhere => Err(CacheError::Missing(hash)),
            State::Damaged => Err(CacheError::Damaged { hash, path }),
        }
    }
}

/// What a folder is to hold of something that lies in it, with `file` for each file.
fn entry(seen: Seen, file: impl Fn(&Path, &Metadata) -> Result<Artifact>) -> Result<(String, Entry)> {
    let entry = match seen.what {
        What::EmptyFolder => Entry::Folder { folder: true },
        What::Link(link) => Entry::Link { link },
        What::File { full, metadata } => {
            let Artifact { hash, size, .. } = file(&full, &metadata)?;
            Entry::File { hash, size }
        }
    };
    Ok((seen.path, entry))
}

/// Where an output lies, at `relative` in its task's folder.
fn inside(folder: &Path, relative: &Path) -> Result<PathBuf> {
    let path = folder.join(relative);
    if !is_straight(folder, relative) {
        let above = fs::canonicalize(super::files::parent(&path)).map_err(|error| unreadable(&path, error.into()))?;
        if !above.starts_with(fs::canonicalize(folder)?) {
            let why = "a link leads it out of the task's folder; write it there instead";
            return Err(CacheError::unfit(&path, why));
        }
    }
    Ok(path)
}

/// An output that was made unreadable, or that went away: its task did that, and the store is well. Other errors, of a disk
/// say, stay what they are.
fn unreadable(path: &Path, error: CacheError) -> CacheError {
    match error {
        CacheError::Io(error) if is_own_doing(&error) => {
            CacheError::unfit(path, format!("{error}; let the task leave it readable"))
        }
        other => other,
    }
}

fn is_own_doing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether these are the bytes of an object, of whatever kind.
pub(super) fn is_of(bytes: &[u8], hash: &Hash) -> bool {
    [Kind::File, Kind::Folder, Kind::Program].into_iter().any(|kind| kind.hash(bytes) == *hash)
}

/// Lets a file look like an object.
fn seal(file: &fs::File, kind: Kind) -> std::io::Result<()> {
    file.file().set_times(FileTimes::new().set_modified(UNIX_EPOCH + MTIME))?;
    file.set_permissions(std::fs::Permissions::from_mode(kind.mode()))
}

/// Whether no link can lead an output out of its task's folder: there is nothing but folders on its way.
fn is_straight(folder: &Path, relative: &Path) -> bool {
    let mut path = folder.to_owned();
    let above = relative.parent().into_iter().flat_map(Path::components);
    let is_folder = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    is_folder(folder)
        && above.into_iter().all(|part| {
            path.push(part);
            matches!(part, std::path::Component::Normal(_)) && is_folder(&path)
        })
}
