//! What happens in a run, as values: the runner emits them, reporters show them, the run's record keeps them.

use serde::Serialize;
use serde_json::Value;

use crate::hash::Hash;

/// One event; as JSON one line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    Started {
        /// Its id.
        run: String,
        /// The flow's name.
        flow: String,
    },
    /// How many tasks are known to be part of the run; more where an axis becomes known.
    Expected {
        /// All of them, those that have ended included.
        tasks: usize,
        /// How many of them were not known before, by the task's name.
        #[serde(skip)]
        more: Vec<(String, usize)>,
    },
    /// Something people should know that is neither an error nor about one task.
    Notice {
        /// What.
        text: String,
    },
    /// A task came into a state.
    Task(TaskEvent),
    /// A task waits for a lock that somebody else holds.
    Waiting {
        /// The instance.
        task: String,
        /// The lock's key.
        lock: String,
        /// Who holds it, as far as that is known.
        holder: String,
    },
    /// A task reports how far it is.
    Progress {
        /// The instance.
        task: String,
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: u64,
        /// What is being done.
        text: String,
    },
    /// A task reports a metric.
    Metric {
        /// The instance.
        task: String,
        /// Its name.
        name: String,
        /// Its value.
        value: f64,
    },
    /// A ref was moved.
    Moved {
        /// The ref.
        name: String,
        /// The task whose result it points to.
        task: String,
        /// What it points to.
        hash: Hash,
    },
    /// An output that the flow wants shown at the end (`print`).
    Print {
        /// The instance.
        task: String,
        /// The output.
        output: String,
        /// Text, or JSON.
        content: Value,
    },
    /// The run has ended.
    Finished(Summary),
}

/// How many tasks ended how.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Executed.
    pub ran: usize,
    /// Had a recorded result.
    pub cached: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped, by their `when` or because something upstream failed.
    pub skipped: usize,
    /// How long the run took.
    pub seconds: f64,
    /// The run's id.
    pub run: String,
}

/// A task came into a state.
#[derive(Clone, Debug, Serialize)]
pub struct TaskEvent {
    /// The instance.
    pub task: String,
    /// The state.
    pub state: TaskState,
    /// Why: it runs, failed, or is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its key, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Hash>,
    /// How long it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What a person needs to look into a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Where to look into a failure.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The last lines of its log.
    pub tail: Vec<String>,
    /// The run, for `ghtrader log`.
    pub run: String,
    /// The flow, for running it again.
    pub flow: String,
    /// Its folder, which stays for a look.
    pub scratch: String,
    /// Inputs that its log names: where the task saw them, and what they are copies of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<(String, String)>,
    /// What is skipped because of it.
    pub blocks: Vec<String>,
}

/// The states of a task; the last two belong to dry runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It was started.
    Running,
    /// It was executed and its result is recorded.
    Ran,
    /// Its result was recorded already.
    Cached,
    /// It failed.
    Failed,
    /// It is skipped.
    Skipped,
    /// It would run.
    Runs,
    /// It would run if what runs before it gives other bytes than before.
    MayRun,
}

impl TaskEvent {
    /// A task in a state, with nothing more to say.
    pub fn new(task: String, state: TaskState) -> Self {
        Self { task, state, reason: None, key: None, seconds: None, failure: None }
    }
}
