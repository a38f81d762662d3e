//! For people: on a terminal a bar and what runs the longest, drawn again at most ten times a second, with failures above
//! it at once; elsewhere plain lines, one for each task that ran, and now and then how far the run is.
//!
//! All of it goes to standard error, what a flow prints (`print`) to standard output.

use std::io::{Stderr, Write as _, stderr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use super::board::Board;
use super::lines::Lines;
use super::screen::{Screen, Size};
use super::{Call, Event, Reporter, TaskState, duration, print, printed};
use crate::sync::lock;

/// The live lines are drawn again at most this often.
const FRAME: Duration = Duration::from_millis(100);
/// Times go on also when nothing happens.
const IDLE: Duration = Duration::from_secs(1);
/// Without live lines, how far the run is is told this often.
const PROGRESS: Duration = Duration::from_secs(30);

/// How to show a run.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Whether standard error is a terminal that can be drawn on.
    pub live: bool,
    /// Whether to use colour.
    pub color: bool,
    /// Leave out all but failures, notices and the last line.
    pub quiet: bool,
    /// Add a line for each task, also when it starts, is cached or skipped.
    pub verbose: bool,
    /// How the program was called.
    pub call: Call,
}

/// The reporter for people.
pub struct Human {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
    lines: Lines,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    board: Board,
    /// The live lines; `None` for plain ones.
    screen: Option<Screen<Stderr>>,
    quiet: bool,
    /// What is to be written above the live lines with the next frame.
    said: Vec<String>,
    /// Whether the live lines are not as things are.
    stale: bool,
    /// When something was last written.
    written: Instant,
    /// When it was last told how far the run is, without live lines.
    told: Instant,
    ended: bool,
}

