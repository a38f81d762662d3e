//! Expands the axes of a task, one after the other, as their values become known.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::prepare::AxisPlan;
use super::resolve::{Entries, Reader, Step, Stop};
use super::tree::{AxisValue, InstanceId, NodeId, State, longer, text_of};
use super::{Instance, Item, Lost, Outcome, Planner};
use crate::diagnostic::Diagnostic;
use crate::flow::{Target, Template};
use crate::sync::lock;

/// So many instances a flow may have: more is a mistake, and would take all memory.
const MOST: usize = 10_000_000;

impl Planner<'_> {
    pub(super) fn advance_node(&mut self, task: usize, node: NodeId) {
        if !matches!(self.trees[task].node(node).state, State::Open) {
            return;
        }
        if self.tasks[task].axes.is_empty() {
            let id = self.add_instance(task, Vec::new());
            self.trees[task].expand(node, vec![(Value::Null.into(), Some(id))]);
            return self.wake(Item::Node(task, node));
        }
        let depth = self.trees[task].node(node).values.len();
        let included = self.tasks[task].stage(depth).is_some_and(|stage| !stage.decl.include.is_empty());
        let expanded = if included {
            self.expand_included(task, node)
        } else {
            self.axis_values(task, node).and_then(|values| {
                self.check_room(task, depth, values.len())?;
                self.expand(task, node, values);
                Ok(())
            })
        };
        match expanded {
            Ok(()) => {}
            Err(Stop::Blocked(on)) => self.wait(Item::Node(task, node), on),
            Err(Stop::Lost(lost)) => self.lose(task, node, lost),
            Err(Stop::Errors(errors)) => {
                self.errors.extend(errors);
                self.not_expanded(task, node);
            }
            Err(Stop::Error(error)) => {
                self.errors.push(error);
                self.not_expanded(task, node);
            }
            Err(Stop::Cache(error)) => {
                self.cache_error.get_or_insert(error);
                self.not_expanded(task, node);
            }
        }
    }

    /// An error where so many values of an axis make too many instances, with those of the axes after it that are known
    /// already, before any of them is made.
    pub(super) fn check_room(&self, task: usize, depth: usize, values: usize) -> Result<(), Diagnostic> {
        let there = self.instances.len() + self.trees[task].len();
        let mut lengths = vec![values];
        // Further down they are the same.
        if depth == 0 || self.tasks[task].axis_plan(depth).is_some_and(|plan| matches!(plan, AxisPlan::From(_))) {
            lengths.extend(self.lengths(task, depth + 1));
        }
        let product = lengths.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
        if product.and_then(|product| product.checked_add(there)).is_some_and(|all| all <= MOST) {
            return Ok(());
        }
        let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
        let beside = if there > 1 { format!(" more, beside {there}") } else { String::new() };
        Err(self.too_many(task, depth, &format!("{}{beside}", lengths.join(" × "))))
    }

    /// How many values the axes have, from one on, that depend on no other task and no other axis.
    fn lengths(&self, task: usize, depth: usize) -> Vec<usize> {
        let mut lengths = Vec::new();
        for place in depth..self.tasks[task].axes.len() {
            let Some((stage, AxisPlan::Template(template))) =
                self.tasks[task].stage(place).zip(self.tasks[task].axis_plan(place))
            else {
                continue;
            };
            let reader = Reader { id: None, task, scope: stage.scope, axes: &[], entries: &Entries::new() };
            // What depends on another axis, or is wrong, is looked at in its place.
            match self.eval(reader, template) {
                Ok(Value::Array(items)) => lengths.push(items.len()),
                Ok(Value::Object(map)) => lengths.push(map.len()),
                _ => {}
            }
        }
        lengths
    }

    fn too_many(&self, task: usize, depth: usize, how_many: &str) -> Diagnostic {
        let plan = &self.tasks[task];
        let name = &plan.decl.name;
        let stage = plan.stage(depth);
        let axis = stage.and_then(|stage| Some((stage.scope, stage.decl.axes.get(depth - stage.start)?.name.span)));
        let (scope, span) = axis.unwrap_or((plan.decl.subflow, name.span));
        let message = format!("`{name}` has too many instances: {how_many}, and a flow may have {MOST}");
        let help = "leave out values of its axes, or let one instance do the work of many";
        self.error(scope, span, message, "its axes").help(help)
    }

    fn not_expanded(&mut self, task: usize, node: NodeId) {
        self.unexpanded.push(self.name_of(task, &self.trees[task].node(node).values));
        let why = "its axes could not be expanded".to_owned();
        self.lose(task, node, Lost::Skipped { why, blocked: true });
    }

    fn lose(&mut self, task: usize, node: NodeId, lost: Lost) {
        self.trees[task].lose(node, lost);
        self.wake(Item::Node(task, node));
    }

    fn expand(&mut self, task: usize, node: NodeId, values: Vec<AxisValue>) {
        let before = self.trees[task].node(node).values.clone();
        let last = before.len() + 1 == self.tasks[task].axes.len();
        let mut kept = Vec::with_capacity(values.len());
        for value in values {
            let all = longer(&before, value.clone());
            match self.excluded(task, &all) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    self.errors.push(error);
                    self.unexpanded.push(self.name_of(task, &all));
                    continue;
                }
            }
            let leaf = last.then(|| self.add_instance(task, all));
            kept.push((value, leaf));
        }
        let opened = self.trees[task].expand(node, kept);
        for node in opened {
            self.enqueue_asked(task, node);
        }
        self.wake(Item::Node(task, node));
    }

    /// Sees to it that a node is expanded if what lies below it may be asked for.
    pub(super) fn enqueue_asked(&mut self, task: usize, node: NodeId) {
        let plan = &self.tasks[task];
        let values = self.trees[task].node(node).values.iter();
        let axes: Vec<(&str, &str)> =
            plan.axes.iter().map(|axis| &**axis).zip(values.map(|value| &*value.text)).collect();
        if self.targets.may_have(task, &plan.decl.name.value, &axes) {
            self.enqueue(Item::Node(task, node));
        }
    }

    pub(super) fn add_instance(&mut self, task: usize, axes: Vec<AxisValue>) -> InstanceId {
        let id = self.instances.len();
        self.instances.push(Instance { task, axes: axes.into(), outcome: None, demanded: false, queued: false });
        self.check_publish(id);
        if self.is_target(id) {
            self.demand(id);
        }
        id
    }

    /// Two instances that publish to one place, or move one ref, are an error before either runs.
    fn check_publish(&mut self, id: InstanceId) {
        for publish in &self.decl(id).publish {
            if let Err(error) = self.check_target(id, &publish.target) {
                self.errors.push(error);
                return self.settle(id, Outcome::Failed);
            }
        }
    }

    fn check_target(&mut self, id: InstanceId, target: &Target) -> Result<(), Diagnostic> {
        let both = |planner: &Self, other: InstanceId, template: &Template, what: &str| {
            let message = format!("`{}` and `{}` both {what}", planner.name(other), planner.name(id));
            Err(planner
                .error(planner.decl(id).subflow, template.span(), message, "the same for both")
                .help("name it with their axes"))
        };
        match target {
            Target::Ref { name: template, .. } => {
                let name = text_of(&self.evaluate(id, template)?);
                if let Err(error) = crate::refs::check_name(&name) {
                    let message = format!("`{}` cannot move a ref: {error}", self.name(id));
                    let help = "write it as `model/cu/production`";
                    return Err(self.error(self.decl(id).subflow, template.span(), message, "moved here").help(help));
                }
                match self.moved.insert(name.clone(), id) {
                    Some(other) => both(self, other, template, &format!("move the ref `{name}`")),
                    None => Ok(()),
                }
            }
            Target::Path(template) => {
                let text = text_of(&self.evaluate(id, template)?);
                let path = self.publishable(&text).map_err(|(why, help)| {
                    let message = format!("`{}` cannot publish to `{text}`{why}", self.name(id));
                    self.error(self.decl(id).subflow, template.span(), message, "published here").help(help)
                })?;
                if let Some(other) = near(&self.published, &path).copied() {
                    return both(self, other, template, &format!("publish to `{text}`"));
                }
                if let Some((reader, input)) = near(&lock(&self.read_places), &path) {
                    let reader = &self.tasks[*reader].decl.name;
                    let message =
                        format!("`{}` publishes to `{text}`, where `{reader}` reads `{input}`", self.name(id));
                    return Err(self
                        .error(self.decl(id).subflow, template.span(), message, "published here")
                        .help(format!("read the output itself in `{reader}`, with `from`")));
                }
                self.published.insert(path, id);
                Ok(())
            }
        }
    }

    /// The place of a path that can be published to; else why it cannot, and what would be right.
    fn publishable(&self, text: &str) -> Result<PathBuf, (&'static str, &'static str)> {
        let Some(path) = publishable(text) else {
            return Err(("", "name a path inside the project, without `..`, outside `flows/` and the cache"));
        };
        let named = self.context.root.join(path);
        let place = self.places.written(&named).unwrap_or_else(|| named.clone());
        let flows = self.places.read(&self.context.root.join("flows"));
        if flows.is_some_and(|flows| place.starts_with(flows)) {
            return Err((": a link leads it into `flows/`", "name another folder"));
        }
        let cache = self.context.cache.root();
        if [&named, &place].into_iter().any(|path| cache.starts_with(path) || path.starts_with(cache)) {
            return Err((": the cache is there", "name another folder"));
        }
        Ok(place)
    }

    /// The values of the next axis of a node.
    fn axis_values(&mut self, task: usize, node: NodeId) -> Step<Vec<AxisValue>> {
        let before = self.trees[task].node(node).values.clone();
        // There is a matrix for every node that is not a leaf.
        let Some(stage) = self.tasks[task].stage(before.len()) else { return Ok(Vec::new()) };
        let (place, scope) = (before.len() - stage.start, stage.scope);
        let span = stage.decl.axes[place].name.span;
        let reader = Reader { id: None, task, scope, axes: &before, entries: &Entries::new() };
        let list = match stage.axis_plans[place].clone() {
            AxisPlan::Template(template) => self.eval(reader, template)?,
            AxisPlan::From(from) => self.axis_source(reader, &from, span)?,
        };
        values(list).map_err(|what| {
            let message =
                format!("axis `{}` of `{}` {what}", self.tasks[task].axes[before.len()], self.tasks[task].decl.name);
            self.error(scope, span, message, "its values").into()
        })
    }

    /// Whether a matrix leaves out a combination; it is asked as soon as the values of its axes are known.
    pub(super) fn excluded(&self, task: usize, axes: &[AxisValue]) -> Result<bool, Diagnostic> {
        let plan = &self.tasks[task];
        let Some(stage) = plan.stage(axes.len() - 1).filter(|stage| axes.len() == stage.start + stage.axis_plans.len())
        else {
            return Ok(false);
        };
        let reader = Reader { id: None, task, scope: stage.scope, axes, entries: &Entries::new() };
        for combination in &stage.decl.exclude {
            let mut all = true;
            for (name, template) in combination {
                let text = text_of(&self.eval(reader, template)?);
                let index = plan.axes.iter().position(|axis| **axis == name.value);
                all &= index.and_then(|index| axes.get(index)).is_some_and(|own| *own.text == text);
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is known of a path, of a folder above it, or of something below it.
pub(super) fn near<'m, T>(places: &'m BTreeMap<PathBuf, T>, path: &Path) -> Option<&'m T> {
    let above = path.ancestors().find_map(|above| places.get(above));
    let below = || {
        places
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .next()
            .filter(|(other, _)| other.starts_with(path))
    };
    above.or_else(|| below().map(|(_, found)| found))
}

/// The values of an axis: the items of a list, or the keys of an object.
pub(super) fn values(list: Value) -> Result<Vec<AxisValue>, String> {
    let values: Vec<AxisValue> = match list {
        Value::Array(items) => items.into_iter().map(AxisValue::from).collect(),
        Value::Object(map) => map.into_iter().map(|(key, _)| Value::from(key).into()).collect(),
        other => return Err(format!("is neither a list nor an object: {other}")),
    };
    let mut seen = HashSet::with_capacity(values.len());
    for value in &values {
        if !seen.insert(&*value.text) {
            return Err(format!("has the value `{}` twice", value.text));
        }
    }
    Ok(values)
}

/// The normal form of a path that can be published to: inside the project, and not where flows are.
fn publishable(text: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!path.as_os_str().is_empty() && !path.starts_with("flows")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_stays_inside_the_project() {
        assert_eq!(publishable("./out//a/./b"), Some(PathBuf::from("out/a/b")));
        for bad in ["", ".", "./", "..", "out/../..", "/tmp/x", "flows/x.yaml", "./flows"] {
            assert_eq!(publishable(bad), None, "{bad}");
        }
    }
}
