//! `run --watch`: an edit runs again what it concerns.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::space::Space;

struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    fn start(space: &Space, args: &[&str]) -> Self {
        let mut child = space.spawn(&[&["run", "test", "--watch"], args].concat());
        let (sender, lines) = channel();
        let error = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(error)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self { child, lines }
    }

    /// The lines until the program waits for a change.
    fn until_waiting(&self) -> String {
        let mut said = String::new();
        loop {
            let line =
                self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("it hangs after:\n{said}"));
            if line.starts_with("watching") {
                return said;
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    fn interrupt(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

const FLOW: &str = r#"
tasks:
  a: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { path: a.txt } }, outputs: { x: x } }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { path: data/b.txt } }, outputs: { x: x } }
  c: { run: 'cat $INPUT_A $INPUT_B >$OUTPUT_X', inputs: { a: { from: a }, b: { from: b } }, outputs: { x: x } }
"#;

fn space() -> Space {
    let space = Space::with_flow(FLOW);
    space.write("a.txt", "1");
    space.write("data/b.txt", "b1");
    space
}

#[test]
fn an_edit_runs_again_only_what_it_concerns() {
    let space = space();
    let watched = Watched::start(&space, &[]);
    let said = watched.until_waiting();
    assert!(said.contains("3 ran, 0 cached"), "{said}");
    space.write("data/b.txt", "b2");
    let said = watched.until_waiting();
    assert!(said.contains("2 ran, 1 cached") && !said.contains("ran      a"), "{said}");
    // A file that is replaced, and one whose content stays.
    space.write("data/new", "b2");
    std::fs::rename(space.path("data/new"), space.path("data/b.txt")).unwrap();
    space.write("a.new", "2");
    std::fs::rename(space.path("a.new"), space.path("a.txt")).unwrap();
    let said = watched.until_waiting();
    assert!(said.contains("2 ran, 1 cached") && !said.contains("ran      b"), "{said}");
    assert_eq!(watched.interrupt(), 130);
}

#[test]
fn a_broken_flow_is_reported_and_watched_on() {
    let space = space();
    let watched = Watched::start(&space, &[]);
    watched.until_waiting();
    space.flow("tasks:\n  a: { rum: 'true' }\n");
    let said = watched.until_waiting();
    assert!(said.contains("did you mean `run`?"), "{said}");
    space.flow(&FLOW.replace("cat $INPUT_A $INPUT_B", "cat $INPUT_B $INPUT_A"));
    assert!(watched.until_waiting().contains("1 ran, 2 cached"));
    std::fs::remove_file(space.path("a.txt")).unwrap();
    let said = watched.until_waiting();
    assert!(said.contains("input `x` is not there"), "{said}");
    space.write("a.txt", "9");
    assert!(watched.until_waiting().contains("2 ran, 1 cached"));
    assert_eq!(watched.interrupt(), 130);
}

#[test]
fn an_edit_made_while_the_flow_runs_is_seen() {
    let space = Space::with_flow(
        r#"
params: { started: { type: string, required: true } }
tasks:
  quick: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { path: x.txt } }, outputs: { x: x }, priority: 9 }
  slow: { run: 'touch "${{ params.started }}"; while test -e "${{ params.started }}"; do sleep 0.05; done', needs: [quick] }
"#,
    );
    space.write("x.txt", "1");
    let started = space.path("started");
    let watched = Watched::start(&space, &["-p", &format!("started={}", started.display())]);
    while !started.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    space.write("x.txt", "2");
    std::fs::remove_file(&started).unwrap();
    let said = watched.until_waiting();
    assert!(said.contains("2 ran, 0 cached") && said.contains("1 ran, 1 cached"), "{said}");
    assert_eq!(watched.interrupt(), 130);
}

#[test]
fn a_dry_run_shows_the_plan_again() {
    let space = space();
    let watched = Watched::start(&space, &["-n"]);
    assert!(watched.until_waiting().contains("3 ran, 0 cached"));
    space.flow(&FLOW.replace("  c:", "  d:"));
    let said = watched.until_waiting();
    assert!(said.contains("may run  d"), "{said}");
    assert_eq!(watched.interrupt(), 130);
    assert!(!space.exists("cache"));
}

#[test]
fn a_file_that_a_pattern_finds_is_a_change() {
    let space = Space::with_flow("tasks:\n  a: { run: 'echo ${{ files(\"data/*.csv\") | join(\" \") }}' }\n");
    space.write("data/1.csv", "");
    let watched = Watched::start(&space, &[]);
    watched.until_waiting();
    space.write("data/2.csv", "");
    assert!(watched.until_waiting().contains("1 ran, 0 cached"));
    assert_eq!(watched.interrupt(), 130);
}
