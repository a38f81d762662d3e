//! Reading a tree of YAML with all errors collected: every reader reports what is wrong and gives `None`, so that the
//! walk goes on.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceFile, Span, Spanned, near, nearest};
use crate::flow::yaml::{Data, Node};

/// A walk over one file.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The file.
    pub(crate) file: Arc<SourceFile>,
    /// What was wrong so far.
    pub(crate) errors: Vec<Diagnostic>,
}

/// The fields of a map whose keys are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'n>(pub(crate) &'n [(Spanned<String>, Node)]);

impl<'n> Fields<'n> {
    /// The value of a key; a key without a value is as good as none.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node).filter(|node| node.data != Data::Null)
    }

    /// The place of a key.
    pub(crate) fn key(&self, key: &str) -> Option<Span> {
        self.entry(key).map(|(key, _)| key.span)
    }

    /// Whether an unknown key was probably meant to be one of `wanted`: then it is not missing as well.
    pub(crate) fn misspells(&self, wanted: &[&str]) -> bool {
        self.0.iter().any(|(key, _)| !wanted.contains(&key.value.as_str()) && near(&key.value, wanted).is_some())
    }

    fn entry(&self, key: &str) -> Option<&'n (Spanned<String>, Node)> {
        self.0.iter().find(|(other, _)| other.value == key)
    }
}

/// What a key of other workflow languages is here, where the key that stands for it is known.
fn other_word(key: &str, known: &[&str]) -> Option<String> {
    const WORDS: [(&[&str], &str, &str); 16] = [
        (&["command", "cmd", "script", "shell", "steps", "bash"], "run", "a command is written `run: …`"),
        (&["kind", "type", "rule"], "uses", "a kind is named by `uses: KIND`"),
        (
            &["depends_on", "depends", "deps", "dependencies", "after", "requires"],
            "needs",
            "for an order alone write `needs: [task]`, for a result an input with `from`",
        ),
        (&["if", "condition"], "when", "write `when: ${{ … }}`"),
        (&["strategy", "foreach", "for_each", "axes", "wildcards"], "matrix", "write `matrix: { axis: [values] }`"),
        (&["environment", "envvars"], "env", "write `env: [NAME]`: the variables of the caller that the task sees"),
        (&["retry", "max_retries"], "retries", "write `retries: { attempts: 3 }`"),
        (&["timeout-minutes", "timeout_minutes", "time"], "timeout", "write `timeout: 30m`"),
        (&["cpu", "cpus", "cores", "threads"], "resources", "write `resources: { cpu: 2 }`"),
        (&["gpu", "gpus"], "resources", "write `resources: { gpu: 1 }`"),
        (&["memory", "mem", "ram"], "resources", "write `resources: { memory: 2GiB }`"),
        (
            &["params", "parameters", "args", "arguments", "options"],
            "with",
            "parameters of a task are written `with: { name: value }`",
        ),
        (
            &["vars", "variables", "config", "parameters"],
            "params",
            "parameters of a flow are written `params: { name: default }`",
        ),
        (&["jobs", "steps", "rules", "stages", "pipeline"], "tasks", "write `tasks: { name: { run: … } }`"),
        (&["name"], "tasks", "a flow is called as its file is"),
        (&["targets", "produces"], "outputs", "write `outputs: { name: path }`"),
    ];
    let fits = |(keys, stands_for, _): &&(&[&str], &str, &str)| keys.contains(&key) && known.contains(stands_for);
    WORDS.iter().find(fits).map(|(.., help)| (*help).to_owned())
}

/// Whether a text is `[a-z_][a-z0-9_]*`; of a task also `-`.
pub(crate) fn is_name(text: &str, dash: bool) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || (dash && c == '-'))
}

impl Walk {
    /// A walk that has found nothing yet.
    pub(crate) fn new(file: Arc<SourceFile>) -> Self {
        Self { file, errors: Vec::new() }
    }

