//! The loop of a run: plan → schedule → execute → record, until nothing is left to do.
//!
//! One thread decides; it never waits for a lock or a process. What takes long (laying out a task's folder, taking a
//! lock, keeping what a task wrote) is done in threads of its own, which report back through one channel. Planning and
//! scheduling are pure, so all that is particular to a run is in here: what is in flight, and what to do when it ends.

mod flight;
mod mask;
mod prepare;
mod publish;
mod settle;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::execute::{ExecEvent, Executor, Job};
use crate::hash::Hash;
use crate::locks::{Held, LockError, Locks};
use crate::plan::{Context, Done, InstanceId, Outcome, Planner, Resolved, Wish};
use crate::provenance::{Commit, RunTask};
use crate::refs::Refs;
use crate::report::{Event, Reporter, Summary};
use crate::resources::Pool;
use crate::schedule::{self, Candidate, schedule};
use flight::InFlight;
use task::TaskError;

/// What a run works with beside the plan.
pub struct Means<'a> {
    /// The refs of the cache, as they are; the plan sees them as they were.
    pub refs: &'a Refs,
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
    /// The run was interrupted before it started.
    Interrupted,
}

/// A run.
struct Run<'a, 'scope> {
    scope: &'scope Scope<'scope, 'a>,
    context: Context<'a>,
    options: &'a Options<'a>,
    refs: &'a Refs,
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
    /// Told to the threads that wait, once the run is interrupted.
    stopping: Arc<AtomicBool>,
    /// Whether something may start that could not the last time it was looked at.
    changed: bool,
    lock_missed: bool,
    prints: Vec<Event>,
    /// How many tasks the reporter was told of.
    expected: usize,
    /// Cached instances and their keys.
    cached: Vec<(String, Hash)>,
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
    let Means { refs, locks, executor, events, interrupts, reporter } = means;
    let (messages, inbox) = channel();
    forward(events, messages.clone(), Message::Exec);
    forward(interrupts, messages.clone(), |()| Message::Interrupt);
    std::thread::scope(|scope| {
        let mut run = Run {
            scope,
            context,
            options,
            refs,
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
            stopping: Arc::default(),
            changed: true,
            lock_missed: false,
            prints: Vec::new(),
            expected: 0,
            cached: Vec::new(),
        };
        run.first_plan()?;
        run.reporter.event(&Event::Started { run: options.run.clone(), flow: context.flow.to_owned() });
        run.until_done(&inbox);
        run.keep_last();
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
        if let Some((task, source)) = self.planner.too_much(&self.options.machine) {
            return Err(RunError::TooMuch { task, source });
        }
        self.planner.advance();
        self.planner.check();
        let errors = self.planner.take_errors();
        if !errors.is_empty() {
            return Err(RunError::Invalid(crate::diagnostic::in_order(errors)));
        }
        self.collect();
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
        self.report_settled();
        self.planner.check();
        // What waits for itself, known only now, is no instance's own failure.
        let errors = self.planner.take_errors();
        self.summary.failed += errors.len();
        self.report_errors(errors);
        self.report_settled();
        self.report_unknown();
    }

    /// Takes over what the planner hands out.
    fn collect(&mut self) {
        for (id, mut resolved) in self.planner.take_ready() {
            self.changed = true;
            resolved.request = self.options.machine.settle(resolved.request);
            // Known only now: a task with `when`.
            if let Err(error) = self.options.machine.admits(&resolved.request) {
                self.fail(id, error.to_string());
                continue;
            }
            self.waiting.push((id, resolved, Instant::now()));
        }
    }

    fn start_what_fits(&mut self) {
        if self.halted.is_some() || self.interrupts > 0 || !std::mem::take(&mut self.changed) {
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

    fn handle(&mut self, message: Message) {
        match message {
            Message::Exec(event) => self.handle_exec(event),
            Message::Prepared(id, Ok(Prepared::Start(job, locks))) => {
                if self.interrupts > 0 {
                    return self.skip_interrupted(id);
                }
                if let Some(flight) = self.flying.get_mut(&id) {
                    flight.locks = Some(locks);
                    self.executor.start(*job);
                }
            }
            Message::Prepared(id, Ok(Prepared::Cached(done))) => self.end(id, Outcome::Cached(done.into())),
            Message::Prepared(id, Err(Stop::Task(error))) => self.fail(id, error.to_string()),
            Message::Prepared(id, Err(Stop::Interrupted)) => self.skip_interrupted(id),
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

    /// Once: what runs may finish. Twice: it is stopped.
    fn interrupt(&mut self) {
        self.interrupts += 1;
        self.stopping.store(true, Ordering::Relaxed);
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

    /// Remembers the keys of cached instances that had another one before: what people ask for by name is the present one.
    fn keep_last(&mut self) {
        let (cache, flow) = (self.context.cache, self.context.flow);
        let kept = cache.all_last(flow).and_then(|last| {
            self.cached.retain(|(task, key)| last.get(task) != Some(key));
            cache.set_last(flow, &self.cached)
        });
        if let Err(error) = kept {
            self.reporter.event(&Event::Notice { text: error.to_string() });
        }
    }

    /// A failure stops the start of anything new, unless the caller wants to go on.
    fn halt(&mut self, task: &str) {
        if !self.options.keep_going {
            self.halted.get_or_insert_with(|| task.to_owned());
        }
    }

    fn skip_interrupted(&mut self, id: InstanceId) {
        self.end(id, Outcome::Skipped { why: "interrupted".to_owned(), blocked: true });
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
}
