//! Refs of a cache that is shared with other machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use fs_err as fs;

use super::{Move, RefError, Refs, Result, check_name, numbers, read};
use crate::cache::{Cache, Remote};
use crate::sync::lock;

/// The way to the shared cache.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    remote: Arc<Remote>,
    /// Whether what comes from there is written down here.
    writable: bool,
    /// Those moves that are not written down here, once they were asked for.
    moves: Arc<Mutex<Option<Moves>>>,
}

/// Moves by the names of their refs, the first one first.
type Moves = BTreeMap<String, Vec<Move>>;

impl Shared {
    pub(super) fn of(cache: &Cache) -> Option<Self> {
        let remote = Arc::clone(cache.remote()?);
        Some(Self { remote, writable: cache.is_writable(), moves: Arc::default() })
    }
}

impl Refs {
    /// The moves of a ref that are not written down here, the first one first.
    pub(super) fn elsewhere(&self, name: &str) -> Result<Vec<Move>> {
        let Some(shared) = &self.shared else { return Ok(Vec::new()) };
        self.look(shared)?;
        Ok(lock(&shared.moves).as_ref().and_then(|moves| moves.get(name)).cloned().unwrap_or_default())
    }

    /// The refs that have such moves.
    pub(super) fn names_elsewhere(&self) -> Result<Vec<String>> {
        let Some(shared) = &self.shared else { return Ok(Vec::new()) };
        self.look(shared)?;
        Ok(lock(&shared.moves).iter().flat_map(BTreeMap::keys).cloned().collect())
    }

    /// Asks for the moves of others, once.
    fn look(&self, shared: &Shared) -> Result<()> {
        let mut moves = lock(&shared.moves);
        if moves.is_none() {
            *moves = Some(self.take_over(shared)?);
        }
        Ok(())
    }

    /// Takes over the moves that are not here; gives those that cannot be written down.
    fn take_over(&self, shared: &Shared) -> Result<Moves> {
        let mut known = BTreeMap::new();
        for name in self.names_here()? {
            known.insert(name.clone(), numbers(&self.folder_of(&name)?)?.into_iter().collect::<BTreeSet<u64>>());
        }
        let mut kept = Moves::new();
        let new = shared.remote.new_moves(&known)?;
        let names: BTreeSet<&String> =
            new.iter().map(|(name, ..)| name).filter(|name| known.contains_key(*name)).collect();
        for name in names {
            self.numbers_there(shared, name)?;
        }
        for (name, n, text) in new {
            check_name(&name)?;
            let damaged = |why: String| RefError::Damaged { path: self.folder.join(&name), why };
            let moved: Move = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
            if moved.n != n {
                return Err(damaged(format!("move {n} of the shared cache says that it is move {}", moved.n)));
            }
            if shared.writable {
                self.write(&name, n, &text)?;
            } else {
                kept.entry(name).or_default().push(moved);
            }
        }
        Ok(kept)
    }

    /// Makes a move in the shared cache first; `false` where another machine took the number.
    pub(super) fn append_elsewhere(&self, name: &str, n: u64, text: &[u8]) -> Result<bool> {
        let Some(shared) = &self.shared else { return Ok(true) };
        self.share_moves(shared, name)?;
        let made = self.add(shared, name, n, text)?;
        if !made {
            // What others have moved meanwhile decides what comes next.
            *lock(&shared.moves) = Some(self.take_over(shared)?);
        }
        Ok(made)
    }

    /// Shares the moves of all refs that were made before the cache was shared; gives how many.
    ///
    /// # Errors
    /// Where the shared cache cannot be used, and [`RefError::Diverged`].
    pub fn push(&self) -> Result<usize> {
        let Some(shared) = &self.shared else { return Ok(0) };
        let mut pushed = 0;
        for name in self.names_here()? {
            pushed += self.share_moves(shared, &name)?;
        }
        Ok(pushed)
    }

    fn share_moves(&self, shared: &Shared, name: &str) -> Result<usize> {
        let folder = self.folder_of(name)?;
        let there = self.numbers_there(shared, name)?;
        let mut pushed = 0;
        for n in numbers(&folder)?.into_iter().filter(|n| !there.contains(n)) {
            // Where another machine was faster, it has made another move.
            if !self.add(shared, name, n, &fs::read(folder.join(format!("{n}.json")))?)? {
                return Err(self.diverged(name, n));
            }
            pushed += 1;
        }
        Ok(pushed)
    }

    /// The numbers of the moves of the shared cache, whose history has to be the one of this cache as far as both go.
    fn numbers_there(&self, shared: &Shared, name: &str) -> Result<BTreeSet<u64>> {
        let folder = self.folder_of(name)?;
        let there = shared.remote.numbers_of(name)?;
        // Numbers only grow: where two histories part, they differ from there on.
        let common = numbers(&folder)?.into_iter().filter(|n| there.contains(n)).max();
        if let Some(n) = common
            && shared.remote.one_move(name, n)?.is_some_and(|other| read(&folder, n).ok() != parsed(&other))
        {
            return Err(self.diverged(name, n));
        }
        Ok(there)
    }

    /// Makes a move there. One that is there and is the same was made by a try whose answer did not come.
    fn add(&self, shared: &Shared, name: &str, n: u64, text: &[u8]) -> Result<bool> {
        let made = shared.remote.add_move(name, n, text)?;
        Ok(made || shared.remote.one_move(name, n)?.is_some_and(|there| parsed(&there) == parsed(text)))
    }

    pub(super) fn diverged(&self, name: &str, n: u64) -> RefError {
        RefError::Diverged { name: name.to_owned(), n, folder: self.folder.join(name) }
    }
}

fn parsed(text: &[u8]) -> Option<Move> {
    serde_json::from_slice(text).ok()
}
