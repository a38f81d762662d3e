//! A drawn project as a value, and the text of its flow.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::program::Make;
use crate::value::Folder;

/// A project: its flow, its sources, and what its caller sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Project {
    pub(crate) params: Vec<Param>,
    /// Values of `-p`.
    pub(crate) given: BTreeMap<String, String>,
    /// Variables of the caller; those that are not here are not set.
    pub(crate) env: BTreeMap<String, String>,
    /// An axis has the same values in every task that has it.
    pub(crate) axes: BTreeMap<String, Values>,
    pub(crate) tasks: Vec<Task>,
    /// What lies below `src/`.
    pub(crate) sources: Folder,
    /// What tasks that are never cached look at, outside of all that the flow says.
    pub(crate) weather: String,
    /// How the YAML is written: order, comments, quotes.
    pub(crate) look: u32,
}

/// A parameter: a text, or a list of texts.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) default: String,
    pub(crate) list: bool,
}

/// The values of an axis.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    List(Vec<String>),
    /// A list that is a parameter.
    Param(String),
    /// The output of a task, a list or the keys of an object.
    From(usize, String),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub(crate) name: String,
    /// What it calls itself in the log; a task may be renamed, and is the same.
    pub(crate) label: String,
    pub(crate) axes: Vec<String>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) needs: Vec<usize>,
    pub(crate) when: Option<When>,
    /// `cache: false`, and then it looks at the weather too.
    pub(crate) never_cached: bool,
    /// Names, and whether they are secret.
    pub(crate) env: Vec<(String, bool)>,
    /// `with`: names and values.
    pub(crate) with: Vec<(String, Text)>,
    /// A parameter in the text of the command.
    pub(crate) inline: Option<String>,
    /// Whether it fails on a `!`.
    pub(crate) fails: bool,
    /// Its first output is what this ref points to.
    pub(crate) moves: Option<String>,
    /// A comment in the command, which makes it another.
    pub(crate) salt: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) optional: bool,
    pub(crate) source: Source,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Path(Text),
    From {
        task: usize,
        output: String,
        filter: Vec<(String, Filter)>,
        at: Option<Text>,
    },
    /// What a ref points to.
    Ref(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Filter {
    One(Text),
    Many(Vec<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) make: Make,
    pub(crate) publish: bool,
}

/// What `when` asks.
#[derive(Clone, Debug)]
pub(crate) enum When {
    Param(String, String),
    AxisIsNot(String, String),
    /// A JSON entry that is a number is at least this.
    AtLeast(String, u64),
}

/// A text with expressions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(pub(crate) Vec<Piece>);

#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Plain(String),
    Axis(String),
    Param(String),
}

impl Text {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }

    pub(crate) fn eval(&self, axis: impl Fn(&str) -> String, param: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => text.clone(),
            Piece::Axis(name) => axis(name),
            Piece::Param(name) => param(name),
        };
        self.0.iter().map(piece).collect()
    }

    /// As it stands in the flow.
    fn source(&self) -> String {
        self.eval(|name| format!("${{{{ {name} }}}}"), |name| format!("${{{{ params.{name} }}}}"))
    }
}

impl Task {
    /// The command, with its parameter inserted as `inline` says.
    pub(crate) fn command(&self, inline: impl Fn(&str) -> String) -> String {
        let mut text = format!("# {}\n. \"$HOME/lib.sh\"\nbegin {}\n", self.salt, self.logged());
        for input in &self.inputs {
            let _ = writeln!(text, "take {}", input.name);
        }
        for axis in &self.axes {
            let _ = writeln!(text, "mix {axis} \"$MATRIX_{}\"", axis.to_uppercase());
        }
        for (name, _) in &self.with {
            let _ = writeln!(text, "mix {name} \"$PARAM_{}\"", name.to_uppercase());
        }
        for (name, secret) in &self.env {
            let value = if *secret { format!("${{{name}:+${{#{name}}}}}") } else { format!("${{{name}-unset}}") };
            let _ = writeln!(text, "mix {name} \"{value}\"");
        }
        if let Some(name) = &self.inline {
            let _ = writeln!(text, "mix inline '{}'", inline(name));
        }
        if self.never_cached {
            text.push_str("weather\n");
        }
        for output in &self.outputs {
            let _ = writeln!(text, "put {} {}", output.name, output.make.word());
        }
        if self.fails {
            text.push_str("fail_if_marked\n");
        }
        text
    }

    /// `label[axis=value]`, for bash.
    fn logged(&self) -> String {
        let axes: Vec<String> =
            self.axes.iter().map(|axis| format!("{axis}=$MATRIX_{}", axis.to_uppercase())).collect();
        if axes.is_empty() { self.label.clone() } else { format!("\"{}[{}]\"", self.label, axes.join(",")) }
    }
}

impl Project {
    pub(crate) fn param(&self, name: &str) -> &str {
        let default = || self.params.iter().find(|param| param.name == name).map(|param| param.default.as_str());
        self.given.get(name).map(String::as_str).or_else(default).unwrap_or_default()
    }

