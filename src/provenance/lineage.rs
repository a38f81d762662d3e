//! Where an artifact came from, to the source files, and what came of it: a walk over manifests.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Serialize;

use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::Group;
use crate::manifest::{Manifest, Origin};

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
        /// Whether the project had changes that are not in it.
        dirty: bool,
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
    /// What a task read that was put together from what others wrote: gathered, or an entry of a JSON output.
    Part {
        /// The name of the input.
        name: String,
        /// Its content.
        hash: Hash,
    },
    /// A task whose manifest is not in this cache.
    Unknown {
        /// Its key.
        key: Hash,
    },
    /// A task whose manifest is damaged.
    Damaged {
        /// Its key.
        key: Hash,
    },
}

/// A node where it stands in the text of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// How many nodes are above it.
    pub depth: usize,
    /// The input of the node above that it is; empty for a root.
    pub via: &'a str,
    /// The node.
    pub node: &'a LineageNode,
    /// Whether it was shown before: what is below it stands there.
    pub again: bool,
}

impl Lineage {
    /// The graph as a tree, line by line; a node that was shown before is named only.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut below: BTreeMap<usize, Vec<(usize, &str)>> = BTreeMap::new();
        for (from, to, name) in &self.edges {
            below.entry(*from).or_default().push((*to, name));
        }
        let mut shown = vec![false; self.nodes.len()];
        let mut stack: Vec<(usize, usize, &str)> = self.roots.iter().rev().map(|root| (*root, 0, "")).collect();
        std::iter::from_fn(move || {
            let (node, depth, via) = stack.pop()?;
            let again = std::mem::replace(&mut shown[node], true);
            if !again {
                let below = below.get(&node).into_iter().flatten().rev();
                stack.extend(below.map(|(to, input)| (*to, depth + 1, *input)));
            }
            Some(Line { depth, via, node: &self.nodes[node], again })
        })
    }
}

impl std::fmt::Display for LineageNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task { task, key, .. } => write!(f, "{task}  key {}", key.short()),
            Self::Source { path, hash } => write!(f, "{path}  content {}", hash.short()),
            Self::Ref { name, hash } => write!(f, "{name}  at {}", hash.short()),
            Self::Part { name, hash } => write!(f, "{name}, of what tasks wrote  content {}", hash.short()),
            Self::Unknown { key } => write!(f, "{} (not recorded in this cache)", key.short()),
            Self::Damaged { key } => {
                write!(f, "{} (its manifest is damaged; `ghtrader run` of its flow makes it again)", key.short())
            }
        }
    }
}

impl LineageNode {
    /// What there is to say of a task, line by line.
    pub fn details(&self) -> Vec<String> {
        let Self::Task { flow, run, finished, code, params, commit, dirty, outputs, .. } = self else {
            return Vec::new();
        };
        let mut lines = vec![format!("code {}", code.replace('\n', "; "))];
        if !params.is_empty() {
            let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.push(format!("with {}", params.join(" ")));
        }
        let outputs: Vec<String> = outputs.iter().map(|(name, hash)| format!("{name} {}", hash.short())).collect();
        lines.push(format!("wrote {}", outputs.join(", ")));
        let changes = if *dirty { " with changes" } else { "" };
        let commit = commit.as_ref().map(|commit| format!(", commit {}{changes}", commit.get(..8).unwrap_or(commit)));
        lines.push(format!("in run {run} of {flow}, {finished}{}", commit.unwrap_or_default()));
        lines
    }
}

