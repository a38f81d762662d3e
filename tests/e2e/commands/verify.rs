//! `verify FLOW`: which tasks are not deterministic.

use crate::space::{Counts, Space, wait_for};

fn space() -> Space {
    let space = Space::with_flow(
        r#"
tasks:
  steady: { run: 'cp $INPUT_X $OUTPUT_A', inputs: { x: { path: x.txt } }, outputs: { a: a.txt }, publish: { a: out/a.txt } }
  random: { run: 'echo $RANDOM$RANDOM$RANDOM >$OUTPUT_B; cp $INPUT_A $OUTPUT_C', inputs: { a: { from: steady } }, outputs: { b: b.txt, c: c.txt } }
  after: { run: 'cp $INPUT_B $OUTPUT_D', inputs: { b: { from: random.b } }, outputs: { d: d.txt }, locks: [one] }
"#,
    );
    space.write("x.txt", "x");
    space
}

#[test]
fn a_task_whose_bytes_differ_is_named_with_both_hashes_and_nothing_recorded_changes() {
    let space = space();
    space.up_to_date(&[]);
    let recorded = space.call(&["get", "test:random.b", "-o", "b.txt"]).out[..64].to_owned();
    let verified = space.call(&["verify", "test", "-v"]);
    assert_eq!(verified.code, 1, "{verified:#?}");
    let out = &verified.out;
    assert!(out.contains("differs  random.b") && out.contains(&format!("recorded {recorded}")), "{verified:#?}");
    assert!(
        !out.contains("random.c") && out.contains("same     steady") && out.contains("same     after"),
        "{verified:#?}"
    );
    assert!(out.ends_with("2 same, 1 differ, 0 failed, 0 not recorded\n"), "{verified:#?}");
    // What it wrote now is there for a look.
    let folder = out.lines().find_map(|line| line.trim().strip_prefix("what it wrote now is in ")).unwrap();
    let now = std::fs::read_to_string(std::path::Path::new(folder).join("b.txt")).unwrap();
    assert_ne!(now, space.read("b.txt"));

    assert_eq!(space.up_to_date(&[]), Counts(0, 3, 0, 0));
    assert_eq!(space.call(&["get", "test:random.b", "-o", "b.txt"]).out[..64], recorded);
    assert_eq!(space.call(&["runs"]).out.lines().count(), 3, "verify is no run");
}

#[test]
fn what_never_ran_or_is_out_of_date_is_said_to_be_and_a_failure_is_one() {
    let space = space();
    space.up_to_date(&["steady"]);
    let verified = space.call(&["verify", "test"]);
    assert_eq!(verified.code, 0, "{verified:#?}");
    assert!(verified.out.contains("not run  random (has no recorded result)"), "{verified:#?}");
    assert!(verified.out.contains("not run  after (waits for random"), "{verified:#?}");
    assert!(verified.out.ends_with("1 same, 0 differ, 0 failed, 2 not recorded\n"), "{verified:#?}");

    let fails = Space::with_flow("tasks: { a: { run: 'echo said; [ ! -e MARK ]' } }");
    let mark = fails.path("mark");
    fails.flow(&fails.read("flows/test.yaml").replace("MARK", &mark.display().to_string()));
    fails.up_to_date(&[]);
    fails.write("mark", "");
    let verified = fails.call(&["verify", "test"]);
    assert_eq!(verified.code, 1, "{verified:#?}");
    assert!(verified.out.contains("failed   a: exit status 1"), "{verified:#?}");
    let log = verified.out.lines().find_map(|line| line.trim().strip_prefix("log ")).unwrap();
    assert_eq!(std::fs::read_to_string(log).unwrap(), "said\n");
}

#[test]
fn a_sample_is_drawn_with_a_seed_that_draws_it_again() {
    let space = Space::with_flow(
        "tasks: { a: { matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, run: 'echo $MATRIX_N >$OUTPUT_A', outputs: { a: a } } }",
    );
    space.up_to_date(&[]);
    let first = space.call(&["verify", "test", "--sample", "3", "-v"]);
    assert!(first.out.contains("3 of 9 recorded tasks") && first.out.contains("3 same"), "{first:#?}");
    let seed = first.out.split_whitespace().skip_while(|word| *word != "--seed").nth(1).unwrap();
    let again = space.call(&["verify", "test", "--sample", "3", "-v", "--seed", seed]);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&first.out), sorted(&again.out));
}

#[test]
fn what_a_kind_measures_may_differ() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = Space::with_flow("tasks: { a: { uses: clock } }");
    let program = r#"#!/bin/sh
case $1 in
describe) cat <<JSON
{"contract": 1, "kinds": [{"name": "clock", "about": "Measures", "code": "1", "params": {"type": "object"}, "inputs": {},
 "outputs": {"said": {"type": "file", "path": "said"}, "took": {"type": "file", "path": "took", "measured": MEASURED}}}]}
JSON
;;
run) echo x >"$OUTPUT_SAID"; cat /proc/sys/kernel/random/uuid >"$OUTPUT_TOOK" ;;
esac
"#;
    for (measured, code) in [("true", 0), ("false", 1)] {
        space.write("bin/ghtrader-tasks-clock", &program.replace("MEASURED", measured));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(space.path("bin/ghtrader-tasks-clock"), executable).unwrap();
        for (words, code) in [(["run", "test"], 0), (["verify", "test"], code)] {
            let told = crate::space::answer(space.command(&words).env("GHTRADER_TASKS", space.path("bin")));
            assert_eq!(told.code, code, "{measured} {told:#?}");
        }
    }
}

#[test]
fn a_lock_that_verify_waits_for_is_named() {
    let space = Space::with_flow("tasks: { a: { run: 'echo x >$OUTPUT_X', outputs: { x: x }, locks: [one] } }");
    space.up_to_date(&[]);
    space
        .flow_named("holds", "tasks: { h: { run: 'touch HERE; until [ -e GO ]; do sleep 0.05; done', locks: [one] } }");
    let held = space.read("flows/holds.yaml").replace("HERE", &space.path("here").display().to_string());
    space.flow_named("holds", &held.replace("GO", &space.path("go").display().to_string()));
    let mut holder = space.spawn(&["run", "holds"]);
    wait_for("the lock", || space.exists("here") || holder.try_wait().unwrap().is_some());
    assert!(space.exists("here"), "{:?}", holder.wait_with_output());
    let verify = space.spawn(&["verify", "test"]);
    wait_for("verify", || space.call(&["locks"]).out.contains("waited for by a"));
    space.write("go", "");
    let told = String::from_utf8(verify.wait_with_output().unwrap().stdout).unwrap();
    assert!(told.contains("waits    a for lock one, held by h of "), "{told}");
    assert!(holder.wait_with_output().unwrap().status.success());
}
