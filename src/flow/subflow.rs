//! Flows in a flow: what their names and parameters stand for.
//!
//! A flow is loaded flat: the tasks of an inner file are tasks of the flow, and know the [`Subflow`] that they belong to.
//! Names in their expressions are those of their own file; its parameters have the values that the file around it gives.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::params::{Param, Params};
use super::types::{Flow, Subflow, Task};
use super::{Scope, SourceFile, Template};
use crate::diagnostic::{Diagnostic, Spanned};

impl Flow {
    /// The flows in which something lies, the outermost first.
    pub fn around(&self, subflow: Option<usize>) -> Vec<usize> {
        let mut around = Vec::new();
        let mut next = subflow;
        while let Some(index) = next {
            around.push(index);
            next = self.subflows.get(index).and_then(|subflow| subflow.outer);
        }
        around.reverse();
        around
    }

    /// The axes that the flows in which something lies add to it.
    pub fn outer_axes(&self, subflow: Option<usize>) -> Vec<&str> {
        let around = self.around(subflow).into_iter();
        around.filter_map(|index| self.subflows.get(index)).flat_map(|subflow| subflow.task.axes()).collect()
    }

    /// All axes of a task: those of the flows that it lies in, then its own.
    pub fn axes<'f>(&'f self, task: &'f Task) -> Vec<&'f str> {
        let mut axes = if task.subflow.is_none() { Vec::new() } else { self.outer_axes(task.subflow) };
        axes.extend(task.axes());
        axes
    }

    /// The file in which the tasks of a flow in this flow are written.
    pub fn file_of(&self, subflow: Option<usize>) -> &Arc<SourceFile> {
        subflow.and_then(|index| self.subflows.get(index)).map_or(&self.source, |subflow| &subflow.source)
    }

    /// How one comes to a flow in this flow, for errors: the innermost step first.
    pub fn notes(&self, subflow: Option<usize>) -> Vec<String> {
        let mut around = self.around(subflow);
        around.reverse();
        let subflows = around.into_iter().filter_map(|index| self.subflows.get(index));
        let note = |subflow: &Subflow| {
            let task = &subflow.task.name;
            note(&subflow.source.name, task, self.file_of(subflow.outer))
        };
        subflows.map(note).collect()
    }

    /// The values of the parameters of a flow in this flow. `axes` are those of an instance, or the first of them.
    ///
    /// # Errors
    /// Where `with` has no value, or one that the parameter does not take.
    pub fn params_of<'p>(
        &self,
        subflow: Option<usize>,
        params: &'p Params,
        axes: &[(&str, &Value)],
        root: &Path,
    ) -> Result<Cow<'p, Params>, Diagnostic> {
        let mut values = Cow::Borrowed(params);
        for subflow in self.around(subflow).into_iter().filter_map(|index| self.subflows.get(index)) {
            let scope = Scope { params: &values, axes, inputs: &BTreeMap::new(), root };
            let given = subflow.bind(&scope).map_err(|error| error.notes(self.notes(subflow.outer)))?;
            values = Cow::Owned(given);
        }
        Ok(values)
    }

    /// What is wrong with the parameters that flows in this flow are given, as far as that is known without axes.
    pub fn check_params(&self, params: &Params, root: &Path) -> Vec<Diagnostic> {
        let known = (0..self.subflows.len()).filter(|index| self.outer_axes(Some(*index)).is_empty());
        let mut errors: Vec<Diagnostic> =
            known.filter_map(|index| self.params_of(Some(index), params, &[], root).err()).collect();
        errors.dedup();
        errors
    }
}

/// How one comes to `inner`: by the task `name` of `outer`.
pub(super) fn note(inner: &str, name: &Spanned<String>, outer: &SourceFile) -> String {
    let (line, column) = outer.position(name.span.start);
    format!("`{inner}` is the flow of `{name}`, {}:{line}:{column}", outer.name)
}

impl Subflow {
    fn bind(&self, scope: &Scope<'_>) -> Result<Params, Diagnostic> {
        let mut params = Params::new();
        for param in &self.params {
            let given = self.task.with.iter().find(|(name, _)| name.value == param.name.value);
            let value = match given {
                Some((_, template)) => checked(param, template, template.eval(scope)?)?,
                None => param.default.clone().unwrap_or(Value::Null),
            };
            params.insert(param.name.value.clone(), value);
        }
        Ok(params)
    }
}

/// A value that `with` gives to a parameter.
pub(super) fn checked(param: &Param, template: &Template, value: Value) -> Result<Value, Diagnostic> {
    match param.accepts(&value) {
        Ok(()) => Ok(value),
        Err((what, why)) => Err(template.error(format!("the parameter `{}` {what}", param.name), why)),
    }
}
