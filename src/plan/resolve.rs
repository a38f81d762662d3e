//! Resolves an instance: collects its inputs, works out its key, and looks for a recorded result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::input::{Resolved, ResolvedInput};
use super::prepare::InputPlan;
use super::reason::difference;
use super::tree::AxisValue;
use super::{Context, Done, InstanceId, Item, Lost, Outcome, Planner, Reason};
use crate::cache::{CacheError, Known, State};
use crate::diagnostic::{Diagnostic, Span};
use crate::flow::{CachePolicy, Params, Scope, Source, Template};
use crate::key::Identity;
use crate::manifest::Origin;
use crate::sync::lock;

/// Why a step of the plan does not come to its end now.
pub(super) enum Stop {
    /// It has to wait for these.
    Blocked(BTreeSet<Item>),
    /// It never will, in this plan.
    Lost(Lost),
    /// The flow is wrong, or something cannot be read.
    Error(Diagnostic),
    /// The same, of several inputs.
    Errors(Vec<Diagnostic>),
    /// The cache cannot be used: the flow is well.
    Cache(CacheError),
}

/// A step of the plan.
pub(super) type Step<T> = Result<T, Stop>;

impl From<Diagnostic> for Stop {
    fn from(error: Diagnostic) -> Self {
        Self::Error(error)
    }
}

/// Values of the inputs that are JSON entries, by name.
pub(super) type Entries = BTreeMap<String, Value>;

/// An input and, where it is a JSON entry, its value.
pub(super) type Read = (ResolvedInput, Option<Value>);

/// What to do with an instance whose key is known.
pub(super) enum Verdict {
    Cached(Arc<Done>),
    Run(Box<Resolved>),
}

/// An instance that is being resolved.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r> {
    /// `None` while its axes are expanded.
    pub(super) id: Option<InstanceId>,
    pub(super) task: usize,
    /// The flow in the flow whose names its expressions use: that of the task, or for what a task with `flow` says the
    /// one around it.
    pub(super) scope: Option<usize>,
    pub(super) axes: &'r [AxisValue],
    pub(super) entries: &'r Entries,
}

