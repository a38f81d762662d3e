//! Whether the names in a task's expressions exist: parameters of the flow, axes and inputs of the task.

use std::collections::BTreeSet;

use super::expression::{FUNCTIONS, Name, Root};
use super::types::{AxisValues, Flow, Source, Target, Task};
use super::walk::Walk;
use super::{Action, Template, secrets};
use crate::diagnostic::{Diagnostic, Span, nearest};

/// Checks all tasks. A parameter that is declared wrongly is known all the same.
pub(super) fn check(walk: &mut Walk, flow: &Flow) {
    let read = flow.params.iter().map(|param| &param.name.value);
    let params: Vec<&str> = read.chain(&flow.lost_params).map(String::as_str).collect();
    let env = flow.tasks.iter().flat_map(|task| &task.env);
    let secrets: BTreeSet<&str> = env.filter(|env| env.secret).map(|env| env.name.value.as_str()).collect();
    for task in &flow.tasks {
        let damaged = flow.damaged.contains(&task.name.value);
        let mut check = Check { walk: &mut *walk, params: &params, secrets: &secrets, task, damaged };
        check.matrix();
        check.rest();
        check.input_cycles();
    }
    walk.errors.extend(secrets::in_a_file(flow));
}

/// Names that an axis cannot have, because expressions read them otherwise.
pub(super) const RESERVED: [&str; 18] = [
    "params", "matrix", "inputs", "env", "files", "range", "dict", "true", "false", "none", "not", "and", "or", "in",
    "is", "if", "else", "loop",
];

struct Check<'a> {
    walk: &'a mut Walk,
    params: &'a [&'a str],
    /// Variables that a task of the flow marks as secret.
    secrets: &'a BTreeSet<&'a str>,
    task: &'a Task,
    /// Whether the task could not be read whole.
    damaged: bool,
}

