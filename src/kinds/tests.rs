//! Programs and schemas of kinds.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

/// A program of kinds that is a shell script.
fn program(folder: &Path, name: &str, script: &str) {
    fs_err::create_dir_all(folder).unwrap();
    // Written by a process of its own: a file that this one has open for writing while another test forks is busy in
    // that fork, and cannot be started.
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat >\"$0\" && chmod +x \"$0\""]).arg(folder.join(name)).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writeln!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}").unwrap();
    assert!(writer.wait().unwrap().success());
}

fn describing(kinds: &[&str]) -> String {
    let kind = |name: &&str| json!({"name": name, "about": "", "code": "1", "params": {}, "inputs": {}, "outputs": {}});
    let answer = json!({ "contract": 1, "kinds": kinds.iter().map(kind).collect::<Vec<_>>() });
    format!("[ \"$1\" = describe ] && echo '{answer}'")
}

fn messages(kinds: &Kinds) -> Vec<String> {
    kinds.errors().into_iter().map(|error| error.message).collect()
}

#[test]
fn programs_beside_the_runner_come_before_those_on_path() {
    let folder = tempfile::tempdir().unwrap();
    let (here, path) = (folder.path().join("here"), folder.path().join("path"));
    program(&here, "ghtrader-tasks", &describing(&["train"]));
    program(&path, "ghtrader-tasks", &describing(&["other"]));
    program(&path, "ghtrader-tasks-deep", &describing(&["deeplob"]));
    program(&path, "ghtrader-tasksx", "exit 1");
    fs_err::write(path.join("ghtrader-tasks-text"), "not a program").unwrap();
    let kinds = Kinds::find(Some(&here), Some(path.as_os_str()));
    assert_eq!(kinds.names().collect::<Vec<_>>(), ["deeplob", "train"]);
    assert_eq!(kinds.get("train").unwrap().program, here.join("ghtrader-tasks"));
    assert!(kinds.get("other").is_none());
    assert!(kinds.all().is_ok());
}

#[test]
fn programs_are_asked_only_when_a_kind_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("asked");
    program(folder.path(), "ghtrader-tasks", &format!("touch {}; exit 1", mark.display()));
    let kinds = Kinds::find(Some(folder.path()), None);
    assert!(!mark.exists());
    assert!(kinds.get("train").is_none());
    assert!(mark.exists());
}

#[test]
fn programs_that_are_of_no_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |script: &str| {
        program(folder.path(), "ghtrader-tasks", script);
        let errors = messages(&Kinds::find(Some(folder.path()), None));
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        error.replace(&folder.path().display().to_string(), "F")
    };
    assert_eq!(shown("echo no libtorch >&2; exit 3"), "F/ghtrader-tasks describe: exit status: 3: no libtorch");
    assert_eq!(
        shown("echo '{\"contract\": 7, \"kinds\": 1}'"),
        "F/ghtrader-tasks speaks version 7 of the task contract, this runner version 1"
    );
    assert!(shown("echo hello").starts_with("F/ghtrader-tasks describe does not answer as the contract says: "));
    assert!(shown("echo '{\"contract\": 1, \"kinds\": [{}]}'").contains("missing field"));
}

#[test]
fn two_kinds_of_one_name_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "ghtrader-tasks", &describing(&["train"]));
    program(folder.path(), "ghtrader-tasks-x", &describing(&["train"]));
    let kinds = Kinds::find(Some(folder.path()), None);
    assert_eq!(messages(&kinds).len(), 1);
    assert!(kinds.all().is_err());
}

