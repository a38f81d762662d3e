//! What people call an artifact or a run. ARTIFACT: a hash (8 digits are enough), a ref, a published path or any other file, or
//! `flow:task[instance].output`. RUN: its id, its last digits, or `last`.

use std::collections::BTreeSet;
use std::path::Path;

use super::run::list;
use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError};
use crate::diagnostic::Diagnostic;
use crate::graph::Selector;
use crate::hash::Hash;
use crate::refs::{Move, RefError, Refs};

/// Why a text names nothing, or not one thing.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// What is wrong with it, and what would be right.
    #[error(transparent)]
    Unclear(#[from] Diagnostic),
    /// The cache cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Refs cannot be read.
    #[error(transparent)]
    Ref(#[from] RefError),
    /// The records of runs cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn unclear(message: impl Into<String>, help: impl Into<String>) -> FindError {
    FindError::Unclear(Diagnostic::new(message).help(help))
}

/// What a text names.
#[derive(Debug, Default)]
pub struct Found {
    /// The content, where it is in the cache as an artifact of its own.
    pub artifact: Option<Artifact>,
    /// Its hash.
    pub hash: Option<Hash>,
    /// For a ref, the move that set it.
    pub moved: Option<Move>,
    /// The keys that wrote it; for a ref the key that moved it.
    pub keys: Vec<Hash>,
}

/// What `text` names. Files are looked for from where the user stands, and in `root`; nowhere where there is none.
///
/// # Errors
/// Where it names nothing, or several things; and where the cache cannot be read.
pub fn find(cache: &Cache, root: Option<&Path>, text: &str) -> Result<Found, FindError> {
    let found = match by_ref(cache, text)? {
        Some(found) => Some(found),
        None => match by_instance(cache, text)? {
            Some(found) => Some(found),
            None => match by_hash(cache, text)? {
                Some(found) => Some(found),
                None => by_path(cache, root, text)?,
            },
        },
    };
    found.ok_or_else(|| {
        let message = format!("nothing here is called `{text}`");
        unclear(message, "name a ref, a file, `flow:task[axis=value].output`, or at least 8 digits of a hash")
    })
}

fn by_ref(cache: &Cache, text: &str) -> Result<Option<Found>, FindError> {
    let last = match Refs::open(cache).get(text) {
        Ok(Some(last)) => last,
        // A text that cannot be the name of a ref is simply none.
        Ok(None) | Err(RefError::Name { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let keys = match last.change.key {
        Some(key) => vec![key],
        None => writers(cache, &last.change.artifact.hash)?,
    };
    let artifact = last.change.artifact.clone();
    Ok(Some(Found { hash: Some(artifact.hash), artifact: Some(artifact), keys, moved: Some(last) }))
}

fn by_instance(cache: &Cache, text: &str) -> Result<Option<Found>, FindError> {
    let Some((flow, rest)) = text.split_once(':') else { return Ok(None) };
    // An output's name has no dot, values of axes may have one.
    let (task, output) = match rest.rsplit_once('.') {
        Some((task, output)) if !output.contains(']') => (task, Some(output)),
        _ => (rest, None),
    };
    let Some(key) = cache.last(flow, &instance(task))? else { return several(cache, flow, task) };
    let Some(result) = cache.find_result(&key)? else { return Ok(None) };
    let artifact = match (output, result.outputs.len()) {
        (Some(output), _) => match result.outputs.get(output) {
            Some(artifact) => Some(artifact.clone()),
            None => {
                let known: Vec<&str> = result.outputs.iter().map(|(name, _)| name).collect();
                let message = format!("`{task}` has no output `{output}`");
                let help = if known.is_empty() {
                    "it has no outputs".to_owned()
                } else {
                    format!("it has: {}", known.join(", "))
                };
                return Err(unclear(message, help));
            }
        },
        (None, 1) => result.outputs.iter().next().map(|(_, artifact)| artifact.clone()),
        (None, _) => None,
    };
    Ok(Some(Found { hash: artifact.as_ref().map(|artifact| artifact.hash), artifact, keys: vec![key], moved: None }))
}

/// The name of an instance as it is recorded, however its values are quoted here.
pub fn instance(text: &str) -> String {
    text.parse::<Selector>().map_or_else(|_| text.to_owned(), |selector| selector.to_string())
}

/// An error where `task` names a task of which only instances are recorded.
fn several(cache: &Cache, flow: &str, task: &str) -> Result<Option<Found>, FindError> {
    let instances: Vec<String> = cache
        .all_last(flow)?
        .into_keys()
        .filter(|name| name.split_once('[').is_some_and(|(of, _)| of == task))
        .collect();
    let Some(first) = instances.first() else { return Ok(None) };
    let message = format!("`{task}` has {} instances", instances.len());
    Err(unclear(message, format!("name one of them, e.g. `{flow}:{first}`")))
}

fn by_hash(cache: &Cache, text: &str) -> Result<Option<Found>, FindError> {
    if text.len() < 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let keys = cache.keys_with_prefix(text, 2)?;
    let hashes = cache.artifacts_with_prefix(text, 2)?;
    match (hashes.as_slice(), keys.as_slice()) {
        ([], []) => Ok(None),
        ([hash], []) => Ok(Some(Found {
            artifact: cache.artifact(hash)?,
            hash: Some(*hash),
            keys: writers(cache, hash)?,
            moved: None,
        })),
        ([], [key]) => Ok(Some(Found { keys: vec![*key], ..Found::default() })),
        _ => Err(unclear(format!("`{text}` fits several hashes"), "give more digits")),
    }
}

fn by_path(cache: &Cache, root: Option<&Path>, text: &str) -> Result<Option<Found>, FindError> {
    let Some(root) = root else { return Ok(None) };
    let candidates = [Path::new(text).to_owned(), root.join(text)];
    let Some(path) = candidates.iter().find(|path| path.exists()) else { return Ok(None) };
    let artifact = cache.hash_source(path)?;
    let keys = writers(cache, &artifact.hash)?;
    Ok(Some(Found { hash: Some(artifact.hash), artifact: Some(artifact), keys, moved: None }))
}

fn writers(cache: &Cache, hash: &Hash) -> Result<Vec<Hash>, FindError> {
    let mut keys: Vec<Hash> = cache.produced(hash)?.into_iter().map(|(key, _)| key).collect();
    keys.dedup();
    Ok(keys)
}

/// The keys that wrote what a content was put together from, that no task wrote as it is: what a task gathered, or an entry of a
/// JSON output.
///
/// # Errors
/// Where the cache cannot be read.
pub fn parts(cache: &Cache, hash: &Hash) -> Result<Vec<Hash>, CacheError> {
    for (reader, name) in cache.consumed(hash)? {
        let input = cache.manifest(&reader)?.and_then(|mut manifest| manifest.inputs.remove(&name));
        let origins = input.into_iter().flat_map(|input| input.origins);
        let keys: BTreeSet<Hash> = origins.filter_map(|origin| origin.key().copied()).collect();
        if !keys.is_empty() {
            return Ok(keys.into_iter().collect());
        }
    }
    Ok(Vec::new())
}

/// A run by its id, its last digits, or `last`.
///
/// # Errors
/// Where it is none, or fits several; and where the records cannot be read.
pub fn find_run(cache: &Cache, text: &str) -> Result<String, FindError> {
    let runs = list(&cache.runs())?;
    let wanted = text.to_uppercase();
    let found: Vec<&String> = match text {
        "last" => runs.last().into_iter().collect(),
        _ => runs.iter().filter(|run| !wanted.is_empty() && run.ends_with(&wanted)).collect(),
    };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(unclear(format!("there is no run `{text}`"), "see `ghtrader runs`")),
        many => {
            let message = format!("`{text}` fits {} runs", many.len());
            Err(unclear(message, "give more of the last digits of its id"))
        }
    }
}
