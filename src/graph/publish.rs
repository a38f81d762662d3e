//! Published paths: no two tasks to one place, and no input from there. Of a path with expressions only the folder before the
//! first of them is known here; the planner judges the rest by instance.

use std::collections::BTreeMap;

use super::Check;
use crate::flow::{Source, Span, Target, Task};

/// A published path and who publishes it.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// How many were written before it.
    index: usize,
    task: &'a Task,
    span: Span,
}

/// Whether a path is absolute, and its parts; `..` is not looked through. What lies in a folder follows it in this order.
type Path<'a> = (bool, Vec<&'a str>);

type Places<'a> = BTreeMap<Path<'a>, Place<'a>>;

fn parts(path: &str) -> Path<'_> {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    (path.starts_with('/'), parts.collect())
}

/// The first place at or below a path.
fn below<'p, 'a>(places: &'p Places<'a>, path: &Path<'a>) -> Option<&'p Place<'a>> {
    let (other, place) = places.range(path.clone()..).next()?;
    (other.0 == path.0 && other.1.starts_with(&path.1)).then_some(place)
}

/// The first place that is the same as a path, or one of which lies in the other.
fn same<'p, 'a>(places: &'p Places<'a>, path: &Path<'a>) -> Option<&'p Place<'a>> {
    let above = (0..path.1.len()).filter_map(|count| places.get(&(path.0, path.1.get(..count)?.to_vec())));
    above.chain(below(places, path)).min_by_key(|place| place.index)
}

impl Check<'_> {
    /// Clashes of all published paths.
    pub(super) fn publishes(&mut self) {
        let flow = self.flow;
        // Fixed paths, and the folders in which the others lie.
        let (mut places, mut folders) = (Places::new(), Places::new());
        let published = flow.tasks.iter().flat_map(|task| task.publish.iter().map(move |publish| (task, publish)));
        for (index, (task, publish)) in published.enumerate() {
            let Target::Path(template) = &publish.target else { continue };
            let place = Place { index, task, span: self.place(task, template.span()) };
            match template.fixed() {
                Some(fixed) => {
                    let Some(path) = fixed.as_str().map(parts) else { continue };
                    if let Some(other) = same(&places, &path).filter(|other| !self.is_inside(other.task, task)) {
                        let message = format!("`{}` and `{}` publish to one place", other.task.name, task.name);
                        let error =
                            self.error(place.span, message, "lies in the same place").and(other.span, "as this");
                        self.errors.push(error.help("give each its own path"));
                    }
                    places.entry(path).or_insert(place);
                }
                None => {
                    if let Some((folder, _)) = template.head().rsplit_once('/') {
                        folders.entry(parts(folder)).or_insert(place);
                    }
                }
            }
        }
        self.read_places(&places, &folders);
    }

    fn read_places(&mut self, places: &Places<'_>, folders: &Places<'_>) {
        if places.is_empty() && folders.is_empty() {
            return;
        }
        for task in &self.flow.tasks {
            for input in &task.inputs {
                let Source::Path(template) = &input.source else { continue };
                let Some(path) = template.fixed().and_then(|value| value.as_str()).map(parts) else { continue };
                let (place, what) = match (same(places, &path), below(folders, &path)) {
                    (Some(place), _) => (place, "is a published path"),
                    (None, Some(place)) => (place, "holds published paths"),
                    (None, None) => continue,
                };
                if self.is_inside(task, place.task) {
                    continue;
                }
                let message = format!("the input `{}` {what}", input.name);
                let error = self.error(self.place(task, template.span()), message, "read here");
                let error = error.and(place.span, format!("published by `{}`", place.task.name));
                self.errors.push(error.help(format!("read the output itself: from: {}.OUTPUT", place.task.name)));
            }
        }
    }
}
