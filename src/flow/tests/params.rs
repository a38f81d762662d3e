//! Parameters: declarations and the values that a call gives.

use serde_json::{Value, json};

use super::super::*;
use super::flow;
use crate::diagnostic::Diagnostic;

const FLOW: &str = "
params:
  market: cu
  text: \"2022-02-18\"
  from: { type: date, required: false }
  to: 2022-02-28
  horizons: [10, 50]
  threshold: 1.1
  size: { type: number, default: 1 }
  deep: true
  model: { default: tree, choices: [tree, line] }
  models: { type: list, default: [tree], choices: [tree, line] }
  count: { type: integer, default: 3, minimum: 1, maximum: 9 }
tasks: { a: { run: echo } }
";

fn bind(given: &[(&str, &str)]) -> Result<Params, Vec<Diagnostic>> {
    let given: Vec<(String, String)> = given.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    flow(FLOW).bind(&given, None)
}

fn value(name: &str, text: &str) -> Value {
    bind(&[(name, text)]).unwrap().swap_remove(name).unwrap()
}

fn message(name: &str, text: &str) -> String {
    crate::diagnostic::render(&bind(&[(name, text)]).unwrap_err(), false)
}

#[test]
fn defaults_in_the_order_of_the_file() {
    let params = bind(&[]).unwrap();
    let expected = json!({"market": "cu", "text": "2022-02-18", "from": null, "to": "2022-02-28", "horizons": [10, 50],
        "threshold": 1.1, "size": 1, "deep": true, "model": "tree", "models": ["tree"], "count": 3});
    assert_eq!(params.clone().into_iter().collect::<Value>(), expected);
    assert_eq!(params.keys().next().unwrap(), "market");
}

#[test]
fn values_are_yaml_but_texts_are_as_they_are() {
    assert_eq!(value("market", "123"), json!("123"));
    assert_eq!(value("market", "a: b # c"), json!("a: b # c"));
    assert_eq!(value("market", ""), json!(""));
    assert_eq!(value("horizons", "[1, x, {a: 2}]"), json!([1, "x", {"a": 2}]));
    assert_eq!(value("from", "2022-02-18"), json!("2022-02-18"));
    assert_eq!(value("from", "null"), json!(null));
    assert_eq!(value("threshold", "2"), json!(2));
    assert_eq!(value("deep", "false"), json!(false));
    assert_eq!(value("models", "[line, tree]"), json!(["line", "tree"]));
}

#[test]
fn wrong_values_are_errors_that_show_the_place() {
    let expected = "\
error: the value of `count` has to be an integer
   ╭─[command line:1:10]
 1 │ -p count=1.5
   ·          ─┬─
   ·           ╰── this is a number
   ╰────
";
    assert_eq!(message("count", "1.5"), expected);
    let expected = "\
error: the flow `test` has no parameter `cuont`
   ╭─[command line:1:4]
 1 │ -p cuont=1
   ·    ──┬──
   ·      ╰── not known
   ╰────
  help: did you mean `count`?
";
    assert_eq!(message("cuont", "1"), expected);
    for (name, text) in [
        ("count", "0"),
        ("count", "10"),
        ("count", "many"),
        ("count", "99999999999999999999"),
        ("from", "2022-02-30"),
        ("from", "2022-2-3"),
        ("from", "20220218"),
        ("horizons", "cu"),
        ("horizons", "[1"),
        ("deep", "yes"),
        ("model", "forest"),
        ("models", "[tree, forest]"),
        ("horizons", "['${{ env.HOME }}']"),
    ] {
        assert_eq!(bind(&[(name, text)]).unwrap_err().len(), 1, "{name}={text}");
    }
}

#[test]
fn what_is_required_has_to_be_given() {
    let flow = flow("params: { token: { type: string, required: true } }\ntasks: { a: { run: echo } }");
    let errors = flow.bind(&[], None).unwrap_err();
    assert_eq!(errors[0].help.as_deref(), Some("give it: -p token=…"));
    assert!(flow.bind(&[("token".into(), "x".into())], None).is_ok());
}

#[test]
fn a_file_gives_values_and_the_command_line_overrides_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("params.yaml");
    fs_err::write(&path, "count: 5\nhorizons: [1]\n").unwrap();
    let params = flow(FLOW).bind(&[("count".into(), "7".into())], Some(&path)).unwrap();
    assert_eq!((&params["count"], &params["horizons"]), (&json!(7), &json!([1])));
    fs_err::write(&path, "count: many\nhorizon: [1]\n").unwrap();
    let messages: Vec<String> =
        flow(FLOW).bind(&[], Some(&path)).unwrap_err().into_iter().map(|error| error.message).collect();
    assert_eq!(messages, ["the value of `count` has to be an integer", "the flow `test` has no parameter `horizon`"]);
    assert!(flow(FLOW).bind(&[], Some(&folder.path().join("missing.yaml"))).is_err());
}
