//! What tasks ask for and a machine does not have, as errors of the flow.

use super::Planner;
use super::identity::request;
use crate::diagnostic::{Diagnostic, near};
use crate::flow::Task;
use crate::graph::Graph;
use crate::resources::{GPU, Pool, TooMuch, settle_on};

impl Planner<'_> {
    /// All that needed tasks ask for and a machine does not have. A task with `when` is judged when it is ready.
    pub fn too_much(&self, machine: &Pool) -> Vec<Diagnostic> {
        too_much(self.context.graph, self.needed(), machine)
    }
}

impl Planner<'_> {
    /// Errors for the needed tasks that ask for more than any of a cluster's nodes has.
    pub fn fits_no_node(&self, nodes: &[Pool]) -> Vec<Diagnostic> {
        let graph = self.context.graph;
        let lacking = certain(graph, self.needed()).filter_map(|task| {
            let asked = settle_on(nodes, request(&task.resources)).err()?;
            let text =
                format!("`{}` cannot run here: no node of the cluster has what it asks for ({asked})", task.name);
            let file = graph.flow().file_of(task.subflow);
            let error = Diagnostic::at(file, task.resources.span, text, "asked for here");
            let help = "ask for less in `resources`, or run on a cluster that has more";
            Some(error.notes(graph.flow().notes(task.subflow)).help(help))
        });
        lacking.collect()
    }
}

/// The same of all tasks of a flow.
pub fn lacks(graph: &Graph<'_>, machine: &Pool) -> Vec<Diagnostic> {
    too_much(graph, 0..graph.tasks().len(), machine)
}

fn too_much(graph: &Graph<'_>, tasks: impl IntoIterator<Item = usize>, machine: &Pool) -> Vec<Diagnostic> {
    let lacks = certain(graph, tasks).flat_map(|task| {
        let lacks = machine.lacks(&machine.settle(request(&task.resources)));
        lacks.into_iter().map(move |lack| cannot_run(graph, task, &lack, machine))
    });
    lacks.collect()
}

/// Those of which it is certain that they run.
fn certain<'g>(graph: &'g Graph<'_>, tasks: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &'g Task> {
    let flow = graph.flow();
    let conditional = move |task: &Task| {
        let around = flow.around(task.subflow);
        let mut around = around.into_iter().filter_map(|index| flow.subflows.get(index));
        task.when.is_some() || around.any(|subflow| subflow.task.when.is_some())
    };
    tasks.into_iter().filter_map(|index| graph.tasks().get(index)).filter(move |task| !conditional(task))
}

fn cannot_run(graph: &Graph<'_>, task: &Task, lack: &TooMuch, machine: &Pool) -> Diagnostic {
    let written = task.resources.places.iter().find(|(name, _)| *name == lack.name);
    let span = written.map_or(task.resources.span, |(_, span)| *span);
    let flow = graph.flow();
    Diagnostic::at(
        flow.file_of(task.subflow),
        span,
        format!("`{}` cannot run here: {lack}", task.name),
        "asked for here",
    )
    .notes(flow.notes(task.subflow))
    .help(help(&lack.name, machine))
}

fn help(name: &str, machine: &Pool) -> String {
    let known: Vec<&str> = machine.names().chain([GPU]).collect();
    if known.contains(&name) {
        return "ask for less in `resources`, or say what the machine has: `--cpus`, `--memory`, `--gpus`, or `machine` in \
                ghtrader.yaml"
            .to_owned();
    }
    let known_here = || format!("known here: {}", known.join(", "));
    let first = near(name, &known).map_or_else(known_here, |near| format!("did you mean `{near}`? {}", known_here()));
    format!("{first}; ghtrader.yaml declares others: machine: {{ tokens: {{ {name}: 1 }} }}")
}
