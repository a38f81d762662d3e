//! What is going on in a run, in a few lines: how much is done, how long the rest may take, and what runs the longest.
//!
//! It hears events and is asked for lines at any time; it prints nothing. An instance costs one entry while it runs and one
//! count afterwards, so that asking costs as much with ten thousand of them as with ten.
//!
//! How long the rest may take follows from this run alone: what is left of a task takes as long as those of it that have
//! ended did on average (of a task of which none has, as long as all did), and as many run side by side as did so far.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Event, TaskEvent, TaskState, duration};
use crate::text::visible_line;

/// The state of a run.
#[derive(Debug)]
pub(super) struct Board {
    /// Tasks that are known to be part of the run.
    expected: usize,
    ran: usize,
    cached: usize,
    failed: usize,
    skipped: usize,
    running: HashMap<String, Running>,
    /// By task, up to [`NAMES`] of them.
    tasks: HashMap<String, OfTask>,
    /// Seconds that those that ended took, together.
    seconds: f64,
    /// When the first task was started: what is found in the cache says nothing of the pace.
    first: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    /// `12/50 epoch 3`, safe to show.
    progress: String,
}

/// The instances of a task.
#[derive(Debug, Default)]
struct OfTask {
    expected: usize,
    /// Ended, or not to be run.
    done: usize,
    /// Executed.
    ended: usize,
    /// Seconds that these took, together.
    seconds: f64,
}

/// So many tasks are told apart; what is left of others is taken to last as long as the mean of all.
const NAMES: usize = 1_000;