impl Planner<'_> {
    /// Goes on with what came out for an instance.
    pub(super) fn apply(&mut self, id: InstanceId, verdict: Step<Verdict>) {
        match verdict {
            Ok(Verdict::Cached(done)) => self.settle(id, Outcome::Cached(done)),
            Ok(Verdict::Run(resolved)) => self.ready.push((id, resolved)),
            Err(Stop::Blocked(on)) => self.wait(Item::Instance(id), on),
            Err(Stop::Lost(Lost::Unknown(task))) => self.settle(id, Outcome::MayRun(task)),
            Err(Stop::Lost(Lost::Skipped { why, blocked })) => self.settle(id, Outcome::Skipped { why, blocked }),
            Err(Stop::Error(error)) => {
                self.errors.push(error);
                self.settle(id, Outcome::Failed);
            }
            Err(Stop::Errors(errors)) => {
                self.errors.extend(errors);
                self.settle(id, Outcome::Failed);
            }
            Err(Stop::Cache(error)) => {
                self.cache_error.get_or_insert(error);
                self.settle(id, Outcome::Failed);
            }
        }
    }

    /// What to do with an instance, as far as that is known. It changes nothing, so many are looked at in parallel.
    pub(super) fn resolve(&self, id: InstanceId) -> Step<Verdict> {
        let task = self.instances[id].task;
        let axes = &*self.instances[id].axes;
        let when = self.tasks[task].decl.when.as_ref();
        let early = when.filter(|when| when.uses().inputs.is_empty());
        let late = when.filter(|when| !when.uses().inputs.is_empty());
        let mut entries = Entries::new();
        for (subflow, when) in &self.tasks[task].whens {
            let reader = Reader { scope: subflow.outer, ..self.reader(id, axes, &entries) };
            self.check_when(reader, when, &format!("the `when` of `{}`", subflow.task.name))?;
        }
        if let Some(when) = early {
            self.check_when(self.reader(id, axes, &entries), when, "its `when`")?;
        }
        let inputs = match self.inputs(id, axes, &mut entries) {
            Ok(inputs) => inputs,
            Err(stop) => {
                if matches!(stop, Stop::Blocked(_) | Stop::Lost(Lost::Unknown(_))) {
                    self.check_fits_early(self.reader(id, axes, &Entries::new()))?;
                }
                return Err(stop);
            }
        };
        let reader = self.reader(id, axes, &entries);
        if let Some(when) = late {
            self.check_when(reader, when, "its `when`")?;
        }
        self.judge(id, reader, inputs)
    }

    fn check_when(&self, reader: Reader<'_>, when: &Template, whose: &str) -> Step<()> {
        match self.eval(reader, when)? {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(Stop::Lost(Lost::Skipped { why: format!("{whose} is false"), blocked: false })),
            other => Err(self
                .error(reader.scope, when.span(), "`when` is neither true nor false", &format!("gives {other}"))
                .into()),
        }
    }

    /// All inputs, and the order that `needs` asks for.
    fn inputs(&self, id: InstanceId, axes: &[AxisValue], entries: &mut Entries) -> Step<Vec<ResolvedInput>> {
        let task = self.instances[id].task;
        let (plans, needs) = (&self.tasks[task].inputs, &self.tasks[task].needs);
        let mut found = Vec::with_capacity(plans.len());
        let mut pending = Pending::default();
        for plan in plans.iter() {
            // What depends on an input that is not there yet waits with it; on one that is absent, is absent.
            if pending.holds_back(plan) {
                continue;
            }
            let reader = self.reader(id, axes, entries);
            match self.input(reader, plan) {
                Ok(Some((input, value))) => {
                    entries.extend(value.map(|value| (input.name.clone(), value)));
                    found.push(input);
                }
                Ok(None) => drop(entries.insert(plan.decl.name.value.clone(), Value::Null)),
                Err(stop) => pending.add(Some(plan), stop)?,
            }
        }
        for need in needs.iter() {
            if let Err(stop) = self.order(self.reader(id, axes, entries), need) {
                pending.add(None, stop)?;
            }
        }
        pending.end()?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// One input: `None` where it is optional and absent.
    fn input(&self, reader: Reader<'_>, plan: &InputPlan<'_>) -> Step<Option<Read>> {
        match (&plan.decl.source, &plan.from) {
            (Source::From { .. }, Some(from)) => self.read(reader, plan, from),
            (Source::Path(template), _) => self.source(reader, plan, template),
            (Source::Ref(template), _) => self.pointer(reader, plan, template),
            (Source::From { .. }, None) => Ok(None),
        }
    }

    /// Works out the key, and whether its result is recorded.
    fn judge(&self, id: InstanceId, reader: Reader<'_>, inputs: Vec<ResolvedInput>) -> Step<Verdict> {
        let (identity, variables) = self.identity(reader, &inputs)?;
        let (identity, inputs) = self.standing(id, &identity, &inputs)?.unwrap_or((identity, inputs));
        let recorded = self.context.cache.known_result(&identity.key()).map_err(failed)?;
        let mut seen = recorded.as_ref().map(|recorded| recorded.n);
        let reason = match recorded {
            _ if self.is_selected(&self.force, id) => {
                // What was executed before now is no reason not to, and the index may know less than all of that.
                seen = self.context.cache.newest_number(&identity.key(), seen);
                Reason::Forced
            }
            _ if matches!(self.tasks[reader.task].decl.cache, CachePolicy::Never) => Reason::NotCached,
            None => self.why(id, &identity, &inputs),
            Some(recorded) => match self.of_no_use(reader, &identity, &recorded)? {
                Some(reason) => reason,
                None => {
                    let done = Done { key: recorded.key, outputs: recorded.outputs };
                    return Ok(Verdict::Cached(Arc::new(done)));
                }
            },
        };
        Ok(Verdict::Run(Box::new(self.resolved(reader, &identity, variables, reason, seen, inputs)?)))
    }

    /// Why a recorded result is of no use, if it is not.
    fn of_no_use(&self, reader: Reader<'_>, identity: &Identity, recorded: &Known) -> Step<Option<Reason>> {
        if let CachePolicy::Ttl(ttl) = &self.tasks[reader.task].decl.cache
            && age(&recorded.finished).is_none_or(|age| age > *ttl)
        {
            return Ok(Some(Reason::Expired));
        }
        // A lost object will be made again as it was.
        let outputs = recorded.outputs.iter().filter(|_| !self.early.is_trial());
        for (name, artifact) in outputs {
            let what = match self.context.cache.state(artifact).map_err(failed)? {
                State::Whole | State::Elsewhere => continue,
                State::Missing if self.context.cache.was_collected(&recorded.key, recorded.n) => "was collected",
                State::Missing => "is lost",
                State::Damaged => "is damaged",
            };
            return Ok(Some(Reason::Result(format!("output {name} {what}"))));
        }
        Ok(self.probe(reader, identity, &recorded.outputs)?.map(Reason::Result))
    }

    /// Why an instance without a recorded result runs: what differs from its last run.
    fn why(&self, id: InstanceId, identity: &Identity, inputs: &[ResolvedInput]) -> Reason {
        let cache = self.context.cache;
        let last = cache.last(self.context.flow, &self.name(id)).ok().flatten();
        let Some(manifest) = last.and_then(|key| cache.manifest(&key).ok().flatten()) else { return Reason::NeverRan };
        let origin = |name: &str| inputs.iter().find(|input| input.name == name).map(|input| described(&input.origins));
        difference(&manifest.parts, &identity.parts(), origin)
            .unwrap_or_else(|| Reason::Result("its result is lost".to_owned()))
    }

    /// An instance as its own file sees it.
    pub(super) fn reader<'r>(&self, id: InstanceId, axes: &'r [AxisValue], entries: &'r Entries) -> Reader<'r> {
        let task = self.instances[id].task;
        Reader { id: Some(id), task, scope: self.tasks[task].decl.subflow, axes, entries }
    }

    pub(super) fn eval(&self, reader: Reader<'_>, template: &Template) -> Result<Value, Diagnostic> {
        if let Some(fixed) = template.fixed() {
            return Ok(fixed.clone());
        }
        let names = self.tasks[reader.task].axes.iter().map(|name| &**name);
        let axes: Vec<(&str, &Value)> = names.zip(reader.axes.iter().map(|axis| &axis.value)).collect();
        let Context { params, root, graph, .. } = self.context;
        let evaluated = |params| template.eval(&Scope { params, axes: &axes, inputs: reader.entries, root });
        if reader.scope.is_none() || template.uses().params.is_empty() {
            return evaluated(params).map_err(|error| error.notes(graph.flow().notes(reader.scope)));
        }
        evaluated(&*self.params(reader, &axes)?).map_err(|error| error.notes(graph.flow().notes(reader.scope)))
    }

    /// The values of the parameters of a flow in the flow; worked out once for all that has the same axes around it.
    fn params(&self, reader: Reader<'_>, axes: &[(&str, &Value)]) -> Result<Arc<Params>, Diagnostic> {
        let Context { params, root, graph, .. } = self.context;
        let around = self.tasks[reader.task].stages.iter().find(|stage| stage.scope == reader.scope);
        let around = around.map_or(0, |stage| stage.start).min(axes.len());
        let key = (reader.scope, reader.axes.iter().take(around).map(|axis| Arc::clone(&axis.text)).collect());
        let mut known = lock(&self.params);
        if let Some(known) = known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let values = Arc::new(graph.flow().params_of(reader.scope, params, &axes[..around], root)?.into_owned());
        known.insert(key, Arc::clone(&values));
        Ok(values)
    }

    /// An error at a place in the file of a flow in the flow.
    pub(super) fn error(
        &self,
        scope: Option<usize>,
        span: Span,
        message: impl Into<String>,
        label: &str,
    ) -> Diagnostic {
        let flow = self.context.graph.flow();
        Diagnostic::at(flow.file_of(scope), span, message, label).notes(flow.notes(scope))
    }
}

