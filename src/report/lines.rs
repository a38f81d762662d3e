//! Events as lines: what is said of a run beside the live lines.

use indexmap::IndexMap;

use super::failure::{failure, some};
use super::human::Style;
use super::{Event, TaskEvent, TaskState};
use crate::text::{visible, visible_line};

/// More lines of skipped tasks than this are one that counts them.
const SKIPPED: usize = 12;

/// Turns events into lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) style: Style,
    /// Why tasks were skipped, and which.
    skipped: IndexMap<String, Vec<String>>,
}

impl Lines {
    pub(super) fn new(style: Style) -> Self {
        Self { style, skipped: IndexMap::new() }
    }

    /// What is said of an event.
    pub(super) fn event(&mut self, event: &Event) -> Vec<String> {
        let loud = !self.style.quiet;
        match event {
            Event::Started { run, flow } if loud && !self.style.live => vec![format!("run {run} of {flow}")],
            Event::Notice { text } if text.starts_with("error: ") => vec![visible(text).into_owned()],
            Event::Notice { text } => vec![format!("{} {}", self.paint("33", "notice:"), visible(text))],
            Event::Task(task) => self.task(task).into_iter().collect(),
            Event::Waiting { task, lock, holder } => {
                let text = format!("waiting  {task} for the lock {lock}, held by {holder}");
                vec![visible_line(&text).into_owned()]
            }
            Event::Moved { name, task, hash } if loud => {
                vec![visible_line(&format!("moved    {name} to {} of {task}", hash.short())).into_owned()]
            }
            Event::Finished(_) if loud => self.skips(),
            _ => Vec::new(),
        }
    }

    fn task(&mut self, event: &TaskEvent) -> Option<String> {
        let task = visible_line(&event.task);
        let why = event.reason.as_ref().map(|reason| format!(" ({})", visible_line(reason))).unwrap_or_default();
        let took = event.seconds.map(|seconds| format!(" in {}", duration(seconds))).unwrap_or_default();
        let Style { live, quiet, verbose, .. } = self.style;
        match event.state {
            TaskState::Failed => {
                Some(failure(event, &self.style.call).replacen("error:", &self.paint("31;1", "error:"), 1))
            }
            TaskState::Ran if verbose || !(quiet || live) => {
                Some(format!("{}      {task}{took}{why}", self.paint("32", "ran")))
            }
            TaskState::Running if verbose && !live => Some(format!("running  {task}{why}")),
            TaskState::Cached if verbose => Some(format!("{}   {task}", self.paint("2", "cached"))),
            TaskState::Skipped if verbose => Some(format!("skipped  {task}{why}")),
            TaskState::Skipped => {
                let reason = event.reason.clone().unwrap_or_default();
                self.skipped.entry(reason).or_default().push(event.task.clone());
                None
            }
            TaskState::Runs => Some(format!("{}     {task}{why}", self.paint("36", "runs"))),
            TaskState::MayRun => Some(format!("{}  {task}{why}", self.paint("36", "may run"))),
            TaskState::Ran | TaskState::Running | TaskState::Cached => None,
        }
    }

    /// The skipped tasks, by reason: after a failure there may be thousands.
    fn skips(&mut self) -> Vec<String> {
        let skipped = std::mem::take(&mut self.skipped);
        let mut lines: Vec<String> = skipped
            .iter()
            .take(SKIPPED)
            .map(|(why, tasks)| visible_line(&format!("skipped  {} ({why})", some(tasks))).into_owned())
            .collect();
        let rest: usize = skipped.values().skip(SKIPPED).map(Vec::len).sum();
        if rest > 0 {
            lines.push(format!("skipped  {rest} more (`-v` shows all)"));
        }
        lines
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `0.42 s`, `12.3 s`, `12m 4s`, `3h 2m`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(style: Style, events: &[(&str, TaskState, &str)]) -> Vec<String> {
        let mut lines = Lines::new(style);
        let mut said = Vec::new();
        for (task, state, reason) in events {
            let reason = Some((*reason).to_owned()).filter(|reason| !reason.is_empty());
            said.extend(lines.event(&Event::Task(TaskEvent { reason, ..TaskEvent::new((*task).to_owned(), *state) })));
        }
        said.extend(lines.event(&Event::Finished(super::super::Summary::default())));
        said
    }

    const RUN: [(&str, TaskState, &str); 6] = [
        ("a", TaskState::Cached, ""),
        ("b", TaskState::Running, "never ran"),
        ("b", TaskState::Ran, "never ran"),
        ("c", TaskState::Failed, "exit status 1"),
        ("d", TaskState::Skipped, "`c` failed"),
        ("e", TaskState::Skipped, "`c` failed"),
    ];

    #[test]
    fn plain_lines_are_one_for_each_task_that_ran_and_none_for_a_cached_one() {
        let plain = ["ran      b (never ran)", "error: c failed: exit status 1", "skipped  d, e (`c` failed)"];
        assert_eq!(said(Style::default(), &RUN), plain);
        assert_eq!(said(Style { live: true, ..Style::default() }, &RUN), plain[1..]);
        assert_eq!(said(Style { quiet: true, ..Style::default() }, &RUN), plain[1..2]);
        let verbose = said(Style { verbose: true, ..Style::default() }, &RUN);
        assert_eq!((verbose.len(), verbose[0].as_str()), (6, "cached   a"));
        let color = said(Style { color: true, ..Style::default() }, &RUN);
        assert!(color[0].starts_with("\x1b[32mran\x1b[0m "), "{color:?}");
    }

    #[test]
    fn thousands_of_skipped_tasks_are_a_few_lines() {
        let names: Vec<(String, String)> =
            (0..5_000).map(|n| (format!("t{n}"), format!("`t{}` is skipped", n / 2))).collect();
        let events: Vec<_> =
            names.iter().map(|(task, why)| (task.as_str(), TaskState::Skipped, why.as_str())).collect();
        let said = said(Style::default(), &events);
        assert_eq!(said.len(), SKIPPED + 1);
        assert_eq!(said[SKIPPED], "skipped  4976 more (`-v` shows all)");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(0.421), "0.42 s");
        assert_eq!(duration(12.34), "12.3 s");
        assert_eq!(duration(724.4), "12m 4s");
        assert_eq!(duration(10_920.0), "3h 2m");
    }
}