impl Check<'_> {
    /// An axis may use the axes before it, and no input: inputs are of an instance.
    fn matrix(&mut self) {
        let mut before: Vec<&str> = Vec::new();
        for axis in &self.task.matrix.axes {
            let template = match &axis.values {
                AxisValues::Template(template) => Some(template),
                AxisValues::From { at, .. } => at.as_ref(),
            };
            template.into_iter().for_each(|template| self.template(template, &before, false));
            before.push(&axis.name.value);
        }
        let rows = self.task.matrix.include.iter().chain(&self.task.matrix.exclude);
        rows.flatten().for_each(|(_, template)| self.template(template, &[], false));
    }

    fn rest(&mut self) {
        let axes = self.task.axes();
        for template in templates(self.task) {
            self.template(template, &axes, true);
        }
    }

    fn template(&mut self, template: &Template, axes: &[&str], inputs: bool) {
        for name in template.names() {
            let error = match name.root {
                Root::Param if !self.params.contains(&name.name.as_str()) => Some(self.unknown_param(name)),
                Root::Axis if !axes.contains(&name.name.as_str()) => Some(self.unknown_axis(name, axes)),
                Root::Input => self.input(name, inputs),
                Root::Env if self.secrets.contains(name.name.as_str()) => Some(self.secret(name)),
                _ => None,
            };
            self.walk.errors.extend(error);
        }
    }

    fn error(&self, span: Span, message: String, label: &str) -> Diagnostic {
        Diagnostic::at(&self.walk.file, span, message, label)
    }

    fn unknown_param(&self, name: &Name) -> Diagnostic {
        let error = self.error(name.span, format!("the flow has no parameter `{}`", name.name), "not known");
        let declare = format!("declare it under `params`: {}: …", name.name);
        error.help(nearest(&name.name, self.params.iter().copied()).unwrap_or(declare))
    }

    fn unknown_axis(&self, name: &Name, axes: &[&str]) -> Diagnostic {
        let word = name.name.as_str();
        if self.task.matrix.axes.iter().any(|axis| axis.name.value == word) {
            let message = format!("the axis `{word}` has no value here yet");
            let help = "an axis may use the axes before it: change the order";
            return self.error(name.span, message, "comes later").help(help);
        }
        let error = self.error(name.span, format!("no name `{word}` in this task"), "not known");
        let help = match word {
            word if self.params.contains(&word) => Some(format!("parameters are written `params.{word}`")),
            word if self.task.input(word).is_some() => Some(format!("inputs are written `inputs.{word}`")),
            word => {
                let roots = ["params", "inputs", "env", "matrix"];
                nearest(word, axes.iter().copied().chain(roots).chain(FUNCTIONS))
            }
        };
        error.maybe_help(help)
    }

    fn secret(&self, name: &Name) -> Diagnostic {
        secrets::used(name, |span, message| self.error(span, message, "written down here"))
    }

    fn input(&self, name: &Name, allowed: bool) -> Option<Diagnostic> {
        let word = name.name.as_str();
        if !allowed {
            let message = "inputs have no value here".to_owned();
            let help = "an axis is known before the inputs of its instances: use `{from: task.output, at: …}`";
            return Some(self.error(name.span, message, "used for an axis").help(help));
        }
        let Some(input) = self.task.input(word) else {
            // An input that could not be read is known all the same.
            if self.damaged {
                return None;
            }
            let error =
                self.error(name.span, format!("the task `{}` has no input `{word}`", self.task.name), "not known");
            let known = self.task.inputs.iter().map(|input| input.name.value.as_str());
            return Some(error.maybe_help(nearest(word, known)));
        };
        if input.is_entry() {
            return None;
        }
        let error = self.error(name.span, format!("the input `{word}` is not a JSON entry"), "its value is used here");
        let error = error.and(input.name.span, "this is a file or folder");
        Some(error.help("only an input with `from` and `at` has a value for expressions"))
    }

    /// Inputs whose places depend on each other's values.
    fn input_cycles(&mut self) {
        let mut resolved: BTreeSet<&str> = BTreeSet::new();
        let task = self.task;
        let known = |name: &str| task.input(name).is_some();
        loop {
            let ready = |input: &&super::Input| {
                uses_of(&input.source).iter().all(|name| resolved.contains(name.name.as_str()) || !known(&name.name))
            };
            let more: Vec<&str> = task
                .inputs
                .iter()
                .filter(|input| !resolved.contains(input.name.value.as_str()))
                .filter(ready)
                .map(|input| input.name.value.as_str())
                .collect();
            if more.is_empty() {
                break;
            }
            resolved.extend(more);
        }
        let stuck: Vec<_> = task.inputs.iter().filter(|input| !resolved.contains(input.name.value.as_str())).collect();
        let Some(first) = stuck.first() else { return };
        let mut error = self.error(first.name.span, "inputs need each other's values".to_owned(), "has no value");
        error.labels.clear();
        for input in &stuck {
            for name in uses_of(&input.source).into_iter().filter(|name| !resolved.contains(name.name.as_str())) {
                error = error.and(name.span, format!("`{}` needs `{}`", input.name, name.name));
            }
        }
        self.walk.errors.push(error.help("one of them has to be found without the others"));
    }
}

/// The templates that are evaluated for an instance: all but those of its axes.
pub(crate) fn templates(task: &Task) -> Vec<&Template> {
    let mut templates: Vec<&Template> = task.with.iter().map(|(_, template)| template).collect();
    templates.extend(task.when.iter());
    templates.extend(task.locks.iter().map(|lock| &lock.key));
    if let Action::Command(command) = &task.action {
        templates.push(command);
    }
    templates.extend(task.publish.iter().map(|publish| match &publish.target {
        Target::Path(template) | Target::Ref { name: template, .. } => template,
    }));
    templates.extend(task.inputs.iter().flat_map(|input| source_templates(&input.source)));
    templates
}

/// The templates that say where an input lies.
pub(crate) fn source_templates(source: &Source) -> Vec<&Template> {
    match source {
        Source::From { filter, at, .. } => filter.iter().map(|(_, template)| template).chain(at).collect(),
        Source::Path(template) | Source::Ref(template) => vec![template],
    }
}

fn uses_of(source: &Source) -> Vec<&Name> {
    let names = source_templates(source).into_iter().flat_map(Template::names);
    names.filter(|name| name.root == Root::Input).collect()
}
