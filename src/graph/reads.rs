//! Whether what a task reads of other tasks exists, and can be joined.

use ghtrader_kit::PathType;

use super::{Check, Edge, OutputDecl};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::{Action, AxisValues, Input, Source, Span, Spanned, Task, lies_in};

type Output<'f> = Option<&'f Spanned<String>>;

impl Check<'_> {
    /// The axes, inputs and needs of a task, or of one with `flow`, which has no index.
    pub(super) fn reads(&mut self, index: Option<usize>, task: &Task) {
        for (depth, axis) in task.matrix.axes.iter().enumerate() {
            if let AxisValues::From { task: from, output, at } = &axis.values {
                let name = &axis.name;
                self.axis(index, task, depth, (from, output.as_ref()), name, at.is_some());
            }
        }
        for input in &task.inputs {
            if let Source::From { task: from, output, .. } = &input.source {
                self.input(index, task, input, from, output.as_ref());
            }
        }
        for need in &task.needs {
            if let Some(producer) = self.task(need) {
                self.edge(producer, index, task, need.span, "needs");
                if Some(producer) == index {
                    let error =
                        self.error(need.span, format!("the task `{need}` needs itself"), "this is the task itself");
                    self.errors.push(error.help("remove it"));
                }
            }
        }
    }

    fn axis(
        &mut self,
        index: Option<usize>,
        task: &Task,
        depth: usize,
        from: (&Spanned<String>, Output<'_>),
        name: &Spanned<String>,
        at: bool,
    ) {
        let Some((producer, output)) = self.output(from.0, from.1) else { return };
        let span = from.0.span;
        self.edge(producer, index, task, span, "reads");
        if Some(producer) == index {
            let error =
                self.error(span, format!("the axis `{name}` comes from its own task"), "this is the task itself");
            self.errors.push(error.help("take it from another task"));
            return;
        }
        if self.is_kind(producer) && output.r#type != PathType::Json {
            let what = described(output.r#type);
            let message = format!("the axis `{name}` needs a JSON output");
            let error = self.error(from.1.map_or(span, |output| output.span), message, format!("this is {what}"));
            self.errors.push(error.maybe_help(self.json_outputs(producer)));
        }
        let mut before = self.flow.outer_axes(task.subflow);
        before.extend(task.matrix.axes.iter().take(depth).map(|axis| axis.name.value.as_str()));
        let axes = self.axes(producer);
        let open: Vec<&str> = axes.iter().map(String::as_str).filter(|axis| !before.contains(axis)).collect();
        if let Some(axis) = open.first() {
            let message = format!("the axis `{name}` has a list for every `{axis}` of `{}`", from.0);
            let label = format!("`{}` has the axis `{axis}`", from.0);
            let help = if at || task.axes().contains(axis) {
                format!("put the axis `{axis}` before `{name}`")
            } else {
                format!("give the task the axis `{axis}`, before `{name}`")
            };
            self.errors.push(self.error(span, message, label).help(help));
        }
    }

    fn input(&mut self, index: Option<usize>, task: &Task, input: &Input, from: &Spanned<String>, output: Output<'_>) {
        let Source::From { filter, at, .. } = &input.source else { return };
        let Some((producer, declared)) = self.output(from, output) else { return };
        self.edge(producer, index, task, from.span, "reads");
        let axes = self.axes(producer);
        for (axis, _) in filter {
            if !axes.contains(&axis.value) {
                let error = self.error(axis.span, format!("the task `{from}` has no axis `{axis}`"), "not known");
                let none = format!("`{from}` has no axes: remove `where`");
                let help =
                    if axes.is_empty() { Some(none) } else { nearest(&axis.value, axes.iter().map(String::as_str)) };
                self.errors.push(error.maybe_help(help));
            }
        }
        if Some(producer) == index && filter.is_empty() {
            let error =
                self.error(from.span, format!("the task `{from}` reads its own result"), "this is the task itself");
            self.errors.push(error.help("a task may read another instance of itself: add `where: { axis: value }`"));
        }
        let own = self.flow.axes(task);
        let gathers = axes
            .iter()
            .any(|axis| !own.contains(&axis.as_str()) && !filter.iter().any(|(name, _)| name.value == *axis));
        if let Some(at) = at
            && self.is_kind(producer)
            && declared.r#type == PathType::File
            && !gathers
        {
            let message = format!("the output `{}` of `{from}` has no entries", declared.name);
            let error = self.error(at.span(), message, "it is a file, neither JSON nor a folder");
            self.errors.push(error.help("remove `at`"));
        }
        self.fits(task, input, &declared, gathers);
    }

    /// A kind says what it wants to read: a folder is not a file.
    fn fits(&mut self, task: &Task, input: &Input, declared: &OutputDecl, gathers: bool) {
        let Source::From { task: from, filter, at, .. } = &input.source else { return };
        let wanted = match &task.action {
            Action::Kind(kind) => self.kinds.get(&kind.value).and_then(|kind| kind.spec.inputs.get(&input.name.value)),
            Action::Command(_) | Action::Flow(_) => None,
        };
        let Some(wanted) = wanted else { return };
        let producer_known = self.index.get(from.value.as_str()).is_some_and(|producer| self.is_kind(*producer));
        // What `at` or `where` give depends on values.
        let given = match (gathers, at, filter.is_empty()) {
            (true, None, true) => PathType::Folder,
            (false, None, true) if producer_known => declared.r#type,
            _ => return,
        };
        if (wanted.r#type == PathType::Folder) != (given == PathType::Folder) {
            let message = format!("the input `{}` has to be {}", input.name, described(wanted.r#type));
            let label = if gathers { "gathers a folder".to_owned() } else { format!("this is {}", described(given)) };
            let help =
                gathers.then(|| format!("give the task the axes of `{from}`, or choose one instance with `where`"));
            self.errors.push(self.error(from.span, message, label).maybe_help(help));
        }
    }

    /// Notes an edge; that of a task with `flow` counts for its tasks, which are known later.
    fn edge(&mut self, from: usize, to: Option<usize>, task: &Task, span: Span, verb: &'static str) {
        let span = self.place(task, span);
        self.edges.push(Edge { from, to: to.unwrap_or_default(), span, verb });
    }

    fn task(&mut self, name: &Spanned<String>) -> Option<usize> {
        let found = self.index.get(name.value.as_str()).copied();
        if let Some(subflow) = self.flow.subflows.iter().find(|subflow| subflow.task.name.value == name.value) {
            let error = self.error(name.span, format!("`{name}` is a flow and has no outputs"), "which of its tasks?");
            let tasks = self.flow.tasks.iter().map(|task| task.name.value.as_str());
            let inside: Vec<&str> = tasks.filter(|task| lies_in(task, &subflow.task.name.value)).collect();
            self.errors.push(error.help(format!("name one of {}", inside.join(", "))));
            return None;
        }
        if found.is_none() && !self.is_damaged(&name.value) {
            let error = self.error(name.span, format!("there is no task `{name}`"), "not known");
            let known = self.flow.tasks.iter().map(|task| task.name.value.as_str());
            self.errors.push(error.maybe_help(nearest(&name.value, known)));
        }
        found
    }

    /// The output that `from` names; without a name, the only one.
    fn output(&mut self, task: &Spanned<String>, output: Output<'_>) -> Option<(usize, OutputDecl)> {
        let producer = self.task(task)?;
        let outputs = self.outputs.get(producer).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        let found = match (output, outputs) {
            (Some(name), _) => outputs.iter().find(|output| output.name == name.value),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        if let Some(found) = found {
            return Some((producer, found.clone()));
        }
        // A kind that is not known has said so already.
        if self.is_damaged(&task.value) || (names.is_empty() && self.is_unknown_kind(producer)) {
            return None;
        }
        let error = self.no_output(task, output, &names);
        self.errors.push(error);
        None
    }

    fn no_output(&self, task: &Spanned<String>, output: Output<'_>, names: &[&str]) -> Diagnostic {
        match output {
            _ if names.is_empty() => {
                let error = self.error(task.span, format!("the task `{task}` has no outputs"), "read here");
                error.help(format!("declare them in `{task}`, or use `needs: [{task}]` for the order alone"))
            }
            Some(name) => {
                let error = self.error(name.span, format!("the task `{task}` has no output `{name}`"), "not known");
                error.maybe_help(nearest(&name.value, names.iter().copied()))
            }
            None => {
                let error =
                    self.error(task.span, format!("the task `{task}` has {} outputs", names.len()), "which one?");
                let all: Vec<String> = names.iter().map(|name| format!("{task}.{name}")).collect();
                error.help(format!("write one of {}", all.join(", ")))
            }
        }
    }

    fn is_kind(&self, task: usize) -> bool {
        self.flow.tasks.get(task).is_some_and(|task| matches!(task.action, Action::Kind(_)))
    }

    fn is_unknown_kind(&self, task: usize) -> bool {
        match self.flow.tasks.get(task).map(|task| &task.action) {
            Some(Action::Kind(name)) => self.kinds.get(&name.value).is_none(),
            _ => false,
        }
    }

    fn axes(&self, task: usize) -> Vec<String> {
        let axes = self.flow.tasks.get(task).map(|task| self.flow.axes(task)).unwrap_or_default();
        axes.into_iter().map(str::to_owned).collect()
    }

    fn json_outputs(&self, task: usize) -> Option<String> {
        let outputs = self.outputs.get(task)?.iter().filter(|output| output.r#type == PathType::Json);
        let names: Vec<&str> = outputs.map(|output| output.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("its JSON outputs: {}", names.join(", ")))
    }
}

fn described(path_type: PathType) -> &'static str {
    match path_type {
        PathType::File => "a file",
        PathType::Folder => "a folder",
        PathType::Json => "JSON",
    }
}
