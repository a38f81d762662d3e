//! `matrix`: the axes of a task.

use super::inputs::{from, task_output};
use super::types::{Axis, AxisValues, Matrix};
use super::walk::Walk;
use super::yaml::{Data, Node};
use super::{Spanned, Template, names};

/// Reads `matrix`.
pub(super) fn read(walk: &mut Walk, node: &Node) -> Matrix {
    let mut matrix = Matrix::default();
    for (name, node) in walk.named(node, "`matrix`", "axis") {
        match name.value.as_str() {
            "include" => matrix.include = rows(walk, node, "include"),
            "exclude" => matrix.exclude = rows(walk, node, "exclude"),
            _ => matrix.axes.extend(axis(walk, name, node)),
        }
    }
    let known: Vec<&str> = matrix.axes.iter().map(|axis| axis.name.value.as_str()).collect();
    for (name, _) in matrix.exclude.iter().flatten() {
        if !known.contains(&name.value.as_str()) {
            let error =
                crate::diagnostic::Diagnostic::at(&walk.file, name.span, format!("no axis `{name}`"), "excluded here");
            walk.errors.push(error.maybe_help(crate::diagnostic::nearest(&name.value, known.iter().copied())));
        }
    }
    matrix
}

fn axis(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Axis> {
    allowed(walk, name);
    let what = format!("the axis `{name}`");
    let values = match &node.data {
        Data::Map(_) => {
            let fields = walk.fields(node, &what, &["from", "at"])?;
            let source = from(walk, &what, node, &fields)?;
            let (task, output) = task_output(walk, source)?;
            let help = "the key of an entry: at: ${{ variety }}";
            let at = fields.get("at").and_then(|node| walk.text_template(node, "`at`", help));
            AxisValues::From { task, output, at }
        }
        Data::List(items) => {
            if items.is_empty() {
                walk.error_help(node.span, format!("{what} has no values"), "empty", "give it one, or remove the task");
            }
            AxisValues::Template(walk.template(node))
        }
        _ => {
            let template = walk.template(node);
            if template.fixed().is_some() {
                let help = "write [a, b], an expression that gives a list, or {from: task.output}";
                walk.wrong(node, &what, "a list", help);
            }
            AxisValues::Template(template)
        }
    };
    Some(Axis { name: name.clone(), values })
}

fn allowed(walk: &mut Walk, name: &Spanned<String>) {
    if names::RESERVED.contains(&name.value.as_str()) {
        let message = format!("an axis cannot be called `{name}`");
        walk.error_help(name.span, message, "a word of the expression language", "choose another name");
    }
}

fn rows(walk: &mut Walk, node: &Node, key: &str) -> Vec<Vec<(Spanned<String>, Template)>> {
    let help = format!("write {key}: [{{ axis: value }}]");
    let items = walk.list(node, &format!("`{key}`"), &help).unwrap_or_default();
    items.iter().map(|item| row(walk, item, key)).collect()
}

fn row(walk: &mut Walk, node: &Node, key: &str) -> Vec<(Spanned<String>, Template)> {
    let mut row = Vec::new();
    for (name, node) in walk.named(node, &format!("an item of `{key}`"), "axis") {
        allowed(walk, name);
        row.push((name.clone(), walk.template(node)));
    }
    row
}