impl Board {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        Self {
            expected: 0,
            ran: 0,
            cached: 0,
            failed: 0,
            skipped: 0,
            running: HashMap::new(),
            tasks: HashMap::new(),
            seconds: 0.0,
            first: None,
        }
    }

    /// Takes note of an event.
    pub(super) fn hear(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Expected { tasks, more } => {
                self.expected = *tasks;
                for (name, count) in more {
                    if let Some(of) = self.of_task(name) {
                        of.expected += count;
                    }
                }
            }
            Event::Task(TaskEvent { task, state, seconds, .. }) => self.task(task, *state, *seconds, now),
            Event::Progress { task, done, total, text } => {
                if let Some(running) = self.running.get_mut(task) {
                    running.progress = visible_line(format!("{done}/{total} {text}").trim_end()).into_owned();
                }
            }
            _ => {}
        }
    }

    fn of_task(&mut self, name: &str) -> Option<&mut OfTask> {
        if self.tasks.len() < NAMES && !self.tasks.contains_key(name) {
            self.tasks.insert(name.to_owned(), OfTask::default());
        }
        self.tasks.get_mut(name)
    }

    fn task(&mut self, task: &str, state: TaskState, seconds: Option<f64>, now: Instant) {
        if state == TaskState::Running {
            self.first.get_or_insert(now);
            // An attempt that is repeated has run since its first.
            self.running.entry(task.to_owned()).or_insert(Running { since: now, progress: String::new() });
            return;
        }
        let since = self.running.remove(task).map(|running| now.duration_since(running.since).as_secs_f64());
        let took = seconds.or(since).filter(|_| matches!(state, TaskState::Ran | TaskState::Failed));
        self.seconds += took.unwrap_or_default();
        if let Some(of) = self.of_task(task.split_once('[').map_or(task, |(name, _)| name)) {
            of.done += 1;
            of.ended += usize::from(took.is_some());
            of.seconds += took.unwrap_or_default();
        }
        match state {
            TaskState::Ran => self.ran += 1,
            TaskState::Cached => self.cached += 1,
            TaskState::Failed => self.failed += 1,
            TaskState::Skipped => self.skipped += 1,
            TaskState::Running | TaskState::Runs | TaskState::MayRun => {}
        }
    }

    /// Whether a task runs.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    fn done(&self) -> usize {
        self.ran + self.cached + self.failed + self.skipped
    }

    fn total(&self) -> usize {
        self.expected.max(self.done() + self.running.len())
    }

    /// How long the rest will take if it goes on as so far.
    fn left(&self, now: Instant) -> Option<Duration> {
        let ended = self.ran + self.failed;
        let rest = self.total().saturating_sub(self.done());
        let took = now.duration_since(self.first?).as_secs_f64();
        // Few or quick tasks tell nothing.
        if ended < 3 || took <= 2.0 || rest == 0 {
            return None;
        }
        let mean = self.seconds / ended as f64;
        let (mut known, mut work) = (0, 0.0);
        for of in self.tasks.values() {
            let left = of.expected.saturating_sub(of.done);
            known += left;
            work += left as f64 * if of.ended > 0 { of.seconds / of.ended as f64 } else { mean };
        }
        work += rest.saturating_sub(known) as f64 * mean;
        // Where nothing is known of how long they took, their number is all there is to go by.
        let left = if self.seconds > 0.0 { work * took / self.seconds } else { took / ended as f64 * rest as f64 };
        Duration::try_from_secs_f64(left).ok()
    }

    /// `1,234 of 10,000 tasks, 2 failed, 8 running, 2m 5s, about 10m 0s left`.
    pub(super) fn brief(&self, now: Instant) -> String {
        let mut text = format!("{} of {} tasks", thousands(self.done()), thousands(self.total()));
        for (count, what) in [(self.failed, "failed"), (self.skipped, "skipped"), (self.running.len(), "running")] {
            if count > 0 {
                text.push_str(&format!(", {} {what}", thousands(count)));
            }
        }
        if let Some(first) = self.first {
            text.push_str(&format!(", {}", whole(now.duration_since(first))));
        }
        if let Some(left) = self.left(now) {
            text.push_str(&format!(", about {} left", whole(left)));
        }
        text
    }

    /// A bar of all tasks, in at most `width` columns.
    pub(super) fn bar(&self, width: usize, now: Instant) -> String {
        let brief = self.brief(now);
        let room = width.saturating_sub(brief.width() + 4).min(40);
        if room < 8 {
            return fit(&brief, width);
        }
        let full = (room * self.done()).checked_div(self.total()).unwrap_or(0).min(room);
        format!("[{}{}] {brief}", "=".repeat(full), " ".repeat(room - full))
    }

    /// The tasks that run, the longest-running first, each in at most `width` columns and all in at most `rows` lines.
    pub(super) fn running(&self, rows: usize, width: usize, now: Instant) -> Vec<String> {
        let mut tasks: Vec<(&String, &Running)> = self.running.iter().collect();
        tasks.sort_unstable_by(|(a, left), (b, right)| left.since.cmp(&right.since).then_with(|| a.cmp(b)));
        let shown = if tasks.len() > rows { rows.saturating_sub(1) } else { tasks.len() };
        let mut lines: Vec<String> =
            tasks.iter().take(shown).map(|(task, running)| line(task, running, width, now)).collect();
        if rows > 0 && tasks.len() > shown {
            lines.push(fit(&format!("  and {} more", thousands(tasks.len() - shown)), width));
        }
        lines
    }

    /// The tasks that run, on one line.
    pub(super) fn running_brief(&self, most: usize, now: Instant) -> String {
        let lines = self.running(most, usize::MAX, now);
        lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ")
    }
}

/// `  train[variety=cu]  12/50 epoch 3  1m 4s`: the name gives way first.
fn line(task: &str, running: &Running, width: usize, now: Instant) -> String {
    let mut after = String::new();
    if !running.progress.is_empty() {
        after.push_str(&format!("  {}", fit(&running.progress, (width / 2).max(8))));
    }
    after.push_str(&format!("  {}", whole(now.duration_since(running.since))));
    let room = width.saturating_sub(after.width() + 2).max(8);
    fit(&format!("  {}{after}", fit(&visible_line(task), room)), width)
}

/// A text in at most `width` columns, with `…` where its end is cut off.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut shown, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        shown.push(c);
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// In whole seconds: what changes ten times a second cannot be read.
fn whole(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => duration(seconds as f64),
    }
}