/// The lineage of the results of `keys`, down to the sources.
///
/// # Errors
/// Where a manifest cannot be read.
pub fn lineage(cache: &Cache, keys: &[Hash]) -> Result<Lineage, CacheError> {
    let mut walk = Walk {
        cache,
        lineage: Lineage::default(),
        tasks: HashMap::new(),
        others: HashMap::new(),
        moved: HashSet::new(),
    };
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
    let mut descent = Descent { cache, lineage: Lineage::default(), known: HashMap::new(), queue: VecDeque::new() };
    for key in keys {
        let root = match cache.manifest(key)? {
            Some(manifest) => described(&manifest),
            None => missing(cache, *key),
        };
        descent.root(*key, root);
    }
    for hash in hashes {
        // Who reads a content that a task has written may have it from elsewhere: a copy of it is a source.
        let readers = cache.consumed(hash)?;
        let from = match keys.first().and_then(|key| descent.known.get(key)) {
            Some(root) => *root,
            None => descent.root(*hash, source(cache, hash, &readers)?),
        };
        descent.readers(from, readers)?;
    }
    while let Some(key) = descent.queue.pop_front() {
        let Some(from) = descent.known.get(&key).copied() else { continue };
        descent.readers(from, cache.followed(&key)?)?;
    }
    let mut seen = HashSet::new();
    descent.lineage.edges.retain(|edge| seen.insert(edge.clone()));
    Ok(descent.lineage)
}

/// What a content is that no task wrote: the file that was read.
fn source(cache: &Cache, hash: &Hash, readers: &[(Hash, String)]) -> Result<LineageNode, CacheError> {
    let Some((key, name)) = readers.first() else { return Ok(LineageNode::Unknown { key: *hash }) };
    let manifest = cache.manifest(key)?;
    if manifest.is_none() && cache.has_manifest(key) {
        return Ok(LineageNode::Damaged { key: *key });
    }
    let origins = manifest.and_then(|mut manifest| manifest.inputs.remove(name)).map(|input| input.origins);
    if origins.iter().flatten().any(|origin| matches!(origin, Origin::Task { .. })) {
        return Ok(LineageNode::Part { name: name.clone(), hash: *hash });
    }
    let path = origins.into_iter().flatten().find_map(|origin| match origin {
        Origin::Path(path) => Some(path),
        Origin::Task { .. } | Origin::Ref { .. } => None,
    });
    Ok(path.map_or(LineageNode::Unknown { key: *hash }, |path| LineageNode::Source { path, hash: *hash }))
}

/// A walk from what was read to what read it. It asks the index for each step, so its cost is that of what it finds.
struct Descent<'a> {
    cache: &'a Cache,
    lineage: Lineage,
    known: HashMap<Hash, usize>,
    queue: VecDeque<Hash>,
}

impl Descent<'_> {
    fn root(&mut self, key: Hash, node: LineageNode) -> usize {
        let root = self.node(key, node);
        self.lineage.roots.push(root);
        root
    }

    fn node(&mut self, key: Hash, node: LineageNode) -> usize {
        let index = self.lineage.nodes.len();
        self.lineage.nodes.push(node);
        self.known.insert(key, index);
        self.queue.push_back(key);
        index
    }

    fn readers(&mut self, from: usize, readers: Vec<(Hash, String)>) -> Result<(), CacheError> {
        for (key, name) in readers {
            let to = match self.known.get(&key) {
                Some(to) => *to,
                None => match self.cache.manifest(&key)? {
                    Some(manifest) => self.node(key, described(&manifest)),
                    None => continue,
                },
            };
            self.lineage.edges.push((from, to, name));
        }
        Ok(())
    }
}

struct Walk<'a> {
    cache: &'a Cache,
    lineage: Lineage,
    tasks: HashMap<Hash, usize>,
    others: HashMap<(String, Hash), usize>,
    /// Refs whose mover is known.
    moved: HashSet<usize>,
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
            None => self.lineage.nodes.push(missing(self.cache, key)),
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
                    && self.moved.insert(node)
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

/// A task of which nothing can be told.
fn missing(cache: &Cache, key: Hash) -> LineageNode {
    if cache.has_manifest(&key) { LineageNode::Damaged { key } } else { LineageNode::Unknown { key } }
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
        dirty: manifest.execution.dirty,
        outputs: manifest.outputs.iter().map(|(name, artifact)| (name.clone(), artifact.hash)).collect(),
    }
}
