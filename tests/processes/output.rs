//! What is read of a task's output.

use std::time::Duration;

use ghtrader::execute::{ExecEvent, Executor as _, Exit, Job};

use crate::{Bench, LONG};

/// A shell script that starts more writers than one reader can keep up with, of short lines.
pub(crate) const FLOOD: &str = "yes '' & yes '' & yes '' & yes '' &";

#[test]
fn a_flood_of_output_keeps_nothing_else_waiting() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/dev/null", bench.file("1.log")).unwrap();
    let flood = format!("echo ::progress 1/1 begun; {FLOOD} wait");
    bench.executor.start(Job { timeout: Some(Duration::from_secs(2)), ..bench.job(1, &flood) });
    bench.executor.start(bench.job(2, "sleep 0.3; echo ::metric two=2"));
    let mut ended = Vec::new();
    while ended.len() < 2 {
        match bench.events.recv_timeout(LONG).expect("something is heard while a task writes") {
            ExecEvent::Exited { id, exit, .. } => ended.push((id, exit)),
            ExecEvent::Metric { id: 2, .. } => assert!(ended.is_empty()),
            _ => {}
        }
    }
    assert_eq!(ended, [(2, Exit::Code(0)), (1, Exit::Timeout)]);
}

/// The last that a task wrote is read when it has ended, however large its pipe is.
#[test]
fn nothing_is_lost_of_what_a_task_wrote_before_it_ended() {
    let bench = Bench::new();
    let script = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero";
    assert_eq!(bench.run(1, script).0, Exit::Code(0));
    assert_eq!(std::fs::metadata(bench.file("1.log")).unwrap().len(), 6_000_000);
}
