//! The tasks that a call asks for: `TASK`, `TASK[axis=value,…]`, `TASK+`. What is printed as a name can be given back.

use std::fmt;
use std::str::FromStr;

use super::Graph;
use super::instance::{axis_text, instance_name};
use crate::diagnostic::{Diagnostic, nearest};

/// A choice of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The task; `*` and `?` match.
    task: String,
    /// Patterns of axis values; axes that are not named match all.
    axes: Vec<(String, Pattern)>,
    /// Whether what depends on it is chosen as well.
    dependents: bool,
}

/// What the text of an axis has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Written in quotes: this text and no other.
    Exact(String),
    /// `*` and `?` match.
    Wild(String),
}

impl FromStr for Selector {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        parse(text).map_err(|why| {
            let help = "write TASK, TASK[axis=value,other=value] or TASK+; * and ? match any text and any character, but \
                        not in a value in double quotes, which may have any character";
            Diagnostic::new(format!("`{text}` does not choose a task: {why}")).help(help)
        })
    }
}

fn parse(text: &str) -> Result<Selector, String> {
    let (rest, dependents) = text.strip_suffix('+').map_or((text, false), |rest| (rest, true));
    let (task, axes) = match rest.split_once('[') {
        None => (rest, ""),
        Some((task, axes)) => (task, axes.strip_suffix(']').ok_or("it has no `]` at its end")?),
    };
    if task.is_empty() {
        return Err("it names none".to_owned());
    }
    Ok(Selector { task: task.to_owned(), axes: parse_axes(axes)?, dependents })
}

fn parse_axes(mut text: &str) -> Result<Vec<(String, Pattern)>, String> {
    let mut axes = Vec::new();
    while !text.is_empty() {
        let no_value = || format!("`{}` is not axis=value", text.split(',').next().unwrap_or_default());
        let (name, rest) = text.split_once('=').filter(|(name, _)| !name.contains(',')).ok_or_else(no_value)?;
        let (pattern, rest) = if rest.starts_with('"') {
            let (value, rest) = quoted(rest)?;
            (Pattern::Exact(value), rest)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (Pattern::Wild(rest[..end].to_owned()), &rest[end..])
        };
        axes.push((name.trim().to_owned(), pattern));
        text = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err(format!("`{rest}` follows a value in quotes")),
        };
    }
    Ok(axes)
}

/// A JSON string at the start of a text, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match values.next() {
        Some(Ok(value)) => Ok((value, text.get(values.byte_offset()..).unwrap_or_default())),
        _ => Err(format!("`{text}` has no JSON string at its start")),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wild(pattern) if pattern.contains(['*', '?']) => f.write_str(pattern),
            Self::Exact(text) | Self::Wild(text) => f.write_str(&axis_text(text)),
        }
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Wild(pattern) => matches(pattern, text),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self.axes.iter().map(|(name, pattern)| (name.as_str(), pattern.to_string().into()));
        f.write_str(&instance_name(&self.task, axes))?;
        if self.dependents { f.write_str("+") } else { Ok(()) }
    }
}

impl Selector {
    /// Whether it may choose instances of a task.
    pub fn task_matches(&self, task: &str) -> bool {
        // The name of a flow in the flow stands for all of its tasks.
        let subflows = task.match_indices('/').filter_map(|(at, _)| task.get(..at));
        subflows.chain([task]).any(|name| matches(&self.task, name))
    }

    /// Whether it chooses an instance, given the texts of its axes.
    pub fn matches(&self, task: &str, axes: &[(&str, &str)]) -> bool {
        let fits = |(name, pattern): &(String, Pattern)| {
            axes.iter().any(|(axis, value)| axis == name && pattern.matches(value))
        };
        self.task_matches(task) && self.axes.iter().all(fits)
    }

    /// Whether its patterns fit an instance of any task: of an axis that the task does not have, they ask nothing.
    pub fn axes_match(&self, axes: &[(&str, &str)]) -> bool {
        self.axes.iter().all(|(name, pattern)| {
            axes.iter().find(|(axis, _)| axis == name).is_none_or(|(_, value)| pattern.matches(value))
        })
    }