/// An error of the cache, as an error of the plan: of the flow only where it is one (two outputs at one place of a gather).
pub(super) fn failed(error: CacheError) -> Stop {
    if error.is_of_the_store() { Stop::Cache(error) } else { Stop::Error(Diagnostic::new(error.to_string())) }
}

/// How long ago a time (RFC 3339) was.
fn age(finished: &str) -> Option<std::time::Duration> {
    let finished: jiff::Timestamp = finished.parse().ok()?;
    jiff::Timestamp::now().duration_since(finished).try_into().ok()
}

/// What the inputs of an instance still wait for.
#[derive(Default)]
struct Pending {
    names: BTreeSet<String>,
    on: BTreeSet<Item>,
    unknown: Option<String>,
    /// A failure upstream. It ends the instance only once all else is known: where something that it reads is skipped, it
    /// is skipped whatever failed, in whichever order its inputs are written.
    blocked: Option<String>,
    /// What is wrong with inputs: all of it is told at once.
    errors: Vec<Diagnostic>,
}

impl Pending {
    /// Whether `plan` uses an input that is not there yet; it is then not there either.
    fn holds_back(&mut self, plan: &InputPlan<'_>) -> bool {
        let held = plan.uses.iter().any(|name| self.names.contains(name));
        if held {
            self.names.insert(plan.decl.name.value.clone());
        }
        held
    }

    /// Collects what to wait for, so that all of it is waited for at once, and what is wrong. A skip ends the instance at once,
    /// unless something before it is wrong.
    fn add(&mut self, plan: Option<&InputPlan<'_>>, stop: Stop) -> Step<()> {
        self.names.extend(plan.map(|plan| plan.decl.name.value.clone()));
        match stop {
            Stop::Blocked(on) => self.on.extend(on),
            Stop::Lost(Lost::Unknown(task)) => drop(self.unknown.get_or_insert(task)),
            Stop::Lost(Lost::Skipped { why, blocked: true }) => drop(self.blocked.get_or_insert(why)),
            Stop::Error(error) => self.errors.push(error),
            _ if !self.errors.is_empty() => {}
            other => return Err(other),
        }
        Ok(())
    }

    fn end(self) -> Step<()> {
        if !self.errors.is_empty() {
            return Err(Stop::Errors(self.errors));
        }
        match (self.on.is_empty(), self.blocked, self.unknown) {
            (false, ..) => Err(Stop::Blocked(self.on)),
            (true, Some(why), _) => Err(Stop::Lost(Lost::Skipped { why, blocked: true })),
            (true, None, Some(task)) => Err(Stop::Lost(Lost::Unknown(task))),
            (true, None, None) => Ok(()),
        }
    }
}

/// Where an input comes from, in a few words.
fn described(origins: &[Origin]) -> String {
    match origins {
        [Origin::Path(path)] => path.clone(),
        [Origin::Task { task, at: Some(at), .. }] => format!("{task}, {at}"),
        [Origin::Task { task, .. }] => task.clone(),
        [Origin::Ref { name, .. }] => name.clone(),
        many => format!("{} files", many.len()),
    }
}
