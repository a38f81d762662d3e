//! Why a task runs: the first part of its key that differs from its last run.

use std::fmt;

use serde_json::Value;

use crate::key::{Group, Part, canonical};

/// Why a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This instance has no recorded run.
    NeverRan,
    /// The code of its kind changed.
    Code,
    /// It has another kind than at its last run, or a command instead of a kind, or the reverse.
    Action,
    /// Its command changed.
    Command,
    /// A named part changed: what it was, and what it is; `None` where it was or is not there.
    Changed {
        /// Which part.
        group: Group,
        /// Its name.
        name: String,
        /// Its value at the last run.
        old: Option<String>,
        /// Its value now.
        new: Option<String>,
        /// Where an input comes from now.
        origin: Option<String>,
    },
    /// Its key is as it was, but the recorded result is of no use any more.
    Result(String),
    /// `--force`.
    Forced,
    /// `cache: false`.
    NotCached,
    /// `cache: {ttl: …}` ran out.
    Expired,
}

/// The reason why a task with the parts `new` runs, where its last run had the parts `old`.
///
/// `origin` says where an input comes from. `None` where the parts are the same.
pub(super) fn difference(old: &[Part], new: &[Part], origin: impl Fn(&str) -> Option<String>) -> Option<Reason> {
    differences(old, new, origin).into_iter().next()
}

/// All differences between two lists of parts, the likeliest causes first.
pub fn differences(old: &[Part], new: &[Part], origin: impl Fn(&str) -> Option<String>) -> Vec<Reason> {
    let mut found = Vec::new();
    for part in new {
        let before = old.iter().find(|other| other.group == part.group && other.name == part.name);
        if before.is_none_or(|before| before.value != part.value) {
            let origin = if part.group == Group::Input { origin(&part.name) } else { None };
            found.push((part.group, reason(part, before, origin)));
        }
    }
    for part in old {
        if !new.iter().any(|other| other.group == part.group && other.name == part.name) {
            let gone = Reason::Changed {
                group: part.group,
                name: part.name.clone(),
                old: Some(part.value.clone()),
                new: None,
                origin: None,
            };
            let gone = if matches!(part.group, Group::Kind | Group::Command) { Reason::Action } else { gone };
            found.push((part.group, gone));
        }
    }
    found.sort_by_key(|(group, _)| *group);
    let mut reasons: Vec<Reason> = found.into_iter().map(|(_, reason)| reason).collect();
    reasons.dedup();
    reasons
}

fn reason(part: &Part, before: Option<&Part>, origin: Option<String>) -> Reason {
    match (part.group, before) {
        (Group::Kind, Some(_)) => Reason::Code,
        (Group::Command, Some(_)) => Reason::Command,
        (Group::Kind | Group::Command, None) => Reason::Action,
        _ => Reason::Changed {
            group: part.group,
            name: part.name.clone(),
            old: before.map(|before| before.value.clone()),
            new: Some(part.value.clone()),
            origin,
        },
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRan => f.write_str("never ran"),
            Self::Code => f.write_str("code changed"),
            Self::Action => f.write_str("kind changed"),
            Self::Command => f.write_str("command changed"),
            Self::Result(what) => f.write_str(what),
            Self::Forced => f.write_str("forced"),
            Self::NotCached => f.write_str("cache: false"),
            Self::Expired => f.write_str("its result is older than its ttl"),
            Self::Changed { group, name, old, new, origin } => changed(f, *group, name, (old, new), origin.as_deref()),
        }
    }
}

fn changed(
    f: &mut fmt::Formatter<'_>,
    group: Group,
    name: &str,
    values: (&Option<String>, &Option<String>),
    origin: Option<&str>,
) -> fmt::Result {
    let what = match group {
        Group::With => "parameter",
        Group::Matrix => "axis",
        Group::Input => "input",
        Group::Env => "variable",
        Group::Device => "device",
        _ => "output",
    };
    // There is one device class, and it has no name.
    let what = if name.is_empty() { what.to_owned() } else { format!("{what} {name}") };
    let inner = match (group, values) {
        (Group::With, (Some(old), Some(new))) => inner_change(old, new),
        _ => None,
    };
    if let Some((path, old, new)) = inner {
        return write!(f, "{what}{path} changed: {} → {}", short(&old), short(&new));
    }
    match values {
        (None, _) => write!(f, "{what} is new")?,
        (_, None) => write!(f, "{what} is gone")?,
        (Some(_), Some(_)) => write!(f, "{what} changed")?,
    }
    match (group, values, origin) {
        // An input's values are hashes: where it comes from says more.
        (Group::Input, _, Some(origin)) => write!(f, ": {origin}"),
        (Group::With | Group::Matrix | Group::Output | Group::Device, (Some(old), Some(new)), _) => {
            write!(f, ": {} → {}", short(old), short(new))
        }
        _ => Ok(()),
    }
}

/// The first place at which two JSON objects differ: its path, and both values there.
fn inner_change(old: &str, new: &str) -> Option<(String, String, String)> {
    let (mut old, mut new): (Value, Value) = (serde_json::from_str(old).ok()?, serde_json::from_str(new).ok()?);
    let mut path = String::new();
    while let (Value::Object(before), Value::Object(after)) = (&old, &new) {
        let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
        keys.sort();
        let key = keys.into_iter().find(|key| before.get(*key) != after.get(*key))?.clone();
        path.push('.');
        path.push_str(&key);
        (old, new) = (before.get(&key).cloned().unwrap_or_default(), after.get(&key).cloned().unwrap_or_default());
    }
    (!path.is_empty()).then(|| (path, canonical(&old), canonical(&new)))
}

/// At most 40 characters of a value: a line on the screen, not a dump.
fn short(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    let head: String = text.chars().take(39).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(group: Group, name: &str, value: &str) -> Part {
        Part { group, name: name.into(), value: value.into() }
    }

    #[test]
    fn the_likeliest_cause_comes_first() {
        let old = [part(Group::Kind, "train", "1"), part(Group::With, "k", "1"), part(Group::Input, "ticks", "aa")];
        let new = [part(Group::Kind, "train", "1"), part(Group::With, "k", "2"), part(Group::Input, "ticks", "bb")];
        let origin = |_: &str| Some("ticks/cu.csv".to_owned());
        assert_eq!(difference(&old, &new, origin).unwrap().to_string(), "parameter k changed: 1 → 2");
        assert_eq!(differences(&old, &new, origin)[1].to_string(), "input ticks changed: ticks/cu.csv");
        assert_eq!(difference(&old, &old, origin), None);
    }

    #[test]
    fn of_an_object_the_first_path_that_differs_is_named() {
        let old = [part(Group::With, "factors", r#"{"depth":{"levels":[1]},"ofi":{"windows":[1,10]}}"#)];
        let new = [part(Group::With, "factors", r#"{"depth":{"levels":[1]},"ofi":{"windows":[1,20]}}"#)];
        let reason = difference(&old, &new, |_| None).unwrap().to_string();
        assert_eq!(reason, "parameter factors.ofi.windows changed: [1,10] → [1,20]");
    }

    #[test]
    fn of_a_device_both_classes_are_named() {
        let (old, new) = ([part(Group::Device, "", "cpu")], [part(Group::Device, "", "gpu")]);
        assert_eq!(difference(&old, &new, |_| None).unwrap().to_string(), "device changed: cpu → gpu");
    }

    #[test]
    fn a_command_that_became_a_kind_is_one_reason() {
        let old = [part(Group::Command, "", "true")];
        let new = [part(Group::Kind, "train", "1")];
        assert_eq!(differences(&old, &new, |_| None), [Reason::Action]);
    }
}
