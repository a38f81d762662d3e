//! The task contract, spoken by a program in another language.

use std::os::unix::fs::PermissionsExt as _;

use crate::space::{Counts, Space, answer};

/// A program of one kind, in shell: doubles a number, and is asked whether its result still holds.
const PROGRAM: &str = r#"#!/bin/sh
case $1 in
describe)
    cat <<JSON
{"contract": 1, "kinds": [{"name": "double", "about": "Doubles", "code": "CODE", "probes": true,
 "params": {"type": "object", "additionalProperties": false,
            "properties": {"times": {"type": "integer", "default": 2, "minimum": 1}}},
 "inputs": {"x": {"type": "file"}}, "outputs": {"y": {"type": "file", "path": "y.txt"}}}]}
JSON
    ;;
run) echo $(($(cat "$INPUT_X") * PARAM_TIMES)) >"$OUTPUT_Y" ;;
probe) if [ -e "PROBED" ]; then echo '{"state": "changed", "why": "the table is gone"}'; else echo '{"state": "valid"}'; fi ;;
esac
"#;

fn space() -> Space {
    let space =
        Space::with_flow("tasks:\n  d: { uses: double, inputs: { x: { path: x.txt } }, publish: { y: y.txt } }\n");
    space.write("x.txt", "21\n");
    install(&space, "1");
    space
}

fn install(space: &Space, code: &str) {
    let probed = space.path("probed").display().to_string();
    space.write("bin/ghtrader-tasks-double", &PROGRAM.replace("CODE", code).replace("PROBED", &probed));
    let path = space.path("bin/ghtrader-tasks-double");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(space: &Space, args: &[&str]) -> crate::space::Answer {
    let mut command = space.command(&[&["run", "test"], args].concat());
    answer(command.env("GHTRADER_TASKS", space.path("bin")))
}

#[test]
fn a_program_in_any_language_adds_kinds() {
    let space = space();
    assert_eq!(run(&space, &[]).counts(), Counts(1, 0, 0, 0));
    assert_eq!(space.read("y.txt"), "42\n");
    assert_eq!(run(&space, &[]).counts(), Counts(0, 1, 0, 0));
}

#[test]
fn its_code_version_is_part_of_the_key() {
    let space = space();
    run(&space, &[]);
    install(&space, "2");
    let dry = run(&space, &["-n"]);
    assert!(dry.err.contains("runs     d (code changed)"), "{dry:#?}");
}

#[test]
fn a_default_written_out_changes_nothing_and_another_value_does() {
    let space = space();
    run(&space, &[]);
    space.flow(
        "tasks:\n  d: { uses: double, with: { times: 2 }, inputs: { x: { path: x.txt } }, publish: { y: y.txt } }\n",
    );
    assert_eq!(run(&space, &[]).counts(), Counts(0, 1, 0, 0));
    space.flow(
        "tasks:\n  d: { uses: double, with: { times: 3 }, inputs: { x: { path: x.txt } }, publish: { y: y.txt } }\n",
    );
    let dry = run(&space, &["-n"]);
    assert!(dry.err.contains("runs     d (parameter times changed: 2 → 3)"), "{dry:#?}");
}

#[test]
fn its_schema_checks_what_a_flow_says() {
    let space = space();
    space.flow("tasks:\n  d: { uses: double, with: { tims: 2 }, inputs: { x: { path: x.txt } } }\n");
    let answer = run(&space, &[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("times"), "{}", answer.err);
    space.flow("tasks:\n  d: { uses: double, with: { times: 0 }, inputs: { x: { path: x.txt } } }\n");
    assert_eq!(run(&space, &[]).code, 2);
}

#[test]
fn an_external_result_is_asked_for_before_it_is_trusted() {
    let space = space();
    run(&space, &[]);
    space.write("probed", "");
    let dry = run(&space, &["-n"]);
    assert!(dry.err.contains("runs     d (the table is gone)"), "{dry:#?}");
    assert_eq!(run(&space, &[]).counts(), Counts(1, 0, 0, 0), "it is made again");
}

#[test]
fn every_kind_has_a_code_version() {
    let kinds = Space::new().call(&["kinds", "--format", "json"]);
    let kinds: Vec<serde_json::Value> = serde_json::from_str(&kinds.out).unwrap();
    assert!(kinds.len() >= 9, "ghtrader-tasks is built by ./x test, or ./x build");
    for kind in kinds {
        assert_eq!(kind["code"].as_str().unwrap().len(), 16, "{}", kind["name"]);
    }
}

#[test]
fn what_it_runs_on_is_in_the_key_of_a_kind_that_says_so() {
    let space = space();
    space.flow(
        "tasks:\n  d: { uses: double, inputs: { x: { path: x.txt } }, resources: { gpu: { count: 1, optional: true } } }\n",
    );
    let class = |key: &str| {
        let manifest = space.path(&format!("cache/v1/results/{}/{key}.json", &key[..2]));
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
        (manifest["execution"]["device_class"].as_str().unwrap().to_owned(), manifest["execution"]["devices"].clone())
    };
    let keys = |args: &[&str]| {
        let events = run(&space, &[args, &["--format", "json", "-v"]].concat()).events();
        let of = |event: &&serde_json::Value| event["event"] == "task" && event["key"].is_string();
        events.iter().rfind(of).unwrap()["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(run(&space, &[]).counts(), Counts(1, 0, 0, 0));
    assert_eq!(run(&space, &["--gpus", "3,"]).counts(), Counts(0, 1, 0, 0), "it does not say so");
    assert_eq!(class(&keys(&[])), ("cpu".to_owned(), serde_json::json!([])));

    let program = std::fs::read_to_string(space.path("bin/ghtrader-tasks-double")).unwrap();
    space.write(
        "bin/ghtrader-tasks-double",
        &program.replace(r#""probes": true"#, r#""probes": true, "device_dependent": true"#),
    );
    assert_eq!(run(&space, &[]).counts(), Counts(1, 0, 0, 0));
    let planned = run(&space, &["--gpus", "3,", "-n"]);
    assert!(planned.err.contains("d (device changed: cpu → gpu)"), "{planned:#?}");
    assert_eq!(run(&space, &["--gpus", "3,"]).counts(), Counts(1, 0, 0, 0));
    assert_eq!(class(&keys(&["--gpus", "3,"])), ("gpu".to_owned(), serde_json::json!([3])));
    for args in [&[][..], &["--gpus", "3,"]] {
        assert_eq!(run(&space, args).counts(), Counts(0, 1, 0, 0), "each class has its result: {args:?}");
    }
    let mut explain = space.command(&["explain", "test", "d"]);
    let explained = answer(explain.env("GHTRADER_TASKS", space.path("bin")));
    assert!(explained.out.contains("device : cpu"), "{explained:#?}");
}
