//! The environment of a task: what it sees, and nothing else.

use serde_json::Value;

use crate::space::{Counts, Space, answer};

#[test]
fn a_task_sees_the_variables_of_the_reference_and_no_other() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'env | cut -d= -f1 | sort >$OUTPUT_X'
    inputs: { i: { path: i.txt }, absent: { path: no.txt, optional: true } }
    with: { p: 1 }
    matrix: { m: [1] }
    env: [WORD]
    outputs: { x: x }
"#,
    );
    space.write("i.txt", "");
    let mut command = space.command(&["run", "test"]);
    let ended = answer(command.env("WORD", "w").env("OTHER", "o").env("LD_PRELOAD_X", "l"));
    assert_eq!(ended.code, 0, "{ended:#?}");
    let seen = space.output("test:a[m=1]");
    // Bash has some of its own.
    let own = ["PWD", "SHLVL", "_", "OLDPWD"];
    let seen: Vec<&str> = seen.lines().filter(|name| !own.contains(name)).collect();
    let expected = [
        "CUDA_VISIBLE_DEVICES",
        "GHTRADER_CPUS",
        "GHTRADER_MEMORY",
        "GHTRADER_TASK",
        "HOME",
        "INPUT_I",
        "MATRIX_M",
        "OMP_NUM_THREADS",
        "OUTPUT_X",
        "PARAM_P",
        "PATH",
        "POLARS_MAX_THREADS",
        "RAYON_NUM_THREADS",
        "TMPDIR",
        "WORD",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_command_is_bash_that_stops_at_the_first_error() {
    for (run, code) in [("false; true", 1), ("false | true", 1), ("echo $UNSET", 1), ("[[ a == a ]]", 0)] {
        let space = Space::with_flow(&format!("tasks:\n  a: {{ run: '{run}' }}\n"));
        assert_eq!(space.run(&[]).code, code, "{run}");
    }
}

#[test]
fn the_request_file_says_all_of_it_for_programs() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'cp $GHTRADER_TASK $OUTPUT_X; test "$(cat $INPUT_I)" = here; env >@/env'
    inputs: { i: { path: i.txt } }
    with: { p: [1, two] }
    matrix: { m: [7] }
    resources: { cpu: 1, gpu: 1 }
    outputs: { x: x }
"#,
    );
    space.write("i.txt", "here");
    space.up_to_date(&["--gpus", "5,6"]);
    let request: Value = serde_json::from_str(&space.output("test:a[m=7]")).unwrap();
    let env = space.read("env");
    let variable = |name: &str| env.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap().to_owned();
    assert_eq!(request["inputs"]["i"], variable("INPUT_I"));
    assert_eq!(request["outputs"]["x"], variable("OUTPUT_X"));
    assert_eq!(request["matrix"]["m"], 7);
    assert_eq!(request["devices"], serde_json::json!([5]));
    assert!(request.to_string().contains(r#"[1,"two"]"#), "{request}");
}

#[test]
fn attempts_count_the_first() {
    for attempts in [1, 2] {
        let space = Space::with_flow(&format!(
            "tasks:\n  a: {{ run: 'echo try >>@/tries; exit 1', retries: {{ attempts: {attempts}, backoff: 1ms }} }}\n"
        ));
        assert_eq!(space.run(&[]).counts(), Counts(0, 0, 1, 0));
        assert_eq!(space.read("tries").lines().count(), attempts);
    }
}

#[test]
fn what_a_task_prints_is_its_log_but_for_reports() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo out; echo \"::progress 1/2 half\"; echo \"::metric m=1.5\"; echo err >&2' }\n",
    );
    let events = space.run(&["--format", "json"]).events();
    let heard =
        |event: &str| events.iter().find(|other| other["event"] == event).unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!((heard("progress")["done"].as_u64(), heard("progress")["text"].as_str()), (Some(1), Some("half")));
    assert_eq!((heard("metric")["name"].as_str(), heard("metric")["value"].as_f64()), (Some("m"), Some(1.5)));
    let log = space.call(&["log", "last", "a"]).out;
    assert!(log.contains("out\n") && log.contains("err\n") && !log.contains("::"), "{log}");
}
