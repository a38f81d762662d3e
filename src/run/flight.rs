//! A task in flight: from the moment it gets its resources to its recorded result, or its last failed attempt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::mask::Mask;
use super::prepare::Preparation;
use super::task::{self, Spec};
use super::{Message, Run};
use crate::execute::{ExecEvent, Exit, Usage};
use crate::locks::{Held, Holder};
use crate::plan::{Data, InstanceId, Outcome, Resolved};
use crate::provenance::{Execution, RunTask};
use crate::report::{Event, Failure, TaskEvent, TaskState, duration};
use crate::schedule::unlock;

/// A task between its start and its recorded result.
pub(super) struct InFlight {
    pub(super) resolved: Box<Resolved>,
    pub(super) devices: Vec<u32>,
    pub(super) ready: Instant,
    pub(super) started: Option<(Instant, jiff::Timestamp)>,
    pub(super) attempt: u32,
    /// Held until the result is recorded, so that whoever waits for the key then finds it.
    pub(super) locks: Option<Held>,
    pub(super) metrics: BTreeMap<String, f64>,
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Takes the locks of a task and lays out its folder, in a thread.
    pub(super) fn prepare(&mut self, id: InstanceId, delay: Duration) {
        let spec = self.spec(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let work = Preparation {
            id,
            resolved: flight.resolved.clone(),
            held: flight.locks.take(),
            cache: self.context.cache,
            locks: self.locks,
            wait: self.options.wait_locks,
            delay,
            stopping: Arc::clone(&self.stopping),
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
            let done = work.prepare(&messages);
            let _ = messages.send(Message::Prepared(id, done));
        });
    }

    fn spec(&self, id: InstanceId) -> Spec {
        let devices = self.flying.get(&id).map(|flight| flight.devices.clone()).unwrap_or_default();
        Spec::of(&self.planner, id, self.scratch(&self.planner.name(id)), devices)
    }

    pub(super) fn scratch(&self, task: &str) -> PathBuf {
        self.context.cache.scratch().join(&self.options.run).join(crate::provenance::file_name(task))
    }

    pub(super) fn handle_exec(&mut self, event: ExecEvent) {
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
                let id = id as InstanceId;
                let text = match self.flying.get(&id) {
                    Some(flight) => self.mask(id, flight).text(text),
                    None => text,
                };
                self.reporter.event(&Event::Progress { task: self.planner.name(id), done, total, text });
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

    fn mask<'f>(&self, id: InstanceId, flight: &'f InFlight) -> Mask<'f> {
        Mask::new(&self.planner.decl(id).env, &flight.resolved.variables)
    }

    fn exited(&mut self, id: InstanceId, exit: &Exit, usage: &Usage) {
        if let Some(flight) = self.flying.get(&id)
            && let Err(error) = self.mask(id, flight).file(&(self.options.log)(&self.planner.name(id)))
        {
            self.reporter.event(&Event::Notice { text: format!("a secret may be in a log: {error}") });
        }
        if *exit == Exit::Code(0) {
            return self.keep(id, usage);
        }
        let retries = &self.planner.decl(id).retries;
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let (attempt, attempts) = (flight.attempt, retries.attempts);
        if attempt < attempts && self.interrupts == 0 {
            flight.attempt += 1;
            flight.metrics.clear();
            let delay = backoff(retries.backoff, retries.max, attempt, id);
            let text = format!(
                "{} failed: {exit} (attempt {attempt} of {attempts}); again in {:.1} s",
                self.planner.name(id),
                delay.as_secs_f64()
            );
            self.reporter.event(&Event::Notice { text });
            return self.prepare(id, delay);
        }
        let mut reason = exit.to_string();
        if let Some((started, _)) = flight.started {
            reason.push_str(&format!(" after {}", duration(started.elapsed().as_secs_f64())));
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

    pub(super) fn end(&mut self, id: InstanceId, outcome: Outcome) {
        self.changed = true;
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

    pub(super) fn fail(&mut self, id: InstanceId, reason: String) {
        let name = self.planner.name(id);
        self.halt(&name);
        let tail = task::tail(&(self.options.log)(&name));
        let inputs = self
            .flying
            .get(&id)
            .map(|flight| copies_named(&flight.resolved, self.context.root, &tail))
            .unwrap_or_default();
        self.end(id, Outcome::Failed);
        let key = self.tasks.get(&name).and_then(|entry| entry.key);
        self.tasks.insert(
            name.clone(),
            RunTask { state: "failed".to_owned(), reason: Some(reason.clone()), key, seconds: None },
        );
        // What it blocks settles now, so that the message can name it.
        self.planner.advance();
        let failure = Failure {
            tail,
            inputs,
            run: self.options.run.clone(),
            flow: self.context.flow.to_owned(),
            scratch: self.scratch(&name).display().to_string(),
            blocks: self.planner.newly_blocked(),
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
