//! Flow → DAG of tasks, checked: what can be known before any instance is.
//!
//! Every reading of one task by another (an input, an axis, an order) is an edge. The names in them have to exist, kinds
//! have to get what they need, and different tasks must not depend on each other in a circle. A task may read itself at
//! another instance; whether instances form a circle is judged by the planner, as is all that depends on values.

mod cycle;
mod instance;
mod publish;
mod reads;
mod select;
mod uses;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ghtrader_kit::PathType;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

pub use instance::{axis_text, instance_name};
pub use select::Selector;

use crate::diagnostic::{Diagnostic, SourceFile, Span, in_order, nearest};
use crate::flow::files::Files;
use crate::flow::{Action, Flow, Source, Target, Task};
use crate::kinds::Kinds;

/// The tasks of a flow and what depends on what. Tasks are known by their index in the flow.
#[derive(Debug)]
pub struct Graph<'a> {
    flow: &'a Flow,
    index: HashMap<&'a str, usize>,
    outputs: Vec<Vec<OutputDecl>>,
    /// For each task, its inputs in an order in which each may use the values of those before it.
    input_orders: Vec<Vec<usize>>,
    /// Edges from what is read to what reads it; a task that reads itself has none.
    edges: Vec<(usize, usize)>,
    /// What is read before what reads it.
    order: Vec<usize>,
}

/// An output of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputDecl {
    /// Its name.
    pub name: String,
    /// Its path, relative to the folder of outputs.
    pub path: String,
    /// What it is. A command does not say: its outputs are a `File` here, and may be folders and JSON as well.
    pub r#type: PathType,
    /// Whether its bytes are a measurement, so that they may differ from run to run.
    pub measured: bool,
}

/// One task's reading of another: an edge with the place where it is written, or where the flow is named that has both.
#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    span: Span,
    /// `reads` or `needs`.
    verb: &'static str,
}

/// A check of a flow: the names, and what was wrong.
struct Check<'a> {
    flow: &'a Flow,
    kinds: &'a Kinds,
    index: HashMap<&'a str, usize>,
    outputs: Vec<Vec<OutputDecl>>,
    edges: Vec<Edge>,
    errors: Vec<Diagnostic>,
}

impl<'a> Graph<'a> {
    /// Checks a flow and makes its graph.
    ///
    /// # Errors
    /// All that is wrong, in the order of the places.
    pub fn new(flow: &'a Flow, kinds: &'a Kinds) -> Result<Self, Vec<Diagnostic>> {
        let check = Check::of(flow, kinds);
        if !check.errors.is_empty() {
            return Err(in_order(check.errors));
        }
        Ok(Self::of(check))
    }

    fn of(check: Check<'a>) -> Self {
        let mut edges: Vec<(usize, usize)> = check.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        edges.retain(|(from, to)| from != to);
        edges.sort_unstable();
        edges.dedup();
        // The cycles were checked: there is an order.
        let order = toposort(&dag(check.flow.tasks.len(), &edges), None).unwrap_or_default();
        let order = order.into_iter().map(NodeIndex::index).collect();
        let input_orders = check.flow.tasks.iter().map(input_order).collect();
        let Check { flow, index, outputs, .. } = check;
        Self { flow, index, outputs, input_orders, edges, order }
    }

    /// Whether a task reads or moves a ref.
    pub fn has_refs(&self) -> bool {
        let reads = |task: &Task| task.inputs.iter().any(|input| matches!(input.source, Source::Ref(_)));
        let moves = |task: &Task| task.publish.iter().any(|publish| matches!(publish.target, Target::Ref { .. }));
        self.tasks().iter().any(|task| reads(task) || moves(task))
    }

