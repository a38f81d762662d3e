//! `include` of a matrix, as GitHub Actions does it: an entry extends every combination that it does not contradict, and
//! is a combination of its own where there is none. All axes have to be known from the file and the parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::prepare::{AxisPlan, Stage};
use super::resolve::{Entries, Reader, Step};
use super::tree::{AxisValue, InstanceId, NodeId, text_of};
use super::{Item, Planner, expand};

/// A combination under way: an axis that is not set yet has no value.
type Combination = Vec<Option<Value>>;

impl Planner<'_> {
    /// Expands all axes of a matrix with `include` at once; `node` is where its first axis begins.
    pub(super) fn expand_included(&mut self, task: usize, node: NodeId) -> Step<()> {
        let before = self.trees[task].node(node).values.clone();
        let stages = Arc::clone(&self.tasks[task].stages);
        let Some(stage) = stages.iter().find(|stage| stage.start == before.len() && stage.width > 0) else {
            return Ok(());
        };
        let mut combinations = self.product(task, stage, &before)?;
        self.include(task, stage, &before, &mut combinations)?;
        let values = combinations.into_iter().map(|combination| {
            let own = combination.into_iter().map(|value| value.unwrap_or(Value::Null).into());
            before.iter().cloned().chain(own).collect()
        });
        self.grow(task, node, stage.start + stage.width, values.collect())
    }

    /// The product of the axes that the matrix lists, without those that are excluded.
    fn product(&mut self, task: usize, stage: &Stage<'_>, before: &[AxisValue]) -> Step<Vec<Combination>> {
        if stage.axis_plans.is_empty() {
            return Ok(Vec::new());
        }
        let mut all: Vec<Vec<AxisValue>> = vec![before.to_vec()];
        for (place, (axis, decl)) in stage.axis_plans.iter().zip(&stage.decl.axes).enumerate() {
            let AxisPlan::Template(template) = axis else {
                let message = "a matrix with `include` needs axes that are known from the file";
                return Err(self.error(stage.scope, decl.name.span, message, "this one comes from a task").into());
            };
            let mut longer = Vec::new();
            for combination in all {
                let reader =
                    Reader { id: None, task, scope: stage.scope, axes: &combination, entries: &Entries::new() };
                let values = expand::values(self.eval(reader, template)?);
                let wrong = |what| self.error(stage.scope, template.span(), format!("this axis {what}"), "its values");
                let values = values.map_err(wrong)?;
                self.check_room(task, before.len() + place, longer.len() + values.len())?;
                for value in values {
                    longer.push([combination.clone(), vec![value]].concat());
                }
            }
            all = longer;
        }
        let mut kept = Vec::with_capacity(all.len());
        for combination in all {
            if !self.excluded(task, &combination)? {
                let own = combination.into_iter().skip(stage.start);
                let mut padded: Combination = own.map(|axis| Some(axis.value)).collect();
                padded.resize(stage.width, None);
                kept.push(padded);
            }
        }
        Ok(kept)
    }

    fn include(
        &mut self,
        task: usize,
        stage: &Stage<'_>,
        before: &[AxisValue],
        combinations: &mut Vec<Combination>,
    ) -> Step<()> {
        let axes = &self.tasks[task].axes[stage.start..];
        let listed = stage.axis_plans.len();
        let original = combinations.len();
        for entry in &stage.decl.include {
            let mut values: Vec<(usize, Value)> = Vec::with_capacity(entry.len());
            for (name, template) in entry {
                let reader = Reader { id: None, task, scope: stage.scope, axes: before, entries: &Entries::new() };
                let index = axes.iter().position(|axis| **axis == name.value).unwrap_or_default();
                values.push((index, self.eval(reader, template)?));
            }
            let mut extended = false;
            for combination in combinations.iter_mut().take(original) {
                let contradicts = values.iter().any(|(index, value)| {
                    *index < listed && combination[*index].as_ref().is_some_and(|own| text_of(own) != text_of(value))
                });
                if !contradicts {
                    values.iter().for_each(|(index, value)| combination[*index] = Some(value.clone()));
                    extended = true;
                }
            }
            if !extended {
                let mut own: Combination = vec![None; stage.width];
                values.into_iter().for_each(|(index, value)| own[index] = Some(value));
                combinations.push(own);
            }
        }
        Ok(())
    }

    /// Makes the nodes and leaves of combinations that agree on the axes before `node`, down to the axis before `end`.
    fn grow(&mut self, task: usize, node: NodeId, end: usize, combinations: Vec<Vec<AxisValue>>) -> Step<()> {
        let mut todo = vec![(node, combinations)];
        while let Some((node, combinations)) = todo.pop() {
            let depth = self.trees[task].node(node).values.len();
            if depth == end {
                self.enqueue_asked(task, node);
                continue;
            }
            let last = depth + 1 == self.tasks[task].axes.len();
            let mut below: BTreeMap<Arc<str>, Vec<Vec<AxisValue>>> = BTreeMap::new();
            let mut order: Vec<AxisValue> = Vec::new();
            for combination in combinations {
                let value = combination[depth].clone();
                if !below.contains_key(&value.text) {
                    order.push(value.clone());
                }
                below.entry(value.text).or_default().push(combination);
            }
            let texts: Vec<Arc<str>> = order.iter().map(|value| Arc::clone(&value.text)).collect();
            let mut children: Vec<(AxisValue, Option<InstanceId>)> = Vec::with_capacity(order.len());
            for value in order {
                let first = below.get(&value.text).and_then(|all| all.first()).filter(|_| last);
                let leaf = first.cloned().map(|combination| self.add_instance(task, combination));
                children.push((value, leaf));
            }
            let opened = self.trees[task].expand(node, children);
            for (child, text) in opened.into_iter().zip(texts) {
                todo.push((child, below.remove(&text).unwrap_or_default()));
            }
            self.wake(Item::Node(task, node));
        }
        Ok(())
    }
}
