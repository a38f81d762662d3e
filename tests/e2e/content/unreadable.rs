//! A part of a key that cannot be read fails the run with a clear error; there is never a key of the other parts.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::space::{Counts, Space};

/// A task that reads `input`, and one that runs anyway where a run begins at all.
fn space(input: &str) -> Space {
    Space::with_flow(&format!(
        "tasks:\n  free: {{ run: 'touch @/ran' }}\n  a: {{ run: 'ls $INPUT_X >$OUTPUT_X', inputs: {{ x: {{ path: {input} }} }}, outputs: {{ x: x }} }}\n"
    ))
}

fn refused(space: &Space, parts: &[&str]) {
    for args in [&[][..], &["-n"]] {
        space.refused(args, 2, parts);
    }
    assert!(!space.exists("ran"), "nothing has run");
}

/// Reading it fails also for the superuser.
const UNREADABLE: &str = "/proc/self/mem";

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let space = space("x.txt");
    std::os::unix::fs::symlink(UNREADABLE, space.path("x.txt")).unwrap();
    refused(&space, &["x.txt"]);
}

#[test]
fn a_file_deep_in_a_folder_that_cannot_be_read_is_an_error() {
    // In a process's own folder, `mem` among others.
    let space = space("/proc/self/task");
    refused(&space, &["/proc/self/task"]);
}

#[test]
fn a_pipe_is_no_input() {
    for input in ["pipe", "folder"] {
        let space = space(input);
        space.write("folder/deep/file", "");
        for pipe in ["pipe", "folder/deep/pipe"] {
            assert!(Command::new("mkfifo").arg(space.path(pipe)).status().unwrap().success());
        }
        refused(&space, &["pipe"]);
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_an_error_that_shows_it() {
    let space = space("folder");
    space.write("folder/deep/file", "");
    std::fs::write(space.path("folder/deep").join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    refused(&space, &["folder/deep", "caf"]);
}

#[test]
fn a_loop_of_links_is_an_error() {
    let space = space("x.txt");
    std::os::unix::fs::symlink("x.txt", space.path("x.txt")).unwrap();
    refused(&space, &["x.txt"]);
}

#[test]
fn a_variable_that_is_not_utf_8_is_an_error() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true', env: [WORD] }\n");
    let mut command = space.command(&["run", "test"]);
    let answer = crate::space::answer(command.env("WORD", std::ffi::OsStr::from_bytes(b"caf\xe9")));
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("WORD"), "{answer:#?}");
}

#[test]
fn an_input_that_becomes_unreadable_while_the_flow_runs_fails_its_task() {
    let space = Space::with_flow(
        r#"
tasks:
  first: { run: 'rm @/x.txt; ln -s /proc/self/mem @/x.txt; echo x >$OUTPUT_X', outputs: { x: x } }
  a: { run: 'true', inputs: { x: { path: x.txt }, first: { from: first } } }
"#,
    );
    space.write("x.txt", "");
    let answer = space.refused(&[], 1, &["x.txt"]);
    assert_eq!(answer.counts(), Counts(1, 0, 1, 0), "{answer:#?}");
}
