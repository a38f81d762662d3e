//! What a flow file says, with types.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Param, SourceFile, Span, Spanned, Template};

/// A flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The file's name without `.yaml`.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// Its text, for errors.
    pub source: Arc<SourceFile>,
    /// One line for `ghtrader list`.
    pub description: Option<String>,
    /// Its parameters, in the order of the file.
    pub params: Vec<Param>,
    /// Its tasks, in the order of the file; those of a flow in it stand where that is named.
    pub tasks: Vec<Task>,
    /// The flows in it, each after the one that it is in.
    pub subflows: Vec<Subflow>,
    /// Names of tasks that could not be read whole; empty for a flow without errors.
    pub(crate) damaged: BTreeSet<String>,
    /// Names of parameters that could not be read.
    pub(crate) lost_params: Vec<String>,
}

/// A task: the pattern of its instances.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name.
    pub name: Spanned<String>,
    /// What it does.
    pub action: Action,
    /// Its axes.
    pub matrix: Matrix,
    /// The files and folders that it reads.
    pub inputs: Vec<Input>,
    /// Tasks that have to be done before it, without data.
    pub needs: Vec<Spanned<String>>,
    /// The kind's parameters, or `PARAM_*` of a command.
    pub with: Vec<(Spanned<String>, Template)>,
    /// The outputs of a command; a kind declares its own.
    pub outputs: Vec<Output>,
    /// What it needs of the machine.
    pub resources: Resources,
    /// Keys to hold while it runs.
    pub locks: Vec<Lock>,
    /// Variables of the caller that it sees.
    pub env: Vec<EnvVar>,
    /// How often it is tried.
    pub retries: Retries,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Whether an instance runs; it has to give a boolean.
    pub when: Option<Template>,
    /// Where outputs are put for people.
    pub publish: Vec<Publish>,
    /// The output to show at the end of a run.
    pub print: Option<Spanned<String>>,
    /// How long a result is trusted.
    pub cache: CachePolicy,
    /// Higher is earlier among the ready.
    pub priority: i64,
    /// The flow in the flow that it belongs to, by its place in [`Flow::subflows`]; none for a task of the flow itself.
    pub subflow: Option<usize>,
}

/// A flow in a flow: what a task with `flow` brings in.
#[derive(Clone, Debug)]
pub struct Subflow {
    /// The task, with its whole name: its axes, `with`, `needs` and `when` are those of the file around it.
    pub task: Task,
    /// The flow in the flow that the task belongs to.
    pub outer: Option<usize>,
    /// The text of the inner file, for errors.
    pub source: Arc<SourceFile>,
    /// The parameters of the inner file.
    pub params: Vec<Param>,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Action {
    /// `uses`: a kind of a program.
    Kind(Spanned<String>),
    /// `run`: a shell command.
    Command(Template),
    /// `flow`: the tasks of another file. A flow that was loaded whole has none left: see [`Flow::subflows`].
    Flow(Spanned<String>),
}

/// The axes of a task: its instances are their product, as `include` and `exclude` change it.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// The axes, in the order of the file.
    pub axes: Vec<Axis>,
    /// Combinations to add to, or to add.
    pub include: Vec<Vec<(Spanned<String>, Template)>>,
    /// Combinations to leave out.
    pub exclude: Vec<Vec<(Spanned<String>, Template)>>,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its name.
    pub name: Spanned<String>,
    /// Its values.
    pub values: AxisValues,
}

/// The values of an axis.
#[derive(Clone, Debug)]
pub enum AxisValues {
    /// A list, or an expression that gives one.
    Template(Template),
    /// A JSON list, or the keys of a JSON object, that another task writes.
    From {
        /// The task.
        task: Spanned<String>,
        /// Its output; none where the task has only one.
        output: Option<Spanned<String>>,
        /// The entry of the output, by key; `a/b` goes deeper.
        at: Option<Template>,
    },
}

/// One input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: Spanned<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it may be absent.
    pub optional: bool,
}

/// Where an input comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An output of a task.
    From {
        /// The task.
        task: Spanned<String>,
        /// Its output; none where the task has only one.
        output: Option<Spanned<String>>,
        /// `where`: axes of that task, each with a value or a list.
        filter: Vec<(Spanned<String>, Template)>,
        /// One entry of a JSON output, or one member of a folder.
        at: Option<Template>,
    },
    /// A file or folder outside the cache, relative to the project root.
    Path(Template),
    /// A named pointer.
    Ref(Template),
}

/// An output of a command.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name.
    pub name: Spanned<String>,
    /// Its path, relative to the folder of outputs.
    pub path: Spanned<String>,
}

/// What a task needs of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// Cores; 0 and fractions are allowed.
    pub cpu: f64,
    /// Bytes.
    pub memory: Option<u64>,
    /// Devices.
    pub gpu: Option<Gpu>,
    /// Other names that a machine declares.
    pub tokens: Vec<(String, f64)>,
    /// Where they are written, for errors: `resources` itself where a key is not there.
    pub span: Span,
    /// Where each amount is written.
    pub places: Vec<(String, Span)>,
}

/// The devices that a task needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    /// A whole number of devices, or a share of one below 1.
    pub count: f64,
    /// Bytes on each.
    pub memory: Option<u64>,
    /// Whether the task also runs without.
    pub optional: bool,
}

/// A key to hold.
#[derive(Clone, Debug)]
pub struct Lock {
    /// The key.
    pub key: Template,
    /// Whether others may hold it, shared, at the same time.
    pub shared: bool,
}

/// A variable of the caller that the task sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: Spanned<String>,
    /// Whether its value must not be shown anywhere.
    pub secret: bool,
}

/// How often a task is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts, the first included; at least 1.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles.
    pub backoff: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// Where an output is put.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The output.
    pub output: Spanned<String>,
    /// The place.
    pub target: Target,
}

/// A place for an output.
#[derive(Clone, Debug)]
pub enum Target {
    /// A path, relative to the project root.
    Path(Template),
    /// A named pointer.
    Ref {
        /// Its name.
        name: Template,
        /// The pointer moves where this field of a JSON output of the task is true; `a.b` goes deeper.
        when: Option<(Spanned<String>, Spanned<String>)>,
    },
}

/// How long a result is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// For ever.
    Always,
    /// Not at all: the task runs every time.
    Never,
    /// That long.
    Ttl(Duration),
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu: 1.0, memory: None, gpu: None, tokens: Vec::new(), span: Span::default(), places: Vec::new() }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, backoff: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Flow {
    /// The task of a name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name.value == name)
    }
}

impl Task {
    /// The input of a name.
    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name.value == name)
    }

    /// The names of its axes: those of the matrix, then those that only `include` names, in the order of the file.
    pub fn axes(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.matrix.axes.iter().map(|axis| axis.name.value.as_str()).collect();
        for (name, _) in self.matrix.include.iter().flatten() {
            if !names.contains(&name.value.as_str()) {
                names.push(&name.value);
            }
        }
        names
    }
}

impl Input {
    /// Whether expressions may use it: one entry of a JSON output.
    pub fn is_entry(&self) -> bool {
        matches!(self.source, Source::From { at: Some(_), .. })
    }
}
