//! A task in flight: from the moment it gets its resources to its recorded result, or its last failed attempt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commit::Finished;
use super::fault::Faults;
use super::prepare::Preparation;
use super::task::{self, Spec, TaskError};
use super::{Message, Run};
use crate::execute::{ExecEvent, Exit, Handover, Usage, masked};
use crate::hash::Hash;
use crate::key::DeviceClass;
use crate::leases::Lease;
use crate::locks::{Held, LockRequest};
use crate::manifest::Execution;
use crate::plan::{Data, InstanceId, Outcome, Resolved};
use crate::provenance::{RunTask, RunTaskState, log_hash};
use crate::report::{Event, Failure, TaskEvent, TaskState, duration};
use crate::schedule::Expected;

/// A task between its start and its outputs in the cache.
pub(super) struct InFlight {
    pub(super) resolved: Arc<Resolved>,
    pub(super) expected: Expected,
    /// Nothing while it waits.
    pub(super) holds: Option<Holds>,
    ready: Instant,
    /// How long its last attempt ran.
    ran: Option<Duration>,
    attempt: u32,
    /// Whether its supervisor died once: from then on it has one of its own.
    apart: bool,
    /// Held until the result is recorded, so that whoever waits for the key then finds it.
    pub(super) locks: Option<Held>,
    pub(super) metrics: BTreeMap<String, f64>,
    pub(super) faults: Faults,
    /// Where it runs, where that is another machine: its name, and the devices that it got there.
    place: Option<(String, Vec<u32>)>,
}

/// What a task was given of the machine.
#[derive(Debug, Default)]
pub(super) struct Holds {
    pub(super) devices: Vec<u32>,
    pub(super) lease: Option<Lease>,
    /// Whether no process can be left that uses it: see [`ExecEvent::Exited`].
    pub(super) alone: bool,
}

