//! `inputs`: what a task reads.

use super::types::{Input, Source};
use super::walk::{Fields, Walk};
use super::yaml::Node;
use super::{Spanned, Template};
use crate::diagnostic::{Diagnostic, Span};

const KEYS: [&str; 6] = ["from", "path", "ref", "where", "at", "optional"];

/// Reads `inputs`.
pub(super) fn read(walk: &mut Walk, node: &Node) -> Vec<Input> {
    let entries = walk.named(node, "`inputs`", "input");
    entries.into_iter().filter_map(|(name, node)| input(walk, name, node)).collect()
}

fn input(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Input> {
    let what = format!("the input `{name}`");
    if let Some(text) = node.text() {
        let help = format!("write {name}: {{ from: {text} }}, or {{ path: {text} }}");
        walk.wrong(node, &what, "a map", &help);
        return None;
    }
    let fields = walk.fields(node, &what, &KEYS)?;
    let optional = fields.get("optional").and_then(|node| walk.boolean(node, "`optional`")).unwrap_or(false);
    let source = source(walk, name, node, &fields)?;
    Some(Input { name: name.clone(), source, optional })
}

/// Exactly one of `from`, `path` and `ref`.
fn source(walk: &mut Walk, name: &Spanned<String>, node: &Node, fields: &Fields<'_>) -> Option<Source> {
    let given: Vec<&str> = ["from", "path", "ref"].into_iter().filter(|key| fields.get(key).is_some()).collect();
    let what = format!("the input `{name}`");
    match given.as_slice() {
        ["from"] => {
            let text = from(walk, &what, node, fields)?;
            let (task, output) = task_output(walk, text)?;
            let filter = fields.get("where").map(|node| filter(walk, node)).unwrap_or_default();
            let help = "an entry of a JSON output or a path in a folder: at: ${{ day }}";
            let at = fields.get("at").and_then(|node| walk.text_template(node, "`at`", help));
            Some(Source::From { task, output, filter, at })
        }
        [key] => {
            let key = *key;
            for other in ["where", "at"] {
                if let Some(span) = fields.key(other) {
                    let message = format!("an input with `{key}` has no `{other}`");
                    walk.error_help(span, message, "only with `from`", format!("remove it, or name more in `{key}`"));
                }
            }
            let template = walk.text_template(fields.get(key)?, &format!("`{key}`"), "")?;
            Some(if key == "ref" { Source::Ref(template) } else { Source::Path(template) })
        }
        [] if fields.misspells(&["from", "path", "ref"]) => None,
        [] => {
            let help = "add `from: task.output`, `path: file`, or `ref: name`";
            walk.error_help(name.span, format!("{what} comes from nowhere"), "no source", help);
            None
        }
        [first, rest @ ..] => {
            let place = |key: &str| fields.key(key).unwrap_or(name.span);
            let error = Diagnostic::at(&walk.file, place(first), format!("{what} has more than one source"), "one");
            let error = rest.iter().fold(error, |error, key| error.and(place(key), "another"));
            walk.errors.push(error.help("make two inputs"));
            None
        }
    }
}

/// The text of `from`.
pub(super) fn from(walk: &mut Walk, what: &str, node: &Node, fields: &Fields<'_>) -> Option<Spanned<String>> {
    const HELP: &str = "write from: task.output";
    let Some(node) = fields.get("from") else {
        walk.error_help(node.span, format!("{what} has no `from`"), "here", HELP);
        return None;
    };
    let text = walk.fixed(node, "`from`", HELP)?;
    Some(Spanned::new(text.to_owned(), node.span))
}

/// `task.output` or `task`, each with its place.
pub(super) fn task_output(
    walk: &mut Walk,
    text: Spanned<String>,
) -> Option<(Spanned<String>, Option<Spanned<String>>)> {
    let place = |start: usize, len: usize| Span { start, len };
    // The value may be quoted; its text is found inside the quotes.
    let raw = walk.file.slice(text.span);
    let start = text.span.start + raw.find(text.value.as_str()).unwrap_or(0);
    match text.value.split('.').collect::<Vec<_>>().as_slice() {
        [task] => Some((Spanned::new((*task).to_owned(), place(start, task.len())), None)),
        [task, output] => {
            let output_start = start + task.len() + 1;
            let output = Spanned::new((*output).to_owned(), place(output_start, output.len()));
            Some((Spanned::new((*task).to_owned(), place(start, task.len())), Some(output)))
        }
        _ => {
            let help = "a task, or a task and its output: from: task.output";
            walk.error_help(text.span, format!("`{text}` does not name an output"), "more than one `.`", help);
            None
        }
    }
}

fn filter(walk: &mut Walk, node: &Node) -> Vec<(Spanned<String>, Template)> {
    let entries = walk.named(node, "`where`", "axis");
    entries.into_iter().map(|(name, node)| (name.clone(), walk.template(node))).collect()
}
