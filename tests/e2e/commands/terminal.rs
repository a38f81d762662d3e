//! What a run looks like on a terminal, and where there is none.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::space::Space;

/// The screen of a terminal that knows what a reporter uses: lines, and going back over the last of them.
#[derive(Default)]
struct Screen {
    /// All lines there ever were; those above the cursor's page cannot be reached.
    lines: Vec<String>,
    row: usize,
    column: usize,
    /// How far up the cursor went at most.
    highest: usize,
    rest: String,
}

impl Screen {
    fn feed(&mut self, text: &str) {
        let text = std::mem::take(&mut self.rest) + text;
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            if c == '\u{1b}' {
                let Some(end) = rest[1..].find(|c: char| c.is_ascii_alphabetic()) else {
                    self.rest = rest.to_owned();
                    return;
                };
                self.command(&rest[2..=end], rest.as_bytes()[end + 1]);
                rest = &rest[end + 2..];
                continue;
            }
            match c {
                '\n' => self.row += 1,
                '\r' => self.column = 0,
                c => self.put(c),
            }
            rest = &rest[c.len_utf8()..];
        }
    }

    fn command(&mut self, argument: &str, letter: u8) {
        match letter {
            b'A' => {
                let up: usize = argument.parse().unwrap();
                self.highest = self.highest.max(up + 1);
                self.row -= up;
            }
            b'J' => {
                assert_eq!(self.column, 0);
                self.lines.truncate(self.row);
            }
            b'm' => {}
            other => panic!("`{}` with `{argument}` is no command that is used", char::from(other)),
        }
    }

    fn put(&mut self, c: char) {
        while self.lines.len() <= self.row {
            self.lines.push(String::new());
        }
        self.lines[self.row].push(c);
        self.column += 1;
    }
}

/// A terminal of this size: its two ends.
fn terminal(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    tcsetwinsize(&slave, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (master, slave.into())
}

/// What the program writes to a terminal, piece by piece.
fn on_terminal(space: &Space, args: &[&str], columns: u16, rows: u16) -> Receiver<String> {
    let (master, slave) = terminal(columns, rows);
    let mut command = space.command(args);
    command.env("TERM", "xterm").stderr(Stdio::from(slave)).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (mut master, mut bytes, mut rest) = (std::fs::File::from(master), [0; 4096], Vec::new());
        // The end of a terminal whose other end is closed is an error.
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            rest.extend_from_slice(&bytes[..count]);
            let whole = match str::from_utf8(&rest) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let text: Vec<u8> = rest.drain(..whole).collect();
            let _ = sender.send(String::from_utf8(text).unwrap());
        }
        child.wait().unwrap();
    });
    receiver
}

#[test]
fn a_terminal_shows_a_screenful_and_failures_above_it() {
    let days: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let space = Space::with_flow(&format!(
        "tasks:\n  t: {{ run: 'test $MATRIX_DAY != 7 || exit 3; sleep 0.2', resources: {{ cpu: 0 }}, matrix: {{ day: [{}] }} }}\n",
        days.join(", ")
    ));
    let (mut screen, mut largest) = (Screen::default(), 0);
    for text in on_terminal(&space, &["run", "test", "-k", "--jobs", "30"], 60, 10) {
        screen.feed(&text);
        largest = largest.max(screen.highest);
    }
    assert!((3..=10).contains(&largest), "{largest} lines are live");
    let errors = screen.lines.iter().filter(|line| line.contains("t[day=7] failed: exit status 3")).count();
    assert_eq!(errors, 1, "{:#?}", screen.lines);
    let last = screen.lines.last().unwrap();
    assert!(last.starts_with("59 ran, 0 cached, 1 failed, 0 skipped in "), "{:#?}", screen.lines);
    assert!(!screen.lines.iter().any(|line| line.contains("day=8") || line.contains("and ")), "{:#?}", screen.lines);
}

#[test]
fn a_failure_is_on_the_screen_while_others_run() {
    let space = Space::with_flow(
        r#"tasks:
  good: { run: 'echo "::progress 3/9 epoch"; while test ! -e "${{ params.go }}"; do sleep 0.05; done' }
  bad: { run: 'exit 3', priority: 1 }
params: { go: { type: string, required: true } }
"#,
    );
    let go = format!("go={}", space.path("go").display());
    let texts = on_terminal(&space, &["run", "test", "-k", "-p", &go, "--jobs", "2", "--cpus", "2"], 100, 20);
    let (mut screen, begun) = (Screen::default(), Instant::now());
    let has = |screen: &Screen, text: &str| screen.lines.iter().any(|line| line.contains(text));
    while !(has(&screen, "error: bad failed")
        && has(&screen, "good  3/9 epoch")
        && has(&screen, "1 of 2 tasks, 1 failed"))
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:#?}", screen.lines);
        screen.feed(&texts.recv_timeout(Duration::from_secs(30)).unwrap());
    }
    space.write("go", "");
    texts.iter().for_each(|text| screen.feed(&text));
    assert!(screen.lines.last().unwrap().starts_with("1 ran, 0 cached, 1 failed"), "{:#?}", screen.lines);
    assert!(!has(&screen, "good"), "the live lines are gone: {:#?}", screen.lines);
}

#[test]
fn a_terminal_that_does_not_obey_gets_plain_lines_and_colour_is_chosen() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true' }\n");
    let said = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = space.command(&[&["run", "test", "--force", "a"], args].concat());
        let answer = crate::space::answer(command.envs(variables.iter().copied()));
        assert_eq!(answer.code, 0, "{answer:#?}");
        answer.err
    };
    let plain = said(&[], &[]);
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(lines.len(), 3, "{plain}");
    assert!(lines[1].starts_with("ran      a in ") && lines[2].starts_with("1 ran"), "{plain}");
    assert!(said(&[], &["--color", "always"]).contains("\u{1b}[32mran"));
    assert!(said(&[("CLICOLOR_FORCE", "1")], &[]).contains("\u{1b}[32mran"));
    for (variables, args) in [
        (vec![("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], vec![]),
        (vec![("CLICOLOR_FORCE", "1")], vec!["--color", "never"]),
        (vec![("CLICOLOR_FORCE", "0")], vec![]),
    ] {
        assert!(!said(&variables, &args).contains('\u{1b}'), "{variables:?} {args:?}");
    }
    assert_eq!(said(&[], &["-q"]).lines().count(), 1);
    let verbose = said(&[], &["-v"]);
    assert!(verbose.contains("running  a (forced)") || verbose.contains("running  a ("), "{verbose}");
}