/// `12,345`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(board: &mut Board, name: &str, state: TaskState, now: Instant) {
        board.hear(&Event::Task(TaskEvent::new(name.to_owned(), state)), now);
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn ten_thousand_tasks_are_a_bar_and_the_longest_running() {
        let (mut board, start) = (Board::new(), Instant::now());
        board.hear(&Event::Expected { tasks: 10_000, more: Vec::new() }, start);
        for n in 0..4_000 {
            task(&mut board, &format!("c{n}"), TaskState::Cached, start);
        }
        for n in 0..1_000 {
            task(&mut board, &format!("t{n}"), TaskState::Running, after(start, n % 100));
        }
        for n in 0..500 {
            task(
                &mut board,
                &format!("t{n}"),
                if n < 3 { TaskState::Failed } else { TaskState::Ran },
                after(start, 100),
            );
        }
        let now = after(start, 100);
        assert_eq!(
            board.bar(120, now),
            format!(
                "[{}{}] 4,500 of 10,000 tasks, 3 failed, 500 running, 1m 40s, about 18m 20s left",
                "=".repeat(18),
                " ".repeat(22)
            )
        );
        let lines = board.running(4, 80, now);
        assert_eq!(lines, ["  t500  1m 40s", "  t600  1m 40s", "  t700  1m 40s", "  and 497 more"]);
        assert_eq!(board.running(0, 80, now), Vec::<String>::new());
        assert!(board.running(600, 80, now).len() == 500);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (mut board, now) = (Board::new(), Instant::now());
        let name = "训练[variety=铜,day=2022-02-18,note=\u{1b}[2J]";
        task(&mut board, name, TaskState::Running, now);
        let progress =
            Event::Progress { task: name.into(), done: 1, total: 2, text: "第一步 \u{1b}[31mhalf".repeat(9) };
        board.hear(&progress, now);
        for width in 0..120 {
            for line in board.running(5, width, now).into_iter().chain([board.bar(width, now)]) {
                assert!(line.width() <= width, "{width}: {line}");
                assert!(!line.contains('\u{1b}'));
            }
        }
        assert!(board.running(5, 60, now)[0].contains("1/2 第一步"));
    }

    #[test]
    fn an_estimate_needs_something_to_go_by() {
        let (mut board, start) = (Board::new(), Instant::now());
        board.hear(&Event::Expected { tasks: 10, more: Vec::new() }, start);
        task(&mut board, "a", TaskState::Running, start);
        assert!(!board.brief(after(start, 60)).contains("left"));
        for name in ["a", "b", "c"] {
            task(&mut board, name, TaskState::Ran, after(start, 6));
        }
        assert_eq!(board.brief(after(start, 6)), "3 of 10 tasks, 6s, about 14s left");
    }

    #[test]
    fn what_is_left_takes_as_long_as_those_of_its_task_did() {
        let (mut board, start) = (Board::new(), Instant::now());
        let more = vec![("data/ingest".to_owned(), 100), ("train".to_owned(), 4)];
        board.hear(&Event::Expected { tasks: 104, more }, start);
        // Ten quick ones one after the other, beside a slow one; five were there already.
        for n in 0..10 {
            let name = format!("data/ingest[cell={n}]");
            task(&mut board, &name, TaskState::Running, after(start, n));
            task(&mut board, &name, TaskState::Ran, after(start, n + 1));
        }
        (0..5).for_each(|n| task(&mut board, &format!("data/ingest[cell=c{n}]"), TaskState::Cached, start));
        // 85 of a second and 4 of the mean, a second, one at a time.
        assert!(board.brief(after(start, 10)).ends_with("10s, about 1m 29s left"), "{}", board.brief(after(start, 10)));
        task(&mut board, "train[n=1]", TaskState::Running, start);
        task(&mut board, "train[n=1]", TaskState::Failed, after(start, 20));
        // 85 of a second and 3 of twenty; in 20 seconds there were 30 of work.
        let told = board.brief(after(start, 20));
        assert!(told.ends_with("20s, about 1m 36s left"), "{told}");
    }

    #[test]
    fn tasks_beyond_those_told_apart_take_the_mean() {
        let (mut board, start) = (Board::new(), Instant::now());
        let more = (0..5_000).map(|n| (format!("t{n}"), 1)).collect();
        board.hear(&Event::Expected { tasks: 5_000, more }, start);
        for n in 0..2_500 {
            task(&mut board, &format!("t{n}"), TaskState::Running, start);
            task(&mut board, &format!("t{n}"), TaskState::Ran, after(start, 10));
        }
        assert!(board.brief(after(start, 10)).ends_with("about 10s left"), "{}", board.brief(after(start, 10)));
        assert_eq!(board.tasks.len(), NAMES);
    }

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("你好吗", 4), "你…");
        assert_eq!(fit("x", 0), "");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(12), "12");
    }
}
