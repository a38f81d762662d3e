//! The store: objects by content, results by key, and a local index of both. It knows no flow and starts nothing.
//!
//! What lies where, what is guaranteed, and why: see the README beside this file.

mod ahead;
mod census;
mod check;
mod commit;
mod copies;
mod error;
pub(crate) mod files;
mod folders;
mod gc;
mod history;
mod index;
mod kind;
mod listing;
mod objects;
mod outputs;
mod recorded;
mod remote;
mod results;
mod shards;
mod sources;
mod stat;
mod tables;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use fs_err as fs;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use census::{Amount, Stats};
pub use check::{Checked, Damage};
pub use error::{CacheError, Result, hint};
pub use gc::{Collected, Roots, is_older};
pub use history::{LAST, Past, PastTask, Work};
pub use listing::{Entry, Listing};
pub use objects::State;
pub use outputs::Outputs;
pub use recorded::{Known, Recorded};
pub use remote::{Address, Claim, Claimed, Pulled, Pushed, Remote, RemoteError, SharedMove, Watch};

use crate::hash::Hash;
use crate::sync::lock;
use ahead::Ahead;
use commit::{Committing, Placed};
use files::Scrap;
use index::{Condition, Index};

/// A cache folder. It may be shared by threads, and opened by any number of processes.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    v1: PathBuf,
    /// `None` where the cache was opened for reading only.
    scrap: Option<Scrap>,
    /// Opened at the first question, so that what asks none writes nothing.
    index: OnceLock<Mutex<Index>>,
    opening: Mutex<()>,
    ahead: RwLock<Option<Ahead>>,
    listings: Mutex<HashMap<Hash, Arc<Listing>>>,
    placed: Mutex<Placed>,
    committing: Mutex<Committing>,
    notices: Mutex<Notices>,
    /// How many shards were found missing.
    shards_made: AtomicUsize,
    /// The one that other machines share.
    remote: Option<Arc<Remote>>,
}

/// Notices that wait to be taken, and all that were given: one thing is told once.
#[derive(Debug, Default)]
struct Notices {
    waiting: Vec<Notice>,
    given: HashSet<Notice>,
}

/// Something that was put right without being asked, for people to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The index was damaged or missing, and was made anew from this many manifests.
    IndexRebuilt {
        /// Whether it was damaged; otherwise it was missing.
        damaged: bool,
        /// Manifests that were read.
        results: usize,
    },
    /// A manifest is damaged, so its result does not count.
    DamagedManifest {
        /// Where it lies, or lay.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// Where it is now, if it was set aside.
        aside: Option<PathBuf>,
    },
    /// Results are recorded, and could not be written down in the index.
    NotIndexed(String),
    /// Something in the shared cache is not what it should be, and does not count.
    Doubtful(String),
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IndexRebuilt { damaged, results } => {
                let found = if *damaged { "damaged" } else { "missing" };
                write!(f, "the cache's index was {found}; it was rebuilt from {results} recorded results")
            }
            Self::DamagedManifest { path, why, aside } => {
                write!(f, "the manifest {} is damaged: {why}", path.display())?;
                match aside {
                    Some(aside) => write!(f, "; it is set aside as {}, and its task runs again", aside.display()),
                    None => write!(f, "; its task runs again"),
                }
            }
            Self::Doubtful(text) => f.write_str(text),
            Self::NotIndexed(why) => write!(f, "results are recorded that the index does not show yet: {why}"),
        }
    }
}