impl Human {
    /// A reporter that has nothing to show yet.
    pub fn new(style: Style) -> Self {
        let state = State {
            board: Board::new(),
            screen: (style.live && !style.quiet).then(|| Screen::new(stderr())),
            quiet: style.quiet,
            said: Vec::new(),
            stale: false,
            written: Instant::now(),
            told: Instant::now(),
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: Condvar::new() });
        Self { shared, ticker: None, lines: Lines::new(style) }
    }

    /// Draws from now on also when nothing is heard.
    fn start(&mut self) {
        let shared = Arc::clone(&self.shared);
        let period = if self.lines.style.live { FRAME } else { IDLE };
        // Without the thread, what is heard is still shown.
        self.ticker = std::thread::Builder::new().name("report".to_owned()).spawn(move || shared.tick(period)).ok();
    }

    fn stop(&mut self) {
        self.shared.state().ended = true;
        self.shared.ended.notify_all();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

impl Reporter for Human {
    /// The bar and the lines about progress count what is cached.
    fn shows(&self, state: TaskState) -> bool {
        let Style { quiet, verbose, .. } = self.lines.style;
        state != TaskState::Cached || verbose || !quiet
    }

    fn event(&mut self, event: &Event) {
        let now = Instant::now();
        let said = self.lines.event(event);
        let mut state = self.shared.state();
        state.board.hear(event, now);
        state.stale = true;
        said.into_iter().for_each(|text| state.say(text, now));
        if let Event::Print { content, .. } = event {
            state.print(&printed(content));
        }
        drop(state);
        match event {
            Event::Started { .. } => self.start(),
            Event::Finished(summary) => {
                self.stop();
                let mut state = self.shared.state();
                state.close();
                let counts = [summary.ran, summary.cached, summary.failed, summary.skipped];
                let [ran, cached, failed, skipped] = counts;
                let took = duration(summary.seconds);
                eprint_line(&format!("{ran} ran, {cached} cached, {failed} failed, {skipped} skipped in {took}"));
            }
            _ => {}
        }
    }
}

impl Drop for Human {
    /// A run that ends early leaves no live lines.
    fn drop(&mut self) {
        self.stop();
        self.shared.state().close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn tick(&self, period: Duration) {
        let mut state = self.state();
        while !state.ended {
            state.frame(Instant::now());
            state = self.ended.wait_timeout(state, period).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn say(&mut self, text: String, now: Instant) {
        if self.screen.is_none() {
            eprint_line(&text);
            self.written = now;
            return;
        }
        self.said.push(text);
        if now.duration_since(self.written) >= FRAME {
            self.draw(now);
        }
    }

    /// What is due now.
    fn frame(&mut self, now: Instant) {
        let since = now.duration_since(self.written);
        if self.screen.is_some() {
            if (self.stale && since >= FRAME) || since >= IDLE {
                self.draw(now);
            }
        } else if let Some(text) = self.progress(now) {
            self.say(text, now);
        }
    }

    /// How far the run is, where that is due: between the lines of what ran, too, which do not say it.
    fn progress(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.told) < PROGRESS || !self.board.is_busy() || self.quiet {
            return None;
        }
        self.told = now;
        Some(format!("progress {}: {}", self.board.brief(now), self.board.running_brief(3, now)))
    }

    fn draw(&mut self, now: Instant) {
        let Some(screen) = &mut self.screen else { return };
        let size = size();
        let lines = live_lines(&self.board, size, now);
        match self.said.is_empty() {
            true => screen.draw(&lines, size),
            false => screen.above(&std::mem::take(&mut self.said).join("\n"), &lines, size),
        }
        self.stale = false;
        self.written = now;
    }

    /// What a flow prints; a program that reads it gets it as it is.
    fn print(&mut self, text: &str) {
        self.flush();
        print(text);
    }

    /// Writes what was said, and takes the live lines away.
    fn flush(&mut self) {
        if let Some(screen) = &mut self.screen {
            screen.clear(size());
            self.said.drain(..).for_each(|text| eprint_line(&text));
        }
    }

    fn close(&mut self) {
        self.flush();
        self.screen = None;
    }
}

/// The bar, and as many of the running tasks as fit above it.
fn live_lines(board: &Board, (columns, rows): Size, now: Instant) -> Vec<String> {
    // In the last column some terminals begin a new line.
    let width = columns.saturating_sub(1);
    let mut lines = board.running(rows.saturating_sub(2), width, now);
    lines.push(board.bar(width, now));
    lines
}

/// The size of the terminal as it is now.
fn size() -> Size {
    let size = tcgetwinsize(stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

fn eprint_line(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TaskEvent;

    #[test]
    fn without_live_lines_progress_is_told_now_and_then_whatever_else_is_written() {
        let human = Human::new(Style::default());
        let mut state = human.shared.state();
        let start = state.told;
        let after = |seconds| start + Duration::from_secs(seconds);
        let hear = |state: &mut State, task: &str, into, now| {
            state.board.hear(&Event::Task(TaskEvent::new(task.to_owned(), into)), now);
        };
        state.board.hear(&Event::Expected { tasks: 40, more: vec![("t".to_owned(), 40)] }, start);
        for n in 0..10 {
            hear(&mut state, &format!("t[n={n}]"), TaskState::Running, after(3 * n));
            hear(&mut state, &format!("t[n={n}]"), TaskState::Ran, after(3 * n + 3));
        }
        assert_eq!(state.progress(after(30)), None, "nothing runs");
        hear(&mut state, "t[n=10]", TaskState::Running, after(30));
        state.written = after(30);
        assert_eq!(state.progress(after(29)), None, "too soon");
        let told = state.progress(after(30)).unwrap();
        assert_eq!(told, "progress 10 of 40 tasks, 1 running, 30s, about 1m 30s left: t[n=10]  0s");
        assert_eq!(state.progress(after(59)), None);
        assert!(state.progress(after(60)).unwrap().contains("1m 0s, about 3m 0s left"));
        state.quiet = true;
        assert_eq!(state.progress(after(90)), None);
    }
}