    /// The values of a parameter that is a list, written `[a,b]`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.param(name).trim_matches(['[', ']']);
        text.split(',').filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// The flow file.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        if self.look % 3 == 1 {
            text.push_str("# A comment\n\ndescription: drawn\n");
        }
        let mut params: Vec<&Param> = self.params.iter().collect();
        let mut tasks: Vec<&Task> = self.tasks.iter().collect();
        if self.look % 2 == 1 {
            params.reverse();
            tasks.reverse();
        }
        if !params.is_empty() {
            text.push_str("params:\n");
        }
        for param in params {
            let default = if param.list { param.default.clone() } else { quoted(&param.default) };
            let _ = writeln!(text, "  {}: {default}", param.name);
        }
        text.push_str("tasks:\n");
        for task in tasks {
            self.task(task, &mut text);
            if self.look % 3 == 2 {
                text.push_str("  # …\n\n");
            }
        }
        text
    }

    fn task(&self, task: &Task, text: &mut String) {
        let _ = writeln!(text, "  {}:\n    run: |", task.name);
        for line in task.command(|name| format!("${{{{ params.{name} }}}}")).lines() {
            let _ = writeln!(text, "      {line}");
        }
        if !task.axes.is_empty() {
            let axes: Vec<String> = task.axes.iter().map(|axis| format!("{axis}: {}", self.values(axis))).collect();
            let _ = writeln!(text, "    matrix: {{ {} }}", axes.join(", "));
        }
        if !task.inputs.is_empty() {
            text.push_str("    inputs:\n");
        }
        for input in &task.inputs {
            let _ = writeln!(text, "      {}: {}", input.name, self.input(input));
        }
        let mut list = |key: &str, items: Vec<String>, open: &str, close: &str| {
            if !items.is_empty() {
                let _ = writeln!(text, "    {key}: {open} {} {close}", items.join(", "));
            }
        };
        list("outputs", task.outputs.iter().map(|o| format!("{}: {}", o.name, o.path)).collect(), "{", "}");
        let published = task.outputs.iter().filter(|output| output.publish);
        let place = |o: &Output| format!("{}: {}", o.name, quoted(&task.place(o).source()));
        let moved = task.moves.iter().zip(&task.outputs).map(|(name, o)| format!("{}: {{ ref: {name} }}", o.name));
        list("publish", published.map(place).chain(moved).collect(), "{", "}");
        list("with", task.with.iter().map(|(n, v)| format!("{n}: {}", quoted(&v.source()))).collect(), "{", "}");
        list("needs", task.needs.iter().map(|need| self.tasks[*need].name.clone()).collect(), "[", "]");
        let env = |(name, secret): &(String, bool)| {
            if *secret { format!("{{ name: {name}, secret: true }}") } else { name.clone() }
        };
        list("env", task.env.iter().map(env).collect(), "[", "]");
        if task.never_cached {
            text.push_str("    cache: false\n");
        }
        if let Some(when) = &task.when {
            let _ = writeln!(text, "    when: \"${{{{ {} }}}}\"", when.source());
        }
    }

    fn values(&self, axis: &str) -> String {
        match &self.axes[axis] {
            Values::List(list) => {
                let list: Vec<String> = list.iter().map(|value| quoted(value)).collect();
                format!("[{}]", list.join(", "))
            }
            Values::Param(name) => format!("\"${{{{ params.{name} }}}}\""),
            Values::From(task, output) => format!("{{ from: {}.{output} }}", self.tasks[*task].name),
        }
    }

    fn input(&self, input: &Input) -> String {
        let mut text = match &input.source {
            Source::Path(path) => format!("path: {}", quoted(&path.source())),
            Source::Ref(name) => format!("ref: {name}"),
            Source::From { task, output, filter, at } => {
                let mut text = format!("from: {}.{output}", self.tasks[*task].name);
                let filter = filter.iter().map(|(axis, filter)| match filter {
                    Filter::One(value) => format!("{axis}: {}", quoted(&value.source())),
                    Filter::Many(list) => {
                        let list: Vec<String> = list.iter().map(|value| quoted(value)).collect();
                        format!("{axis}: [{}]", list.join(", "))
                    }
                });
                let filter: Vec<String> = filter.collect();
                if !filter.is_empty() {
                    let _ = write!(text, ", where: {{ {} }}", filter.join(", "));
                }
                if let Some(at) = at {
                    let _ = write!(text, ", at: {}", quoted(&at.source()));
                }
                text
            }
        };
        if input.optional {
            text.push_str(", optional: true");
        }
        format!("{{ {text} }}")
    }
}

impl Task {
    /// Where an output is published, one place for each instance.
    pub(crate) fn place(&self, output: &Output) -> Text {
        let mut pieces = vec![Piece::Plain(format!("out/{}-{}", self.name, output.name))];
        for axis in &self.axes {
            pieces.push(Piece::Plain("-".into()));
            pieces.push(Piece::Axis(axis.clone()));
        }
        Text(pieces)
    }
}

impl When {
    fn source(&self) -> String {
        match self {
            Self::Param(name, value) => format!("params.{name} != '{value}'"),
            Self::AxisIsNot(axis, value) => format!("{axis} != '{value}'"),
            Self::AtLeast(input, least) => format!("inputs.{input} >= {least}"),
        }
    }
}

/// A text in YAML; JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
