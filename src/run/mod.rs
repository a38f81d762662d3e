//! The loop of a run: plan → schedule → execute → record, until nothing is left to do.
//!
//! One thread decides; it never waits for a disk, a lock or a process. What waits (laying out a task's folder, taking a
//! lock, keeping what a task wrote) is done in threads of its own, which report back through one channel. Planning and
//! scheduling are pure, so all that is particular to a run is in here: what is in flight, and what to do when it ends.

mod prepare;
mod publish;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::execute::{ExecEvent, Executor, Exit, Job, Usage};
use crate::locks::{Held, Holder, LockError, Locks};
use crate::plan::{Context, Done, InstanceId, Outcome, Planner, Resolved, Wish};
use crate::provenance::{Commit, Execution, RunTask};
use crate::report::{Event, Failure, Reporter, Summary, TaskEvent, TaskState};
use crate::resources::Pool;
use crate::schedule::{self, Candidate, schedule, unlock};
use prepare::Preparation;
use task::{Spec, TaskError};

/// What a run works with beside the plan.
pub struct Means<'a> {
    /// The locks of the cache.
    pub locks: &'a Locks,
    /// Where tasks run.
    pub executor: &'a mut dyn Executor,
    /// What is heard of them.
    pub events: Receiver<ExecEvent>,
    /// A message for each interrupt (Ctrl-C).
    pub interrupts: Receiver<()>,
    /// Who is told.
    pub reporter: &'a mut dyn Reporter,
}

/// How to run.
pub struct Options<'a> {
    /// The run's id.
    pub run: String,
    /// On a failure, finish what does not depend on it.
    pub keep_going: bool,
    /// At most this many tasks at once.
    pub jobs: usize,
    /// What the machine has.
    pub machine: Pool,
    /// How long to wait for a lock held elsewhere; `None` for ever.
    pub wait_locks: Option<Duration>,
    /// Where a task's log goes.
    pub log: &'a (dyn Fn(&str) -> PathBuf + Sync),
    /// The project's sources.
    pub commit: Commit,
    /// The machine's name.
    pub host: String,
    /// Who started the run.
    pub user: String,
}

/// How a run ended.
pub struct Ended {
    /// Counts.
    pub summary: Summary,
    /// Every task.
    pub tasks: BTreeMap<String, RunTask>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether a lock that was asked for was not got.
    pub lock_missed: bool,
    /// What the flow wants shown at the end.
    pub prints: Vec<Event>,
}

/// A run that could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The flow is wrong: nothing was started.
    #[error("the flow is not valid")]
    Invalid(Vec<Diagnostic>),
    /// A task asks for more than the machine has: nothing was started.
    #[error("`{task}` cannot run here: {source}")]
    TooMuch {
        /// The instance.
        task: String,
        /// What is missing.
        source: crate::resources::TooMuch,
    },
}

/// What the threads and the executor report.
enum Message {
    Exec(ExecEvent),
    Prepared(InstanceId, Result<Prepared, Stop>),
    Kept(InstanceId, Result<Done, TaskError>),
    Waiting(InstanceId, String, String),
    Interrupt,
}

/// A task that may start, or that somebody else has finished meanwhile.
enum Prepared {
    Start(Box<Job>, Held),
    Cached(Done),
}

/// Why a task cannot start.
enum Stop {
    Task(TaskError),
    Lock(LockError),
}

/// A task between its start and its recorded result.
struct InFlight {
    resolved: Box<Resolved>,
    devices: Vec<u32>,
    ready: Instant,
    started: Option<(Instant, jiff::Timestamp)>,
    attempt: u32,
    /// Held until the result is recorded, so that whoever waits for the key then finds it.
    locks: Option<Held>,
    metrics: BTreeMap<String, f64>,
}

/// A run.
struct Run<'a, 'scope> {
    scope: &'scope Scope<'scope, 'a>,
    context: Context<'a>,
    options: &'a Options<'a>,
    locks: &'a Locks,
    executor: &'scope mut dyn Executor,
    reporter: &'scope mut dyn Reporter,
    planner: Planner<'a>,
    messages: Sender<Message>,
    free: Pool,
    held: schedule::Held,
    waiting: Vec<(InstanceId, Box<Resolved>, Instant)>,
    flying: BTreeMap<InstanceId, InFlight>,
    tasks: BTreeMap<String, RunTask>,
    summary: Summary,
    /// The first failure stops the start of anything new.
    halted: Option<String>,
    interrupts: usize,
    lock_missed: bool,
    moves: publish::Moves,
    prints: Vec<Event>,
}

