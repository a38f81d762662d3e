//! `outputs` and `publish`: what a command writes, and where outputs are put for people.

use super::types::{Action, Output, Publish, Target, Task};
use super::walk::{Fields, Walk};
use super::yaml::{Data, Node};
use super::{Span, Spanned};
use crate::diagnostic::{Diagnostic, nearest};

/// Reads `outputs`.
pub(super) fn read(walk: &mut Walk, node: &Node) -> Vec<Output> {
    let mut outputs: Vec<Output> = Vec::new();
    for (name, node) in walk.named(node, "`outputs`", "output") {
        let help = "a relative path: counts.txt";
        let Some(path) = walk.fixed(node, &format!("the output `{name}`"), help) else { continue };
        let path = Spanned::new(path.to_owned(), node.span);
        if let Some(why) = unsafe_path(&path.value) {
            let message = format!("the output `{name}` has no place in the task's folder");
            walk.error_help(node.span, message, why, format!("give a relative path: {name}: {name}.txt"));
        }
        let clash = |other: &&Output| {
            let usable = [&other.path, &path].iter().all(|path| unsafe_path(&path.value).is_none());
            usable && overlap(&other.path.value, &path.value)
        };
        for other in outputs.iter().filter(clash) {
            let message = format!("the outputs `{}` and `{name}` overlap", other.name);
            let error = Diagnostic::at(&walk.file, path.span, message, "lies in the same place")
                .and(other.path.span, "as this");
            walk.errors.push(error.help("give each its own path"));
        }
        outputs.push(Output { name: name.clone(), path });
    }
    outputs
}

/// Why a relative path cannot be used inside a folder.
pub(crate) fn unsafe_path(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.split('/').all(|part| part == "." || part.is_empty()) {
        Some("names no file")
    } else if path.starts_with('/') {
        Some("is absolute")
    } else if path.split('/').any(|part| part == "..") {
        Some("climbs out with `..`")
    } else if path.contains('\0') {
        Some("has a null character")
    } else {
        None
    }
}

/// Whether two relative paths are the same or one lies in the other.
fn overlap(a: &str, b: &str) -> bool {
    fn parts(path: &str) -> impl Iterator<Item = &str> {
        path.split('/').filter(|part| !part.is_empty() && *part != ".")
    }
    parts(a).zip(parts(b)).all(|(a, b)| a == b)
}

/// Reads `publish`.
pub(super) fn publish(walk: &mut Walk, node: &Node) -> Vec<Publish> {
    let entries = walk.named(node, "`publish`", "output");
    let read = |(name, node): &(Spanned<String>, Node), walk: &mut Walk| {
        Some(Publish { output: name.clone(), target: target(walk, name, node)? })
    };
    entries.into_iter().filter_map(|entry| read(entry, walk)).collect()
}

fn target(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Target> {
    let Data::Map(_) = node.data else {
        let help = "a path, or { ref: name }";
        return walk.text_template(node, &format!("the place of `{name}`"), help).map(Target::Path);
    };
    let what = format!("the place of `{name}`");
    let fields = walk.fields(node, &what, &["ref", "when"])?;
    let Some(reference) = fields.get("ref") else {
        if !fields.misspells(&["ref"]) {
            walk.error_help(node.span, format!("{what} has no `ref`"), "here", "write { ref: name }, or a path");
        }
        return None;
    };
    let name = walk.text_template(reference, "`ref`", "")?;
    Some(Target::Ref { name, when: when(walk, &fields) })
}

/// `when: output.field`.
fn when(walk: &mut Walk, fields: &Fields<'_>) -> Option<(Spanned<String>, Spanned<String>)> {
    const HELP: &str = "write when: output.field, a field of a JSON output that is true or false";
    let node = fields.get("when")?;
    let text = walk.fixed(node, "`when`", HELP)?;
    let Some((output, field)) = text.split_once('.').filter(|(output, field)| !output.is_empty() && !field.is_empty())
    else {
        walk.error_help(node.span, format!("`{text}` does not name a field"), "here", HELP);
        return None;
    };
    let start = node.span.start + walk.file.slice(node.span).find(text).unwrap_or(0);
    let place = |start, text: &str| Spanned::new(text.to_owned(), Span { start, len: text.len() });
    Some((place(start, output), place(start + output.len() + 1, field)))
}

/// What a command publishes and prints has to be among its outputs. A kind's outputs are known to the graph only.
pub(super) fn check(walk: &mut Walk, task: &Task) {
    if !matches!(task.action, Action::Command(_)) {
        return;
    }
    let known: Vec<&str> = task.outputs.iter().map(|output| output.name.value.as_str()).collect();
    for name in output_names(task) {
        if !known.contains(&name.value.as_str()) {
            walk.errors.push(no_output(walk, task, name, &known));
        }
    }
}

/// The names in `publish` and `print` that have to be outputs of the task.
pub(crate) fn output_names(task: &Task) -> impl Iterator<Item = &Spanned<String>> {
    let published = task.publish.iter().flat_map(|publish| {
        let decided = match &publish.target {
            Target::Ref { when: Some((output, _)), .. } => Some(output),
            _ => None,
        };
        std::iter::once(&publish.output).chain(decided)
    });
    published.chain(&task.print)
}

fn no_output(walk: &Walk, task: &Task, name: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let message = format!("the task `{}` has no output `{name}`", task.name);
    let error = Diagnostic::at(&walk.file, name.span, message, "not known");
    let declare = format!("declare it: outputs: {{ {name}: PATH }}");
    error.help(nearest(&name.value, known.iter().copied()).unwrap_or(declare))
}
