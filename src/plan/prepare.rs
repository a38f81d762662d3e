//! The tasks of a flow as the planner wants them: by index, with joins worked out once and not for every instance.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::flow::names::source_templates;
use crate::flow::{AxisValues, Input, Matrix, Source, Spanned, Subflow, Task, Template};
use crate::graph::{Graph, OutputDecl};
use crate::kinds::{Kind, Kinds};

/// A task, prepared.
pub(crate) struct TaskPlan<'a> {
    pub(crate) decl: &'a Task,
    /// All axes: those that the flows around it add, then its own.
    pub(crate) axes: Vec<Arc<str>>,
    /// How many of the axes are those of flows around it: they are not part of its key.
    pub(super) outer_axes: usize,
    /// The matrices whose product its instances are: those of the flows around it, the outermost first, then its own.
    pub(super) stages: Arc<[Stage<'a>]>,
    /// The flows around it that say when they run, the outermost first.
    pub(super) whens: Vec<(&'a Subflow, &'a Template)>,
    /// In an order in which each may use the values of those before it.
    pub(super) inputs: Arc<[InputPlan<'a>]>,
    pub(super) needs: Arc<[FromPlan<'a>]>,
    pub(crate) kind: Option<&'a Kind>,
    pub(crate) outputs: &'a [OutputDecl],
    /// The tasks that an instance may have to wait for.
    pub(super) reads: Vec<usize>,
    /// Whether it was looked at what the system takes of it, before its inputs are known.
    pub(super) sized: AtomicBool,
}

/// A matrix.
pub(super) struct Stage<'a> {
    pub(super) decl: &'a Matrix,
    /// The flow in the flow in which it is written.
    pub(super) scope: Option<usize>,
    /// The place of its first axis among all axes.
    pub(super) start: usize,
    /// How many axes it has, with those that only `include` names.
    pub(super) width: usize,
    /// The axes that it lists.
    pub(super) axis_plans: Vec<AxisPlan<'a>>,
}

/// Where the values of an axis come from.
#[derive(Clone)]
pub(super) enum AxisPlan<'a> {
    Template(&'a Template),
    From(Arc<FromPlan<'a>>),
}

/// An input.
pub(super) struct InputPlan<'a> {
    pub(super) decl: &'a Input,
    pub(super) from: Option<FromPlan<'a>>,
    /// The inputs of the same task whose values its place depends on.
    pub(super) uses: Vec<String>,
}

/// A reading of another task's output, or of an order among tasks (`needs`: no output).
pub(super) struct FromPlan<'a> {
    pub(super) producer: usize,
    pub(super) output: String,
    /// The last part of the output's path: the name of the file in a gather.
    pub(super) file: String,
    /// For each axis of the producer.
    pub(super) joins: Vec<Join<'a>>,
    pub(super) at: Option<&'a Template>,
}

/// How an axis of a producer is fixed.
#[derive(Clone, Copy)]
pub(super) enum Join<'a> {
    /// By the reader's axis of the same name, at this index.
    Mine(usize),
    /// By `where`.
    Where(&'a Template),
    /// Not at all: its values are gathered.
    All,
}

impl<'a> TaskPlan<'a> {
    /// The matrix of an axis, by its place among all axes; none where there are no more axes.
    pub(super) fn stage(&self, depth: usize) -> Option<&Stage<'a>> {
        self.stages.iter().find(|stage| (stage.start..stage.start + stage.width).contains(&depth))
    }

    /// Where the values of an axis come from, by its place among all axes; none of one that only `include` names.
    pub(super) fn axis_plan(&self, depth: usize) -> Option<&AxisPlan<'a>> {
        let stage = self.stage(depth)?;
        stage.axis_plans.get(depth - stage.start)
    }
}

/// All tasks of a flow, prepared.
pub(super) fn tasks<'a>(graph: &'a Graph<'a>, kinds: &'a Kinds) -> Vec<TaskPlan<'a>> {
    graph.tasks().iter().enumerate().map(|(index, task)| prepare(graph, kinds, index, task)).collect()
}

