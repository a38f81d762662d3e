//! `include` of a matrix, as GitHub Actions does it: an entry extends every combination that it does not contradict, and
//! is a combination of its own where there is none. All axes have to be known from the file and the parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::prepare::AxisPlan;
use super::resolve::{Entries, Reader, Step};
use super::tree::{AxisValue, InstanceId, NodeId, ROOT, text_of};
use super::{Item, Planner, expand};

/// A combination under way: an axis that is not set yet has no value.
type Combination = Vec<Option<Value>>;

impl Planner<'_> {
    /// Expands all axes of a task with `include` at once.
    pub(super) fn expand_included(&mut self, task: usize) -> Step<()> {
        let mut combinations = self.product(task)?;
        self.include(task, &mut combinations)?;
        let values: Vec<Vec<AxisValue>> = combinations
            .into_iter()
            .map(|combination| combination.into_iter().map(|value| value.unwrap_or(Value::Null).into()).collect())
            .collect();
        self.grow(task, ROOT, values)
    }

    /// The product of the axes that the matrix lists, without those that are excluded.
    fn product(&mut self, task: usize) -> Step<Vec<Combination>> {
        let plan = &self.tasks[task];
        let (width, axis_plans) = (plan.axes.len(), plan.axis_plans.clone());
        if axis_plans.is_empty() {
            return Ok(Vec::new());
        }
        let mut all: Vec<Vec<AxisValue>> = vec![Vec::new()];
        for (depth, axis) in axis_plans.iter().enumerate() {
            let AxisPlan::Template(template) = axis else {
                let span = self.tasks[task].decl.matrix.axes[depth].name.span;
                let message = "a matrix with `include` needs axes that are known from the file";
                return Err(self.error(span, message, "this one comes from a task").into());
            };
            let mut longer = Vec::new();
            for combination in all {
                let reader = Reader { id: None, task, axes: &combination, entries: &Entries::new() };
                for value in expand::values(self.eval(reader, template)?)
                    .map_err(|what| self.error(template.span(), format!("this axis {what}"), "its values"))?
                {
                    longer.push([combination.clone(), vec![value]].concat());
                }
            }
            all = longer;
        }
        let mut kept = Vec::with_capacity(all.len());
        for combination in all {
            if !self.excluded(task, &combination)? {
                let mut padded: Combination = combination.into_iter().map(|axis| Some(axis.value)).collect();
                padded.resize(width, None);
                kept.push(padded);
            }
        }
        Ok(kept)
    }

    fn include(&mut self, task: usize, combinations: &mut Vec<Combination>) -> Step<()> {
        let plan = &self.tasks[task];
        let listed = plan.axis_plans.len();
        let original = combinations.len();
        for entry in &plan.decl.matrix.include {
            let mut values: Vec<(usize, Value)> = Vec::with_capacity(entry.len());
            for (name, template) in entry {
                let reader = Reader { id: None, task, axes: &[], entries: &Entries::new() };
                let index = plan.axes.iter().position(|axis| **axis == name.value).unwrap_or_default();
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
                let mut own: Combination = vec![None; plan.axes.len()];
                values.into_iter().for_each(|(index, value)| own[index] = Some(value));
                combinations.push(own);
            }
        }
        Ok(())
    }

    /// Makes the nodes and leaves of combinations that agree on the axes before `node`.
    fn grow(&mut self, task: usize, node: NodeId, combinations: Vec<Vec<AxisValue>>) -> Step<()> {
        let mut todo = vec![(node, combinations)];
        while let Some((node, combinations)) = todo.pop() {
            let depth = self.trees[task].node(node).values.len();
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
            let mut leaves: BTreeMap<Arc<str>, InstanceId> = BTreeMap::new();
            if last {
                for value in &order {
                    if let Some(combination) = below.get(&value.text).and_then(|all| all.first()) {
                        leaves.insert(Arc::clone(&value.text), self.add_instance(task, combination.clone()));
                    }
                }
            }
            let texts: Vec<Arc<str>> = order.iter().map(|value| Arc::clone(&value.text)).collect();
            let opened = self.trees[task].expand(node, order, |all| leaves.get(&all.last()?.text).copied());
            for (child, text) in opened.into_iter().zip(texts) {
                todo.push((child, below.remove(&text).unwrap_or_default()));
            }
            self.wake(Item::Node(task, node));
        }
        Ok(())
    }
}
