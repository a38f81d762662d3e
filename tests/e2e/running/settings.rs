//! `ghtrader.yaml`: what a project says of its machine.

use crate::space::{Counts, Space};

#[test]
fn the_settings_of_a_project_say_what_its_machine_has() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "$CUDA_VISIBLE_DEVICES $GHTRADER_MEMORY" >$OUTPUT_X'
    resources: { cpu: 64, gpu: 2, seat: 0.5 }
    outputs: { x: x }
    cache: false
"#,
    );
    space.write(
        "ghtrader.yaml",
        "machine: { cpus: 64, memory: 3GiB, gpus: [2, 5, 6], tokens: { seat: 1 } }\n# and no more\n",
    );
    space.up_to_date(&[]);
    assert_eq!(space.output("test:a.x"), format!("5,6 {}\n", 3_u64 << 30));
    space.up_to_date(&["--gpus", "0,1", "--memory", "2GiB"]);
    assert_eq!(space.output("test:a.x"), format!("0,1 {}\n", 2_u64 << 30), "what the call says goes before");
    space.refused(&["--cpus", "8"], 2, &["it asks for 64 cpu, and this machine has 8"]);
}

#[test]
fn a_declared_token_is_a_resource_like_another() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'mkdir @/running/$MATRIX_N; ls @/running | wc -l >>@/counts; sleep 0.05; rmdir @/running/$MATRIX_N'
    matrix: { n: [1, 2, 3, 4, 5, 6] }
    resources: { cpu: 0, tqsdk: 2 }
"#,
    );
    space.write("ghtrader.yaml", "machine: { tokens: { tqsdk: 4 } }\n");
    std::fs::create_dir(space.path("running")).unwrap();
    assert_eq!(space.up_to_date(&["--jobs", "6"]), Counts(6, 0, 0, 0));
    assert_eq!(space.read("counts").lines().map(str::trim).max(), Some("2"));
}

#[test]
fn a_token_that_is_not_declared_is_refused_and_those_that_are_are_named() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'touch @/ran' }\n  b: { run: 'true', needs: [a], resources: { tqskd: 1, seats: 1 } }\n",
    );
    space.write("ghtrader.yaml", "machine: { tokens: { tqsdk: 4 } }\n");
    let parts = [
        "`b` cannot run here: it asks for 1 tqskd, and this machine has 0",
        "did you mean `tqsdk`? known here: cpu, memory, tqsdk, gpu",
        "`b` cannot run here: it asks for 1 seats, and this machine has 0",
        "ghtrader.yaml declares others: machine: { tokens: { seats: 1 } }",
    ];
    space.refused(&[], 2, &parts);
    space.refused(&["-n"], 2, &parts);
    assert!(!space.exists("ran"));
}

#[test]
fn all_that_is_wrong_with_the_settings_is_told_with_its_place() {
    let space = Space::with_flow("tasks:\n  a: { run: 'touch @/ran' }\n");
    space.write("ghtrader.yaml", "machine:\n  cpu: 4\n  memory: plenty\ncaches: s3\n");
    let parts = ["ghtrader.yaml:2:3", "did you mean `cpus`?", "ghtrader.yaml:3:11", "a size is", "ghtrader.yaml:4:1"];
    space.refused(&[], 2, &parts);
    assert_eq!(space.call(&["check", "test"]).code, 2);
    assert!(!space.exists("ran"));
}

#[test]
fn check_says_what_run_would_refuse_here() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'true', resources: { gpu: 2 } }\n  b: { run: 'true', when: false, resources: { gpu: 2 } }\n",
    );
    let checked = space.call(&["check", "test"]);
    assert_eq!(checked.code, 0, "the file is valid, whatever the machine has: {checked:#?}");
    assert_eq!(checked.out, "flows/test.yaml is valid: 2 tasks\n");
    let told = "notice: flows/test.yaml:2:39: `a` cannot run here: it asks for 2 gpu, and this machine has 0\n  help: ";
    assert!(checked.err.starts_with(told), "{checked:#?}");
    assert_eq!(checked.err.matches("cannot run here").count(), 1, "whether `b` runs is not known");
    space.write("ghtrader.yaml", "machine: { gpus: 2 }\n");
    assert_eq!(space.call(&["check", "test"]).err, "");
}

#[test]
fn what_counts_as_nothing_or_cannot_be_counted_is_refused_with_its_place() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'touch @/ran', resources: { gpu: 0.0001 } }\n  b: { run: 'true', resources: { cpu: 1e300, seat: 0.0004 } }\n",
    );
    space.refused(
        &["--gpus", "1"],
        2,
        &[
            "`gpu` is less than 0.001",
            "`cpu` is more than 1000000000",
            "flows/test.yaml:3:39",
            "`seat` is less than 0.001",
            "flows/test.yaml:3:52",
        ],
    );
    space.flow("tasks:\n  a: { run: 'touch @/ran' }\n");
    space.write("ghtrader.yaml", "machine: { cpus: 0.0001 }\n");
    space.refused(&[], 2, &["`cpus` is less than 0.001", "ghtrader.yaml:1:18"]);
    assert!(!space.exists("ran"));
}

#[test]
fn devices_have_to_be_named_where_they_are_to_be_declared() {
    let space = Space::with_flow("tasks:\n  a: { run: 'touch @/ran', resources: { gpu: { optional: true } } }\n");
    for (gpus, part) in [
        ("", "names no devices"),
        (",", "names no devices"),
        ("2,2", "twice"),
        ("1025", "more than 1024 devices"),
        ("two", "neither a number nor a list"),
    ] {
        space.refused(&["--gpus", gpus], 2, &[part, "`--gpus 0` declares none"]);
        space.refused(&["-n", "--gpus", gpus], 2, &[part]);
    }
    assert!(!space.exists("ran"));
}
