//! Publishes: copies of outputs at stable paths, and moves of refs. What is to be published is worked out at once; it is
//! done in another thread, for a copy may be large.

use std::path::PathBuf;

use serde_json::Value;

use super::{Message, Run, task};
use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError};
use crate::diagnostic::Diagnostic;
use crate::flow::{Publish, Target};
use crate::plan::{Done, InstanceId, text_of};
use crate::provenance::{RunTask, RunTaskState};
use crate::refs::{self, Change, RefError, Refs};
use crate::report::{Event, TaskEvent, TaskState};

/// Why something could not be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    /// The expression that says where to has no value.
    #[error("{0}")]
    Flow(#[from] Diagnostic),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Ref(#[from] RefError),
    #[error("`{output}.{field}` decides whether `{name}` moves, and is neither true nor false: {got}")]
    Undecided { output: String, field: String, name: String, got: String },
}

impl PublishError {
    /// Whether it is the cache, or the one that it is shared with, that is at fault.
    fn is_of_the_store(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_of_the_store(),
            Self::Ref(error) => matches!(error, RefError::Remote(_) | RefError::Diverged { .. }),
            Self::Flow(_) | Self::Undecided { .. } => false,
        }
    }
}

/// Something to publish.
enum Publication {
    Copy { artifact: Artifact, path: PathBuf },
    Move { name: String, change: Box<Change>, when: Option<Condition> },
}

/// A move that depends on what a task wrote.
struct Condition {
    decision: Artifact,
    output: String,
    field: String,
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Publishes what the flow says of an instance's outputs, which last already.
    pub(super) fn publish(&mut self, id: InstanceId, name: &str, done: &Done) {
        let publications = match self.publications(id, name, done) {
            Ok(publications) if publications.is_empty() => return,
            Ok(publications) => publications,
            Err(error) => return self.not_published(name.to_owned(), &error),
        };
        self.publishing += 1;
        let (cache, refs, task) = (self.context.cache, self.refs, name.to_owned());
        let messages = self.messages.clone();
        self.workers.run(move || {
            let published = publications.into_iter().try_for_each(|publication| {
                if let Some(event) = publication.publish(cache, refs, &task)? {
                    let _ = messages.send(Message::Told(event));
                }
                Ok(())
            });
            let _ = messages.send(Message::Published(task, published));
        });
    }

    fn publications(&self, id: InstanceId, name: &str, done: &Done) -> Result<Vec<Publication>, PublishError> {
        let mut publications = Vec::new();
        for Publish { output, target } in &self.planner.decl(id).publish {
            let Some(artifact) = done.outputs.get(&output.value) else { continue };
            publications.push(match target {
                Target::Path(template) => {
                    let path = self.context.root.join(text_of(&self.planner.evaluate(id, template)?));
                    Publication::Copy { artifact: artifact.clone(), path }
                }
                Target::Ref { name: template, when } => {
                    let pointer = text_of(&self.planner.evaluate(id, template)?);
                    let condition = match when {
                        None => None,
                        Some((output, field)) => {
                            let Some(decision) = done.outputs.get(&output.value) else { continue };
                            let (output, field) = (output.value.clone(), field.value.clone());
                            Some(Condition { decision: decision.clone(), output, field })
                        }
                    };
                    let change = Box::new(self.change(name, done, artifact.clone()));
                    Publication::Move { name: pointer, change, when: condition }
                }
            });
        }
        Ok(publications)
    }

    fn change(&self, task: &str, done: &Done, artifact: Artifact) -> Change {
        Change {
            artifact,
            key: Some(done.key),
            flow: Some(self.context.flow.to_owned()),
            task: Some(task.to_owned()),
            run: Some(self.options.run.clone()),
            who: self.options.user.clone(),
            at: jiff::Timestamp::now().to_string(),
            decision: None,
            reason: String::new(),
        }
    }

    pub(super) fn published(&mut self, task: String, published: Result<(), PublishError>) {
        self.publishing -= 1;
        if let Err(error) = published {
            self.cache_failed |= error.is_of_the_store();
            self.not_published(task, &error);
        }
    }

    fn not_published(&mut self, task: String, error: &PublishError) {
        self.halt(&task);
        let reason = Some(format!("its result is recorded but not published: {error}"));
        // It was told as one that ended well, and counts once.
        if let Some(told) = self.tasks.get_mut(&task) {
            *match told.state {
                RunTaskState::Ran => &mut self.summary.ran,
                RunTaskState::Cached => &mut self.summary.cached,
                RunTaskState::Failed => &mut self.summary.failed,
                RunTaskState::Skipped => &mut self.summary.skipped,
            } -= 1;
            *told = RunTask { state: RunTaskState::Failed, reason: reason.clone(), ..told.clone() };
        }
        self.summary.failed += 1;
        self.reporter.event(&Event::Task(TaskEvent { reason, ..TaskEvent::new(task, TaskState::Failed) }));
    }
}

impl Publication {
    /// Publishes it; gives what there is to tell.
    fn publish(self, cache: &Cache, refs: &Refs, task: &str) -> Result<Option<Event>, PublishError> {
        match self {
            Self::Copy { artifact, path } => {
                let there = cache.hash_source(&path).ok();
                if there.as_ref().is_some_and(|there| there.hash == artifact.hash) {
                    return Ok(None);
                }
                // What a task wrote can be had again.
                let lost =
                    there.map(|there| cache.produced(&there.hash)).transpose()?.is_some_and(|keys| keys.is_empty());
                cache.export(&artifact, &path)?;
                let text =
                    || format!("{} held what no task wrote; it was replaced by the output of {task}", path.display());
                Ok(lost.then(|| Event::Notice { text: text() }))
            }
            Self::Move { name, mut change, when } => {
                if let Some(condition) = when {
                    if !condition.holds(cache, &name)? {
                        return Ok(None);
                    }
                    change.decision = Some(condition.decision);
                }
                // Others have to find what it points to.
                cache.share_artifact(&change.artifact)?;
                let hash = change.artifact.hash;
                let moved = matches!(refs.set(&name, &change)?, refs::Outcome::Moved(_));
                Ok(moved.then(|| Event::Moved { name, task: task.to_owned(), hash }))
            }
        }
    }
}

impl Condition {
    fn holds(&self, cache: &Cache, name: &str) -> Result<bool, PublishError> {
        let json = cache.json(&self.decision.hash)?;
        match task::field(&json, &self.field) {
            Some(Value::Bool(holds)) => Ok(*holds),
            other => Err(PublishError::Undecided {
                output: self.output.clone(),
                field: self.field.clone(),
                name: name.to_owned(),
                got: other.map_or("nothing".to_owned(), task::shown),
            }),
        }
    }
}
