//! What differs between two runs, task by task: how each ended, its key and the parts of that, what it wrote, how long it took.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{RunStart, RunTask};
use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::{Group, Part};
use crate::manifest::Manifest;

/// A run, as far as it is compared.
#[derive(Debug)]
pub struct Side {
    /// What was asked.
    pub start: RunStart,
    /// Its tasks, by instance.
    pub tasks: BTreeMap<String, RunTask>,
}

/// Two values, before and after; `None` where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// In the first run.
    pub before: Option<T>,
    /// In the second.
    pub after: Option<T>,
}

impl<T: PartialEq> Change<T> {
    fn differs(&self) -> bool {
        self.before != self.after
    }
}

/// What differs between two runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct RunDiff {
    /// The runs' ids.
    pub runs: [String; 2],
    /// Parameters of the flow that differ.
    pub params: BTreeMap<String, Change<Value>>,
    /// Every task of either.
    pub tasks: Vec<TaskDiff>,
}

/// One task in two runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct TaskDiff {
    /// The instance.
    pub task: String,
    /// How it ended.
    pub state: Change<String>,
    /// Its key.
    pub key: Change<Hash>,
    /// Parts of the key that differ.
    pub parts: Vec<PartDiff>,
    /// Outputs that differ.
    pub outputs: BTreeMap<String, Change<Hash>>,
    /// How long it ran.
    pub seconds: Change<f64>,
}

/// A part of a key in two runs.
#[derive(Debug, PartialEq, Serialize)]
pub struct PartDiff {
    /// What kind of part.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: Change<String>,
}

impl TaskDiff {
    /// Whether it ended alike, with the same key and the same outputs; it may have taken longer.
    pub fn is_alike(&self) -> bool {
        !self.state.differs() && !self.key.differs() && self.outputs.is_empty()
    }
}

/// What differs between two runs.
///
/// # Errors
/// Where a manifest cannot be read.
pub fn diff(cache: &Cache, one: &Side, two: &Side) -> Result<RunDiff, CacheError> {
    let names: BTreeSet<&String> = one.tasks.keys().chain(two.tasks.keys()).collect();
    let tasks = names.into_iter().map(|name| {
        let (before, after) = (one.tasks.get(name), two.tasks.get(name));
        task(cache, name, (before, &one.start.run), (after, &two.start.run))
    });
    let params: BTreeSet<&String> = one.start.params.keys().chain(two.start.params.keys()).collect();
    let param = |name: &String| Change {
        before: one.start.params.get(name).cloned(),
        after: two.start.params.get(name).cloned(),
    };
    let params = params.into_iter().map(|name| (name.clone(), param(name))).filter(|(_, change)| change.differs());
    Ok(RunDiff {
        runs: [one.start.run.clone(), two.start.run.clone()],
        params: params.collect(),
        tasks: tasks.collect::<Result<_, _>>()?,
    })
}

type InRun<'a> = (Option<&'a RunTask>, &'a str);

fn task(cache: &Cache, name: &str, before: InRun<'_>, after: InRun<'_>) -> Result<TaskDiff, CacheError> {
    fn both<T>(before: InRun<'_>, after: InRun<'_>, value: impl Fn(&RunTask) -> Option<T>) -> Change<T> {
        Change { before: before.0.and_then(&value), after: after.0.and_then(&value) }
    }
    let state = both(before, after, |task| Some(task.state.to_string()));
    let key = both(before, after, |task| task.key);
    let mut diff = TaskDiff {
        task: name.to_owned(),
        parts: Vec::new(),
        outputs: BTreeMap::new(),
        seconds: both(before, after, |task| task.seconds),
        key,
        state,
    };
    // Equal keys that neither run executed are one result: nothing has to be read.
    let executed = |side: InRun<'_>| side.0.is_some_and(|task| task.seconds.is_some());
    if diff.key.differs() || executed(before) || executed(after) {
        let (one, two) = (manifest(cache, before)?, manifest(cache, after)?);
        let parts = |manifest: &Option<Manifest>| manifest.as_ref().map(|m| m.parts.clone()).unwrap_or_default();
        diff.parts = differing(&parts(&one), &parts(&two));
        diff.outputs = outputs(one.as_ref(), two.as_ref());
    }
    Ok(diff)
}

/// The manifest of a task of a run: of the execution by that run, where there was one.
fn manifest(cache: &Cache, (task, run): InRun<'_>) -> Result<Option<Manifest>, CacheError> {
    let Some(key) = task.and_then(|task| task.key) else { return Ok(None) };
    let mut executions = cache.executions(&key)?;
    let place = executions.iter().position(|execution| execution.run == run);
    // One that the run found was recorded before the run: the last that is not younger is close enough to tell.
    let found = place.or_else(|| executions.iter().rposition(|execution| execution.run.as_str() < run));
    Ok(found.map(|place| executions.swap_remove(place)))
}

fn differing(before: &[Part], after: &[Part]) -> Vec<PartDiff> {
    let named = |parts: &[Part]| -> BTreeMap<(Group, String), String> {
        parts.iter().map(|part| ((part.group, part.name.clone()), part.value.clone())).collect()
    };
    let (mut before, after) = (named(before), named(after));
    let mut found = Vec::new();
    for ((group, name), value) in after {
        let change = Change { before: before.remove(&(group, name.clone())), after: Some(value) };
        if change.differs() {
            found.push(PartDiff { group, name, value: change });
        }
    }
    found.extend(before.into_iter().map(|((group, name), value)| PartDiff {
        group,
        name,
        value: Change { before: Some(value), after: None },
    }));
    found.sort_by(|a, b| (a.group, &a.name).cmp(&(b.group, &b.name)));
    found
}

fn outputs(before: Option<&Manifest>, after: Option<&Manifest>) -> BTreeMap<String, Change<Hash>> {
    let hash = |manifest: Option<&Manifest>, name: &String| Some(manifest?.outputs.get(name)?.hash);
    let names = before.into_iter().chain(after).flat_map(|manifest| manifest.outputs.keys());
    names
        .map(|name| (name.clone(), Change { before: hash(before, name), after: hash(after, name) }))
        .filter(|(_, change)| change.differs())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(group: Group, name: &str, value: &str) -> Part {
        Part { group, name: name.into(), value: value.into() }
    }

    #[test]
    fn parts_that_are_new_gone_or_changed_are_told_in_the_order_of_likely_causes() {
        let before = [part(Group::Input, "x", "1"), part(Group::With, "k", "1"), part(Group::Env, "gone", "=a")];
        let after = [part(Group::Input, "x", "2"), part(Group::With, "k", "1"), part(Group::Matrix, "new", "b")];
        let found: Vec<_> = differing(&before, &after)
            .into_iter()
            .map(|part| (part.name, part.value.before.unwrap_or_default(), part.value.after.unwrap_or_default()))
            .collect();
        let owned = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(found, [("new", "", "b"), ("x", "1", "2"), ("gone", "=a", "")].map(owned));
    }
}