/// Brings a flow up to date.
///
/// # Errors
/// Where the flow has an error that can be known beforehand; nothing was started then.
pub fn run<'a>(
    context: Context<'a>,
    wish: Wish,
    options: &'a Options<'a>,
    means: Means<'a>,
) -> Result<Ended, RunError> {
    let begun = Instant::now();
    let Means { locks, executor, events, interrupts, reporter } = means;
    let (messages, inbox) = channel();
    forward(events, messages.clone(), Message::Exec);
    forward(interrupts, messages.clone(), |()| Message::Interrupt);
    std::thread::scope(|scope| {
        let mut run = Run {
            scope,
            context,
            options,
            locks,
            executor,
            reporter,
            planner: Planner::new(context, wish),
            messages,
            free: options.machine.clone(),
            held: schedule::Held::new(),
            waiting: Vec::new(),
            flying: BTreeMap::new(),
            tasks: BTreeMap::new(),
            summary: Summary { run: options.run.clone(), ..Summary::default() },
            halted: None,
            interrupts: 0,
            lock_missed: false,
            moves: publish::Moves::default(),
            prints: Vec::new(),
        };
        run.first_plan()?;
        run.until_done(&inbox);
        run.summary.seconds = begun.elapsed().as_secs_f64();
        Ok(Ended {
            summary: run.summary,
            tasks: run.tasks,
            interrupted: run.interrupts > 0,
            lock_missed: run.lock_missed,
            prints: run.prints,
        })
    })
}

