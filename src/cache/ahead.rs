//! What the index knows, read at once. A plan of thousands of instances asks for as many rows of three tables, and a look
//! at each costs ten times what it costs to read them all in their order.
//!
//! What is read ahead only saves questions: a row that is not here, or does not fit what the file system says, is asked
//! for as ever. So it may be as old as the moment at which planning began, and is forgotten when planning pauses.

use std::path::Path;
use std::sync::{PoisonError, RwLockReadGuard};

use super::stat::Stat;
use super::{Cache, Known, tables};
use crate::hash::{ByHash, Hash};

/// The rows of three tables.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) results: ByHash<tables::ResultRow>,
    pub(super) objects: ByHash<Stat>,
    pub(super) sources: tables::Sources,
}

/// Pages of the database for each row that is wanted, above which its rows are asked for one by one: it then holds
/// several times more than what is wanted, and memory is not spent on that.
const PAGES: usize = 1;

impl Cache {
    /// Reads the index ahead, for as many instances to be planned, where that is worth it. Damage shows when it is asked.
    pub fn read_ahead(&self, instances: usize) {
        let Some((results, files)) = self.index().ok().and_then(|index| crate::sync::lock(index).readers()) else {
            return;
        };
        let pages: i64 = results.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap_or(i64::MAX);
        if usize::try_from(pages).is_ok_and(|pages| pages > instances.saturating_mul(PAGES)) {
            return;
        }
        let (results, files) = rayon::join(
            move || tables::all_results(&results),
            move || Ok::<_, rusqlite::Error>((tables::all_objects(&files)?, tables::all_sources(&files)?)),
        );
        if let (Ok(results), Ok((objects, sources))) = (results, files) {
            *self.ahead.write().unwrap_or_else(PoisonError::into_inner) = Some(Ahead { results, objects, sources });
        }
    }

    /// Forgets what was read ahead.
    pub fn forget_ahead(&self) {
        // To free so many rows takes a while, and nobody waits for it.
        if let Some(ahead) = self.ahead.write().unwrap_or_else(PoisonError::into_inner).take() {
            rayon::spawn(move || drop(ahead));
        }
    }

    fn ahead(&self) -> RwLockReadGuard<'_, Option<Ahead>> {
        self.ahead.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn result_ahead(&self, key: &Hash) -> Option<Known> {
        self.ahead().as_ref()?.results.get(key)?.known(*key)
    }

    pub(super) fn object_ahead(&self, hash: &Hash) -> Option<Stat> {
        self.ahead().as_ref()?.objects.get(hash).copied()
    }

    pub(super) fn source_ahead(&self, path: &Path, now: Stat) -> Option<Hash> {
        let ahead = self.ahead();
        let (then, hash) = ahead.as_ref()?.sources.get(path.as_os_str().as_encoded_bytes())?;
        (*then == now).then_some(*hash)
    }
}