    /// Whether it chooses all instances of a task, however many there are.
    pub fn is_whole_task(&self) -> bool {
        self.axes.is_empty()
    }

    /// Whether what depends on the chosen instances is chosen as well.
    pub fn dependents(&self) -> bool {
        self.dependents
    }
}

/// Whether a text matches a pattern with `*` and `?`. Linear in practice: it goes back to the last `*` only.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

impl Graph<'_> {
    /// Checks that selectors name tasks and axes of this flow.
    ///
    /// # Errors
    /// All that do not.
    pub fn check_selectors<'s>(
        &self,
        selectors: impl IntoIterator<Item = &'s Selector>,
    ) -> Result<(), Vec<Diagnostic>> {
        let errors: Vec<Diagnostic> =
            selectors.into_iter().filter_map(|selector| self.check_selector(selector)).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_selector(&self, selector: &Selector) -> Option<Diagnostic> {
        let chosen: Vec<_> = self.tasks().iter().filter(|task| selector.task_matches(&task.name.value)).collect();
        if chosen.is_empty() {
            let message = format!("the flow `{}` has no task `{}`", self.flow.name, selector.task);
            let known = self.tasks().iter().map(|task| task.name.value.as_str());
            return Some(Diagnostic::new(message).maybe_help(nearest(&selector.task, known)));
        }
        let axes: Vec<&str> = chosen.iter().flat_map(|task| self.flow.axes(task)).collect();
        let (axis, _) = selector.axes.iter().find(|(axis, _)| !axes.contains(&axis.as_str()))?;
        let message = format!("the task `{}` has no axis `{axis}`", selector.task);
        Some(Diagnostic::new(message).maybe_help(nearest(axis, axes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        text.parse().unwrap()
    }

    #[test]
    fn instances_are_chosen_by_name_and_axes() {
        let axes = [("variety", "cu"), ("day", "2022-02-18")];
        for good in
            ["train", "train+", "tr*", "train[day=2022-02-*]", "train[day=2022-02-1?,variety=cu]", "*[variety=c*]"]
        {
            assert!(selector(good).matches("train", &axes), "{good}");
        }
        for bad in ["trai", "train[day=2022]", "train[variety=au]", "train[horizon=10]"] {
            assert!(!selector(bad).matches("train", &axes), "{bad}");
        }
        assert!(selector("train[variety=cu]+").dependents());
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for bad in ["", "+", "[a=b]", "train[a=b", "train[a]", "train[a=\"b]", "train[a=\"b\"c]", "train[b,a=1]"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_printed_name_chooses_its_instance_and_no_other() {
        let values = [
            "cu",
            "",
            "a,b",
            "x=1]",
            "[",
            "*",
            "?",
            " a ",
            "\"",
            "\\",
            "{\"a\":[1,2]}",
            "a\nb\u{9b}",
            "größe",
            "a,b=c",
        ];
        for value in values {
            let name = instance_name("train", [("day", axis_text("1")), ("v", axis_text(value))]);
            let selector = selector(&name);
            assert_eq!(selector.to_string(), name);
            for other in values {
                assert_eq!(selector.matches("train", &[("day", "1"), ("v", other)]), other == value, "{name} {other}");
            }
        }
    }

    #[test]
    fn a_name_written_otherwise_is_shown_as_it_is_printed() {
        for (text, shown) in
            [("t[a=\"b\"]+", "t[a=b]+"), ("t[a=x=y]", "t[a=\"x=y\"]"), ("t[]", "t"), ("t[a=b*]", "t[a=b*]")]
        {
            assert_eq!(selector(text).to_string(), shown);
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text) in [("*", ""), ("a*b*c", "aXbYbZc"), ("**", "x"), ("?", "ä"), ("a*", "a")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a*b", "ab c"), ("a", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(20), &"a".repeat(19)));
    }
}