    /// The tasks, in the order of the flow file.
    pub fn tasks(&self) -> &'a [Task] {
        &self.flow.tasks
    }

    /// The file that the flow was read from.
    pub fn source(&self) -> &'a Arc<SourceFile> {
        &self.flow.source
    }

    /// The flow.
    pub fn flow(&self) -> &'a Flow {
        self.flow
    }

    /// The index of a task.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The outputs of a task: those that its kind declares, or its own.
    pub fn outputs(&self, task: usize) -> &[OutputDecl] {
        self.outputs.get(task).map_or(&[], Vec::as_slice)
    }

    /// The kind of a task; none for a command.
    pub fn kind_name(&self, task: usize) -> Option<&'a str> {
        match &self.flow.tasks.get(task)?.action {
            Action::Kind(name) => Some(&name.value),
            Action::Command(_) | Action::Flow(_) => None,
        }
    }

    /// The indices of a task's inputs, in an order in which each may use the values of those before it.
    pub fn input_order(&self, task: usize) -> &[usize] {
        self.input_orders.get(task).map_or(&[], Vec::as_slice)
    }

    /// All pairs of a task and one that depends on it, sorted; a task that reads itself is not among them.
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// For each task, the longest path to an end: the sum of what `each` gives for the tasks on it, itself included.
    pub fn longest(&self, mut each: impl FnMut(usize) -> u64) -> Vec<u64> {
        let mut longest = vec![0_u64; self.flow.tasks.len()];
        for task in self.order.iter().rev().copied() {
            let start = self.edges.partition_point(|(from, _)| *from < task);
            let readers = self.edges.iter().skip(start).take_while(|(from, _)| *from == task);
            let behind = readers.filter_map(|(_, reader)| longest.get(*reader)).max().copied().unwrap_or_default();
            if let Some(path) = longest.get_mut(task) {
                *path = behind.saturating_add(each(task));
            }
        }
        longest
    }
}

/// Reads a flow file and those that it brings in, which are named from the project root; where there are errors, those
/// that only the graph shows are among them.
///
/// # Errors
/// All that is wrong with the files, each in the order of its places.
pub fn load(root: &Path, path: &Path, display_name: &str, kinds: &Kinds) -> Result<Flow, Vec<Diagnostic>> {
    let text = crate::flow::load::text_of(path, display_name).map_err(|error| vec![error])?;
    Files::load(root, path, display_name, text, |flow| Check::of(flow, kinds).errors)
}

/// The graph of petgraph; without weights, since an index says it all.
fn dag(tasks: usize, edges: &[(usize, usize)]) -> DiGraph<(), ()> {
    let mut dag = DiGraph::with_capacity(tasks, edges.len());
    for _ in 0..tasks {
        dag.add_node(());
    }
    for (from, to) in edges {
        dag.add_edge(NodeIndex::new(*from), NodeIndex::new(*to), ());
    }
    dag
}

fn outputs(task: &Task, kinds: &Kinds) -> Vec<OutputDecl> {
    match &task.action {
        Action::Kind(name) => {
            let declared = kinds.get(&name.value).into_iter().flat_map(|kind| &kind.spec.outputs);
            let output = |(name, spec): (&String, &ghtrader_kit::OutputSpec)| OutputDecl {
                name: name.clone(),
                path: spec.path.clone(),
                r#type: spec.r#type,
                measured: spec.measured,
            };
            declared.map(output).collect()
        }
        Action::Command(_) | Action::Flow(_) => {
            let output = |output: &crate::flow::Output| OutputDecl {
                name: output.name.value.clone(),
                path: output.path.value.clone(),
                r#type: PathType::File,
                measured: false,
            };
            task.outputs.iter().map(output).collect()
        }
    }
}

/// Inputs without those that they use come first. Circles among them are errors of the file.
fn input_order(task: &Task) -> Vec<usize> {
    let places = task.inputs.iter().enumerate().map(|(place, input)| (input.name.value.as_str(), place));
    let places: HashMap<&str, usize> = places.collect();
    let mut edges = Vec::new();
    for (index, input) in task.inputs.iter().enumerate() {
        let templates = crate::flow::names::source_templates(&input.source);
        let used = templates.iter().flat_map(|template| &template.uses().inputs);
        edges.extend(used.filter_map(|name| Some((*places.get(name.as_str())?, index))));
    }
    if edges.is_empty() {
        return (0..task.inputs.len()).collect();
    }
    let order = toposort(&dag(task.inputs.len(), &edges), None).unwrap_or_default();
    order.into_iter().map(NodeIndex::index).collect()
}

