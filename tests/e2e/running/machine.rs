//! What a machine has, and who gets it.

use std::process::Command;

use crate::space::{Counts, Space, answer};

#[test]
fn optional_devices_are_done_without() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo \"[$CUDA_VISIBLE_DEVICES]\" >$OUTPUT_X', resources: { gpu: { count: 1, optional: true } }, outputs: { x: x }, publish: { x: x.txt } }\n",
    );
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "[]\n");
}

#[test]
fn more_than_the_machine_has_is_refused_before_anything_runs() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo x >$OUTPUT_X', outputs: { x: x } }
  b: { run: 'true', resources: { gpu: 2 } }
"#,
    );
    let refused = space.run(&["--gpus", "1"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.err.contains("`b` cannot run here: it asks for 2 gpu, and this machine has 1"), "{refused:#?}");
    assert_eq!(space.up_to_date(&["--gpus", "2"]), Counts(2, 0, 0, 0));
}

#[test]
fn devices_are_given_by_index_and_not_twice() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "$CUDA_VISIBLE_DEVICES" >$OUTPUT_X; sleep 0.3'
    matrix: { n: [1, 2, 3, 4] }
    resources: { gpu: 1, cpu: 0 }
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | xargs cat | sort >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    assert_eq!(space.up_to_date(&["--gpus", "2,5", "--jobs", "8"]), Counts(5, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "2\n2\n5\n5\n");
}

#[test]
fn a_dependent_that_asks_for_too_much_is_refused_before_anything_runs() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo x >$OUTPUT_X', outputs: { x: x } }
  b: { run: 'true', needs: [a], resources: { gpu: 2 } }
"#,
    );
    for args in [vec!["--gpus", "1"], vec!["--gpus", "1", "-n"]] {
        let refused = space.run(&args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.err.contains("it asks for 2 gpu, and this machine has 1"), "{refused:#?}");
    }
    assert_eq!(space.call(&["run", "test", "a"]).counts(), Counts(1, 0, 0, 0), "`a` alone does not need them");
}

#[test]
fn every_resource_is_judged_before_anything_runs() {
    for (request, part) in [
        ("{ cpu: 9 }", "cpu"),
        ("{ memory: 2GiB }", "memory"),
        ("{ gpu: 3 }", "gpu"),
        ("{ gpu: { count: 3 } }", "gpu"),
        ("{ tqsdk: 1 }", "tqsdk"),
    ] {
        let space = Space::with_flow(&format!(
            "tasks:\n  a: {{ run: 'touch @/ran' }}\n  b: {{ run: 'true', needs: [a], resources: {request} }}\n"
        ));
        space.refused(&["--cpus", "4", "--memory", "1GiB", "--gpus", "2"], 2, &["`b`", part]);
        assert!(!space.exists("ran"), "{request}");
    }
}

/// Two chains of short tasks keep one core busy each at any time: whoever waits for two cores would never get them.
#[test]
fn a_large_request_does_not_starve_behind_small_ones() {
    let space = Space::with_flow(
        r#"
tasks:
  small:
    run: 'sleep 0.0$((4 + 2 * MATRIX_CHAIN)); echo small >>@/order; echo x >$OUTPUT_X'
    matrix: { chain: [0, 1], n: [1, 2, 3, 4, 5, 6, 7, 8] }
    inputs: { before: { from: small.x, where: { n: "${{ n - 1 if n > 1 else none }}" }, optional: true } }
    outputs: { x: x }
  large: { run: 'echo large >>@/order', resources: { cpu: 2 } }
"#,
    );
    assert_eq!(space.up_to_date(&["--cpus", "2", "--jobs", "8"]), Counts(17, 0, 0, 0));
    let order = space.read("order");
    let place = order.lines().position(|line| line == "large").unwrap();
    assert!(place <= 6, "it waits for those that run, not for all: {order}");
}

#[test]
fn priority_goes_first_among_the_ready_and_ties_to_the_longest_remaining_path() {
    let space = Space::with_flow(
        r#"
tasks:
  one: { run: 'echo one >>@/order' }
  two: { run: 'echo two >>@/order', priority: 5 }
  head: { run: 'echo head >>@/order', outputs: {} }
  tail: { run: 'echo tail >>@/order', needs: [head] }
"#,
    );
    space.up_to_date(&["--jobs", "1"]);
    let order = space.read("order");
    assert!(order.starts_with("two\nhead\n"), "{order}");
}

