//! What machines have of each other's results.

use std::path::Path;
use std::process::Stdio;

use crate::space::{CHAIN, Counts, answer, files_below, wait_for};
use crate::store::{Machine, Place, Stores};

fn chain_on(place: &Place<'_>) -> Machine {
    let machine = place.machine(CHAIN);
    machine.space.write("text.txt", "b a b");
    machine
}

pub(crate) fn what_one_machine_has_done_another_does_not(stores: &Stores) {
    stores.each(|place| {
        let (one, two) = (chain_on(place), chain_on(place));
        assert_eq!(one.run(&[]), Counts(2, 0, 0, 0));
        assert_eq!(two.run(&[]), Counts(0, 2, 0, 0));
        assert_eq!(two.objects(), 0, "nothing of it was needed");
        assert_eq!(two.output("test:count.count"), "2\n");
        assert_eq!(two.objects(), 1);
        // From then on it asks nobody.
        let mut alone = two.command(&["run", "test"]);
        let alone = answer(alone.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"));
        assert_eq!((alone.code, alone.counts()), (0, Counts(0, 2, 0, 0)), "{alone:#?}");
    });
}

pub(crate) fn only_what_is_needed_is_brought(stores: &Stores) {
    stores.each(|place| {
        let (one, two) = (chain_on(place), chain_on(place));
        one.run(&[]);
        let first = "  first: { run: head -1 <$INPUT_WORDS >$OUTPUT_X, inputs: { words: { from: words } }, outputs: { x: x } }\n";
        two.space.flow(&format!("{CHAIN}{first}"));
        assert_eq!(two.run(&[]), Counts(1, 2, 0, 0));
        assert_eq!(two.output("test:first.x"), "a\n");
        assert_eq!(two.objects(), 2, "the words, and what came of them");
        // And back again.
        one.space.flow(&format!("{CHAIN}{first}"));
        assert_eq!(one.run(&[]), Counts(0, 3, 0, 0));
    });
}

pub(crate) fn folders_come_as_they_were(stores: &Stores) {
    let flow = r#"
tasks:
  make:
    run: |
      mkdir -p "$OUTPUT_OUT/deep/empty"; cd "$OUTPUT_OUT"
      echo '#!/bin/sh' >"a tool"; chmod +x "a tool"; echo text >deep/ü; ln -s deep/ü link
    outputs: { out: out }
  use:
    run: 'cd "$INPUT_OUT"; test -x "a tool" && test ! -x deep/ü && test -d deep/empty && cat link >"$OUTPUT_X"'
    inputs: { out: { from: make } }
    outputs: { x: x }
"#;
    stores.each(|place| {
        let (one, two) = (place.machine(flow), place.machine(flow));
        assert_eq!(one.run(&["make"]), Counts(1, 0, 0, 0));
        assert_eq!(two.run(&[]), Counts(1, 1, 0, 0));
        assert_eq!(two.output("test:use.x"), "text\n");
        // Part of it, by another task.
        let part =
            "  part: { run: cat <$INPUT_X >$OUTPUT_Y, inputs: { x: { from: make, at: deep/ü } }, outputs: { y: y } }\n";
        let three = place.machine(&format!("{flow}{part}"));
        assert_eq!(three.run(&["part"]), Counts(1, 1, 0, 0));
    });
}

pub(crate) fn large_files_go_in_parts(stores: &Stores) {
    let flow = r#"
tasks:
  make: { run: 'head -c 30000001 /dev/zero >"$OUTPUT_X"', outputs: { x: x } }
  use: { run: 'wc -c <"$INPUT_X" >"$OUTPUT_Y"', inputs: { x: { from: make } }, outputs: { y: y } }
"#;
    stores.each(|place| {
        let (one, two) = (place.machine(flow), place.machine(flow));
        one.run(&["make"]);
        assert_eq!(two.run(&[]), Counts(1, 1, 0, 0));
        assert_eq!(two.output("test:use.y"), "30000001\n");
    });
}

pub(crate) fn a_dry_run_predicts_and_writes_nothing(stores: &Stores) {
    stores.each(|place| {
        let (one, two) = (chain_on(place), chain_on(place));
        one.run(&[]);
        let told = two.well(&["run", "test", "-n"]);
        assert_eq!(told.counts(), Counts(0, 2, 0, 0), "{told:#?}");
        let cache = two.space.path("cache");
        assert!(!cache.exists() || files_below(&cache).is_empty());
        assert_eq!(two.run(&[]), Counts(0, 2, 0, 0));
    });
}

/// Each execution leaves a line in a file that all machines see.
fn traced(place: &Place<'_>, tasks: usize, seconds: &str) -> (tempfile::TempDir, Vec<Machine>) {
    let common = tempfile::tempdir().unwrap();
    let trace = common.path().join("trace").display().to_string();
    let flow = format!(
        r#"
tasks:
  each:
    run: 'echo "$MATRIX_N" >>{trace}; pwd >>{trace}.places; sleep {seconds}; echo "$MATRIX_N" >"$OUTPUT_X"'
    matrix: {{ n: {:?} }}
    outputs: {{ x: x }}
  all:
    run: 'echo all >>{trace}; pwd >>{trace}.places; cat "$INPUT_EACH"/*/x >"$OUTPUT_X"'
    inputs: {{ each: {{ from: each }} }}
    outputs: {{ x: x }}
"#,
        (0..tasks).collect::<Vec<_>>()
    );
    let machines = (0..3).map(|_| place.machine(&flow)).collect();
    (common, machines)
}

fn executions(common: &tempfile::TempDir) -> Vec<String> {
    let trace = std::fs::read_to_string(common.path().join("trace")).unwrap_or_default();
    let mut lines: Vec<String> = trace.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// How many of the executions took place on this machine.
fn executions_on(machine: &Machine, common: &tempfile::TempDir) -> usize {
    let places = std::fs::read_to_string(common.path().join("trace.places")).unwrap_or_default();
    places.lines().filter(|place| Path::new(place).starts_with(machine.space.path(""))).count()
}

pub(crate) fn machines_at_once_execute_each_task_once(stores: &Stores) {
    stores.each(|place| {
        let (common, machines) = traced(place, 12, "0.3");
        let runs: Vec<_> = machines
            .iter()
            .map(|machine| {
                let mut command = machine.command(&["run", "test", "--jobs", "3", "--cpus", "3"]);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let ran = executions(&common);
        let mut once = ran.clone();
        once.dedup();
        assert_eq!(ran, once);
        assert_eq!(ran.len(), 13);
        let outputs: Vec<String> = machines.iter().map(|machine| machine.output("test:all.x")).collect();
        assert!(outputs.iter().all(|output| *output == outputs[0]));
        // Nobody claims anything any more.
        if place.store.name != "gofakes3" {
            let claims = place.file("claims");
            assert!(!claims.exists() || files_below(&claims).is_empty(), "{:?}", files_below(&claims));
        }
    });
}

pub(crate) fn a_killed_machine_keeps_nobody_waiting(stores: &Stores) {
    stores.each(|place| {
        let (common, machines) = traced(place, 8, "0.4");
        let mut command = machines[0].command(&["run", "test", "--jobs", "2", "--cpus", "2"]);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("some have begun", || executions(&common).len() >= 5);
        run.kill().unwrap();
        run.wait().unwrap();
        let told = machines[1].well(&["run", "test", "--jobs", "2", "--cpus", "2"]);
        let Counts(ran, cached, 0, 0) = told.counts() else { panic!("{told:#?}") };
        assert_eq!(ran + cached, 9);
        // Those that were running when it was killed, and nothing else, ran again; a few had ended and were not shared yet.
        // (Not by what was in the trace at the kill: a task that was begun at that moment may write its line after it.)
        assert!(cached >= 2 && executions_on(&machines[1], &common) == ran, "{told:#?}");
        // What it had done it shares when it comes back.
        assert_eq!(machines[0].run(&[]).1, 9);
    });
}

pub(crate) fn what_was_done_alone_is_shared_later(stores: &Stores) {
    stores.each(|place| {
        let one = place.alone(CHAIN);
        one.space.write("text.txt", "b a b");
        one.run(&[]);
        one.share(&place.address);
        // Also where nothing is left to be run.
        assert_eq!(one.run(&[]), Counts(0, 2, 0, 0));
        assert_eq!(chain_on(place).run(&[]), Counts(0, 2, 0, 0));
    });
}

pub(crate) fn push_and_pull_bring_all(stores: &Stores) {
    stores.each(|place| {
        let one = place.alone(CHAIN);
        one.space.write("text.txt", "b a b");
        one.run(&[]);
        one.well(&["refs", "set", "words/now", "test:words.words"]);
        let refused = one.call(&["cache", "push"]);
        assert_eq!((refused.code, refused.err.contains("cache: s3://")), (2, true), "{refused:#?}");
        one.share(&place.address);
        let told = one.well(&["cache", "push"]).out;
        assert_eq!(told, format!("2 results and 1 moves of refs pushed to {}; 0 results were there\n", place.address));
        let told = one.well(&["cache", "push"]).out;
        assert_eq!(told, format!("0 results and 0 moves of refs pushed to {}; 2 results were there\n", place.address));
        let two = chain_on(place);
        let told = two.well(&["cache", "pull"]).out;
        let expected = format!("2 results and 2 artifacts pulled from {}; 1 refs are known here\n", place.address);
        assert_eq!(told, expected);
        // All is there, also without the others.
        std::fs::remove_file(two.space.path("ghtrader.yaml")).unwrap();
        assert_eq!(two.run(&[]), Counts(0, 2, 0, 0));
        assert_eq!(two.output("words/now"), "a\nb\n");
        assert_eq!(two.well(&["cache", "verify"]).code, 0);
    });
}

pub(crate) fn what_waits_for_another_machine_keeps_no_lock(stores: &Stores) {
    let flow = r#"
tasks:
  long: { run: 'touch @/begun; sleep 5; echo x >"$OUTPUT_X"', outputs: { x: x }, locks: [seat] }
  short: { run: 'true', locks: [seat], cache: false }
"#;
    let place = stores.one("gofakes3");
    let one = place.machine(flow);
    // The same command, so the same key.
    let two = place.machine(&flow.replace("@/", &format!("{}/", one.space.root().display())));
    let start = |machine: &Machine| {
        let mut command = machine.command(&["run", "test", "long", "--format", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = start(&one);
    wait_for("the claim", || one.space.exists("begun"));
    let missed = two.call(&["run", "test", "long", "--no-wait"]);
    assert!(missed.code == 3 && missed.err.contains(" is held by long (process "), "{missed:#?}");
    let second = start(&two);
    std::thread::sleep(std::time::Duration::from_secs(1));
    two.well(&["run", "test", "short", "--no-wait"]);
    assert!(first.try_wait().unwrap().is_none(), "the machine was too slow to show anything");
    assert!(first.wait().unwrap().success());
    let events = String::from_utf8(second.wait_with_output().unwrap().stdout).unwrap();
    assert!(events.contains(r#""event":"waiting","task":"long""#), "{events}");
    assert!(events.contains(r#""ran":0,"cached":1"#), "{events}");
}

pub(crate) fn results_that_differ_are_both_kept(stores: &Stores) {
    let flow = "tasks:\n  a: { run: 'date +%N >$OUTPUT_X', outputs: { x: x } }\n";
    stores.each(|place| {
        let (one, two) = (place.alone(flow), place.alone(flow));
        one.run(&[]);
        two.run(&[]);
        let outputs = [&one, &two].map(|machine| machine.output("test:a.x"));
        for machine in [&one, &two] {
            machine.share(&place.address);
            machine.run(&[]);
        }
        // What a machine has done itself counts there.
        assert_eq!([&one, &two].map(|machine| machine.output("test:a.x")), outputs);
        let three = place.machine(flow);
        assert_eq!(three.run(&[]), Counts(0, 1, 0, 0));
        assert!(outputs.contains(&three.output("test:a.x")));
        if place.store.name != "gofakes3" {
            assert_eq!(files_below(&place.file("results")).len(), 2);
        }
        three.run(&["--force", "a"]);
        assert!(!outputs.contains(&three.output("test:a.x")));
        if place.store.name != "gofakes3" {
            assert_eq!(files_below(&place.file("results")).len(), 3);
        }
    });
}