#[test]
fn a_program_is_asked_about_an_external_result() {
    let folder = tempfile::tempdir().unwrap();
    let script = "grep -q '\"table\":\"/t.json\"' \"$GHTRADER_TASK\" && grep -q '\"n\":1' \"$GHTRADER_TASK\" || exit 1\n\
                  echo '{\"state\": \"changed\", \"why\": \"3 rows are gone\"}'";
    program(
        folder.path(),
        "ghtrader-tasks",
        &format!("{}\n[ \"$1\" = describe ] && exit\n{script}", describing(&["store"])),
    );
    let kinds = Kinds::find(Some(folder.path()), None);
    let outputs = [("table".to_owned(), PathBuf::from("/t.json"))];
    let kind = kinds.get("store").unwrap();
    assert_eq!(
        kind.probe(Path::new("/"), &[("n".into(), json!(1))], &outputs).unwrap().as_deref(),
        Some("3 rows are gone")
    );
    assert!(kind.probe(Path::new("/"), &[], &outputs).is_err());
}

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["horizon"],
        "properties": {
            "horizon": { "type": "integer" },
            "seed": { "type": "integer", "default": 1 },
            "costs": { "$ref": "#/$defs/Costs", "default": { "fee": 2 } },
            "extra": { "anyOf": [{ "$ref": "#/$defs/Costs" }, { "type": "null" }] },
            "gates": { "type": "array", "items": { "$ref": "#/$defs/Gate" } },
            "nothing": { "$ref": "#/$defs/Loop" }
        },
        "$defs": {
            "Costs": { "type": "object", "properties": { "fee": { "type": "number", "default": 0 }, "slip": { "type": "number", "default": 0.5 } } },
            "Gate": { "oneOf": [
                { "type": "object", "properties": { "kind": { "const": "f1" }, "least": { "default": 0.4 } } },
                { "type": "object", "properties": { "kind": { "const": "pnl" }, "days": { "default": 5 } } }
            ] },
            "Loop": { "$ref": "#/$defs/Loop" }
        }
    })
}

fn filled(values: Value) -> Value {
    let Value::Object(values) = values else { panic!() };
    Value::Object(with_defaults(&schema(), values))
}

#[test]
fn defaults_are_filled_in_to_the_bottom() {
    assert_eq!(filled(json!({})), json!({ "seed": 1, "costs": { "fee": 2, "slip": 0.5 } }));
    assert_eq!(filled(json!({ "seed": 2, "costs": {} })), json!({ "seed": 2, "costs": { "fee": 0, "slip": 0.5 } }));
    let given = json!({ "extra": { "fee": 1 }, "gates": [{ "kind": "pnl" }, { "kind": "f1" }, { "kind": "x" }, 5], "nothing": 1, "unknown": 1 });
    let expected = json!({ "seed": 1, "costs": { "fee": 2, "slip": 0.5 }, "extra": { "fee": 1, "slip": 0.5 }, "nothing": 1, "unknown": 1,
        "gates": [{ "kind": "pnl", "days": 5 }, { "kind": "f1", "least": 0.4 }, { "kind": "x" }, 5] });
    assert_eq!(filled(given), expected);
    assert_eq!(filled(json!({ "extra": null }))["extra"], json!(null));
}

#[test]
fn filling_in_defaults_twice_changes_nothing() {
    let once = filled(json!({ "horizon": 1, "gates": [{ "kind": "pnl" }] }));
    assert_eq!(filled(once.clone()), once);
}

fn kind(params: Value) -> Kind {
    let spec = json!({ "name": "k", "about": "", "code": "1", "params": params, "inputs": {}, "outputs": {} });
    Kind::new(PathBuf::new(), serde_json::from_value(spec).unwrap())
}

#[test]
fn a_schema_that_is_none_lets_nothing_pass() {
    let kind = kind(json!({ "type": "object", "properties": { "n": { "type": "intger" } } }));
    let problems = kind.check(json!({ "n": 1 }).as_object().unwrap());
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(problem.message.starts_with("the JSON Schema of the kind is not one: "), "{problem}");
}

#[test]
fn what_does_not_fit_is_named() {
    let kind = kind(schema());
    let check = |values: Value| -> Vec<String> {
        kind.check(values.as_object().unwrap()).iter().map(ToString::to_string).collect()
    };
    assert_eq!(check(json!({ "horizon": 10 })), Vec::<String>::new());
    assert_eq!(check(json!({})), ["the parameter `horizon` is missing"]);
    assert_eq!(
        check(json!({ "horizon": "x", "costs": { "fee": "y" }, "sed": 1 })),
        [
            "`horizon`: \"x\" is not of type \"integer\"",
            "`costs.fee`: \"y\" is not of type \"number\"",
            "`sed`: no such parameter"
        ]
    );
}
