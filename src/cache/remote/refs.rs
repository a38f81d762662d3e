//! The moves of refs in a shared cache. What a move says is [`crate::refs`]' business.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bucket::each;
use super::{Remote, RemoteError, number};
use crate::hash::Hash;

/// A move, with the name of its ref: not every character of that may be in the name of an object.
#[derive(Debug, Serialize, Deserialize)]
struct Shared {
    name: String,
    #[serde(rename = "move")]
    moved: Box<RawValue>,
}

/// A move of a ref: its name, the move's number, and what it says.
pub type SharedMove = (String, u64, Vec<u8>);

fn folder_of(name: &str) -> String {
    format!("v1/refs/{}", Hash::of(name.as_bytes()))
}

impl Remote {
    /// The moves that are not among those `known`, in the order of their numbers.
    ///
    /// # Errors
    /// Where the shared cache cannot be asked.
    pub fn new_moves(&self, known: &BTreeMap<String, BTreeSet<u64>>) -> Result<Vec<SharedMove>, RemoteError> {
        let folders: BTreeMap<String, &BTreeSet<u64>> =
            known.iter().map(|(name, numbers)| (Hash::of(name.as_bytes()).to_string(), numbers)).collect();
        let bucket = self.bucket()?;
        let found = bucket.list("v1/refs")?;
        let is_new = |name: &&str| {
            let (folder, file) = name.split_once('/').unwrap_or((name, ""));
            let known = |n| folders.get(folder).is_some_and(|numbers| numbers.contains(&n));
            number(file).is_some_and(|n| !known(n))
        };
        let new: Vec<&str> = found.iter().map(|found| found.name.as_str()).filter(is_new).collect();
        let read = each(&new, |name| bucket.get(&format!("v1/refs/{name}")));
        let mut moves = Vec::new();
        for (name, bytes) in new.iter().zip(read) {
            let file = name.rsplit_once('/').map_or("", |(_, file)| file);
            if let (Some(n), Some(bytes)) = (number(file), bytes?) {
                let shared: Shared = serde_json::from_slice(&bytes).map_err(|error| {
                    RemoteError::new(&self.address, format!("v1/refs/{name} is not a move: {error}"))
                })?;
                moves.push((shared.name, n, shared.moved.get().as_bytes().to_vec()));
            }
        }
        moves.sort();
        Ok(moves)
    }

    /// The numbers of a ref's moves.
    ///
    /// # Errors
    /// Where the shared cache cannot be asked.
    pub fn numbers_of(&self, name: &str) -> Result<BTreeSet<u64>, RemoteError> {
        let found = self.bucket()?.list(&folder_of(name))?;
        Ok(found.iter().filter_map(|found| number(&found.name)).collect())
    }

    /// The move of a ref with this number, if there is one.
    ///
    /// # Errors
    /// Where the shared cache cannot be asked.
    pub fn one_move(&self, name: &str, n: u64) -> Result<Option<Vec<u8>>, RemoteError> {
        let Some(bytes) = self.bucket()?.get(&format!("{}/{n}.json", folder_of(name)))? else { return Ok(None) };
        let shared: Option<Shared> = serde_json::from_slice(&bytes).ok();
        Ok(shared.map(|shared| shared.moved.get().as_bytes().to_vec()))
    }

    /// Adds a move under its number; `false` where that is taken.
    ///
    /// # Errors
    /// Where the shared cache does not take it.
    pub fn add_move(&self, name: &str, n: u64, moved: &[u8]) -> Result<bool, RemoteError> {
        let text = String::from_utf8_lossy(moved).into_owned();
        let written = RawValue::from_string(text)
            .and_then(|moved| serde_json::to_vec(&Shared { name: name.to_owned(), moved }))
            .map_err(|error| RemoteError::new(&self.address, error.to_string()))?;
        self.bucket()?.create(&format!("{}/{n}.json", folder_of(name)), written)
    }
}