impl InFlight {
    pub(super) fn new(resolved: Arc<Resolved>, expected: Expected, ready: Instant) -> Self {
        Self {
            resolved,
            expected,
            holds: None,
            ready,
            ran: None,
            attempt: 1,
            apart: false,
            locks: None,
            metrics: BTreeMap::new(),
            faults: Faults::default(),
            place: None,
        }
    }
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Takes the locks of a task and lays out its folder, in another thread.
    pub(super) fn prepare(&mut self, id: InstanceId, delay: Duration) {
        let spec = self.spec(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let lease = flight.holds.as_ref().and_then(|holds| holds.lease.as_ref()).map(Lease::share).transpose();
        let work = Preparation {
            id,
            resolved: Arc::clone(&flight.resolved),
            held: flight.locks.take(),
            lease: lease.map_err(TaskError::Io),
            cache: self.context.cache,
            folders: Arc::clone(&self.folders),
            locks: self.locks,
            wait: self.options.wait_locks,
            delay,
            // What was given back meanwhile.
            anew: flight.holds.is_none(),
            stopping: Arc::clone(&self.stopping),
            timeout: self.planner.decl(id).timeout,
            here: self.options.nodes.is_empty(),
            apart: flight.apart,
            log: (self.options.log)(&spec.name),
            holder: self.options.holder(spec.name.clone()),
            spec,
            messages: self.messages.clone(),
        };
        let (scope, executor) = (self.scope, self.executor);
        self.workers.run(move || work.carry_out(scope, executor));
    }

    fn spec(&self, id: InstanceId) -> Spec {
        let flight = self.flying.get(&id);
        let devices = flight.and_then(|flight| flight.holds.as_ref()).map(|holds| holds.devices.clone());
        let devices = devices.unwrap_or_default();
        let memory = self.options.machine.memory();
        Spec::of(&self.planner, id, self.scratch(&self.planner.name(id)), devices, memory)
    }

    pub(super) fn scratch(&self, task: &str) -> PathBuf {
        self.context.cache.scratch().join(&self.options.run).join(crate::provenance::file_name(task))
    }

    pub(super) fn handle_exec(&mut self, event: ExecEvent) {
        match event {
            ExecEvent::Started { id, .. } => {
                let id = id as InstanceId;
                let task = self.planner.name(id);
                let Some(flight) = self.flying.get(&id) else { return };
                let event = TaskEvent {
                    reason: Some(flight.resolved.reason.to_string()),
                    key: Some(flight.resolved.key),
                    ..TaskEvent::new(task, TaskState::Running)
                };
                self.reporter.event(&Event::Task(event));
            }
            ExecEvent::Placed { id, host, devices } => {
                if let Some(flight) = self.flying.get_mut(&(id as InstanceId)) {
                    flight.place = Some((host, devices));
                }
            }
            ExecEvent::Notice { text } => self.reporter.event(&Event::Notice { text }),
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
            ExecEvent::Exited { id, exit: Exit::Recalled, .. } => self.skip_recalled(id as InstanceId),
            ExecEvent::Exited { id, exit, usage, alone } => {
                let id = id as InstanceId;
                if let Some(holds) = self.flying.get_mut(&id).and_then(|flight| flight.holds.as_mut()) {
                    holds.alone = alone;
                }
                match self.exited(id, &exit, &usage) {
                    Some(_) if self.start_apart(id, &exit) => {}
                    Some(_) if self.start_elsewhere(id, &exit) => {}
                    Some(why) => self.retry_or_fail(id, &why),
                    None => self.keep(id, &usage, alone),
                }
            }
        }
    }

    /// Gives the reason where it failed.
    fn exited(&mut self, id: InstanceId, exit: &Exit, usage: &Usage) -> Option<String> {
        self.flying.get_mut(&id)?.ran = Some(usage.time);
        (*exit != Exit::Code(0)).then(|| exit.to_string())
    }

    /// Starts a task again whose supervisor died, which may have been another task's doing, or its node. It counts as no
    /// attempt. Whether that was the first time: with a supervisor of its own, it would be its own doing.
    fn start_apart(&mut self, id: InstanceId, exit: &Exit) -> bool {
        let how = match exit {
            Exit::Lost => "its supervisor died; started again, under one of its own".to_owned(),
            Exit::Vanished(why) => format!("{why}; started again"),
            _ => return false,
        };
        let Some(flight) = self.flying.get_mut(&id).filter(|flight| !flight.apart && self.interrupts == 0) else {
            return false;
        };
        flight.apart = true;
        flight.metrics.clear();
        let text = format!("{}: {how}", self.planner.name(id));
        self.reporter.event(&Event::Notice { text });
        self.prepare(id, Duration::ZERO);
        true
    }

    /// What a task wrote cannot be kept.
    pub(super) fn not_kept(&mut self, id: InstanceId, error: &TaskError, locks: Option<Held>) {
        let text = self.without_secrets(id, &error.to_string());
        let Some(flight) = self.flying.get_mut(&id) else { return };
        flight.locks = locks;
        if error.is_of_the_task() {
            return self.retry_or_fail(id, &text);
        }
        self.cache_failed |= error.is_of_the_store();
        self.fail(id, text);
    }

    /// An attempt failed: another one, if there is one left.
    fn retry_or_fail(&mut self, id: InstanceId, why: &str) {
        let retries = &self.planner.decl(id).retries;
        let elsewhere = self.had_better_move(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let (attempt, attempts) = (flight.attempt, retries.attempts);
        if attempt < attempts && self.interrupts == 0 {
            flight.attempt += 1;
            flight.metrics.clear();
            let delay = backoff(retries.backoff, retries.max, attempt, id);
            let task = self.planner.name(id);
            let place = if elsewhere { " on other devices" } else { "" };
            let pause = delay.as_secs_f64();
            let text = format!("{task} failed: {why} (attempt {attempt} of {attempts}); again{place} in {pause:.1} s");
            self.reporter.event(&Event::Notice { text });
            if elsewhere {
                self.leave_devices(id);
            }
            return self.prepare(id, delay);
        }
        let mut reason = why.to_owned();
        if let Some(ran) = flight.ran.filter(|ran| !ran.is_zero()) {
            reason.push_str(&format!(" after {}", duration(ran.as_secs_f64())));
        }
        if attempts > 1 {
            reason.push_str(&format!(" (attempt {attempt} of {attempts})"));
        }
        self.fail(id, reason);
    }

    /// Takes what a task wrote into the cache, in another thread, which hands its result on to be recorded.
    fn keep(&mut self, id: InstanceId, usage: &Usage, alone: bool) {
        let spec = self.spec(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let log = (self.options.log)(&spec.name);
        let holds = || flight.holds.as_ref().map(|holds| holds.devices.clone()).unwrap_or_default();
        let here = || (self.options.host.clone(), holds());
        let (host, devices) = flight.place.clone().unwrap_or_else(here);
        let finished = jiff::Timestamp::now();
        let started = finished.checked_sub(usage.time).unwrap_or(finished);
        let execution = Execution {
            commit: self.options.commit.hash.clone(),
            dirty: self.options.commit.dirty,
            host,
            devices,
            device_class: DeviceClass::of(flight.resolved.request.wants_devices()),
            started: started.to_string(),
            finished: finished.to_string(),
            waited: flight.ready.elapsed().saturating_sub(usage.time).as_secs_f64(),
            cpu: usage.cpu.as_secs_f64(),
            peak_memory: usage.peak_memory,
            attempts: flight.attempt,
            exit: 0,
            metrics: flight.metrics.clone(),
            log: None,
        };
        let (resolved, held) = (Arc::clone(&flight.resolved), flight.locks.take());
        // To keep what it wrote takes no device, and may take long.
        if alone && resolved.request.wants_devices() {
            self.step_aside(id);
        }
        let (messages, outbox) = (self.messages.clone(), self.committer.outbox());
        let (cache, flow, run) = (self.context.cache, self.context.flow, self.options.run.as_str());
        let folders = Arc::clone(&self.folders);
        let handover = self.handover(&resolved.key);
        self.workers.run(move || {
            let execution = Execution { log: log_hash(&log).ok(), ..execution };
            let kept = task::keep(cache, &spec, &resolved, flow, run, execution, handover.as_ref());
            let _ = match kept {
                Ok((done, manifest)) => {
                    // What the flow locks is locked while the task runs, its key until it is recorded.
                    let held = held.map(|held| held.keep_only(&LockRequest::key(&resolved.key)));
                    let told = messages.send(Message::Kept(id, Ok(done)));
                    outbox.push(Finished { id, manifest, held });
                    // What cannot be removed goes with the next `cache gc`.
                    let _ = folders.take_back(&spec.folder, &spec.copies(&resolved), alone);
                    told
                }
                Err(error) => {
                    if let Some(handover) = handover {
                        handover.give_up();
                    }
                    messages.send(Message::Kept(id, Err((error, held))))
                }
            };
        });
    }

    /// None where this machine executes tasks: what it started ends with it.
    pub(super) fn handover(&self, key: &Hash) -> Option<Handover> {
        (!self.options.nodes.is_empty()).then(|| Handover::of(self.context.cache, key))
    }

    pub(super) fn end(&mut self, id: InstanceId, outcome: Outcome) {
        self.changed = true;
        self.step_aside(id);
        if let Some(InFlight { resolved, ran, .. }) = self.flying.remove(&id) {
            self.scheduler.unlock(&resolved.locks);
            if !matches!(outcome, Outcome::Ran(_)) {
                self.release(&resolved.key);
            }
            if matches!(outcome, Outcome::Ran(_)) {
                let entry = RunTask {
                    state: RunTaskState::Ran,
                    reason: Some(resolved.reason.to_string()),
                    key: Some(resolved.key),
                    seconds: ran.map(|ran| ran.as_secs_f64()),
                };
                self.tasks.insert(self.planner.name(id), entry);
            }
        }
        self.planner.finish(id, outcome);
    }

    /// A text that may name what the task wrote, such as a file.
    fn without_secrets(&self, id: InstanceId, text: &str) -> String {
        let secrets = self.planner.decl(id).env.iter().filter(|env| env.secret).map(|env| env.name.value.as_str());
        let secrets: Vec<&str> = secrets.collect();
        let Some(flight) = self.flying.get(&id).filter(|_| !secrets.is_empty()) else { return text.to_owned() };
        let variables = flight.resolved.variables.iter().filter(|(name, _)| secrets.contains(&name.as_str()));
        masked(variables.filter_map(|(_, value)| value.as_deref()), text)
    }

    pub(super) fn fail(&mut self, id: InstanceId, reason: String) {
        let name = self.planner.name(id);
        self.halt(&name);
        let tail = task::last_lines(&(self.options.log)(&name));
        let inputs = self
            .flying
            .get(&id)
            .map(|flight| copies_named(&flight.resolved, self.context.root, &tail))
            .unwrap_or_default();
        let key = self.flying.get(&id).map(|flight| flight.resolved.key);
        self.end(id, Outcome::Failed);
        let entry = RunTask { reason: Some(reason.clone()), key, ..RunTask::new(RunTaskState::Failed) };
        self.tasks.insert(name.clone(), entry);
        // What it blocks settles now, so that the message can name it.
        let settled = self.planner.settled();
        self.planner.advance();
        let failure = Failure {
            tail,
            inputs,
            run: self.options.run.clone(),
            flow: self.context.flow.to_owned(),
            scratch: self.scratch(&name).display().to_string(),
            blocks: self.planner.blocked_since(settled),
        };
        let event =
            TaskEvent { reason: Some(reason), key, failure: Some(failure), ..TaskEvent::new(name, TaskState::Failed) };
        self.summary.failed += 1;
        self.reporter.event(&Event::Task(event));
    }
}

/// The inputs of a task that a text names by the paths of their copies, and what those are copies of.
fn copies_named(task: &Resolved, root: &Path, text: &[String]) -> Vec<(String, String)> {
    let copies = task.inputs.iter().filter_map(|input| match &input.data {
        Data::Source(_, source) => Some((format!("in/{}/{}", input.name, input.file), source)),
        _ => None,
    });
    let named = copies.filter(|(copy, _)| text.iter().any(|line| line.contains(copy)));
    named.map(|(copy, source)| (copy, source.strip_prefix(root).unwrap_or(source).display().to_string())).collect()
}

/// Exponential, at most `max`, with jitter of a quarter that differs from task to task.
fn backoff(first: Duration, max: Duration, attempt: u32, id: InstanceId) -> Duration {
    let full = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(max);
    let spread = (id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    full.mul_f64(0.75 + 0.25 * spread as f64 / 65_536.0)
}
