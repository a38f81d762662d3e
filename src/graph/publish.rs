//! Published paths: no two tasks to one place, and no input from there. Only paths without expressions are known here;
//! the planner judges the others by instance.

use super::Check;
use crate::flow::{Source, Span, Target, Task, overlap};

/// A published path and who publishes it.
struct Place<'a> {
    path: &'a str,
    task: &'a Task,
    span: Span,
}

impl Check<'_> {
    /// Clashes of all published paths.
    pub(super) fn publishes(&mut self) {
        let flow = self.flow;
        let published = flow.tasks.iter().flat_map(|task| task.publish.iter().map(move |publish| (task, publish)));
        let places: Vec<Place<'_>> = published
            .filter_map(|(task, publish)| match &publish.target {
                Target::Path(template) => {
                    let span = self.place(task, template.span());
                    Some(Place { path: template.fixed()?.as_str()?, task, span })
                }
                Target::Ref { .. } => None,
            })
            .collect();
        for (index, place) in places.iter().enumerate() {
            let other = places.iter().take(index).find(|other| same_place(other.path, place.path));
            if let Some(other) = other.filter(|other| !self.is_inside(other.task, place.task)) {
                let message = format!("`{}` and `{}` publish to one place", other.task.name, place.task.name);
                let error = self.error(place.span, message, "lies in the same place").and(other.span, "as this");
                self.errors.push(error.help("give each its own path"));
            }
        }
        for task in &flow.tasks {
            for input in &task.inputs {
                let Source::Path(template) = &input.source else { continue };
                let Some(path) = template.fixed().and_then(|value| value.as_str()) else { continue };
                let Some(place) = places.iter().find(|place| same_place(place.path, path)) else { continue };
                if self.is_inside(task, place.task) {
                    continue;
                }
                let message = format!("the input `{}` is a published path", input.name);
                let error = self.error(self.place(task, template.span()), message, "read here");
                let error = error.and(place.span, format!("published by `{}`", place.task.name));
                self.errors.push(error.help(format!("read the output itself: from: {}.OUTPUT", place.task.name)));
            }
        }
    }
}

/// Whether two paths are the same or one lies in the other; `..` is not looked through.
fn same_place(a: &str, b: &str) -> bool {
    a.starts_with('/') == b.starts_with('/') && overlap(a, b)
}
