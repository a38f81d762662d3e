//! What callers see of a plan: names, outcomes, and the dry run.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use serde_json::Value;

use super::identity::request;
use super::prepare::TaskPlan;
use super::resolve::Entries;
use super::tree::{AxisValue, Node, State};
use super::{InstanceId, Lost, Outcome, Planner, Reason, Resolved};
use crate::diagnostic::Diagnostic;
use crate::flow::{Task, Template};
use crate::graph::{OutputDecl, Selector, axis_text, instance_name};
use crate::hash::Hash;
use crate::key::Part;
use crate::kinds::Kind;
use crate::resources::Request;
use crate::sync::lock;

impl<'a> Planner<'a> {
    /// Plans to the end as a dry run: what has to run is said to, and what comes out of it is not known. Gives what would
    /// run, as it was resolved.
    pub fn to_the_end(&mut self) -> Vec<(InstanceId, Box<Resolved>)> {
        let mut all = Vec::new();
        // Of several that have a key, a run executes the first, and each that is never cached.
        let mut runs: HashMap<Hash, InstanceId> = HashMap::new();
        loop {
            self.advance();
            let ready = self.take_ready();
            if ready.is_empty() {
                break;
            }
            for (id, resolved) in ready {
                let first = *runs.entry(resolved.key).or_insert(id);
                let outcome = match resolved.reason.clone() {
                    reason if first == id || matches!(reason, Reason::NotCached) => Outcome::WillRun(reason),
                    _ => Outcome::WillShare(self.name(first)),
                };
                self.finish(id, outcome);
                all.push((id, resolved));
            }
        }
        self.check();
        all
    }

    /// The files and folders outside the cache that the plan has looked for.
    pub fn sources(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = lock(&self.sources).keys().map(|path| self.context.root.join(path)).collect();
        paths.extend(lock(&self.absent).iter().cloned());
        paths
    }

    /// An instance's name: `main-l5[variety=cu,day=2022-02-18]`.
    pub fn name(&self, id: InstanceId) -> String {
        let instance = &self.instances[id];
        self.name_of(instance.task, &instance.axes)
    }

    /// The task of an instance, by its place in the flow.
    pub fn task(&self, id: InstanceId) -> usize {
        self.instances[id].task
    }