impl Cache {
    /// Opens the cache at `root`; it is made where it is missing.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn open(root: &Path) -> Result<Self> {
        let v1 = std::path::absolute(root)?.join("v1");
        for folder in ["objects", "results", "refs", "locks", "runs", "scratch", "tmp"] {
            files::create_folder_synced(&v1.join(folder))?;
        }
        let v1 = fs::canonicalize(&v1)?;
        let tmp = v1.join("tmp");
        Scrap::sweep(&tmp)?;
        let scrap = Scrap::new(&tmp)?;
        Ok(Self::new(v1, Some(scrap)))
    }

    /// Opens the cache at `root` without writing anything, now or later. One that is not there is empty.
    ///
    /// # Errors
    /// Where the current folder cannot be found out.
    pub fn open_read_only(root: &Path) -> Result<Self> {
        let v1 = std::path::absolute(root)?.join("v1");
        Ok(Self::new(fs::canonicalize(&v1).unwrap_or(v1), None))
    }

    fn new(v1: PathBuf, scrap: Option<Scrap>) -> Self {
        Self {
            root: files::parent(&v1).to_owned(),
            v1,
            scrap,
            index: OnceLock::new(),
            opening: Mutex::default(),
            ahead: RwLock::default(),
            listings: Mutex::default(),
            placed: Mutex::default(),
            committing: Mutex::default(),
            notices: Mutex::default(),
            shards_made: AtomicUsize::default(),
            remote: None,
        }
    }

    /// The cache's folder: absolute, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of this version's layout: `<root>/v1`.
    pub fn folder(&self) -> &Path {
        &self.v1
    }

    /// Where the folders of running tasks are.
    pub fn scratch(&self) -> PathBuf {
        self.v1.join("scratch")
    }

    /// Where the records of runs are.
    pub fn runs(&self) -> PathBuf {
        self.v1.join("runs")
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.scrap.is_some()
    }

    /// What was put right since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut lock(&self.notices).waiting)
    }

    /// A path on the cache's file system for a new temporary file or folder. What is left there when this process ends is
    /// removed.
    ///
    /// # Errors
    /// Where the cache was opened for reading only.
    pub fn temporary(&self) -> Result<PathBuf> {
        Ok(self.scrap()?.path())
    }

    fn scrap(&self) -> Result<&Scrap> {
        self.scrap.as_ref().ok_or_else(|| CacheError::ReadOnly(self.root.clone()))
    }

    fn notify(&self, notice: Notice) {
        let mut notices = lock(&self.notices);
        if notices.given.insert(notice.clone()) {
            notices.waiting.push(notice);
        }
    }

    /// Asks the index.
    fn query<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with_index(|connection| work(connection))
    }

    /// Changes the index, all or nothing. Without a word where it cannot be changed: it only saves work.
    fn write(&self, work: impl Fn(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        self.with_index(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&transaction)?;
            transaction.commit()
        })
    }

    fn with_index<T>(&self, work: impl Fn(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let index = self.index()?;
        self.refilled(
            |fill| lock(index).run(self.scrap.as_ref(), fill, work),
            |repaired| {
                if repaired { Condition::Damaged } else { Condition::Whole }
            },
        )
    }

    /// Opens the index now: a cache that cannot be used is no error of the flow that asks it first.
    ///
    /// # Errors
    /// Where the index can neither be used nor rebuilt.
    pub fn reach(&self) -> Result<()> {
        self.index().map(drop)
    }

    fn index(&self) -> Result<&Mutex<Index>> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _opening = lock(&self.opening);
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let open = |fill: index::Fill<'_>| match &self.scrap {
            Some(scrap) => Index::open(&self.v1, scrap, fill),
            None => Index::open_read_only(&self.v1, fill),
        };
        let index = self.refilled(open, |condition| condition)?;
        Ok(self.index.get_or_init(|| Mutex::new(index)))
    }

    /// Does what may have to fill the index anew, and leaves a notice where it had to.
    fn refilled<T, C>(
        &self,
        work: impl FnOnce(index::Fill<'_>) -> Result<(T, C)>,
        condition: impl FnOnce(C) -> Condition,
    ) -> Result<T> {
        let filled = Mutex::new((0, Vec::new()));
        let fill = |transaction: &Transaction<'_>| {
            *lock(&filled) = results::refill(&self.v1.join("results"), transaction)?;
            Ok(())
        };
        let (value, found) = work(&fill)?;
        let (results, wrong) = filled.into_inner().unwrap_or_default();
        match condition(found) {
            Condition::Damaged => self.notify(Notice::IndexRebuilt { damaged: true, results }),
            Condition::Missing if results > 0 => self.notify(Notice::IndexRebuilt { damaged: false, results }),
            Condition::Whole | Condition::Missing => {}
        }
        for (path, why) in wrong {
            let aside = self.is_writable().then(|| results::set_aside(&path)).transpose()?;
            self.notify(Notice::DamagedManifest { path, why, aside });
        }
        Ok(value)
    }
}