    /// An error at a place.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.errors.push(Diagnostic::at(&self.file, span, message, label));
    }

    /// An error at a place, with what would be right.
    pub(crate) fn error_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors.push(Diagnostic::at(&self.file, span, message, label).help(help));
    }

    /// Whether a place has an error already: what follows from it is not worth another.
    pub(crate) fn is_reported(&self, span: Span) -> bool {
        self.errors.iter().any(|error| error.labels.first().is_some_and(|label| label.span == span))
    }

    /// `what` is not what it has to be.
    pub(crate) fn wrong(&mut self, node: &Node, what: &str, wants: &str, help: &str) {
        if self.is_reported(node.span) {
            return;
        }
        let error = Diagnostic::at(
            &self.file,
            node.span,
            format!("{what} has to be {wants}"),
            format!("this is {}", node.kind()),
        );
        self.errors.push(error.maybe_help(Some(help.to_owned()).filter(|help| !help.is_empty())));
    }

    /// The fields of a map; keys that are not among `known` are reported.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let fields = self.map(node, what, &format!("its keys are {}", known.join(", ")))?;
        for (key, _) in fields {
            if !known.contains(&key.value.as_str()) {
                self.unknown(key, what, known);
            }
        }
        Some(Fields(fields))
    }

    fn unknown(&mut self, key: &Spanned<String>, what: &str, known: &[&str]) {
        let error = Diagnostic::at(&self.file, key.span, format!("{what} has no key `{key}`"), "not known here");
        let help = match key.value.as_str() {
            "<<" => {
                Some("merge keys are not supported: write the keys out, or use an alias for a whole value".to_owned())
            }
            other => other_word(other, known).or_else(|| nearest(other, known.iter().copied())),
        };
        self.errors.push(error.maybe_help(help));
    }

    /// The entries of a map with free keys.
    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n [(Spanned<String>, Node)]> {
        match &node.data {
            Data::Map(fields) => Some(fields),
            _ => {
                let help = if help.is_empty() { example(what) } else { help };
                self.wrong(node, what, "a map", help);
                None
            }
        }
    }

    /// The entries of a map whose keys are names.
    pub(crate) fn named<'n>(&mut self, node: &'n Node, what: &str, item: &str) -> Vec<&'n (Spanned<String>, Node)> {
        let entries = self.map(node, what, "").unwrap_or_default();
        entries.iter().filter(|(key, _)| self.name(key, item)).collect()
    }

    /// Checks that a key is `[a-z_][a-z0-9_]*`.
    pub(crate) fn name(&mut self, name: &Spanned<String>, item: &str) -> bool {
        let good = is_name(&name.value, item == "task");
        if !good {
            let dash = if item == "task" { ", digits, `_` and `-`" } else { ", digits and `_`" };
            let help = format!("small letters{dash}, not a digit first");
            self.error_help(name.span, format!("`{name}` is not a name for {}", article(item)), "here", help);
        }
        good
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n [Node]> {
        match &node.data {
            Data::List(items) => Some(items),
            _ => {
                self.wrong(node, what, "a list", help);
                None
            }
        }
    }

    /// A text.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n str> {
        if node.text().is_none() {
            self.wrong(node, what, "a text", help);
        }
        node.text()
    }

    /// A text without expressions.
    pub(crate) fn fixed<'n>(&mut self, node: &'n Node, what: &str, help: &str) -> Option<&'n str> {
        let text = self.text(node, what, help)?;
        if text.contains("${{") {
            self.error(node.span, format!("{what} cannot have an expression"), "has one");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.data {
            Data::Bool(value) => Some(value),
            _ => {
                self.wrong(node, what, "true or false", "");
                None
            }
        }
    }

    /// An integer.
    pub(crate) fn integer(&mut self, node: &Node, what: &str) -> Option<i64> {
        let value = match &node.data {
            Data::Number(number) => number.as_i64(),
            _ => None,
        };
        if value.is_none() {
            self.wrong(node, what, "an integer", "");
        }
        value
    }

    /// An amount of something: a number that is not negative, and not beyond what can be counted.
    pub(crate) fn amount(&mut self, node: &Node, what: &str, help: &str) -> Option<f64> {
        const LEAST: f64 = 0.001;
        const MOST: f64 = 1e9;
        let value = match &node.data {
            Data::Number(number) => number.as_f64().filter(|value| *value >= 0.0),
            _ => None,
        };
        if value.is_none() {
            self.wrong(node, what, "a number that is not negative", help);
        }
        // What is less counts as nothing: the task would run without it.
        if value.is_some_and(|value| value > 0.0 && value < LEAST) {
            self.error_help(node.span, format!("{what} is less than {LEAST}"), "the least that is counted", help);
            return None;
        }
        if value.is_some_and(|value| value > MOST) {
            self.error_help(node.span, format!("{what} is more than {MOST}"), "no machine has as much", help);
            return None;
        }
        value
    }
}

/// How a map is written that has no fixed keys.
fn example(what: &str) -> &'static str {
    match what {
        "`params`" => "write params: { name: default }",
        "`tasks`" => "write tasks: { name: { run: command } }",
        "`matrix`" => "write matrix: { axis: [values] }",
        "`inputs`" => "write inputs: { name: { from: task.output } }, or { path: file }",
        "`outputs`" => "write outputs: { name: path }",
        "`with`" => "write with: { parameter: value }",
        "`where`" => "write where: { axis: value }",
        "`publish`" => "write publish: { output: path }, or { output: { ref: name } }",
        "`tokens`" => "write tokens: { name: how many there are }",
        "`machine`" => "write machine: { cpus: 8, memory: 32GiB, gpus: 4 }",
        "`resources`" => "write resources: { cpu: 2, memory: 2GiB, gpu: 1 }",
        _ => "write { name: value }",
    }
}

/// `a task`, `an axis`.
pub(crate) fn article(item: &str) -> String {
    let an = item.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {item}", if an { "an" } else { "a" })
}