    /// The task of an instance, as the flow declares it.
    pub fn decl(&self, id: InstanceId) -> &'a Task {
        self.plan(id).decl
    }

    /// The kind of an instance; `None` for a command.
    pub fn kind(&self, id: InstanceId) -> Option<&'a Kind> {
        self.plan(id).kind
    }

    /// The outputs that an instance has to write.
    pub fn outputs(&self, id: InstanceId) -> &'a [OutputDecl] {
        self.plan(id).outputs
    }

    /// The axes of an instance and their values.
    pub fn axes(&self, id: InstanceId) -> impl Iterator<Item = (&str, &AxisValue)> {
        self.plan(id).axes.iter().map(|axis| &**axis).zip(&*self.instances[id].axes)
    }

    /// The axes of an instance that it sees: without those of the flows around its task.
    pub fn own_axes(&self, id: InstanceId) -> impl Iterator<Item = (&str, &AxisValue)> {
        self.axes(id).skip(self.plan(id).outer_axes)
    }

    fn plan(&self, id: InstanceId) -> &TaskPlan<'a> {
        &self.tasks[self.instances[id].task]
    }

    /// How an instance's part ended, once it has.
    pub fn outcome(&self, id: InstanceId) -> Option<&Outcome> {
        self.instances[id].outcome.as_ref()
    }

    /// The value of a template of the flow for an instance, as far as it depends on parameters and axes.
    ///
    /// # Errors
    /// Those of the expression.
    pub fn evaluate(&self, id: InstanceId, template: &Template) -> Result<Value, Diagnostic> {
        let instance = &self.instances[id];
        let entries = Entries::new();
        self.eval(self.reader(id, &instance.axes, &entries), template)
    }

    /// The parts of an instance's key but for its inputs, as far as they can be known before those are; `None` where its
    /// command or its parameters depend on what an input holds.
    pub fn parts_before_inputs(&self, id: InstanceId) -> Option<Vec<Part>> {
        let entries = Entries::new();
        let reader = self.reader(id, &self.instances[id].axes, &entries);
        self.identity(reader, &[]).ok().map(|(identity, _)| identity.parts())
    }

    /// What the instances of a task ask for, by its place in the flow.
    pub fn asks(&self, task: usize) -> Request {
        request(&self.tasks[task].decl.resources)
    }

    /// Whether one of the selectors names an instance.
    pub fn is_selected(&self, selectors: &[Selector], id: InstanceId) -> bool {
        if selectors.is_empty() {
            return false;
        }
        let axes: Vec<(&str, &str)> = self.axes(id).map(|(axis, value)| (axis, &*value.text)).collect();
        let name = &self.decl(id).name.value;
        selectors.iter().any(|selector| selector.matches(name, &axes))
    }

    /// The tasks that the call asks for and all that they need, by index.
    pub fn needed(&self) -> BTreeSet<usize> {
        let name = |task: &usize| &self.tasks[*task].decl.name.value;
        let mut needed: BTreeSet<usize> =
            (0..self.tasks.len()).filter(|task| self.targets.has_task(*task, name(task))).collect();
        if needed.len() == self.tasks.len() {
            return needed;
        }
        let mut reads: Vec<(usize, usize)> =
            self.context.graph.edges().iter().map(|(from, reader)| (*reader, *from)).collect();
        reads.sort_unstable();
        let mut todo: Vec<usize> = needed.iter().copied().collect();
        while let Some(task) = todo.pop() {
            let start = reads.partition_point(|(reader, _)| *reader < task);
            let read = reads[start..].iter().take_while(|(reader, _)| *reader == task);
            todo.extend(read.map(|(_, from)| *from).filter(|from| needed.insert(*from)));
        }
        needed
    }

    /// Whether the call asks for an instance.
    pub(super) fn is_target(&self, id: InstanceId) -> bool {
        if self.targets.selectors().is_empty() {
            return true;
        }
        let axes: Vec<(&str, &str)> = self.axes(id).map(|(axis, value)| (axis, &*value.text)).collect();
        self.targets.has(self.task(id), &self.decl(id).name.value, &axes)
    }

    /// Selectors that name no instance are errors, unless some instances are not known, or the task as a whole is asked for:
    /// an axis may be empty.
    pub(super) fn check_targets(&mut self) {
        for selector in self.targets.selectors().iter().filter(|selector| !selector.is_whole_task()) {
            let of = |task: &usize| selector.task_matches(&self.tasks[*task].decl.name.value);
            let known = |task: usize, node: &Node<Lost>| {
                let axes = self.tasks[task].axes.iter().map(|axis| &**axis);
                let axes: Vec<(&str, &str)> = axes.zip(node.values.iter().map(|value| &*value.text)).collect();
                matches!(node.state, State::Expanded(_)) || !selector.axes_match(&axes)
            };
            let all = |task: usize| self.trees[task].nodes().all(|node| known(task, node));
            if !(0..self.tasks.len()).filter(of).all(all) {
                continue;
            }
            let any = (0..self.instances.len()).any(|id| self.is_selected(std::slice::from_ref(selector), id));
            if !any {
                let message = format!("the flow has no instance `{selector}`");
                let help = format!("`ghtrader graph {} --instances` lists them", self.context.flow);
                self.errors.push(Diagnostic::new(message).help(help));
            }
        }
    }

    /// How many instances have settled since [`Planner::take_settled`].
    pub fn settled(&self) -> usize {
        self.settled.len()
    }

    /// Of those, the instances after the first `settled` that are skipped because something failed.
    pub fn blocked_since(&self, settled: usize) -> Vec<String> {
        let blocked = |id: &&InstanceId| matches!(self.outcome(**id), Some(Outcome::Skipped { blocked: true, .. }));
        self.settled.iter().skip(settled).filter(blocked).map(|id| self.name(*id)).collect()
    }

    /// Instances that are not known: `main-l5[variety=cu,day=*]`, and how that part of the plan ended.
    pub fn unknown(&self) -> Vec<(String, Outcome)> {
        let mut unknown = Vec::new();
        for (task, tree) in self.trees.iter().enumerate() {
            for node in tree.nodes() {
                let State::Lost(lost) = &node.state else { continue };
                let outcome = match lost {
                    Lost::Unknown(task) => Outcome::MayRun(task.clone()),
                    Lost::Skipped { why, blocked } => Outcome::Skipped { why: why.clone(), blocked: *blocked },
                };
                unknown.push((self.name_of(task, &node.values), outcome));
            }
        }
        unknown
    }

    /// The first cause, upstream, of an instance that may run: what runs there, and why.
    pub fn cause(&self, id: InstanceId) -> Option<String> {
        let mut seen = BTreeSet::new();
        let Some(Outcome::MayRun(task)) = self.outcome(id) else { return None };
        let mut task = task;
        while seen.insert(task) {
            let index = self.context.graph.index(task)?;
            let of_task = self.trees[index].find(&Vec::new()).leaves;
            let mut next = None;
            for id in of_task {
                match self.outcome(id) {
                    Some(Outcome::WillRun(reason)) => return Some(format!("{} runs ({reason})", self.name(id))),
                    Some(Outcome::MayRun(task)) => next = Some(task),
                    _ => {}
                }
            }
            task = next?;
        }
        None
    }

    /// Every instance that is known, and the edges from what is read to what reads it.
    pub fn drawing(&self) -> (Vec<String>, Vec<(usize, usize)>) {
        let names = (0..self.instances.len()).map(|id| self.name(id)).collect();
        (names, lock(&self.edges).iter().copied().collect())
    }

    pub(super) fn name_of(&self, task: usize, values: &[AxisValue]) -> String {
        let plan = &self.tasks[task];
        let value = |index| values.get(index).map_or("*".into(), |value: &AxisValue| axis_text(&value.text));
        let axes = plan.axes.iter().enumerate().map(|(index, axis)| (&**axis, value(index)));
        instance_name(&plan.decl.name.value, axes)
    }
}
