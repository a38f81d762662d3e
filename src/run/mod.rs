//! The loop of a run: plan → schedule → execute → record, until nothing is left to do.
//!
//! One thread decides; it never waits for a lock or a process, and reads no more than planning does. What takes long (laying
//! out a task's folder, taking a lock, keeping what a task wrote, publishing) is done in other threads, which report back
//! through one channel. Planning starts nothing, so all that is particular to a run is in here: what is in flight, and what
//! to do when it ends. A task's dependents go on as soon as its outputs are in their place; it is told to have run when its
//! result lasts.

mod commit;
mod fault;
mod flight;
mod folder;
mod message;
mod options;
mod pool;
mod prepare;
mod publish;
mod settle;
mod share;
mod start;
mod task;
pub mod verify;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::Scope;
use std::time::Instant;

use crate::cache::CacheError;
use crate::execute::Executor;
use crate::hash::Hash;
use crate::leases::Leases;
use crate::locks::{LockError, Locks};
use crate::plan::{Context, InstanceId, Outcome, Planner, Resolved, Wish};
use crate::provenance::{RunTask, RunTaskState};
use crate::refs::Refs;
use crate::report::{Event, Reporter, Summary};
use crate::resources::{self, Request};
use crate::schedule::{Candidate, Forecast, LockKeys, Scheduler};
use commit::Committer;
use flight::InFlight;
use folder::Folders;
pub use message::Mailbox;
use message::{Message, NotStarted, Prepared};
pub use options::{Ended, Means, Options, RunError};
use pool::Workers;
use share::{Sharer, Sharing};
use start::Contended;

/// The most threads beside the deciding one that read and write files; the fewest are two.
const WORKERS: usize = 16;

