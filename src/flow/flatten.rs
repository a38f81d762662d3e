//! Puts the tasks of inner flows in the places of the tasks that name them: `outer/inner`.

use std::collections::HashSet;
use std::sync::Arc;

use super::subflow::checked;
use super::{Action, AxisValues, Flow, Param, Source, Spanned, Subflow, Task, secrets};
use crate::diagnostic::{Diagnostic, nearest};

/// The inner flow of a task.
pub(super) enum Inner<'f> {
    /// Its tasks are in their places.
    Flow(&'f Flow),
    /// It could not be read; that was said.
    Lost,
}

/// A flow that brings in others, each perhaps many times, would not fit into memory.
const MOST: usize = 1_000_000;

/// The whole flow of a file, and what is wrong with the ways in which it names inner flows.
pub(super) fn flatten<'f>(mut flow: Flow, inner: impl Fn(&str) -> Inner<'f>) -> (Flow, Vec<Diagnostic>) {
    let mut errors = Vec::new();
    if !flow.tasks.iter().any(|task| matches!(task.action, Action::Flow(_))) {
        return (flow, errors);
    }
    for task in std::mem::take(&mut flow.tasks) {
        let Action::Flow(file) = &task.action else {
            flow.tasks.push(task);
            continue;
        };
        match inner(&task.name.value) {
            Inner::Lost => drop(flow.damaged.insert(task.name.value.clone())),
            Inner::Flow(inner) if flow.tasks.len() + inner.tasks.len() > MOST => {
                let message = format!("a flow of more than {MOST} tasks");
                errors.push(Diagnostic::at(&flow.source, file.span, message, "brings in too many"));
                flow.damaged.insert(task.name.value.clone());
            }
            Inner::Flow(inner) => {
                errors.extend(call_errors(&flow, &task, file, inner));
                bring_in(&mut flow, task, inner);
            }
        }
    }
    whole_needs(&mut flow);
    errors.extend(secrets::across_files(&flow));
    (flow, errors)
}

fn bring_in(flow: &mut Flow, task: Task, inner: &Flow) {
    let (prefix, first) = (task.name.value.clone(), flow.subflows.len());
    flow.damaged.extend(inner.damaged.iter().map(|name| format!("{prefix}/{name}")));
    flow.subflows.push(Subflow { task, outer: None, source: Arc::clone(&inner.source), params: inner.params.clone() });
    let place = |subflow: Option<usize>| Some(subflow.map_or(first, |index| first + 1 + index));
    for subflow in &inner.subflows {
        let mut subflow = Subflow { outer: place(subflow.outer), ..subflow.clone() };
        rename(&mut subflow.task, &prefix);
        flow.subflows.push(subflow);
    }
    for task in &inner.tasks {
        let mut task = Task { subflow: place(task.subflow), ..task.clone() };
        rename(&mut task, &prefix);
        flow.tasks.push(task);
    }
}

/// Gives a task and all tasks that it reads their names in the outer flow.
fn rename(task: &mut Task, prefix: &str) {
    let rename = |name: &mut Spanned<String>| name.value = format!("{prefix}/{}", name.value);
    rename(&mut task.name);
    task.needs.iter_mut().for_each(rename);
    for axis in &mut task.matrix.axes {
        if let AxisValues::From { task, .. } = &mut axis.values {
            rename(task);
        }
    }
    for input in &mut task.inputs {
        if let Source::From { task, .. } = &mut input.source {
            rename(task);
        }
    }
}

/// `needs: [outer]` waits for all tasks of that flow.
fn whole_needs(flow: &mut Flow) {
    let names: Vec<String> = flow.tasks.iter().map(|task| task.name.value.clone()).collect();
    let tasks: HashSet<&str> = names.iter().map(String::as_str).collect();
    let subflows: HashSet<String> = flow.subflows.iter().map(|subflow| subflow.task.name.value.clone()).collect();
    let own = flow.tasks.iter_mut().filter(|task| task.subflow.is_none());
    let calls = flow.subflows.iter_mut().filter(|subflow| subflow.outer.is_none()).map(|subflow| &mut subflow.task);
    for task in own.chain(calls) {
        let expand = |need: Spanned<String>| {
            if tasks.contains(need.value.as_str()) || !subflows.contains(&need.value) {
                return vec![need];
            }
            let inside = names.iter().filter(|name| lies_in(name, &need.value));
            inside.map(|name| Spanned::new(name.clone(), need.span)).collect()
        };
        task.needs = std::mem::take(&mut task.needs).into_iter().flat_map(expand).collect();
    }
}

/// Whether a task lies in a flow of that name, at any depth.
pub(crate) fn lies_in(task: &str, subflow: &str) -> bool {
    task.strip_prefix(subflow).is_some_and(|rest| rest.starts_with('/'))
}

/// What a task gives to an inner flow: parameters that exist, of their types, all that are required; and new axes.
fn call_errors(flow: &Flow, task: &Task, file: &Spanned<String>, inner: &Flow) -> Vec<Diagnostic> {
    let error = |span, message: String, label: &str| Diagnostic::at(&flow.source, span, message, label);
    let mut errors = Vec::new();
    for (name, template) in &task.with {
        let Some(param) = inner.params.iter().find(|param| param.name.value == name.value) else {
            if inner.lost_params.contains(&name.value) {
                continue;
            }
            let known = inner.params.iter().map(|param| &param.name.value).chain(&inner.lost_params);
            let error = error(name.span, format!("the flow `{file}` has no parameter `{name}`"), "not known");
            errors.push(error.maybe_help(nearest(&name.value, known.map(String::as_str))));
            continue;
        };
        errors.extend(template.fixed().and_then(|value| checked(param, template, value.clone()).err()));
    }
    let given = |param: &Param| task.with.iter().any(|(name, _)| name.value == param.name.value);
    for param in inner.params.iter().filter(|param| param.required && !given(param)) {
        let message = format!("the flow `{file}` needs the parameter `{}`", param.name);
        let help = format!("add under `with`: {}: …", param.name);
        errors.push(error(file.span, message, "lacks it").help(help));
    }
    for name in
        task.matrix.axes.iter().map(|axis| &axis.name).chain(task.matrix.include.iter().flatten().map(|(name, _)| name))
    {
        let clash = inner.tasks.iter().find(|task| inner.axes(task).contains(&name.value.as_str()));
        if let Some(clash) = clash {
            let message = format!("the axis `{name}` is one of `{}/{}` too", task.name, clash.name);
            let help = "an axis of a flow is added to those of its tasks: choose another name";
            errors.push(error(name.span, message, "the same name").help(help));
        }
    }
    errors
}
