//! The last lines of a terminal, which are drawn again and again; what is written above them stays.
//!
//! It knows no task. Every change is one write, so that nothing flickers, and no line is wider than the terminal.

use std::io::Write;

use unicode_width::UnicodeWidthStr as _;

/// Columns and rows.
pub(super) type Size = (usize, usize);

/// A terminal with a few live lines at its end.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    /// The widths of the live lines, from the first.
    live: Vec<usize>,
}

impl<W: Write> Screen<W> {
    /// A terminal without live lines.
    pub(super) fn new(out: W) -> Self {
        Self { out, live: Vec::new() }
    }

    /// Draws the live lines; `size` is that of the terminal now.
    pub(super) fn draw(&mut self, lines: &[String], size: Size) {
        let mut text = self.erased(size);
        self.add(&mut text, lines);
        self.write(&text);
    }

    /// Writes above the live lines, which are drawn again.
    pub(super) fn above(&mut self, said: &str, lines: &[String], size: Size) {
        let mut text = self.erased(size);
        text.push_str(said);
        text.push('\n');
        self.add(&mut text, lines);
        self.write(&text);
    }

    /// Takes the live lines away.
    pub(super) fn clear(&mut self, size: Size) {
        let text = self.erased(size);
        self.write(&text);
    }

    /// The commands that take the live lines away. A narrower terminal has broken them into more.
    fn erased(&mut self, (columns, _): Size) -> String {
        let rows: usize = self.live.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        self.live.clear();
        match rows {
            0 => String::new(),
            1 => "\r\x1b[J".to_owned(),
            rows => format!("\r\x1b[{}A\x1b[J", rows - 1),
        }
    }

    fn add(&mut self, text: &mut String, lines: &[String]) {
        text.push_str(&lines.join("\n"));
        self.live = lines.iter().map(|line| line.width()).collect();
    }

    fn write(&mut self, text: &str) {
        // A terminal that has gone away is no reason to stop a run.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_lines_are_replaced_and_what_is_said_stays_above() {
        let mut screen = Screen::new(Vec::new());
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        screen.draw(&lines(&["one", "two"]), (80, 24));
        screen.above("error: x", &lines(&["one"]), (80, 24));
        screen.clear((80, 24));
        screen.clear((80, 24));
        let out = String::from_utf8(screen.out).unwrap();
        assert_eq!(out, "one\ntwo\r\x1b[1A\x1b[Jerror: x\none\r\x1b[J");
    }

    #[test]
    fn lines_that_a_narrower_terminal_has_broken_are_taken_away_whole() {
        let mut screen = Screen::new(Vec::new());
        screen.draw(&["x".repeat(30), "你".repeat(10)], (40, 24));
        screen.out.clear();
        screen.clear((15, 24));
        assert_eq!(String::from_utf8(screen.out).unwrap(), "\r\x1b[3A\x1b[J");
    }
}