/// A run.
struct Run<'a, 'scope> {
    scope: &'scope Scope<'scope, 'a>,
    context: Context<'a>,
    options: &'a Options<'a>,
    refs: &'a Refs,
    locks: &'a Locks,
    leases: Option<Leases>,
    executor: &'a dyn Executor,
    reporter: &'scope mut dyn Reporter,
    planner: Planner<'a>,
    messages: Sender<Message>,
    workers: Workers<'scope>,
    folders: Arc<Folders>,
    committer: Committer,
    scheduler: Scheduler,
    forecast: Forecast<'a>,
    begun: Instant,
    /// Tasks that are ready and not started.
    waiting: HashMap<InstanceId, InFlight>,
    /// The keys that are ready, executed or being recorded, each with the instances of the same key that come after it.
    twins: HashMap<Hash, VecDeque<(InstanceId, Box<Resolved>)>>,
    flying: BTreeMap<InstanceId, InFlight>,
    /// How many results are not recorded yet.
    unrecorded: usize,
    /// How many instances are being published.
    publishing: usize,
    /// Where results are shared with other machines.
    sharer: Option<Sharer>,
    sharing: Sharing,
    tasks: BTreeMap<String, RunTask>,
    summary: Summary,
    /// The first failure stops the start of anything new.
    halted: Option<String>,
    interrupts: usize,
    /// Told to the threads that wait, once the run is interrupted.
    stopping: Arc<AtomicBool>,
    /// Whether something may start that could not the last time it was looked at.
    changed: bool,
    /// Whether others are in the way of what could start.
    contended: Option<Contended>,
    /// The leases of killed runs of which those who hold them are ended.
    swept: BTreeSet<PathBuf>,
    lock_missed: bool,
    cache_failed: bool,
    /// In the order of the plan: which task ends first is chance.
    prints: BTreeMap<InstanceId, Event>,
    /// How many tasks the reporter was told of.
    expected: usize,
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
    let Means { refs, locks, leases, executor, mailbox, reporter, before_first } = means;
    let Mailbox { sender: messages, inbox } = mailbox;
    std::thread::scope(|scope| {
        let tell = messages.clone();
        let record = |manifests: &[_]| context.cache.record_some(manifests);
        let sharer = Sharer::start(scope, context.cache, &messages);
        let share = sharer.clone();
        let recorded = move |manifest, claim| {
            if let Some(sharer) = &share {
                sharer.push(manifest, claim);
            }
        };
        let mut run = Run {
            scope,
            context,
            options,
            refs,
            locks,
            leases,
            executor,
            reporter,
            planner: Planner::new(context, wish),
            messages,
            workers: Workers::start(scope, options.jobs.clamp(2, WORKERS)),
            folders: Arc::default(),
            committer: Committer::start(scope, record, recorded, move |batch| {
                drop(tell.send(Message::Committed(batch)))
            }),
            scheduler: Scheduler::new(options.machine.clone()),
            forecast: Forecast::new(context.cache, context.graph, context.flow),
            begun,
            waiting: HashMap::new(),
            twins: HashMap::new(),
            flying: BTreeMap::new(),
            unrecorded: 0,
            publishing: 0,
            sharer: sharer.clone(),
            sharing: Sharing::default(),
            tasks: BTreeMap::new(),
            summary: Summary { run: options.run.clone(), ..Summary::default() },
            halted: None,
            interrupts: 0,
            stopping: Arc::default(),
            changed: true,
            contended: None,
            swept: BTreeSet::new(),
            lock_missed: false,
            cache_failed: false,
            prints: BTreeMap::new(),
            expected: 0,
        };
        run.first_plan()?;
        context.cache.do_without_shared();
        before_first().map_err(RunError::NotBegun)?;
        run.reporter.event(&Event::Started { run: options.run.clone(), flow: context.flow.to_owned() });
        run.until_done(&inbox);
        let Run { planner, tasks, reporter, summary, prints, .. } = run;
        // To free thousands of instances takes as long as what follows.
        scope.spawn(move || drop(planner));
        if let Err(error) = keep_last(context, &tasks) {
            reporter.event(&Event::Notice { text: error.to_string() });
        }
        Ok(Ended {
            summary: Summary { seconds: begun.elapsed().as_secs_f64(), ..summary },
            tasks,
            interrupted: run.interrupts > 0,
            lock_missed: run.lock_missed,
            cache_failed: run.cache_failed,
            prints: prints.into_values().collect(),
        })
    })
}

