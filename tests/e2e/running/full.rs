//! A disk that is full: what is said to be recorded is, and nothing else fills the cache.

use std::path::PathBuf;
use std::process::Command;

use crate::space::{Answer, Space, files_below};

/// A small file system of its own, for a cache.
pub(crate) struct Small(PathBuf);

impl Small {
    /// `None`, with a reason on standard error, where this user may mount nothing.
    pub(crate) fn mount(space: &Space, size: &str) -> Option<Self> {
        let path = space.path("small");
        std::fs::create_dir(&path).unwrap();
        let options = format!("size={size},nr_inodes=0");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }
}

impl Small {
    /// Somebody has made room.
    pub(crate) fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Runs on a disk that is filled by that; what is told to have run is what a later run finds.
fn fills(flow: &str, size: &str) {
    let space = Space::with_flow(flow);
    let Some(small) = Small::mount(&space, size) else { return };
    let answer = space.run(&["--cache", "small", "-k", "--jobs", "4"]);
    // Behind it may be that the run itself could not be recorded.
    let end = answer.err.lines().position(|line| line.contains(" skipped in ")).unwrap();
    let lines: Vec<&str> = answer.err.lines().take(end + 1).collect();
    let told = Answer { err: lines.join("\n"), ..Answer::clone(&answer) }.counts();
    assert!(told.0 > 0 && told.2 > 0, "{answer:#?}");
    assert!(!answer.err.contains("finished tasks are kept"), "{answer:#?}");
    let known = space.run(&["--cache", "small", "-n"]);
    assert_eq!(known.counts().1, told.0, "{answer:#?}\n{known:#?}");
    assert_eq!(files_below(&small.0.join("v1/objects")).len(), told.0, "an object for each of them");
}

#[test]
fn large_outputs_that_fill_the_disk() {
    fills(
        "tasks: { t: { matrix: { n: '${{ range(8)|list }}' }, run: 'head -c 700000 /dev/urandom >$OUTPUT_O', \
         outputs: { o: o } } }",
        "3m",
    );
}

#[test]
fn many_results_that_fill_the_disk() {
    fills(
        "tasks: { t: { matrix: { n: '${{ range(150)|list }}' }, run: 'echo $MATRIX_N >$OUTPUT_O', outputs: { o: o } } }",
        "600k",
    );
}
