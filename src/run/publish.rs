//! Publishes: copies of outputs at stable paths, and moves of refs.

use serde_json::Value;

use super::{Run, task};
use crate::flow::{Publish, Target};
use crate::plan::{Done, InstanceId, text_of};
use crate::refs::{self, Change};
use crate::report::Event;

/// Why something could not be published.
pub(super) type PublishError = Box<dyn std::error::Error>;

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Publishes what the flow says of an instance's outputs.
    pub(super) fn publish(&mut self, id: InstanceId, name: &str, done: &Done) -> Result<(), PublishError> {
        for publish in &self.planner.decl(id).publish {
            let Publish { output, target } = publish;
            let Some(artifact) = done.outputs.get(&output.value) else { continue };
            match target {
                Target::Path(template) => {
                    let path = self.context.root.join(text_of(&self.planner.evaluate(id, template)?));
                    let there = self.context.cache.hash_source(&path).is_ok_and(|there| there.hash == artifact.hash);
                    if !there {
                        self.context.cache.export(artifact, &path)?;
                    }
                }
                Target::Ref { name: template, when } => {
                    let pointer = text_of(&self.planner.evaluate(id, template)?);
                    let decision = match when {
                        None => None,
                        Some((output, field)) => {
                            let Some(decision) = done.outputs.get(&output.value) else { continue };
                            let json = self.context.cache.json(&decision.hash)?;
                            match task::field(&json, &field.value) {
                                Some(Value::Bool(true)) => Some(decision.clone()),
                                Some(Value::Bool(false)) => continue,
                                other => {
                                    let got = other.map_or("nothing".to_owned(), task::shown);
                                    let message = format!(
                                        "`{}.{}` decides whether `{pointer}` moves, and is neither true nor false: {got}",
                                        output.value, field.value
                                    );
                                    return Err(message.into());
                                }
                            }
                        }
                    };
                    self.move_ref(name, pointer, done, artifact.clone(), decision)?;
                }
            }
        }
        Ok(())
    }

    fn move_ref(
        &mut self,
        task: &str,
        pointer: String,
        done: &Done,
        artifact: crate::cache::Artifact,
        decision: Option<crate::cache::Artifact>,
    ) -> Result<(), PublishError> {
        let hash = artifact.hash;
        let change = Change {
            artifact,
            key: Some(done.key),
            flow: Some(self.context.flow.to_owned()),
            task: Some(task.to_owned()),
            run: Some(self.options.run.clone()),
            who: self.options.user.clone(),
            at: jiff::Timestamp::now().to_string(),
            decision,
            reason: String::new(),
        };
        if let refs::Outcome::Moved(_) = self.refs.set(&pointer, &change)? {
            self.reporter.event(&Event::Moved { name: pointer, task: task.to_owned(), hash });
        }
        Ok(())
    }
}
