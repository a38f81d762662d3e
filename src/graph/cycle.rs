//! Circles of different tasks. Nothing here recurses: a flow may have any number of tasks.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::NodeIndex;

use super::{Check, Edge, dag};

impl Check<'_> {
    /// Reports one circle of every group of tasks that depend on each other.
    pub(super) fn cycles(&mut self) {
        let pairs: Vec<(usize, usize)> = self.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        for group in kosaraju_scc(&dag(self.flow.tasks.len(), &pairs)) {
            let mut group: Vec<usize> = group.into_iter().map(NodeIndex::index).collect();
            if group.len() < 2 {
                continue;
            }
            group.sort_unstable();
            let cycle = shortest(&group, &self.edges);
            let tasks = &self.flow.tasks;
            let inside = |edge: &Edge| self.is_inside(&tasks[edge.from], &tasks[edge.to]);
            if !cycle.iter().all(inside) {
                self.report(&cycle);
            }
        }
    }

    fn report(&mut self, cycle: &[Edge]) {
        let name = |task: usize| self.flow.tasks.get(task).map_or("", |task| task.name.value.as_str());
        let Some(first) = cycle.first() else { return };
        let mut names: Vec<String> = vec![format!("`{}`", name(first.to))];
        names.extend(cycle.iter().map(|edge| format!("`{}`", name(edge.from))));
        let message = format!("tasks form a cycle: {}", names.join(" → "));
        let label = |edge: &Edge| format!("`{}` {} `{}`", name(edge.to), edge.verb, name(edge.from));
        let error = self.error(first.span, message, label(first)).help("remove one of these");
        let error = cycle.iter().skip(1).fold(error, |error, edge| error.and(edge.span, label(edge)));
        self.errors.push(error);
    }
}

/// The shortest circle through the first task of a group: from reader to read.
fn shortest(group: &[usize], edges: &[Edge]) -> Vec<Edge> {
    let Some(&start) = group.first() else { return Vec::new() };
    let members: HashSet<usize> = group.iter().copied().collect();
    let mut reads: HashMap<usize, Vec<&Edge>> = HashMap::new();
    for edge in edges.iter().filter(|edge| edge.from != edge.to && members.contains(&edge.from)) {
        reads.entry(edge.to).or_default().push(edge);
    }
    let mut via: HashMap<usize, &Edge> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(task) = queue.pop_front() {
        for edge in reads.get(&task).into_iter().flatten() {
            if via.contains_key(&edge.from) {
                continue;
            }
            via.insert(edge.from, edge);
            if edge.from == start {
                return back(start, &via);
            }
            queue.push_back(edge.from);
        }
    }
    Vec::new()
}

/// The edges that led to `start`, from it onwards.
fn back(start: usize, via: &HashMap<usize, &Edge>) -> Vec<Edge> {
    let mut cycle = Vec::new();
    let mut at = start;
    while let Some(edge) = via.get(&at) {
        cycle.push((*edge).clone());
        at = edge.to;
        if at == start {
            break;
        }
    }
    cycle.reverse();
    cycle
}