#[test]
fn at_most_that_many_tasks_run_at_once() {
    let flow = r#"
tasks:
  a:
    run: 'mkdir @/running/$MATRIX_N; ls @/running | wc -l >>@/counts; sleep 0.05; rmdir @/running/$MATRIX_N'
    matrix: { n: [1, 2, 3, 4, 5, 6] }
    RESOURCES
"#;
    for (resources, args) in [
        ("resources: { cpu: 0 }", ["--jobs", "2"]),
        ("resources: { cpu: 2 }", ["--cpus", "4"]),
        ("resources: { cpu: 0.5 }", ["--cpus", "1"]),
        ("resources: { cpu: 0, memory: 1GiB }", ["--memory", "2GiB"]),
        ("resources: { cpu: 0, gpu: 0.5 }", ["--gpus", "1"]),
    ] {
        let space = Space::with_flow(&flow.replace("RESOURCES", resources));
        std::fs::create_dir(space.path("running")).unwrap();
        let jobs: &[&str] = if args[0] == "--jobs" { &[] } else { &["--jobs", "6"] };
        space.up_to_date(&[&args[..], jobs].concat());
        let most = space.read("counts").lines().map(|line| line.trim().parse::<usize>().unwrap()).max();
        assert!(most <= Some(2), "{resources}: {most:?}");
    }
}

#[test]
fn a_gang_is_given_all_its_devices_together() {
    let space = Space::with_flow(
        r#"
tasks:
  gang:
    run: 'echo "$CUDA_VISIBLE_DEVICES" >>@/seen; sleep 0.05'
    matrix: { n: [1, 2, 3] }
    resources: { gpu: 2, cpu: 0 }
"#,
    );
    space.up_to_date(&["--gpus", "3", "--jobs", "3"]);
    for line in space.read("seen").lines() {
        assert_eq!(line.split(',').count(), 2, "{line}");
    }
    let none = Space::with_flow("tasks:\n  a: { run: 'echo \"[${CUDA_VISIBLE_DEVICES-unset}]\" >@/seen' }\n");
    none.up_to_date(&["--gpus", "2"]);
    assert_eq!(none.read("seen"), "[]\n", "empty where none was asked for");
}

#[test]
fn a_task_is_told_what_it_may_use() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "$GHTRADER_CPUS $OMP_NUM_THREADS $RAYON_NUM_THREADS $POLARS_MAX_THREADS $GHTRADER_MEMORY" >@/seen'
    resources: { cpu: 2, memory: 1GiB }
"#,
    );
    space.up_to_date(&["--cpus", "3", "--memory", "2GiB"]);
    assert_eq!(space.read("seen"), "2 2 2 2 1073741824\n");
}

/// A terminal gives 1,024, and each task needs several; the programs that tasks start may go by it.
#[test]
fn more_files_may_be_open_than_the_usual_limit_says_and_tasks_have_that_limit() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'sleep 0.5; ulimit -Sn >$OUTPUT_X'
    matrix: { n: "${{ range(40) | list }}" }
    resources: { cpu: 0 }
    locks: ["one-${{ n }}", { key: all, mode: shared }]
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | xargs cat | sort -u >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    let run = space.command(&["run", "test", "--jobs", "40"]);
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -Sn 80; exec \"$@\"", "bash"]).arg(run.get_program()).args(run.get_args());
    limited.current_dir(space.root());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let answer = answer(&mut limited);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert_eq!(answer.counts(), Counts(41, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "80\n");
}

#[test]
fn all_that_is_known_to_be_wrong_is_said_at_once_with_its_place() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'touch @/ran'
    inputs:
      x: { path: nothere }
      y: { ref: no/ref }
    resources: { cpu: 64, gpu: 3, tqsdk: 1 }
  b: { run: 'true', inputs: { r: { ref: no/other } } }
"#,
    );
    assert_eq!(space.call(&["check", "test"]).code, 0, "the file is valid");
    for args in [&["--cpus", "2"][..], &["--cpus", "2", "-n"]] {
        let refused = space.run(args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        for (place, part) in [
            ("6:18", "input `x` is not there"),
            ("7:17", "no/ref"),
            ("8:23", "`a` cannot run here: it asks for 64 cpu, and this machine has 2"),
            ("8:32", "`a` cannot run here: it asks for 3 gpu, and this machine has 0"),
            ("8:42", "`a` cannot run here: it asks for 1 tqsdk, and this machine has 0"),
            ("9:41", "no/other"),
        ] {
            let told = format!("flows/test.yaml:{place}");
            assert!(refused.err.contains(&told) && refused.err.contains(part), "{told} {part}: {}", refused.err);
        }
        assert!(!space.exists("ran"));
    }
}

#[test]
fn a_task_that_uses_more_than_its_memory_says_so_and_how_to_raise_it() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'cat /proc/self/cgroup >@/groups; head -c 200000000 /dev/zero | tail -c 200000000 | wc -c'
    resources: { memory: 64MiB }
"#,
    );
    let ended = space.run(&[]);
    if !space.read("groups").contains("/ghtrader-") {
        eprintln!("skipped: no control group with a limit can be made here");
        assert_eq!(ended.code, 0, "where it cannot be held, it is not: {ended:#?}");
        return;
    }
    assert_eq!(ended.code, 1, "{ended:#?}");
    let told = "a failed: killed: it used more than its memory of 64MiB (raise `memory` in its `resources`) after ";
    assert!(ended.err.contains(told), "{}", ended.err);
}
