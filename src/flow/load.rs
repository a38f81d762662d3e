//! A flow file as a whole: text → tree → [`Flow`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::types::Flow;
use super::walk::Walk;
use super::yaml::{self, Data, Node};
use super::{Param, SourceFile, Span, names, params, task};
use crate::diagnostic::{Diagnostic, in_order};

const KEYS: [&str; 3] = ["description", "params", "tasks"];

impl Flow {
    /// Reads a flow file; `display_name` is how its errors call it.
    ///
    /// # Errors
    /// All errors that the file alone shows, in the order of their places.
    pub fn load(path: &Path, display_name: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::parse(path, display_name, text_of(path, display_name).map_err(|error| vec![error])?)
    }

    /// The same from a text.
    ///
    /// # Errors
    /// As [`Flow::load`].
    pub fn parse(path: &Path, display_name: &str, text: String) -> Result<Self, Vec<Diagnostic>> {
        match Self::read(path, display_name, text) {
            (Some(flow), errors) if errors.is_empty() => Ok(flow),
            (_, errors) => Err(errors),
        }
    }

    /// What can be read of a flow, and all that is wrong with the file: for further checks of a flow with errors.
    pub(crate) fn read(path: &Path, display_name: &str, mut text: String) -> (Option<Self>, Vec<Diagnostic>) {
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let file = Arc::new(SourceFile { name: display_name.to_owned(), text });
        let (root, errors) = yaml::parse(&file);
        let Some(root) = root else { return (None, errors) };
        let mut walk = Walk { file, errors };
        let flow = read(&mut walk, path, &root);
        (flow, in_order(walk.errors))
    }
}

/// The text of a flow file.
pub(crate) fn text_of(path: &Path, display_name: &str) -> Result<String, Diagnostic> {
    let bytes = fs_err::read(path).map_err(|error| Diagnostic::new(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let file = Arc::new(SourceFile { name: display_name.to_owned(), text });
        let span = Span { start, len: char::REPLACEMENT_CHARACTER.len_utf8() };
        Diagnostic::at(&file, span, "this file is not UTF-8", "not a character").help("save it as UTF-8")
    })
}

fn read(walk: &mut Walk, path: &Path, root: &Node) -> Option<Flow> {
    if root.data == Data::Null {
        let help = "add `tasks`, each with `run` or `uses`";
        walk.error_help(root.span, "a flow without tasks", "nothing is written here", help);
        return None;
    }
    let fields = walk.fields(root, "a flow", &KEYS)?;
    let description =
        fields.get("description").and_then(|node| walk.text(node, "`description`", "")).map(str::to_owned);
    let params = fields.get("params").map(|node| params::read(walk, node)).unwrap_or_default();
    let tasks = fields.get("tasks").map(|node| task::read(walk, node)).unwrap_or_default();
    if fields.get("tasks").is_none() {
        let help = "add `tasks`, each with `run` or `uses`";
        walk.error_help(root.span, "a flow without tasks", "nothing to do here", help);
    }
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let source = Arc::clone(&walk.file);
    let damaged = fields.get("tasks").map(|node| damaged(walk, node)).unwrap_or_default();
    let lost_params = lost_params(fields.get("params"), &params);
    let path = path.to_path_buf();
    let flow = Flow { name, path, source, description, params, tasks, subflows: Vec::new(), damaged, lost_params };
    names::check(walk, &flow);
    Some(flow)
}

/// The parameters that are declared, but not in a way that could be read.
fn lost_params(node: Option<&Node>, read: &[Param]) -> Vec<String> {
    let Some(Data::Map(declared)) = node.map(|node| &node.data) else { return Vec::new() };
    let lost = |name: &&str| read.iter().all(|param| param.name.value != *name);
    declared.iter().map(|(name, _)| name.value.as_str()).filter(lost).map(str::to_owned).collect()
}

/// The tasks that have an error, by name.
fn damaged(walk: &Walk, tasks: &Node) -> BTreeSet<String> {
    let Data::Map(tasks) = &tasks.data else { return BTreeSet::new() };
    let places: Vec<Span> = walk.errors.iter().filter_map(|error| Some(error.labels.first()?.span)).collect();
    let has_error = |key: Span, node: Span| places.iter().any(|place| (key.start..=node.end()).contains(&place.start));
    tasks.iter().filter(|(name, node)| has_error(name.span, node.span)).map(|(name, _)| name.value.clone()).collect()
}