/// Remembers the keys of cached instances that had another one before: what people ask for by name is the present one.
fn keep_last(context: Context<'_>, tasks: &BTreeMap<String, RunTask>) -> Result<(), CacheError> {
    let cached = tasks.iter().filter(|(_, task)| task.state == RunTaskState::Cached);
    let keys: Vec<(&str, Hash)> = cached.filter_map(|(name, task)| Some((name.as_str(), task.key?))).collect();
    context.cache.update_last(context.flow, &keys)
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Plans as far as that goes without running anything; an error ends the run here.
    fn first_plan(&mut self) -> Result<(), RunError> {
        let mut errors = match self.options.nodes.as_slice() {
            [] => self.planner.too_much(&self.options.machine),
            nodes => self.planner.fits_no_node(nodes),
        };
        self.planner.advance();
        self.planner.check();
        errors.extend(self.planner.take_errors()?);
        if errors.is_empty() {
            errors.extend(self.planner.does_not_fit());
        }
        if !errors.is_empty() {
            return Err(RunError::Invalid(crate::diagnostic::in_order(errors)));
        }
        self.collect();
        Ok(())
    }

    fn until_done(&mut self, inbox: &Receiver<Message>) {
        loop {
            self.report_settled();
            self.scheduler.set_time(self.begun.elapsed().as_micros() as u64);
            self.start_what_fits();
            let idle = self.flying.is_empty() && self.contended.is_none();
            if idle && self.skip_what_waits() {
                self.planner.advance();
                self.collect();
                continue;
            }
            self.committer.hurry(self.flying.is_empty());
            if idle && self.unrecorded == 0 && self.publishing == 0 && self.sharing.left == 0 && !self.share_rest() {
                break;
            }
            self.reporter.pause();
            if let Some(message) = self.next_message(inbox) {
                self.handle(message);
            }
            // What came with it is planned with it.
            inbox.try_iter().for_each(|message| self.handle(message));
            self.planner.advance();
            self.collect();
        }
        self.report_settled();
        self.planner.check();
        // What waits for itself, known only now, is no instance's own failure.
        self.summary.failed += self.take_errors();
        self.report_settled();
        self.report_unknown();
        self.report_unshared();
    }

    /// Takes over what the planner hands out.
    fn collect(&mut self) {
        for (id, resolved) in self.planner.take_ready() {
            match self.twins.entry(resolved.key) {
                // It would only wait for the lock on the key, and keep its resources meanwhile.
                Entry::Occupied(mut twins) => twins.get_mut().push_back((id, resolved)),
                Entry::Vacant(first) => {
                    let key = *first.key();
                    first.insert(VecDeque::new());
                    if !self.schedule(id, resolved) {
                        self.release(&key);
                    }
                }
            }
        }
    }

    /// Whether it may start some time.
    fn schedule(&mut self, id: InstanceId, mut resolved: Box<Resolved>) -> bool {
        self.changed = true;
        let (task, decl) = (self.planner.task(id), self.planner.decl(id));
        let expected = self.forecast.of(task, &resolved.parts, || self.planner.name(id));
        // A cluster may hold a task to its memory, so only what it declares is asked for there.
        if self.options.nodes.is_empty() {
            resolved.request = expected.request(resolved.request, decl.resources.memory, &self.options.machine);
        }
        // Known only now: a task with `when`.
        match self.settle(resolved.request) {
            Ok(request) => resolved.request = request,
            Err(why) => {
                self.fail(id, why);
                return false;
            }
        }
        let locks = resolved.locks.clone();
        self.queue(id, InFlight::new(Arc::from(resolved), expected, Instant::now()), locks);
        true
    }

    /// It starts as soon as there is room, and as nobody here has the lock keys that it still needs.
    fn queue(&mut self, id: InstanceId, flight: InFlight, locks: LockKeys) {
        self.changed = true;
        self.scheduler.add(Candidate {
            id,
            priority: self.planner.decl(id).priority,
            remaining: self.forecast.remaining(self.planner.task(id), flight.expected),
            takes: flight.expected.micros(),
            request: Arc::new(self.shared_out(&flight.resolved.request)),
            locks,
        });
        self.waiting.insert(id, flight);
    }

    /// What a request comes to where tasks run, or why it can never be met there.
    fn settle(&self, request: Request) -> Result<Request, String> {
        if self.options.nodes.is_empty() {
            let request = self.options.machine.settle(request);
            return self.options.machine.admits(&request).map(|()| request).map_err(|error| error.to_string());
        }
        resources::settle_on(&self.options.nodes, request)
            .map_err(|request| format!("no node of the cluster has what it asks for ({request})"))
    }

    /// What of a request this run shares out itself: nothing where a cluster does.
    fn shared_out(&self, request: &Request) -> Request {
        if self.options.nodes.is_empty() { request.clone() } else { Request::default() }
    }

    /// This run does not execute a key any more: the next instance that has it looks for its result.
    fn release(&mut self, key: &Hash) {
        let mut twins = self.twins.remove(key).unwrap_or_default();
        while let Some((id, resolved)) = twins.pop_front() {
            if self.schedule(id, resolved) {
                self.twins.insert(*key, twins);
                return;
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Exec(event) => self.handle_exec(event),
            Message::Waits(id) => self.step_aside(id),
            Message::Prepared(id, prepared) => self.prepared(id, prepared),
            Message::Kept(id, Ok(done)) => {
                self.unrecorded += 1;
                self.end(id, Outcome::Ran(done.into()));
            }
            Message::Kept(id, Err((error, locks))) => self.not_kept(id, &error, locks),
            Message::Committed((ids, recorded)) => self.report_recorded(ids, recorded),
            Message::Shared(shared) => self.shared(shared),
            Message::Waiting(id, lock, holder) => {
                let task = self.planner.name(id);
                self.reporter.event(&Event::Waiting { task, lock, holder });
            }
            Message::Published(task, published) => self.published(task, published),
            Message::Told(event) => self.reporter.event(&event),
            Message::Interrupt => self.interrupt(),
        }
    }

    fn prepared(&mut self, id: InstanceId, prepared: Result<Prepared, NotStarted>) {
        match prepared {
            Ok(Prepared::Started(locks)) => {
                if let Some(flight) = self.flying.get_mut(&id) {
                    flight.locks = Some(locks);
                }
                // It was not running yet when the others were stopped.
                if self.interrupts > 1 {
                    self.executor.stop(id as u64);
                }
            }
            Ok(Prepared::Free(locks)) => self.queue_again(id, locks),
            Ok(Prepared::Cached(done)) => self.end(id, Outcome::Cached(done.into())),
            Err(NotStarted::Interrupted) => self.skip_interrupted(id),
            Err(NotStarted::Task(error)) => {
                self.cache_failed |= error.is_of_the_store();
                self.fail(id, error.to_string());
            }
            Err(NotStarted::Lock(error)) => {
                self.lock_missed |= matches!(error, LockError::NotGot(_));
                self.fail(id, error.to_string());
            }
        }
    }

    /// Once: what runs may finish. Twice: it is stopped.
    fn interrupt(&mut self) {
        self.interrupts += 1;
        self.stopping.store(true, Ordering::Relaxed);
        // What waits for a lock or for its next attempt does not run.
        let running = self.flying.values().filter(|flight| flight.locks.is_some()).count();
        let tasks = if running == 1 { "task" } else { "tasks" };
        let text = match self.interrupts {
            1 if running == 0 => "interrupted: no task is running".to_owned(),
            1 => format!("interrupted: {running} running {tasks} may finish; once more stops them"),
            _ => format!("stopping {running} {tasks}"),
        };
        self.reporter.event(&Event::Notice { text });
        self.executor.recall();
        if self.interrupts > 1 {
            self.share_no_more();
            for id in self.flying.keys() {
                self.executor.stop(*id as u64);
            }
        }
    }

    /// A failure stops the start of anything new, unless the caller wants to go on.
    fn halt(&mut self, task: &str) {
        if !self.options.keep_going && self.halted.is_none() {
            self.halted = Some(task.to_owned());
            self.executor.recall();
        }
    }

    /// It waited in a cluster's queue when nothing more was to be started.
    fn skip_recalled(&mut self, id: InstanceId) {
        let why = self.why_not_started().unwrap_or_else(|| "taken back".to_owned());
        self.end(id, Outcome::Skipped { why, blocked: true });
    }

    /// Why nothing more is started, where that is so.
    fn why_not_started(&self) -> Option<String> {
        match (&self.halted, self.interrupts) {
            (Some(failed), _) => Some(format!("`{failed}` failed")),
            (None, 1..) => Some("interrupted".to_owned()),
            (None, 0) => None,
        }
    }

    fn skip_interrupted(&mut self, id: InstanceId) {
        self.end(id, Outcome::Skipped { why: "interrupted".to_owned(), blocked: true });
    }

    /// Says of what is ready but will not be started why it is skipped; whether there was anything.
    fn skip_what_waits(&mut self) -> bool {
        let Some(why) = self.why_not_started() else { return false };
        self.waiting.clear();
        let mut ids = self.scheduler.clear();
        ids.extend(self.twins.drain().flat_map(|(_, twins)| twins).map(|(id, _)| id));
        ids.sort_unstable();
        let any = !ids.is_empty();
        for id in ids {
            self.planner.finish(id, Outcome::Skipped { why: why.clone(), blocked: true });
        }
        any
    }
}
