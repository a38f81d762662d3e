//! For people: on a terminal one total bar, the running tasks and failures at once; elsewhere plain lines.
//!
//! All of it goes to standard error, what a flow prints (`print`) to standard output.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::failure::failure;
use super::{Call, Event, Reporter, Summary, TaskEvent, TaskState, printed};
use crate::text::{visible, visible_line};

/// How many running tasks have a line of their own.
const LINES: usize = 8;

/// The reporter for people.
pub struct Human {
    bars: Option<Bars>,
    quiet: bool,
    verbose: bool,
    call: Call,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<String, ProgressBar>,
}

impl Human {
    /// `terminal`: whether standard error is one. `quiet` leaves out all but failures, notices and the last line;
    /// `verbose` adds a line for each cached task.
    pub fn new(terminal: bool, quiet: bool, verbose: bool, call: Call) -> Self {
        let bars = (terminal && !quiet).then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new_spinner());
            total.set_style(style("{spinner} {msg}"));
            total.enable_steady_tick(Duration::from_millis(120));
            Bars { all, total, running: BTreeMap::new() }
        });
        Self { bars, quiet, verbose, call }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| eprint_line(text)),
            None => eprint_line(text),
        }
    }

    fn task(&mut self, event: &TaskEvent) {
        let TaskEvent { task, state, reason, seconds, .. } = event;
        let task = &*visible_line(task);
        let why = reason.as_ref().map(|reason| format!(" ({})", visible_line(reason))).unwrap_or_default();
        let took = seconds.map(|seconds| format!(" in {}", duration(seconds))).unwrap_or_default();
        match state {
            TaskState::Running => match &mut self.bars {
                Some(bars) => bars.begin(task, &why),
                None if !self.quiet => eprint_line(&format!("running  {task}{why}")),
                None => {}
            },
            TaskState::Failed => self.line(&failure(event, &self.call)),
            TaskState::Ran if !self.quiet => self.line(&format!("ran      {task}{took}")),
            TaskState::Skipped if !self.quiet => self.line(&format!("skipped  {task}{why}")),
            TaskState::Cached if self.verbose => self.line(&format!("cached   {task}")),
            TaskState::Runs => self.line(&format!("runs     {task}{why}")),
            TaskState::MayRun => self.line(&format!("may run  {task}{why}")),
            TaskState::Ran | TaskState::Skipped | TaskState::Cached => {}
        }
        if let Some(bars) = &mut self.bars
            && *state != TaskState::Running
        {
            bars.end(task);
        }
    }

    fn finished(&mut self, summary: &Summary) {
        if let Some(bars) = self.bars.take() {
            bars.running.values().for_each(ProgressBar::finish_and_clear);
            bars.total.finish_and_clear();
        }
        eprint_line(&format!(
            "{} ran, {} cached, {} failed, {} skipped in {}",
            summary.ran,
            summary.cached,
            summary.failed,
            summary.skipped,
            duration(summary.seconds)
        ));
    }
}

impl Reporter for Human {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Started { run, flow } => {
                if !self.quiet && self.bars.is_none() {
                    eprint_line(&format!("run {run} of {flow}"));
                }
            }
            Event::Notice { text } => self.line(&format!("notice: {}", visible(text))),
            Event::Task(task) => self.task(task),
            Event::Waiting { task, lock, holder } => {
                let text = format!("waiting  {task} for the lock {lock}, held by {holder}");
                self.line(&visible_line(&text));
            }
            Event::Progress { task, done, total, text } => {
                if let Some(bar) = self.bars.as_ref().and_then(|bars| bars.running.get(task)) {
                    bar.set_message(visible_line(&format!("{task} {done}/{total} {text}")).into_owned());
                }
            }
            Event::Metric { .. } => {}
            Event::Moved { name, task, hash } => {
                if !self.quiet {
                    self.line(&visible_line(&format!("moved    {name} to {} of {task}", hash.short())));
                }
            }
            Event::Print { content, .. } => {
                let text = printed(content);
                // A program that reads gets the text as it is.
                let text = if std::io::stdout().is_terminal() { visible(&text) } else { text.as_str().into() };
                let print = || drop(writeln!(std::io::stdout().lock(), "{text}"));
                match &self.bars {
                    Some(bars) => bars.all.suspend(print),
                    None => print(),
                }
            }
            Event::Finished(summary) => self.finished(summary),
        }
    }
}

impl Bars {
    fn begin(&mut self, task: &str, why: &str) {
        if self.running.len() < LINES {
            let bar = self.all.insert_before(&self.total, ProgressBar::new_spinner());
            bar.set_style(style("  {msg} {elapsed}"));
            bar.set_message(format!("{task}{why}"));
            bar.enable_steady_tick(Duration::from_millis(500));
            self.running.insert(task.to_owned(), bar);
        }
    }

    fn end(&mut self, task: &str) {
        if let Some(bar) = self.running.remove(task) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        self.total.inc(1);
        self.total.set_message(format!("{} tasks done, {} running", self.total.position(), self.running.len()));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
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

fn eprint_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(0.421), "0.42 s");
        assert_eq!(duration(12.34), "12.3 s");
        assert_eq!(duration(724.4), "12m 4s");
        assert_eq!(duration(10_920.0), "3h 2m");
    }
}
