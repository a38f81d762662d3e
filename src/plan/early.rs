//! The value before a move, for the tasks before the mover that read the ref.
//!
//! Where a task of this flow made the move that set a ref, what it depends on has read the value before. Whether that still
//! counts is tried out: a plan of the movers alone, with the values before, over what is recorded. Where a mover's key is
//! then the one that made its move, the move stands, and its readers upstream keep the value before; the others read the
//! present one. Nothing is executed for it, and a dry run finds what a run finds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::resolve::Reader;
use super::tree::AxisValue;
use super::{Context, Instance, InstanceId, Outcome, Planner, Wish};
use crate::flow::{Source, Target, Task};
use crate::graph::{Graph, Selector};
use crate::hash::Hash;
use crate::refs::Move;
use crate::sync::lock;

/// What readers upstream of a mover read.
#[derive(Default)]
pub(super) struct Early {
    /// The values before the moves that stand (none: the ref was not set), by ref and reader.
    pins: HashMap<(String, String), Option<Move>>,
    /// What is being tried out.
    trial: Option<Trial>,
}

/// Moves that are taken to stand.
struct Trial {
    moves: HashMap<String, Moved>,
    /// Readers that turned out not to be upstream of the mover, by ref.
    outside: HashSet<(String, String)>,
    /// Readers that were given the value before.
    reads: Mutex<Vec<(String, InstanceId)>>,
}

/// A move that a task of this flow made.
#[derive(Clone)]
struct Moved {
    mover: String,
    selector: Selector,
    key: Hash,
    before: Option<Move>,
    /// The tasks of which the mover may read instances, directly or not.
    upstream: Arc<BTreeSet<usize>>,
}

/// A reading of an axis: which instance its values came from, and which part of which task has it.
pub(super) type AxisEdge = (InstanceId, usize, Vec<AxisValue>);

impl Early {
    /// Finds out which moves of this flow stand.
    pub(super) fn find(context: Context<'_>) -> Self {
        let mut moves = moves(context);
        let mut outside = HashSet::new();
        while !moves.is_empty() {
            let targets = moves.values().map(|moved| moved.selector.clone()).collect();
            let trial = Trial { moves: moves.clone(), outside: outside.clone(), reads: Mutex::default() };
            let early = Self { trial: Some(trial), ..Self::default() };
            let mut planner = Planner::begin(context, Wish { targets, ..Wish::default() }, early);
            planner.keep_edges();
            planner.to_the_end();
            let (moved, strange) = (moves.len(), outside.len());
            let movers = planner.movers(&moves);
            moves.retain(|_, moved| planner.stands(moved, &movers));
            let inside = planner.upstream_reads(&moves, &movers, &mut outside);
            // What was taken to stand did, for all that was planned with it.
            if moves.len() == moved && outside.len() == strange {
                let before = |(name, reader): (String, String)| {
                    let before = moves.get(&name)?.before.clone();
                    Some(((name, reader), before))
                };
                return Self { pins: inside.into_iter().filter_map(before).collect(), trial: None };
            }
        }
        Self::default()
    }

    /// Whether objects are taken to be there: what a lost one was is recorded, and it will be made again.
    pub(super) fn is_trial(&self) -> bool {
        self.trial.is_some()
    }
}

impl Planner<'_> {
    /// The value before the move, where that counts for a reader: none in it where the ref was not set then.
    pub(super) fn value_before(&self, reader: Reader<'_>, name: &str) -> Option<Option<Move>> {
        let id = reader.id?;
        if self.early.trial.is_none() && self.early.pins.is_empty() {
            return None;
        }
        let key = (name.to_owned(), self.name(id));
        let Some(trial) = &self.early.trial else { return self.early.pins.get(&key).cloned() };
        let moved = trial.moves.get(name).filter(|moved| moved.upstream.contains(&reader.task))?;
        if moved.mover == key.1 || trial.outside.contains(&key) {
            return None;
        }
        lock(&trial.reads).push((key.0, id));
        Some(moved.before.clone())
    }

    /// The instances that made the moves, by name.
    fn movers(&self, moves: &HashMap<String, Moved>) -> HashMap<String, InstanceId> {
        let names: HashSet<&str> = moves.values().map(|moved| moved.mover.as_str()).collect();
        let named = (0..self.instances.len()).map(|id| (self.name(id), id));
        named.filter(|(name, _)| names.contains(name.as_str())).collect()
    }

    /// Whether a mover has the key that made its move.
    fn stands(&self, moved: &Moved, movers: &HashMap<String, InstanceId>) -> bool {
        let outcome = movers.get(&moved.mover).and_then(|id| self.outcome(*id));
        matches!(outcome, Some(Outcome::Cached(done)) if done.key == moved.key)
    }

    /// The readers upstream of the movers, by ref; those that are not are put to `outside`.
    fn upstream_reads(
        &self,
        moves: &HashMap<String, Moved>,
        movers: &HashMap<String, InstanceId>,
        outside: &mut HashSet<(String, String)>,
    ) -> HashSet<(String, String)> {
        let mut inside = HashSet::new();
        let Some(trial) = &self.early.trial else { return inside };
        let edges = Edges::of(self);
        for (name, moved) in moves {
            let upstream = edges.upstream(&self.instances, movers.get(&moved.mover).copied());
            for (_, id) in lock(&trial.reads).iter().filter(|(read, _)| read == name) {
                let key = (name.clone(), self.name(*id));
                let _ = if upstream.contains(id) { inside.insert(key) } else { outside.insert(key) };
            }
        }
        inside
    }
}