fn prepare<'a>(graph: &'a Graph<'a>, kinds: &'a Kinds, index: usize, task: &'a Task) -> TaskPlan<'a> {
    let flow = graph.flow();
    let names: Vec<&str> = flow.axes(task);
    let around: Vec<&Subflow> = flow.around(task.subflow).into_iter().map(|index| &flow.subflows[index]).collect();
    let mut stages: Vec<Stage<'a>> = Vec::with_capacity(around.len() + 1);
    // What a task with `flow` needs is waited for by all that it brings in, joined on the axes that itself has.
    let mut needs: Vec<FromPlan<'a>> = Vec::new();
    for (subflow, scope) in around.iter().map(|subflow| (&subflow.task, subflow.outer)).chain([(task, task.subflow)]) {
        let stage = stage(graph, subflow, scope, &names, stages.iter().map(|stage| stage.width).sum());
        let mine = &names[..stage.start + stage.width];
        needs.extend(subflow.needs.iter().map(|need| from(graph, need, None, mine, &[], None)));
        stages.push(stage);
    }
    let outer_axes = stages.last().map_or(0, |own| own.start);
    let inputs = graph.input_order(index).iter().filter_map(|place| task.inputs.get(*place)).map(|decl| InputPlan {
        decl,
        uses: uses(&decl.source),
        from: match &decl.source {
            Source::From { task, output, filter, at } => {
                let output = output.as_ref().map(|output| output.value.as_str());
                Some(from(graph, task, output, &names, filter, at.as_ref()))
            }
            Source::Path(_) | Source::Ref(_) => None,
        },
    });
    let inputs: Arc<[InputPlan<'a>]> = inputs.collect();
    let reads = inputs.iter().filter_map(|input| input.from.as_ref()).chain(needs.iter()).map(|from| from.producer);
    TaskPlan {
        reads: reads.collect(),
        decl: task,
        axes: names.iter().map(|name| Arc::from(*name)).collect(),
        outer_axes,
        stages: stages.into(),
        whens: around.iter().filter_map(|subflow| Some((*subflow, subflow.task.when.as_ref()?))).collect(),
        inputs,
        needs: needs.into(),
        kind: graph.kind_name(index).and_then(|name| kinds.get(name)),
        outputs: graph.outputs(index),
        sized: AtomicBool::new(false),
    }
}

fn stage<'a>(graph: &'a Graph<'a>, task: &'a Task, scope: Option<usize>, names: &[&str], start: usize) -> Stage<'a> {
    let axis_plans = task.matrix.axes.iter().enumerate().map(|(depth, axis)| match &axis.values {
        AxisValues::Template(template) => AxisPlan::Template(template),
        AxisValues::From { task, output, at } => {
            let output = output.as_ref().map(|output| output.value.as_str());
            AxisPlan::From(Arc::new(from(graph, task, output, &names[..start + depth], &[], at.as_ref())))
        }
    });
    Stage { decl: &task.matrix, scope, start, width: task.axes().len(), axis_plans: axis_plans.collect() }
}

fn from<'a>(
    graph: &'a Graph<'a>,
    task: &'a Spanned<String>,
    output: Option<&str>,
    mine: &[&str],
    filter: &'a [(Spanned<String>, Template)],
    at: Option<&'a Template>,
) -> FromPlan<'a> {
    // The graph was checked: the names are known.
    let producer = graph.index(&task.value).unwrap_or_default();
    let outputs = graph.outputs(producer);
    let declared = output.and_then(|name| outputs.iter().find(|declared| declared.name == name));
    let declared = declared.or_else(|| outputs.first());
    let joins = graph.flow().axes(&graph.tasks()[producer]).into_iter().map(|name| {
        if let Some((_, template)) = filter.iter().find(|(axis, _)| axis.value == name) {
            Join::Where(template)
        } else if let Some(index) = mine.iter().position(|own| *own == name) {
            Join::Mine(index)
        } else {
            Join::All
        }
    });
    FromPlan {
        producer,
        output: declared.map(|declared| declared.name.clone()).unwrap_or_default(),
        file: declared.map(|declared| last_part(&declared.path)).unwrap_or_default(),
        joins: joins.collect(),
        at,
    }
}

fn last_part(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned()
}

/// The inputs whose values the place of an input depends on.
fn uses(source: &Source) -> Vec<String> {
    let templates = source_templates(source).into_iter();
    templates.flat_map(|template| template.uses().inputs.iter().cloned()).collect()
}