/// Passes what one channel gives on to another, in a thread that ends with either.
fn forward<T: Send + 'static>(from: Receiver<T>, to: Sender<Message>, wrap: fn(T) -> Message) {
    std::thread::spawn(move || {
        for value in from {
            if to.send(wrap(value)).is_err() {
                break;
            }
        }
    });
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Plans as far as that goes without running anything; an error ends the run here.
    fn first_plan(&mut self) -> Result<(), RunError> {
        self.planner.advance();
        self.collect();
        let mut errors = self.planner.take_errors();
        if errors.is_empty() && self.waiting.is_empty() {
            self.planner.end();
            errors = self.planner.take_errors();
        }
        if !errors.is_empty() {
            return Err(RunError::Invalid(crate::diagnostic::in_order(errors)));
        }
        for (id, resolved, _) in &self.waiting {
            if let Err(source) = self.options.machine.admits(&resolved.request) {
                return Err(RunError::TooMuch { task: self.planner.name(*id), source });
            }
        }
        Ok(())
    }

    fn until_done(&mut self, inbox: &Receiver<Message>) {
        loop {
            self.report_settled();
            self.start_what_fits();
            if self.flying.is_empty() {
                self.skip_what_waits();
                self.planner.advance();
                self.collect();
                if self.waiting.is_empty() {
                    break;
                }
                continue;
            }
            // The run holds a sender itself, so this waits until something happens.
            let Ok(message) = inbox.recv() else { break };
            self.handle(message);
            self.planner.advance();
            self.collect();
        }
        self.planner.end();
        self.report_settled();
        self.report_unknown();
    }

    /// Takes over what the planner hands out.
    fn collect(&mut self) {
        for (id, resolved) in self.planner.take_ready() {
            self.waiting.push((id, resolved, Instant::now()));
        }
    }

    fn start_what_fits(&mut self) {
        if self.halted.is_some() || self.interrupts > 0 {
            return;
        }
        let slots = self.options.jobs.saturating_sub(self.flying.len());
        if slots == 0 || self.waiting.is_empty() {
            return;
        }
        let candidates: Vec<Candidate> = self
            .waiting
            .iter()
            .map(|(id, resolved, _)| Candidate {
                id: *id,
                priority: self.planner.decl(*id).priority,
                remaining: self.context.graph.height(self.planner.task(*id)),
                request: resolved.request.clone(),
                locks: resolved.locks.clone(),
            })
            .collect();
        for start in schedule(&candidates, &mut self.free, &mut self.held, slots) {
            if let Some(place) = self.waiting.iter().position(|(id, ..)| *id == start.id) {
                let (id, resolved, ready) = self.waiting.remove(place);
                let flight = InFlight {
                    resolved,
                    devices: start.devices,
                    ready,
                    started: None,
                    attempt: 1,
                    locks: None,
                    metrics: BTreeMap::new(),
                };
                self.flying.insert(id, flight);
                self.prepare(id, Duration::ZERO);
            }
        }
    }

    /// Takes the locks of a task and lays out its folder, in a thread.
    fn prepare(&mut self, id: InstanceId, delay: Duration) {
        let spec = self.spec(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let work = Preparation {
            id,
            resolved: flight.resolved.clone(),
            held: flight.locks.take(),
            cache: self.context.cache,
            locks: self.locks,
            wait: self.options.wait_locks,
            timeout: self.planner.decl(id).timeout,
            log: (self.options.log)(&spec.name),
            holder: Holder {
                pid: std::process::id(),
                host: self.options.host.clone(),
                who: self.options.user.clone(),
                run: self.options.run.clone(),
                task: spec.name.clone(),
                since: String::new(),
            },
            spec,
        };
        let messages = self.messages.clone();
        self.scope.spawn(move || {
            std::thread::sleep(delay);
            let done = work.prepare(&messages);
            let _ = messages.send(Message::Prepared(id, done));
        });
    }

    fn spec(&self, id: InstanceId) -> Spec {
        let name = self.planner.name(id);
        let decl = self.planner.decl(id);
        Spec {
            folder: self.scratch(&name),
            axes: self.planner.axes(id).map(|(axis, value)| (axis.to_owned(), value.clone())).collect(),
            outputs: self.planner.outputs(id).to_vec(),
            program: self.planner.kind(id).map(|kind| (kind.program.clone(), kind.spec.name.clone())),
            cpu: decl.resources.cpu,
            memory: decl.resources.memory,
            devices: self.flying.get(&id).map(|flight| flight.devices.clone()).unwrap_or_default(),
            name,
        }
    }

    fn scratch(&self, task: &str) -> PathBuf {
        self.context.cache.scratch().join(&self.options.run).join(crate::provenance::file_name(task))
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Exec(event) => self.handle_exec(event),
            Message::Prepared(id, Ok(Prepared::Start(job, locks))) => {
                if self.interrupts > 0 {
                    return self.fail(id, "interrupted before it started".to_owned());
                }
                if let Some(flight) = self.flying.get_mut(&id) {
                    flight.locks = Some(locks);
                    self.executor.start(*job);
                }
            }
            Message::Prepared(id, Ok(Prepared::Cached(done))) => self.end(id, Outcome::Cached(done.into())),
            Message::Prepared(id, Err(Stop::Task(error))) => self.fail(id, error.to_string()),
            Message::Prepared(id, Err(Stop::Lock(error))) => {
                self.lock_missed |= matches!(error, LockError::NotGot(_));
                self.fail(id, error.to_string());
            }
            Message::Kept(id, Ok(done)) => self.end(id, Outcome::Ran(done.into())),
            Message::Kept(id, Err(error)) => self.fail(id, error.to_string()),
            Message::Waiting(id, lock, holder) => {
                let task = self.planner.name(id);
                self.reporter.event(&Event::Waiting { task, lock, holder });
            }
            Message::Interrupt => self.interrupt(),
        }
    }

    fn handle_exec(&mut self, event: ExecEvent) {
        match event {
            ExecEvent::Started { id, .. } => {
                let id = id as InstanceId;
                let task = self.planner.name(id);
                let Some(flight) = self.flying.get_mut(&id) else { return };
                flight.started = Some((Instant::now(), jiff::Timestamp::now()));
                let event = TaskEvent {
                    reason: Some(flight.resolved.reason.to_string()),
                    key: Some(flight.resolved.key),
                    ..TaskEvent::new(task, TaskState::Running)
                };
                self.reporter.event(&Event::Task(event));
            }
            ExecEvent::Problem { id, text } => {
                let text = format!("{}: {text}", self.planner.name(id as InstanceId));
                self.reporter.event(&Event::Notice { text });
            }
            ExecEvent::Progress { id, done, total, text } => {
                let task = self.planner.name(id as InstanceId);
                self.reporter.event(&Event::Progress { task, done, total, text });
            }
            ExecEvent::Metric { id, name, value } => {
                let task = self.planner.name(id as InstanceId);
                if let Some(flight) = self.flying.get_mut(&(id as InstanceId)) {
                    flight.metrics.insert(name.clone(), value);
                }
                self.reporter.event(&Event::Metric { task, name, value });
            }
            ExecEvent::Exited { id, exit, usage } => self.exited(id as InstanceId, &exit, &usage),
        }
    }

    fn exited(&mut self, id: InstanceId, exit: &Exit, usage: &Usage) {
        if *exit == Exit::Code(0) {
            return self.keep(id, usage);
        }
        let retries = &self.planner.decl(id).retries;
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let (attempt, attempts) = (flight.attempt, retries.attempts);
        if attempt < attempts && self.interrupts == 0 {
            flight.attempt += 1;
            let delay = backoff(retries.backoff, retries.max, attempt, id);
            let text = format!(
                "{} {exit} (attempt {attempt} of {attempts}); again in {:.1} s",
                self.planner.name(id),
                delay.as_secs_f64()
            );
            self.reporter.event(&Event::Notice { text });
            return self.prepare(id, delay);
        }
        let mut reason = exit.to_string();
        if let Some((started, _)) = flight.started {
            reason.push_str(&format!(" after {}", crate::report::duration(started.elapsed().as_secs_f64())));
        }
        if attempts > 1 {
            reason.push_str(&format!(" (attempt {attempt} of {attempts})"));
        }
        self.fail(id, reason);
    }

    /// Takes what a task wrote into the cache, in a thread.
    fn keep(&mut self, id: InstanceId, usage: &Usage) {
        let spec = self.spec(id);
        let Some(flight) = self.flying.get(&id) else { return };
        let log = (self.options.log)(&spec.name);
        let (begun, started) = flight.started.unwrap_or_else(|| (Instant::now(), jiff::Timestamp::now()));
        let execution = Execution {
            commit: self.options.commit.hash.clone(),
            dirty: self.options.commit.dirty,
            host: self.options.host.clone(),
            devices: flight.devices.clone(),
            started: started.to_string(),
            finished: jiff::Timestamp::now().to_string(),
            waited: begun.duration_since(flight.ready).as_secs_f64(),
            cpu: usage.cpu.as_secs_f64(),
            peak_memory: usage.peak_memory,
            attempts: flight.attempt,
            exit: 0,
            metrics: flight.metrics.clone(),
            log: None,
        };
        let resolved = flight.resolved.clone();
        let (messages, cache, flow, run) =
            (self.messages.clone(), self.context.cache, self.context.flow, self.options.run.as_str());
        self.scope.spawn(move || {
            let execution = Execution { log: task::log_hash(&log), ..execution };
            let kept = task::keep(cache, &spec, &resolved, flow, run, execution);
            let _ = messages.send(Message::Kept(id, kept));
        });
    }

    fn end(&mut self, id: InstanceId, outcome: Outcome) {
        if let Some(flight) = self.flying.remove(&id) {
            self.free.give_back(&flight.resolved.request, &flight.devices);
            unlock(&mut self.held, &flight.resolved.locks);
            let mut entry =
                RunTask { state: String::new(), reason: None, key: Some(flight.resolved.key), seconds: None };
            if matches!(outcome, Outcome::Ran(_)) {
                entry.reason = Some(flight.resolved.reason.to_string());
                entry.seconds = flight.started.map(|(started, _)| started.elapsed().as_secs_f64());
            }
            self.tasks.insert(self.planner.name(id), entry);
        }
        self.planner.finish(id, outcome);
    }

    fn fail(&mut self, id: InstanceId, reason: String) {
        let name = self.planner.name(id);
        if !self.options.keep_going {
            self.halted.get_or_insert_with(|| name.clone());
        }
        self.end(id, Outcome::Failed);
        let key = self.tasks.get(&name).and_then(|entry| entry.key);
        self.tasks.insert(
            name.clone(),
            RunTask { state: "failed".to_owned(), reason: Some(reason.clone()), key, seconds: None },
        );
        // What it blocks settles now, so that the message can name it.
        self.planner.advance();
        let log = (self.options.log)(&name);
        let failure = Failure {
            tail: task::tail(&log),
            scratch: self.scratch(&name).display().to_string(),
            blocks: self.planner.newly_blocked(),
        };
        let event =
            TaskEvent { reason: Some(reason), key, failure: Some(failure), ..TaskEvent::new(name, TaskState::Failed) };
        self.summary.failed += 1;
        self.reporter.event(&Event::Task(event));
    }

    /// Once: what runs may finish. Twice: it is stopped.
    fn interrupt(&mut self) {
        self.interrupts += 1;
        let running = self.flying.len();
        let text = match self.interrupts {
            1 => format!("interrupted: {running} running tasks may finish; once more stops them"),
            _ => format!("stopping {running} tasks"),
        };
        self.reporter.event(&Event::Notice { text });
        if self.interrupts > 1 {
            for id in self.flying.keys() {
                self.executor.stop(*id as u64);
            }
        }
    }

    /// Says of what is ready but will not be started why it is skipped.
    fn skip_what_waits(&mut self) {
        let why = match (&self.halted, self.interrupts) {
            (Some(failed), _) => format!("`{failed}` failed"),
            (None, 1..) => "interrupted".to_owned(),
            (None, 0) => return,
        };
        for (id, ..) in std::mem::take(&mut self.waiting) {
            self.planner.finish(id, Outcome::Skipped { why: why.clone(), blocked: true });
        }
    }

    fn report_settled(&mut self) {
        for error in self.planner.take_errors() {
            // Known only now: what is already running may finish.
            self.halted.get_or_insert_with(|| "the plan".to_owned());
            self.summary.failed += 1;
            self.reporter.event(&Event::Notice { text: crate::diagnostic::render(&[error], false) });
        }
        for id in self.planner.take_settled() {
            let name = self.planner.name(id);
            let Some(outcome) = self.planner.outcome(id).cloned() else { continue };
            match outcome {
                Outcome::Cached(done) => self.report_done(id, &name, &done, TaskState::Cached),
                Outcome::Ran(done) => self.report_done(id, &name, &done, TaskState::Ran),
                Outcome::Skipped { why, .. } => self.report_skipped(name, why),
                Outcome::Failed | Outcome::WillRun(_) | Outcome::MayRun(_) => {}
            }
        }
    }

    fn report_done(&mut self, id: InstanceId, name: &str, done: &Done, state: TaskState) {
        let entry = self.tasks.entry(name.to_owned()).or_insert_with(|| RunTask {
            state: String::new(),
            reason: None,
            key: Some(done.key),
            seconds: None,
        });
        entry.state = if state == TaskState::Ran { "ran" } else { "cached" }.to_owned();
        let event = TaskEvent {
            key: Some(done.key),
            reason: entry.reason.clone(),
            seconds: entry.seconds,
            ..TaskEvent::new(name.to_owned(), state)
        };
        match state {
            TaskState::Ran => self.summary.ran += 1,
            _ => self.summary.cached += 1,
        }
        self.reporter.event(&Event::Task(event));
        self.print(id, name, done);
        if let Err(error) = self.publish(id, name, done) {
            self.halted.get_or_insert_with(|| name.to_owned());
            self.summary.failed += 1;
            let event = TaskEvent {
                reason: Some(format!("its result is recorded but not published: {error}")),
                ..TaskEvent::new(name.to_owned(), TaskState::Failed)
            };
            self.reporter.event(&Event::Task(event));
        }
    }

    /// Keeps what the flow wants shown at the end.
    fn print(&mut self, id: InstanceId, name: &str, done: &Done) {
        let Some(output) = &self.planner.decl(id).print else { return };
        let Some(artifact) = done.outputs.get(&output.value) else { return };
        let content = match self.context.cache.read(&artifact.hash) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| serde_json::Value::from(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => serde_json::Value::from(error.to_string()),
        };
        self.prints.push(Event::Print { task: name.to_owned(), output: output.value.clone(), content });
    }

    fn report_skipped(&mut self, name: String, why: String) {
        self.summary.skipped += 1;
        let entry = RunTask { state: "skipped".to_owned(), reason: Some(why.clone()), key: None, seconds: None };
        self.tasks.insert(name.clone(), entry);
        self.reporter.event(&Event::Task(TaskEvent { reason: Some(why), ..TaskEvent::new(name, TaskState::Skipped) }));
    }

    /// Instances that never came to be known, because what their axes wait for failed.
    fn report_unknown(&mut self) {
        for (name, outcome) in self.planner.unknown() {
            if let Outcome::Skipped { why, .. } = outcome {
                self.report_skipped(name, why);
            }
        }
    }
}

/// Exponential, at most `max`, with jitter of a quarter that differs from task to task.
fn backoff(first: Duration, max: Duration, attempt: u32, id: InstanceId) -> Duration {
    let full = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(max);
    let spread = (id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    full.mul_f64(0.75 + 0.25 * spread as f64 / 65_536.0)
}