impl<'a> Check<'a> {
    fn of(flow: &'a Flow, kinds: &'a Kinds) -> Self {
        let index = flow.tasks.iter().enumerate().map(|(index, task)| (task.name.value.as_str(), index)).collect();
        let (edges, errors) = (Vec::new(), Vec::new());
        let mut check = Self { flow, kinds, index, outputs: Vec::new(), edges, errors };
        check.kinds();
        check.outputs = flow.tasks.iter().map(|task| outputs(task, kinds)).collect();
        for (index, task) in flow.tasks.iter().enumerate() {
            let own = task.subflow.is_none();
            let found = check.errors.len();
            check.reads(Some(index), task);
            if own {
                check.uses(index, task);
            } else {
                // That is said where its own file is checked.
                check.errors.truncate(found);
            }
        }
        check.subflows();
        check.publishes();
        check.cycles();
        check
    }
}

impl Check<'_> {
    /// What the tasks with `flow` read counts for all tasks that they bring in.
    fn subflows(&mut self) {
        let flow = self.flow;
        let mut tasks: Vec<Vec<usize>> = vec![Vec::new(); flow.subflows.len()];
        for (index, task) in flow.tasks.iter().enumerate() {
            flow.around(task.subflow).into_iter().for_each(|subflow| tasks[subflow].push(index));
        }
        for (subflow, inside) in flow.subflows.iter().zip(&tasks) {
            let (found, first) = (self.errors.len(), self.edges.len());
            self.reads(None, &subflow.task);
            if subflow.outer.is_some() {
                self.errors.truncate(found);
            }
            let edges = self.edges.split_off(first);
            for edge in edges {
                if inside.binary_search(&edge.from).is_ok() {
                    let message = format!("the task `{}` waits for itself", subflow.task.name);
                    let error = self.error(edge.span, message, "a task of that flow");
                    self.errors.extend(subflow.outer.is_none().then(|| error.help("remove it")));
                    continue;
                }
                self.edges.extend(inside.iter().map(|task| Edge { to: *task, ..edge.clone() }));
            }
        }
    }

    /// The task of this file with which a task of an inner flow comes in; none for a task of the file itself.
    fn call(&self, task: &Task) -> Option<&Task> {
        let outermost = self.flow.around(task.subflow).first().copied()?;
        self.flow.subflows.get(outermost).map(|subflow| &subflow.task)
    }

    /// A place of a task in this file: of one that comes in with another, the name of that.
    fn place(&self, task: &Task, span: Span) -> Span {
        self.call(task).map_or(span, |call| call.name.span)
    }

    /// Whether what two tasks have to do with each other is for the file of an inner flow to say.
    fn is_inside(&self, a: &Task, b: &Task) -> bool {
        let name = |task| self.call(task).map(|call| &call.name.value);
        name(a).is_some() && name(a) == name(b)
    }

    /// Whether a task could not be read whole: what it seems to lack may be what could not be read.
    fn is_damaged(&self, task: &str) -> bool {
        let parents = task.match_indices('/').filter_map(|(at, _)| task.get(..at));
        parents.chain([task]).any(|name| self.flow.damaged.contains(name))
    }

    fn error(&self, span: Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.flow.source, span, message, label)
    }

    /// The kinds that are used exist. Programs that are of no use are errors only where a kind is wanted.
    fn kinds(&mut self) {
        let mut wanted = false;
        for task in self.flow.tasks.iter().filter(|task| task.subflow.is_none()) {
            let Action::Kind(name) = &task.action else { continue };
            if name.value.is_empty() {
                continue; // A task that says neither `uses` nor `run`; that was an error of the file.
            }
            wanted = true;
            if self.kinds.get(&name.value).is_none() {
                let error = self.error(name.span, format!("there is no kind `{name}`"), "not known");
                let none = "no program of kinds was found: `ghtrader-tasks` has to lie beside ghtrader or on PATH";
                let help = if self.kinds.names().next().is_none() {
                    Some(none.to_owned())
                } else {
                    nearest(&name.value, self.kinds.names())
                };
                self.errors.push(error.maybe_help(help));
            }
        }
        if wanted {
            self.errors.extend(self.kinds.errors());
        }
    }
}

#[cfg(test)]
mod drawn;
#[cfg(test)]
mod tests;
