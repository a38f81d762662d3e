//! Which instances a call asks for: those that are named, and with `TASK+` also those of the tasks that depend on it.

use std::collections::BTreeSet;

use crate::graph::{Graph, Selector};

/// What a call asks for.
pub(super) struct Targets {
    selectors: Vec<Selector>,
    /// For each selector, the tasks that depend on what it chooses; empty without `+`.
    dependents: Vec<BTreeSet<usize>>,
}

impl Targets {
    pub(super) fn new(graph: &Graph<'_>, selectors: Vec<Selector>) -> Self {
        let dependents = selectors.iter().map(|selector| dependents(graph, selector)).collect();
        Self { selectors, dependents }
    }

    /// What was asked for, as it was written.
    pub(super) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Whether an instance of a task may be asked for.
    pub(super) fn has_task(&self, task: usize, name: &str) -> bool {
        self.selectors.is_empty()
            || self.selectors.iter().any(|selector| selector.task_matches(name))
            || self.dependents.iter().any(|dependents| dependents.contains(&task))
    }

    /// Whether an instance may be asked for of which the first axes are known.
    pub(super) fn may_have(&self, task: usize, name: &str, axes: &[(&str, &str)]) -> bool {
        self.selectors.is_empty()
            || self.selectors.iter().zip(&self.dependents).any(|(selector, dependents)| {
                selector.axes_match(axes) && (selector.task_matches(name) || dependents.contains(&task))
            })
    }

    /// Whether an instance is asked for.
    pub(super) fn has(&self, task: usize, name: &str, axes: &[(&str, &str)]) -> bool {
        self.selectors.is_empty()
            || self.selectors.iter().zip(&self.dependents).any(|(selector, dependents)| {
                selector.matches(name, axes) || (dependents.contains(&task) && selector.axes_match(axes))
            })
    }
}

fn dependents(graph: &Graph<'_>, selector: &Selector) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    if !selector.dependents() {
        return found;
    }
    let edges = graph.edges();
    let chosen = |task: &usize| selector.task_matches(&graph.tasks()[*task].name.value);
    let mut stack: Vec<usize> = (0..graph.tasks().len()).filter(chosen).collect();
    while let Some(task) = stack.pop() {
        let start = edges.partition_point(|(from, _)| *from < task);
        for (_, reader) in edges[start..].iter().take_while(|(from, _)| *from == task) {
            if found.insert(*reader) {
                stack.push(*reader);
            }
        }
    }
    found
}
