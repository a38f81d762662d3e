//! Values of `with` that are known before anything runs, and do not fit their kind.
//!
//! An instance's `with` is checked with the instance; where an axis has its values from another task, that is when this one
//! has run. What depends on the flow's parameters alone need not wait for it.

use serde_json::Map;

use super::Planner;
use super::resolve::{Entries, Reader};
use crate::diagnostic::Diagnostic;
use crate::flow::{Spanned, Template};
use crate::kinds;

impl Planner<'_> {
    /// Errors for the needed tasks whose `with` does not fit their kind, whatever their instances are. A task with `when` is
    /// judged when it is ready.
    pub fn does_not_fit(&self) -> Vec<Diagnostic> {
        self.needed().into_iter().flat_map(|task| self.misfits(task)).collect()
    }

    fn misfits(&self, task: usize) -> Vec<Diagnostic> {
        let plan = &self.tasks[task];
        let (Some(kind), None, true) = (plan.kind, &plan.decl.when, plan.whens.is_empty()) else { return Vec::new() };
        let reader = Reader { id: None, task, scope: plan.decl.subflow, axes: &[], entries: &Entries::new() };
        let known = |(name, template): &(Spanned<String>, Template)| {
            let uses = template.uses();
            let alone = uses.axes.is_empty() && uses.inputs.is_empty() && uses.env.is_empty() && !uses.files;
            // What is wrong in another way is looked at in its place.
            let value = alone.then(|| self.eval(reader, template).ok()).flatten()?;
            Some((name.value.clone(), value))
        };
        let values: Map<_, _> = plan.decl.with.iter().filter_map(known).collect();
        let schema = &kind.spec.params;
        let problems = kind.check(&kinds::with_defaults(schema, values.clone()));
        let misfit = |problem: kinds::Problem| {
            let top = problem.pointer.split('/').nth(1).filter(|top| values.contains_key(*top))?;
            if problem.missing.is_some() {
                return None;
            }
            let (_, template) = plan.decl.with.iter().find(|(name, _)| name.value == top)?;
            let name = &plan.decl.name;
            let message = format!("the parameter `{top}` of `{name}` is not what its kind takes");
            let about = schema["properties"][top]["description"].as_str().map(|about| format!("`{top}`: {about}"));
            let help = problem.help.or(about).unwrap_or_else(|| format!("see `ghtrader kinds {}`", kind.spec.name));
            Some(self.error(reader.scope, template.span(), message, &problem.message).help(help))
        };
        problems.into_iter().filter_map(misfit).collect()
    }
}
