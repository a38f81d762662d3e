//! The tasks that a call asks for: `TASK`, `TASK[axis=value,…]`, `TASK+`.

use std::fmt;
use std::str::FromStr;

use super::Graph;
use crate::diagnostic::{Diagnostic, nearest};

/// A choice of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The task; `*` and `?` match.
    task: String,
    /// Patterns of axis values; axes that are not named match all.
    axes: Vec<(String, String)>,
    /// Whether what depends on it is chosen as well.
    dependents: bool,
}

impl FromStr for Selector {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        let wrong = || {
            let help = "write TASK, TASK[axis=value,other=value] or TASK+; * and ? match any text and any character";
            Diagnostic::new(format!("`{text}` does not choose a task")).help(help)
        };
        let (rest, dependents) = text.strip_suffix('+').map_or((text, false), |rest| (rest, true));
        let (task, axes) = match rest.split_once('[') {
            None => (rest, ""),
            Some((task, axes)) => (task, axes.strip_suffix(']').ok_or_else(wrong)?),
        };
        if task.is_empty() {
            return Err(wrong());
        }
        let parts = axes.split(',').filter(|part| !part.is_empty());
        let axis = |part: &str| part.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
        let axes = parts.map(|part| axis(part).ok_or_else(wrong)).collect::<Result<_, _>>()?;
        Ok(Self { task: task.to_owned(), axes, dependents })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.task)?;
        if !self.axes.is_empty() {
            let axes: Vec<String> = self.axes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(f, "[{}]", axes.join(","))?;
        }
        if self.dependents { f.write_str("+") } else { Ok(()) }
    }
}

impl Selector {
    /// Whether it may choose instances of a task.
    pub fn task_matches(&self, task: &str) -> bool {
        matches(&self.task, task)
    }

    /// Whether it chooses an instance, given the texts of its axes.
    pub fn matches(&self, task: &str, axes: &[(&str, &str)]) -> bool {
        let fits = |(name, pattern): &(String, String)| {
            axes.iter().any(|(axis, value)| axis == name && matches(pattern, value))
        };
        self.task_matches(task) && self.axes.iter().all(fits)
    }

    /// Whether its patterns fit an instance of any task: of an axis that the task does not have, they ask nothing.
    pub fn axes_match(&self, axes: &[(&str, &str)]) -> bool {
        self.axes.iter().all(|(name, pattern)| {
            axes.iter().find(|(axis, _)| axis == name).is_none_or(|(_, value)| matches(pattern, value))
        })
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
        let axes: Vec<&str> = chosen.iter().flat_map(|task| task.axes()).collect();
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
        for bad in ["", "+", "[a=b]", "train[a=b", "train[a]"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
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
