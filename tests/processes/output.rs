//! What is read of a task's output.

use ghtrader::execute::Exit;

use crate::Bench;

/// The last that a task wrote is read when it has ended, however large its pipe is.
#[test]
fn nothing_is_lost_of_what_a_task_wrote_before_it_ended() {
    let bench = Bench::new();
    let script = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero";
    assert_eq!(bench.run(1, script).0, Exit::Code(0));
    assert_eq!(std::fs::metadata(bench.file("1.log")).unwrap().len(), 6_000_000);
}
