//! One task of a flow file.

use super::types::{Action, Task};
use super::walk::{Fields, Walk};
use super::yaml::{Data, Node};
use super::{Retries, Spanned, Template, inputs, limits, matrix, outputs};
use crate::diagnostic::Diagnostic;

const KEYS: [&str; 18] = [
    "uses",
    "run",
    "flow",
    "matrix",
    "inputs",
    "needs",
    "with",
    "outputs",
    "resources",
    "locks",
    "env",
    "retries",
    "timeout",
    "when",
    "publish",
    "print",
    "cache",
    "priority",
];

/// Reads `tasks`.
pub(super) fn read(walk: &mut Walk, node: &Node) -> Vec<Task> {
    let entries = walk.named(node, "`tasks`", "task");
    if matches!(&node.data, Data::Map(fields) if fields.is_empty()) {
        walk.error_help(node.span, "a flow without tasks", "nothing to do here", "add a task with `run` or `uses`");
    }
    entries.into_iter().filter_map(|(name, node)| task(walk, name, node)).collect()
}

/// A task with errors is kept where it can be, so that what names it is not wrong as well.
fn task(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Task> {
    let what = format!("the task `{name}`");
    let fields = walk.fields(node, &what, &KEYS)?;
    let action = action(walk, name, &fields).unwrap_or_else(|| Action::Kind(Spanned::new(String::new(), name.span)));
    let matrix = fields.get("matrix").map(|node| matrix::read(walk, node)).unwrap_or_default();
    let outputs = fields.get("outputs").map(|node| outputs::read(walk, node)).unwrap_or_default();
    if let (Action::Kind(kind), Some(span)) = (&action, fields.key("outputs"))
        && !kind.value.is_empty()
    {
        let help = format!("remove it; `ghtrader kinds {kind}` shows the outputs of the kind");
        walk.error_help(span, "only a task with `run` has `outputs`", "a kind declares its own", help);
    }
    let task = Task {
        name: name.clone(),
        matrix,
        inputs: fields.get("inputs").map(|node| inputs::read(walk, node)).unwrap_or_default(),
        needs: fields.get("needs").map(|node| needs(walk, node)).unwrap_or_default(),
        with: fields.get("with").map(|node| with(walk, node)).unwrap_or_default(),
        resources: fields.get("resources").map(|node| limits::resources(walk, node)).unwrap_or_default(),
        locks: fields.get("locks").map(|node| limits::locks(walk, node)).unwrap_or_default(),
        env: fields.get("env").map(|node| limits::env(walk, node)).unwrap_or_default(),
        retries: fields.get("retries").map_or_else(Retries::default, |node| limits::retries(walk, node)),
        timeout: fields.get("timeout").and_then(|node| limits::duration(walk, node, "`timeout`")),
        when: fields.get("when").map(|node| when(walk, node)),
        publish: fields.get("publish").map(|node| outputs::publish(walk, node)).unwrap_or_default(),
        print: fields.get("print").and_then(|node| output_name(walk, node)),
        cache: fields.get("cache").map_or(super::CachePolicy::Always, |node| limits::cache(walk, node)),
        priority: fields.get("priority").and_then(|node| walk.integer(node, "`priority`")).unwrap_or(0),
        subflow: None,
        outputs,
        action,
    };
    outputs::check(walk, &task);
    Some(task)
}

/// Exactly one of `uses`, `run` and `flow`.
fn action(walk: &mut Walk, name: &Spanned<String>, fields: &Fields<'_>) -> Option<Action> {
    let given: Vec<(&str, &Node)> =
        ["uses", "run", "flow"].into_iter().filter_map(|key| Some((key, fields.get(key)?))).collect();
    match given.as_slice() {
        [] if fields.misspells(&["uses", "run", "flow"]) => None,
        [] => {
            let help = "add `uses: KIND`, `run:` with a shell command, or `flow:` with another flow";
            walk.error_help(name.span, format!("the task `{name}` does nothing"), "no `uses`, `run` or `flow`", help);
            None
        }
        [("uses", node)] => {
            let kind = walk.fixed(node, "`uses`", "the name of a kind")?;
            Some(Action::Kind(Spanned::new(kind.to_owned(), node.span)))
        }
        [("run", node)] => {
            walk.text(node, "`run`", "a shell command")?;
            Some(Action::Command(walk.template(node)))
        }
        [(_, node)] => {
            beside_flow(walk, fields);
            let file = walk.fixed(node, "`flow`", "the name of a flow, or a path from the project root")?;
            Some(Action::Flow(Spanned::new(file.to_owned(), node.span)))
        }
        [first, rest @ ..] => {
            let place = |key: &str| fields.key(key).unwrap_or(name.span);
            let message = format!("the task `{name}` has more than one of `uses`, `run` and `flow`");
            let error = Diagnostic::at(&walk.file, place(first.0), message, "one");
            let error = rest.iter().fold(error, |error, (key, _)| error.and(place(key), "another"));
            walk.errors.push(error.help("a task does one thing: make two tasks"));
            None
        }
    }
}

/// What may stand beside `flow`; all else is for the tasks of that flow to say.
const BESIDE_FLOW: [&str; 5] = ["flow", "matrix", "with", "needs", "when"];

fn beside_flow(walk: &mut Walk, fields: &Fields<'_>) {
    for (key, _) in fields.0 {
        let word = key.value.as_str();
        if KEYS.contains(&word) && !BESIDE_FLOW.contains(&word) {
            let help = "beside `flow`: matrix, with, needs, when; the tasks of that flow say the rest";
            walk.error_help(key.span, format!("a task with `flow` has no `{word}`"), "not beside `flow`", help);
        }
    }
}

fn needs(walk: &mut Walk, node: &Node) -> Vec<Spanned<String>> {
    let items = match &node.data {
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let help = "write needs: [task, other-task]";
    let names =
        items.iter().filter_map(|item| Some(Spanned::new(walk.fixed(item, "a task in `needs`", help)?, item.span)));
    names.map(|name| Spanned::new(name.value.to_owned(), name.span)).collect()
}

fn with(walk: &mut Walk, node: &Node) -> Vec<(Spanned<String>, Template)> {
    let entries = walk.named(node, "`with`", "parameter");
    entries.into_iter().map(|(name, node)| (name.clone(), walk.template(node))).collect()
}

fn when(walk: &mut Walk, node: &Node) -> Template {
    let template = walk.template(node);
    if template.fixed().is_some_and(|value| !value.is_boolean()) {
        walk.wrong(node, "`when`", "true or false, or an expression", "write when: ${{ params.NAME > 10 }}");
    }
    template
}

fn output_name(walk: &mut Walk, node: &Node) -> Option<Spanned<String>> {
    let name = walk.fixed(node, "`print`", "the name of an output")?;
    Some(Spanned::new(name.to_owned(), node.span))
}

impl Walk {
    /// Compiles a value that may have expressions.
    pub(super) fn template(&mut self, node: &Node) -> Template {
        let (template, errors) = Template::compile(&self.file, node);
        self.errors.extend(errors);
        template
    }

    /// Compiles a text that may have expressions.
    pub(super) fn text_template(&mut self, node: &Node, what: &str, help: &str) -> Option<Template> {
        self.text(node, what, help)?;
        Some(self.template(node))
    }
}
