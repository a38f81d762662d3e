//! Whether a task gives its kind what the kind needs: inputs, parameters; and whether what it publishes exists.

use serde_json::Map;

use super::Check;
use crate::diagnostic::nearest;
use crate::flow::{Action, Spanned, Task};
use crate::kinds::{Kind, Problem};

impl Check<'_> {
    /// All that a task says of a kind.
    pub(super) fn uses(&mut self, index: usize, task: &Task) {
        let Action::Kind(name) = &task.action else { return };
        let kinds = self.kinds;
        let Some(kind) = kinds.get(&name.value) else { return };
        self.kind_inputs(task, name, kind);
        self.with(task, name, kind);
        let outputs = self.outputs.get(index).map(Vec::as_slice).unwrap_or_default();
        let known: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        for output in crate::flow::output_names(task) {
            if !known.contains(&output.value.as_str()) {
                let error = self.error(output.span, format!("the kind `{name}` has no output `{output}`"), "not known");
                self.errors.push(error.maybe_help(nearest(&output.value, known.iter().copied())));
            }
        }
    }

    fn kind_inputs(&mut self, task: &Task, name: &Spanned<String>, kind: &Kind) {
        let declared = &kind.spec.inputs;
        for input in &task.inputs {
            if !declared.contains_key(&input.name.value) {
                // Inputs that only expressions use are for the task's keys, not for the kind.
                if self.is_used(task, &input.name.value) {
                    continue;
                }
                let error = self.error(
                    input.name.span,
                    format!("the kind `{name}` has no input `{}`", input.name),
                    "not known",
                );
                let help = nearest(&input.name.value, declared.keys().map(String::as_str));
                self.errors.push(error.maybe_help(help));
            }
        }
        let missing = declared.iter().filter(|(name, spec)| !spec.optional && task.input(name).is_none());
        let missing: Vec<String> = missing.map(|(name, _)| format!("`{name}`")).collect();
        if let Some(first) = missing.first().filter(|_| !self.is_damaged(&task.name.value)) {
            let what = if missing.len() == 1 { "the input" } else { "the inputs" };
            let message = format!("the task `{}` lacks {what} {}", task.name, missing.join(", "));
            let help = format!("add under `inputs`: {}: {{ from: task.output }}", first.trim_matches('`'));
            self.errors.push(self.error(name.span, message, "this kind needs more").help(help));
        }
    }

    fn is_used(&self, task: &Task, input: &str) -> bool {
        let templates = crate::flow::names::templates(task);
        templates.into_iter().any(|template| template.uses().inputs.contains(input))
    }

    /// `with` against the kind's schema: the values that are known. What expressions give is checked for each instance.
    fn with(&mut self, task: &Task, name: &Spanned<String>, kind: &Kind) {
        let fixed = |(key, template): &(Spanned<String>, crate::flow::Template)| {
            template.fixed().map(|value| (key.value.clone(), value.clone()))
        };
        let values: Map<String, serde_json::Value> = task.with.iter().filter_map(fixed).collect();
        let open =
            |key: &str| task.with.iter().any(|(other, template)| other.value == key && template.fixed().is_none());
        let known: Vec<&str> = kind.params().collect();
        let computed = task.with.iter().filter(|(_, template)| template.fixed().is_none());
        for (key, _) in computed.filter(|(key, _)| kind.is_closed() && !known.contains(&key.value.as_str())) {
            self.unknown_param(key, name, &known);
        }
        for problem in kind.check(&values) {
            let (top, rest) = split(&problem.pointer);
            let entry = task.with.iter().find(|(key, _)| key.value == top);
            match (&problem.missing, entry) {
                (Some(missing), None) if open(missing) || self.is_damaged(&task.name.value) => {}
                (Some(missing), None) => self.missing_param(task, missing, name),
                (_, Some((key, _))) if rest.is_empty() && !known.contains(&top.as_str()) => {
                    self.unknown_param(key, name, &known)
                }
                (_, Some((_, template))) => {
                    let message =
                        format!("the parameter `{}` of `{}` is not what its kind takes", path(&problem), task.name);
                    let error = self.error(template.span_at(&rest), message, problem.message.clone());
                    self.errors.push(error.help(help(&problem, kind)));
                }
                // The whole of it: other keys may come from expressions.
                (None, None) if task.with.iter().any(|(key, _)| open(&key.value)) => {}
                (None, None) => self.errors.push(self.error(
                    name.span,
                    format!("`with` of `{}` is not what its kind takes", task.name),
                    problem.message,
                )),
            }
        }
    }

    fn unknown_param(&mut self, key: &Spanned<String>, kind: &Spanned<String>, known: &[&str]) {
        let error = self.error(key.span, format!("the kind `{kind}` has no parameter `{key}`"), "not known");
        self.errors.push(error.maybe_help(nearest(&key.value, known.iter().copied())));
    }

    fn missing_param(&mut self, task: &Task, missing: &str, kind: &Spanned<String>) {
        let message = format!("the task `{}` lacks the parameter `{missing}`", task.name);
        let error = self.error(kind.span, message, "this kind needs it");
        self.errors.push(error.help(format!("add under `with`: {missing}: …")));
    }
}

/// `model.leaves`, for messages.
fn path(problem: &Problem) -> String {
    problem.pointer.trim_start_matches('/').replace('/', ".")
}

fn help(problem: &Problem, kind: &Kind) -> String {
    problem.help.clone().unwrap_or_else(|| format!("see `ghtrader kinds {}`", kind.spec.name))
}

/// The first key of a JSON pointer, and the rest of it.
fn split(pointer: &str) -> (String, String) {
    let (top, rest) =
        pointer.trim_start_matches('/').split_once('/').map_or((pointer.trim_start_matches('/'), ""), |parts| parts);
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    (top.replace("~1", "/").replace("~0", "~"), rest)
}
