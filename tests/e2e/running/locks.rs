//! Locks that flows name.

use std::time::Duration;

use crate::space::{Counts, Space};

#[test]
fn a_lock_keeps_two_flows_apart() {
    let flow = |text: &str| {
        format!(
            r#"
tasks:
  write:
    run: 'mkdir "${{{{ params.folder }}}}" || exit 7; sleep 0.5; rmdir "${{{{ params.folder }}}}"; echo {text} >$OUTPUT_X'
    outputs: {{ x: x }}
    locks: ["table=ticks"]
params: {{ folder: {{ type: string, required: true }} }}
"#
        )
    };
    let space = Space::with_flow(&flow("one"));
    space.write("flows/two.yaml", &flow("two"));
    let folder = format!("folder={}", space.path("table").display());
    let one = space.spawn(&["run", "test", "-p", &folder]);
    let two = space.spawn(&["run", "two", "-p", &folder]);
    for runner in [one, two] {
        let output = runner.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_lock_that_is_not_got_is_exit_3_and_locks_says_who_holds_it() {
    let space = Space::with_flow(
        r#"
tasks:
  hold: { run: 'touch "${{ params.file }}"; sleep 3; echo x >$OUTPUT_X', outputs: { x: x }, locks: ["table=ticks"] }
params: { file: { type: string, required: true } }
"#,
    );
    space.write("flows/two.yaml", "tasks:\n  want: { run: 'true', locks: ['table=ticks'] }\n");
    let file = format!("file={}", space.path("held").display());
    let holder = space.spawn(&["run", "test", "-p", &file]);
    while !space.exists("held") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let refused = space.call(&["run", "two", "--no-wait"]);
    assert_eq!(refused.code, 3, "{refused:#?}");
    let locks = space.call(&["locks"]);
    assert!(locks.out.contains("table=ticks") && locks.out.contains("hold"), "{locks:#?}");
    let waited = space.call(&["run", "two"]);
    assert_eq!((waited.code, waited.counts()), (0, Counts(1, 0, 0, 0)), "{waited:#?}");
    assert!(waited.err.contains("waiting  want for the lock table=ticks"), "{waited:#?}");
    assert!(holder.wait_with_output().unwrap().status.success());
    assert_eq!(space.call(&["locks"]).out, "no lock is held\n");
}
