//! The identity of an instance whose inputs are known, and what it takes to run it.

use std::env::VarError;
use std::io::Write as _;

use ghtrader_kit::PathType;
use serde_json::{Map, Value};

use super::input::{Data, Resolved, ResolvedInput};
use super::prepare::InputPlan;
use super::resolve::{Read, Reader, Step, Stop, failed};
use super::tree::text_of;
use super::{InstanceId, Planner, Reason};
use crate::cache::{CacheError, Outputs};
use crate::diagnostic::Diagnostic;
use crate::flow::{Action, Resources, Spanned, Template};
use crate::hash::Hash;
use crate::key::{self, DeviceClass, EnvValue, Identity};
use crate::kinds;
use crate::manifest::Origin;
use crate::refs::check_name;
use crate::resources::Request;

/// A variable of the caller that a task sees, with its value.
type Variable = (String, Option<String>);

impl Planner<'_> {
    /// What identifies the instance, and the values of its variables (an identity keeps no secret).
    pub(super) fn identity(&self, reader: Reader<'_>, inputs: &[ResolvedInput]) -> Step<(Identity, Vec<Variable>)> {
        let plan = &self.tasks[reader.task];
        let action = match (&plan.decl.action, plan.kind) {
            (Action::Command(template), _) => key::Action::Command(text_of(&self.eval(reader, template)?)),
            (Action::Kind(_), Some(kind)) => {
                key::Action::Kind { name: kind.spec.name.clone(), code: kind.spec.code.clone() }
            }
            (Action::Kind(name), None) => {
                return Err(self
                    .error(reader.scope, name.span, format!("there is no kind `{name}`"), "used here")
                    .into());
            }
            (Action::Flow(name), _) => {
                return Err(self.error(reader.scope, name.span, "a flow was not brought in", "named here").into());
            }
        };
        let mut variables: Vec<Variable> =
            plan.decl.env.iter().map(|env| self.variable(reader, &env.name)).collect::<Step<_>>()?;
        variables.sort();
        let secret = |name: &str| plan.decl.env.iter().any(|env| env.name.value == name && env.secret);
        let env = variables.iter().map(|(name, value)| {
            let value = match value {
                None => EnvValue::Unset,
                Some(value) if secret(name) => self.secrets.get(name, value),
                Some(value) => EnvValue::Plain(value.clone()),
            };
            (name.clone(), value)
        });
        let own = plan.axes.iter().zip(reader.axes).skip(plan.outer_axes);
        let mut matrix: Vec<(String, Value)> =
            own.map(|(axis, value)| (axis.to_string(), value.value.clone())).collect();
        matrix.sort_by(|a, b| a.0.cmp(&b.0));
        let mut outputs: Vec<(String, String)> =
            plan.outputs.iter().map(|output| (output.name.clone(), output.path.clone())).collect();
        outputs.sort();
        let env = env.collect();
        let (with, inputs, device) = (self.with(reader)?, hashes(inputs), self.device_class(reader));
        let identity = Identity { action, with, matrix, inputs, env, outputs, device };
        Ok((identity, variables))
    }

    /// What a task will run on, where its kind says that its bytes depend on that.
    fn device_class(&self, reader: Reader<'_>) -> Option<DeviceClass> {
        let plan = &self.tasks[reader.task];
        plan.kind.filter(|kind| kind.spec.device_dependent)?;
        let settled = self.context.machine.settle(request(&plan.decl.resources));
        Some(DeviceClass::of(settled.wants_devices()))
    }

    /// A variable of the caller. One that is no text would have no place in a key.
    fn variable(&self, reader: Reader<'_>, name: &Spanned<String>) -> Step<Variable> {
        match std::env::var(&name.value) {
            Ok(value) => Ok((name.value.clone(), Some(value))),
            Err(VarError::NotPresent) => Ok((name.value.clone(), None)),
            Err(VarError::NotUnicode(_)) => {
                let message = format!("the variable `{name}` is not a text: it has bytes that are not UTF-8");
                Err(self.error(reader.scope, name.span, message, "named here").into())
            }
        }
    }

    /// `with` after defaults, sorted by name, checked against the kind's schema.
    fn with(&self, reader: Reader<'_>) -> Step<Vec<(String, Value)>> {
        let plan = &self.tasks[reader.task];
        let mut values = Map::new();
        for (name, template) in &plan.decl.with {
            values.insert(name.value.clone(), self.eval(reader, template)?);
        }
        if let Some(kind) = plan.kind {
            values = kinds::with_defaults(&kind.spec.params, values);
            if let Some(problem) = kind.check(&values).into_iter().next() {
                let name = &plan.decl.name;
                let message = format!("`with` of `{name}` does not fit its kind: {}", problem.message);
                let help = problem.help.unwrap_or_else(|| format!("see `ghtrader kinds {}`", kind.spec.name));
                return Err(self.error(reader.scope, name.span, message, "this task").help(help).into());
            }
        }
        let mut with: Vec<(String, Value)> = values.into_iter().collect();
        with.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(with)
    }

    /// What a ref points to, as it stood when the run started.
    pub(super) fn pointer(&self, reader: Reader<'_>, plan: &InputPlan<'_>, template: &Template) -> Step<Option<Read>> {
        let name = text_of(&self.eval(reader, template)?);
        check_name(&name).map_err(|error| Diagnostic::new(error.to_string()))?;
        let value = match self.value_before(reader, &name) {
            Some(before) => before,
            None => self.context.refs.get(&name).cloned(),
        };
        let Some(last) = value else {
            if plan.decl.optional {
                return Ok(None);
            }
            let help = "set it with `ghtrader refs set`, or add `optional: true`";
            return Err(self
                .error(reader.scope, template.span(), format!("the ref `{name}` is not set"), "read here")
                .help(help)
                .into());
        };
        let input = ResolvedInput {
            name: plan.decl.name.value.clone(),
            file: plan.decl.name.value.clone(),
            data: Data::Cached(last.change.artifact.clone()),
            origins: vec![Origin::Ref { name, key: last.change.key }],
        };
        Ok(Some((input, None)))
    }

    /// The key of a move that stands.
    ///
    /// Where this very instance made the move that set a ref it reads, it is planned with the value before that move;
    /// if its key is then the key that made the move, nothing has changed since, and the move stands.
    pub(super) fn standing(
        &self,
        id: InstanceId,
        identity: &Identity,
        inputs: &[ResolvedInput],
    ) -> Step<Option<(Identity, Vec<ResolvedInput>)>> {
        if !inputs.iter().any(|input| matches!(input.origins.as_slice(), [Origin::Ref { .. }])) {
            return Ok(None);
        }
        let name = self.name(id);
        let mut before = inputs.to_vec();
        let mut made = None;
        for input in inputs {
            let [Origin::Ref { name: pointer, .. }] = input.origins.as_slice() else { continue };
            let [earlier @ .., last] = self.context.refs.log(pointer) else { continue };
            let made_here = last.change.flow.as_deref() == Some(self.context.flow);
            if !made_here || last.change.task.as_deref() != Some(&name) {
                continue;
            }
            made = last.change.key;
            match earlier.last() {
                None => before.retain(|other| other.name != input.name),
                Some(value) => {
                    for other in before.iter_mut().filter(|other| other.name == input.name) {
                        other.data = Data::Cached(value.change.artifact.clone());
                        other.origins = vec![Origin::Ref { name: pointer.clone(), key: value.change.key }];
                    }
                }
            }
        }
        let then = Identity { inputs: hashes(&before), ..identity.clone() };
        Ok(made.is_some_and(|made| made == then.key()).then_some((then, before)))
    }

    /// All that is needed to run an instance.
    pub(super) fn resolved(
        &self,
        reader: Reader<'_>,
        identity: &Identity,
        variables: Vec<Variable>,
        reason: Reason,
        seen: Option<u64>,
        inputs: Vec<ResolvedInput>,
    ) -> Step<Resolved> {
        let decl = self.tasks[reader.task].decl;
        let mut locks = Vec::with_capacity(decl.locks.len());
        for lock in &decl.locks {
            locks.push((text_of(&self.eval(reader, &lock.key)?), lock.shared));
        }
        let command = match &identity.action {
            key::Action::Command(text) => Some(text.clone()),
            key::Action::Kind { .. } => None,
        };
        self.check_fits(reader, command.as_deref(), &identity.with, &variables)?;
        Ok(Resolved {
            key: identity.key(),
            parts: identity.parts(),
            reason,
            command,
            with: identity.with.clone(),
            inputs,
            variables,
            request: request(&decl.resources),
            locks,
            seen,
        })
    }

    /// Asks a kind whose results lie outside the cache whether one is still there: why it is not, if so.
    pub(super) fn probe(&self, reader: Reader<'_>, identity: &Identity, outputs: &Outputs) -> Step<Option<String>> {
        let Some(kind) = self.tasks[reader.task].kind.filter(|kind| kind.spec.probes) else { return Ok(None) };
        let cache = self.context.cache;
        let is_json = |name: &str| kind.spec.outputs.get(name).is_some_and(|spec| spec.r#type == PathType::Json);
        let mut lent = Vec::new();
        let mut paths = Vec::new();
        for (name, artifact) in outputs.iter() {
            let mut path = cache.object_path(&artifact.hash);
            // What lies in a shared cache only: a dry run brings nothing here for good.
            if is_json(name) && !path.exists() {
                let bytes = cache.read(&artifact.hash).map_err(failed)?;
                let file = lend(&bytes).map_err(|error| failed(error.into()))?;
                path = file.path().to_owned();
                lent.push(file);
            }
            paths.push((name.to_owned(), path));
        }
        let root = self.context.root;
        kind.probe(root, &identity.with, &paths).map_err(|error| Stop::Cache(CacheError::Outside(error.to_string())))
    }
}

/// A file that is gone when it is dropped.
fn lend(bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// What a task asks of a machine.
pub(super) fn request(resources: &Resources) -> Request {
    let mut request = Request::new(resources.cpu, resources.gpu.as_ref().map_or(0.0, |gpu| gpu.count));
    if resources.gpu.as_ref().is_some_and(|gpu| gpu.optional) {
        request = request.devices_optional();
    }
    if let Some(memory) = resources.memory {
        request = request.memory(memory);
    }
    if let Some(memory) = resources.gpu.as_ref().and_then(|gpu| gpu.memory) {
        request = request.memory_on_each(memory);
    }
    resources.tokens.iter().fold(request, |request, (name, amount)| request.token(name, *amount))
}

/// The content hashes of inputs, sorted by name.
fn hashes(inputs: &[ResolvedInput]) -> Vec<(String, Hash)> {
    let mut hashes: Vec<(String, Hash)> =
        inputs.iter().map(|input| (input.name.clone(), input.data.artifact().hash)).collect();
    hashes.sort();
    hashes
}