/// What each instance reads, and what the axes of each task come from.
struct Edges {
    inputs: HashMap<InstanceId, Vec<InstanceId>>,
    axes: HashMap<usize, Vec<(Vec<AxisValue>, InstanceId)>>,
}

impl Edges {
    fn of(planner: &Planner<'_>) -> Self {
        let mut edges = Self { inputs: HashMap::new(), axes: HashMap::new() };
        lock(&planner.edges).iter().for_each(|(from, to)| edges.inputs.entry(*to).or_default().push(*from));
        for (from, task, values) in lock(&planner.axis_edges).iter() {
            edges.axes.entry(*task).or_default().push((values.clone(), *from));
        }
        edges
    }

    /// All that an instance depends on.
    fn upstream(&self, instances: &[Instance], start: Option<InstanceId>) -> HashSet<InstanceId> {
        let mut found: HashSet<InstanceId> = HashSet::new();
        let mut todo: Vec<InstanceId> = start.into_iter().collect();
        while let Some(id) = todo.pop() {
            let Instance { task, axes, .. } = &instances[id];
            let has = |values: &[AxisValue]| values.iter().zip(&**axes).all(|(value, own)| value.text == own.text);
            let of_axes = self.axes.get(task).into_iter().flatten().filter(|(values, _)| has(values));
            let read = self.inputs.get(&id).into_iter().flatten().chain(of_axes.map(|(_, from)| from));
            todo.extend(read.copied().filter(|from| found.insert(*from)));
        }
        found
    }
}

/// The moves that set the present values, where a task of this flow made them and one upstream of it may read the ref.
fn moves(context: Context<'_>) -> HashMap<String, Moved> {
    let graph = context.graph;
    let reads = |task: &Task| task.inputs.iter().any(|input| matches!(input.source, Source::Ref(_)));
    let readers: BTreeSet<usize> = (0..graph.tasks().len()).filter(|task| reads(&graph.tasks()[*task])).collect();
    let moves = |task: &Task| task.publish.iter().any(|publish| matches!(publish.target, Target::Ref { .. }));
    let movers = (0..graph.tasks().len()).filter(|task| moves(&graph.tasks()[*task]));
    let mut edges: Vec<(usize, usize)> = Vec::new();
    if !readers.is_empty() {
        edges.extend(graph.edges().iter().map(|(from, reader)| (*reader, *from)));
        edges.sort_unstable();
    }
    let upstream: HashMap<&str, Arc<BTreeSet<usize>>> = movers
        .map(|task| (graph.tasks()[task].name.value.as_str(), Arc::new(before(graph, &edges, task))))
        .filter(|(_, upstream)| !upstream.is_disjoint(&readers))
        .collect();
    if upstream.is_empty() {
        return HashMap::new();
    }
    let moved = |name: &str| {
        let [earlier @ .., last] = context.refs.log(name) else { return None };
        let mover = last.change.task.clone().filter(|_| last.change.flow.as_deref() == Some(context.flow))?;
        let upstream = upstream.get(mover.split('[').next()?)?;
        let selector = mover.parse().ok()?;
        let (key, before) = (last.change.key?, earlier.last().cloned());
        Some((name.to_owned(), Moved { mover, selector, key, before, upstream: Arc::clone(upstream) }))
    };
    context.refs.names().filter_map(moved).collect()
}

/// The tasks that a task depends on; itself where it reads itself at other instances. `edges` lead from what reads to what is
/// read, sorted.
fn before(graph: &Graph<'_>, edges: &[(usize, usize)], task: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut todo = vec![task];
    while let Some(task) = todo.pop() {
        let start = edges.partition_point(|(reader, _)| *reader < task);
        let read = edges[start..].iter().take_while(|(reader, _)| *reader == task).map(|(_, from)| *from);
        todo.extend(read.filter(|from| found.insert(*from)));
    }
    let decl = &graph.tasks()[task];
    let reads_itself = |source: &Source| matches!(source, Source::From { task, .. } if task.value == decl.name.value);
    if decl.inputs.iter().any(|input| reads_itself(&input.source)) {
        found.insert(task);
    }
    found
}
