//! A variable that one task marks as secret is secret in the whole flow, in all of its files: another task that names it
//! plainly, or an expression that uses it, would write its value down.

use std::collections::{HashMap, HashSet};

use super::expression::{Name, Root};
use super::{AxisValues, EnvVar, Flow, Task, Template, names};
use crate::diagnostic::{Diagnostic, Span};

/// Where a variable is marked as secret.
struct Marked<'f> {
    task: &'f Task,
    span: Span,
    /// The flows in this flow, each with what lies in it, of which a task marks it.
    parts: HashSet<Option<usize>>,
}

type Secrets<'f> = HashMap<&'f str, Marked<'f>>;

fn secrets(flow: &Flow) -> Secrets<'_> {
    let mut secrets = Secrets::new();
    for task in &flow.tasks {
        for variable in task.env.iter().filter(|variable| variable.secret) {
            let new = || Marked { task, span: variable.name.span, parts: HashSet::new() };
            secrets.entry(&variable.name.value).or_insert_with(new).parts.insert(part(flow, task.subflow));
        }
    }
    secrets
}

/// The flow in this flow that something lies in, at any depth.
fn part(flow: &Flow, scope: Option<usize>) -> Option<usize> {
    flow.around(scope).first().copied()
}

/// Variables that a task of one file marks as secret, and another names plainly.
pub(super) fn in_a_file(flow: &Flow) -> Vec<Diagnostic> {
    let secrets = secrets(flow);
    let plain = flow.tasks.iter().flat_map(|task| plain(task).map(move |variable| (task, variable)));
    let error = |(task, variable): (&Task, &EnvVar)| {
        let marked = secrets.get(variable.name.value.as_str()).filter(|marked| !std::ptr::eq(marked.task, task))?;
        Some(named_plainly(flow, task, variable, marked).and(marked.span, "secret here"))
    };
    plain.filter_map(error).collect()
}

fn plain(task: &Task) -> impl Iterator<Item = &EnvVar> {
    task.env.iter().filter(|variable| !variable.secret)
}

fn named_plainly(flow: &Flow, task: &Task, variable: &EnvVar, marked: &Marked<'_>) -> Diagnostic {
    let (name, other) = (&variable.name, &marked.task.name);
    let message = format!("`{name}` is a secret of `{other}`, and `{}` would write its value down", task.name);
    Diagnostic::at(flow.file_of(task.subflow), name.span, message, "not secret here")
        .notes(flow.notes(task.subflow))
        .help(format!("write {{ name: {name}, secret: true }}"))
}

/// The same of a flow with flows in it, and expressions with secrets of another file: what a file, or a flow in this one, does
/// with its own secrets was judged there.
pub(super) fn across_files(flow: &Flow) -> Vec<Diagnostic> {
    let secrets = secrets(flow);
    let mut errors = Vec::new();
    if secrets.is_empty() {
        return errors;
    }
    let calls = flow.subflows.iter().map(|subflow| (&subflow.task, subflow.outer));
    for (task, scope) in flow.tasks.iter().map(|task| (task, task.subflow)).chain(calls) {
        let own = part(flow, scope);
        let foreign = |name: &str| secrets.get(name).filter(|marked| !marked.parts.contains(&own));
        let named = plain(task).filter_map(|variable| Some((variable, foreign(&variable.name.value)?)));
        errors.extend(named.map(|(variable, marked)| named_plainly(flow, task, variable, marked)));
        for template in names::templates(task).into_iter().chain(axis_templates(task)) {
            let used = template.names().iter().filter(|name| name.root == Root::Env && foreign(&name.name).is_some());
            errors.extend(used.map(|name| used_in(flow, scope, template, name)));
        }
    }
    errors
}

/// The value of an expression is in keys, manifests and messages.
pub(super) fn used(name: &Name, error: impl FnOnce(Span, String) -> Diagnostic) -> Diagnostic {
    let word = name.name.as_str();
    error(name.span, format!("the secret `{word}` is used in an expression"))
        .help(format!("name it under `env` of the task, and let the command read the variable `${word}`"))
}

fn used_in(flow: &Flow, scope: Option<usize>, template: &Template, name: &Name) -> Diagnostic {
    let error = |span, message| Diagnostic::at(template.file(), span, message, "written down here");
    used(name, error).notes(flow.notes(scope))
}

fn axis_templates(task: &Task) -> impl Iterator<Item = &Template> {
    let axes = task.matrix.axes.iter().filter_map(|axis| match &axis.values {
        AxisValues::Template(template) => Some(template),
        AxisValues::From { at, .. } => at.as_ref(),
    });
    let rows = task.matrix.include.iter().chain(&task.matrix.exclude);
    axes.chain(rows.flatten().map(|(_, template)| template))
}
