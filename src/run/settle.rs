//! What is told of the parts of the plan that have ended.

use super::Run;
use crate::cache::CacheError;
use crate::plan::{Done, InstanceId, Outcome};
use crate::provenance::{RunTask, RunTaskState};
use crate::report::{Event, TaskEvent, TaskState};

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    pub(super) fn report_settled(&mut self) {
        self.take_errors();
        for name in self.planner.take_unexpanded() {
            self.report_unplanned(name);
        }
        if std::mem::replace(&mut self.expected, self.planner.expected()) != self.expected {
            let more = self.planner.take_demanded();
            let more = more.into_iter().map(|(task, count)| (task.to_owned(), count)).collect();
            self.reporter.event(&Event::Expected { tasks: self.expected, more });
        }
        for id in self.planner.take_settled() {
            let name = self.planner.name(id);
            let Some(outcome) = self.planner.outcome(id).cloned() else { continue };
            match outcome {
                Outcome::Cached(done) => self.report_done(id, name, &done, TaskState::Cached),
                // Told when its result lasts.
                Outcome::Ran(_) => {}
                Outcome::Skipped { why, .. } => self.report_skipped(name, why),
                Outcome::Failed => self.report_unplanned(name),
                Outcome::WillRun(_) | Outcome::WillShare(_) | Outcome::MayRun(_) => {}
            }
        }
    }

    /// Tells of a batch of executed tasks whose results last now, or could not be recorded.
    pub(super) fn report_recorded(&mut self, ids: Vec<InstanceId>, recorded: Result<(), CacheError>) {
        self.unrecorded -= ids.len();
        if recorded.is_ok() && self.sharer.is_some() {
            self.sharing.left += ids.len();
        }
        for id in ids {
            let name = self.planner.name(id);
            match (&recorded, self.planner.outcome(id).cloned()) {
                (Ok(()), Some(Outcome::Ran(done))) => {
                    self.release(&done.key);
                    if let Some(handover) = self.handover(&done.key) {
                        self.workers.run(move || handover.recorded());
                    }
                    self.report_done(id, name, &done, TaskState::Ran);
                }
                (Ok(()), _) => {}
                (Err(error), _) => self.report_unrecorded(name, error),
            }
        }
    }

    /// Whatever the caller wants: a cache that cannot be written to ends the run.
    fn report_unrecorded(&mut self, name: String, error: &CacheError) {
        self.cache_failed = true;
        self.halted.get_or_insert_with(|| name.clone());
        self.summary.failed += 1;
        let reason = Some(format!("its result is not recorded: {error}"));
        let entry = self.tasks.entry(name.clone()).or_insert_with(|| RunTask::new(RunTaskState::Failed));
        *entry = RunTask { key: entry.key, reason: reason.clone(), ..RunTask::new(RunTaskState::Failed) };
        let event = TaskEvent { reason, key: entry.key, ..TaskEvent::new(name, TaskState::Failed) };
        self.reporter.event(&Event::Task(event));
    }

    fn report_done(&mut self, id: InstanceId, name: String, done: &Done, state: TaskState) {
        let cached = || RunTask { key: Some(done.key), ..RunTask::new(RunTaskState::Cached) };
        let entry = self.tasks.entry(name.clone()).or_insert_with(cached);
        match state {
            TaskState::Ran => self.summary.ran += 1,
            _ => self.summary.cached += 1,
        }
        if self.reporter.shows(state) {
            let (key, reason, seconds) = (Some(done.key), entry.reason.clone(), entry.seconds);
            let event = TaskEvent { key, reason, seconds, ..TaskEvent::new(name.clone(), state) };
            self.reporter.event(&Event::Task(event));
        }
        self.print(id, &name, done);
        self.publish(id, &name, done);
    }

    /// Keeps what the flow wants shown at the end.
    fn print(&mut self, id: InstanceId, name: &str, done: &Done) {
        let Some(output) = &self.planner.decl(id).print else { return };
        let Some(artifact) = done.outputs.get(&output.value) else { return };
        let content = match self.context.cache.read(&artifact.hash) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| serde_json::Value::from(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) => {
                self.cache_failed = true;
                let text = format!("`{}` of {name} cannot be shown: {error}", output.value);
                return self.reporter.event(&Event::Notice { text });
            }
        };
        self.prints.insert(id, Event::Print { task: name.to_owned(), output: output.value.clone(), content });
    }

    /// Tells of errors that are known only now: what is already running may finish. Gives how many are of the flow.
    pub(super) fn take_errors(&mut self) -> usize {
        let errors = loop {
            match self.planner.take_errors() {
                Ok(errors) => break errors,
                Err(error) => {
                    self.cache_failed = true;
                    self.reporter.event(&Event::Notice { text: format!("error: {error}") });
                }
            }
        };
        let count = errors.len();
        for error in errors {
            let text = crate::diagnostic::render(&[error], false);
            self.reporter.event(&Event::Notice { text: text.trim_end().to_owned() });
        }
        count
    }

    /// A task that failed before it could be handed out: the notice before it says why. Others were reported as they failed.
    fn report_unplanned(&mut self, name: String) {
        if self.tasks.contains_key(&name) {
            return;
        }
        self.halt(&name);
        self.summary.failed += 1;
        let reason = Some("it could not be planned".to_owned());
        let entry = RunTask { reason: reason.clone(), ..RunTask::new(RunTaskState::Failed) };
        self.tasks.insert(name.clone(), entry);
        self.reporter.event(&Event::Task(TaskEvent { reason, ..TaskEvent::new(name, TaskState::Failed) }));
    }

    fn report_skipped(&mut self, name: String, why: String) {
        self.summary.skipped += 1;
        let entry = RunTask { reason: Some(why.clone()), ..RunTask::new(RunTaskState::Skipped) };
        self.tasks.insert(name.clone(), entry);
        self.reporter.event(&Event::Task(TaskEvent { reason: Some(why), ..TaskEvent::new(name, TaskState::Skipped) }));
    }

    /// Instances that never came to be known, because what their axes wait for failed.
    pub(super) fn report_unknown(&mut self) {
        for (name, outcome) in self.planner.unknown() {
            // Where the axes are what failed, that was told.
            if let Outcome::Skipped { why, .. } = outcome
                && !self.tasks.contains_key(&name)
            {
                self.report_skipped(name, why);
            }
        }
    }
}
