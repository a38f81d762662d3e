//! Where an artifact came from, to the source files, and what came of it: a walk over manifests.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::{Manifest, Origin};
use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::Group;

/// A graph of tasks, sources and refs.
#[derive(Debug, Default, Serialize)]
pub struct Lineage {
    /// What was asked for, by index.
    pub roots: Vec<usize>,
    /// The nodes.
    pub nodes: Vec<LineageNode>,
    /// `from` was made from `to`: from, to, and the name of the input.
    pub edges: Vec<(usize, usize, String)>,
}

/// A node of a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LineageNode {
    /// A finished task.
    Task {
        /// Its key.
        key: Hash,
        /// The instance.
        task: String,
        /// The flow in which it ran.
        flow: String,
        /// The run that executed it.
        run: String,
        /// When it ended, RFC 3339 in UTC.
        finished: String,
        /// The kind and its code version, or the command.
        code: String,
        /// Its parameters.
        params: BTreeMap<String, String>,
        /// The git commit of the project when it ran.
        commit: Option<String>,
        /// Its outputs and their content.
        outputs: BTreeMap<String, Hash>,
    },
    /// A file or folder outside the cache.
    Source {
        /// Its path, as the flow named it.
        path: String,
        /// Its content.
        hash: Hash,
    },
    /// A ref, as it stood when it was read.
    Ref {
        /// Its name.
        name: String,
        /// What it pointed to.
        hash: Hash,
    },
    /// A task whose manifest is not in this cache.
    Unknown {
        /// Its key.
        key: Hash,
    },
}

/// The lineage of the results of `keys`, down to the sources.
///
/// # Errors
/// Where a manifest cannot be read.
pub fn lineage(cache: &Cache, keys: &[Hash]) -> Result<Lineage, CacheError> {
    let mut walk = Walk { cache, lineage: Lineage::default(), tasks: HashMap::new(), others: HashMap::new() };
    let mut queue = VecDeque::new();
    for key in keys {
        let root = walk.task(*key, &mut queue)?;
        walk.lineage.roots.push(root);
    }
    while let Some((node, manifest)) = queue.pop_front() {
        for (name, input) in &manifest.inputs {
            for origin in &input.origins {
                let to = walk.origin(origin, input.artifact.hash, &mut queue)?;
                walk.lineage.edges.push((node, to, name.clone()));
            }
        }
    }
    Ok(walk.lineage)
}

/// What came of the results of `keys` and of the contents `hashes`: the same graph, walked the other way.
///
/// # Errors
/// Where a manifest cannot be read.
pub fn descendants(cache: &Cache, keys: &[Hash], hashes: &[Hash]) -> Result<Lineage, CacheError> {
    let manifests = cache.manifests()?;
    let mut readers: HashMap<Hash, Vec<&Manifest>> = HashMap::new();
    for manifest in &manifests {
        for input in manifest.inputs.values() {
            readers.entry(input.artifact.hash).or_default().push(manifest);
            for origin in &input.origins {
                if let Origin::Task { key, .. } | Origin::Ref { key: Some(key), .. } = origin {
                    readers.entry(*key).or_default().push(manifest);
                }
            }
        }
    }
    let mut lineage = Lineage::default();
    let mut known: HashMap<Hash, usize> = HashMap::new();
    let mut queue: VecDeque<Hash> = VecDeque::new();
    for start in keys.iter().chain(hashes) {
        let node = manifests
            .iter()
            .find(|manifest| manifest.key == *start)
            .map_or(LineageNode::Unknown { key: *start }, described);
        known.insert(*start, lineage.nodes.len());
        lineage.roots.push(lineage.nodes.len());
        lineage.nodes.push(node);
        queue.push_back(*start);
    }
    while let Some(from) = queue.pop_front() {
        for reader in readers.get(&from).into_iter().flatten() {
            let to = *known.entry(reader.key).or_insert_with(|| {
                lineage.nodes.push(described(reader));
                queue.push_back(reader.key);
                lineage.nodes.len() - 1
            });
            let name = reader.inputs.iter().find(|(_, input)| reads(input, from)).map(|(name, _)| name.clone());
            lineage.edges.push((known[&from], to, name.unwrap_or_default()));
        }
    }
    lineage.edges.dedup();
    Ok(lineage)
}

fn reads(input: &super::Input, from: Hash) -> bool {
    input.artifact.hash == from
        || input.origins.iter().any(|origin| match origin {
            Origin::Task { key, .. } => *key == from,
            Origin::Ref { key, .. } => *key == Some(from),
            Origin::Path(_) => false,
        })
}

struct Walk<'a> {
    cache: &'a Cache,
    lineage: Lineage,
    tasks: HashMap<Hash, usize>,
    others: HashMap<(String, Hash), usize>,
}

impl Walk<'_> {
    fn task(&mut self, key: Hash, queue: &mut VecDeque<(usize, Manifest)>) -> Result<usize, CacheError> {
        if let Some(node) = self.tasks.get(&key) {
            return Ok(*node);
        }
        let index = self.lineage.nodes.len();
        self.tasks.insert(key, index);
        match self.cache.manifest(&key)? {
            Some(manifest) => {
                self.lineage.nodes.push(described(&manifest));
                queue.push_back((index, manifest));
            }
            None => self.lineage.nodes.push(LineageNode::Unknown { key }),
        }
        Ok(index)
    }

    fn origin(
        &mut self,
        origin: &Origin,
        hash: Hash,
        queue: &mut VecDeque<(usize, Manifest)>,
    ) -> Result<usize, CacheError> {
        match origin {
            Origin::Task { key, .. } => self.task(*key, queue),
            Origin::Path(path) => Ok(self.other(path, hash, LineageNode::Source { path: path.clone(), hash })),
            Origin::Ref { name, key } => {
                let node = self.other(name, hash, LineageNode::Ref { name: name.clone(), hash });
                if let Some(key) = key
                    && !self.lineage.edges.iter().any(|(from, ..)| *from == node)
                {
                    let to = self.task(*key, queue)?;
                    self.lineage.edges.push((node, to, "moved by".to_owned()));
                }
                Ok(node)
            }
        }
    }

    fn other(&mut self, name: &str, hash: Hash, node: LineageNode) -> usize {
        let nodes = &mut self.lineage.nodes;
        *self.others.entry((name.to_owned(), hash)).or_insert_with(|| {
            nodes.push(node);
            nodes.len() - 1
        })
    }
}

fn described(manifest: &Manifest) -> LineageNode {
    let code = manifest.parts.iter().find_map(|part| match part.group {
        Group::Kind => Some(format!("{} {}", part.name, part.value)),
        Group::Command => Some(part.value.trim().to_owned()),
        _ => None,
    });
    let params = manifest.parts.iter().filter(|part| part.group == Group::With);
    LineageNode::Task {
        key: manifest.key,
        task: manifest.task.clone(),
        flow: manifest.flow.clone(),
        run: manifest.run.clone(),
        finished: manifest.execution.finished.clone(),
        code: code.unwrap_or_default(),
        params: params.map(|part| (part.name.clone(), part.value.clone())).collect(),
        commit: manifest.execution.commit.clone(),
        outputs: manifest.outputs.iter().map(|(name, artifact)| (name.clone(), artifact.hash)).collect(),
    }
}
