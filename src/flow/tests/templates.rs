//! Templates and expressions: values, types, places.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::yaml;
use super::super::*;
use crate::diagnostic::{Diagnostic, render};

/// A template of YAML in brackets or quotes, or of a text as it is.
fn template(text: &str) -> Result<Template, Vec<Diagnostic>> {
    let yaml = if text.starts_with(['{', '\'', '"']) { text.to_owned() } else { format!("|-\n  {text}") };
    let file = Arc::new(SourceFile { name: "x.yaml".into(), text: yaml });
    let (template, errors) = Template::compile(&file, &yaml::parse(&file).0.unwrap());
    if errors.is_empty() { Ok(template) } else { Err(errors) }
}

fn eval_at(text: &str, root: &Path) -> Result<Value, Diagnostic> {
    let params: Params = [("n", json!(10)), ("x", json!(1.5)), ("list", json!(["cu", "au"])), ("none", json!(null))]
        .into_iter()
        .chain([("name", json!("cu")), ("big", json!(u64::MAX)), ("map", json!({"cu": {"tick": 10}}))])
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let day = json!("2022-02-18");
    let inputs =
        BTreeMap::from([("entry".to_owned(), json!({"contract": "SHFE.cu2203", "previous": null, "days": [1, 2]}))]);
    let scope = Scope { params: &params, axes: &[("day", &day)], inputs: &inputs, root };
    template(text).unwrap_or_else(|errors| panic!("{text}: {}", render(&errors, false))).eval(&scope)
}

fn eval(text: &str) -> Value {
    eval_at(text, Path::new("/")).unwrap_or_else(|error| panic!("{text}: {}", render(&[error], false)))
}

fn why(text: &str) -> String {
    let error = eval_at(text, Path::new("/")).unwrap_err();
    format!("{}: {}", error.message, error.labels[0].text)
}

#[test]
fn one_expression_alone_keeps_its_type() {
    assert_eq!(eval("${{ params.n }}"), json!(10));
    assert_eq!(eval("${{ params.x }}"), json!(1.5));
    assert_eq!(eval("${{ params.list }}"), json!(["cu", "au"]));
    assert_eq!(eval("${{ params.none }}"), json!(null));
    assert_eq!(eval("${{ params.big }}"), json!(u64::MAX));
    assert_eq!(eval("${{ params.big + 0 }}"), json!(u64::MAX));
    assert_eq!(eval("${{ params.x * 2 }}"), json!(3.0));
    assert_eq!(eval("${{ params.n > 9 and 'cu' in params.list }}"), json!(true));
    assert_eq!(eval("${{ {'b': 1, 'a': [none, 2.5]} }}"), json!({"b": 1, "a": [null, 2.5]}));
    assert_eq!(eval("${{ inputs.entry.previous }}"), json!(null));
    assert_eq!(eval("${{ inputs['entry']['days'] }}"), json!([1, 2]));
    assert_eq!(eval("${{ params.map[params.name].tick }}"), json!(10));
    assert_eq!(eval("${{ params.list[1:] }}"), json!(["au"]));
    assert_eq!(eval("${{ range(3) }}"), json!([0, 1, 2]));
    assert_eq!(eval("${{ matrix.day }}"), json!("2022-02-18"));
}

#[test]
fn in_a_longer_text_an_expression_gives_its_text() {
    assert_eq!(eval("${{ inputs.entry.contract }}/${{ day }}.parquet"), json!("SHFE.cu2203/2022-02-18.parquet"));
    assert_eq!(eval("\" ${{ params.n }}\""), json!(" 10"));
    assert_eq!(eval("a${{ params.list }}${{ params.x }}${{ true }}"), json!("a[\"cu\",\"au\"]1.5true"));
    assert_eq!(
        eval("{ a: ['${{ day }}', 1], b: { c: '-${{ params.n }}' } }"),
        json!({"a": ["2022-02-18", 1], "b": {"c": "-10"}})
    );
    assert_eq!(eval("${{ '}}' }}${{ '${{' }}"), json!("}}${{"));
    assert_eq!(eval("'$ {{ not }} ${ one }'"), json!("$ {{ not }} ${ one }"));
}

#[test]
fn filters_and_tests_of_jinja() {
    assert_eq!(eval("${{ params.name | upper }}"), json!("CU"));
    assert_eq!(eval("${{ params.list | map('upper') | join(',') }}"), json!("CU,AU"));
    assert_eq!(eval("${{ params.list | length is even }}"), json!(true));
    assert_eq!(eval("${{ params.none or 'x' }}"), json!("x"));
    assert_eq!(eval("${{ env.NO_SUCH_VARIABLE_HERE | default('x') }}"), json!("x"));
    assert_eq!(eval("${{ params.name ~ '/' ~ params.n if inputs.entry.contract else none }}"), json!("cu/10"));
}

#[test]
fn all_listed_filters_and_tests_exist() {
    for filter in expression::FILTERS {
        assert_eq!(eval(&format!("${{{{ '{filter}' is filter }}}}")), json!(true), "{filter}");
    }
    for test in expression::TESTS {
        let environment = minijinja::Environment::new();
        let found = environment.compile_expression("name is test").unwrap();
        assert!(found.eval(minijinja::context!(name => test)).unwrap().is_true(), "{test}");
    }
}

#[test]
fn what_has_no_value_is_an_error_that_says_why() {
    for text in [
        "${{ inputs.entry.contarct }}",
        "${{ inputs.entry.previous.x }}",
        "${{ inputs.entry.contract.x }}",
        "${{ env.NO_SUCH_VARIABLE_HERE }}",
        "${{ env.NO_SUCH_VARIABLE_HERE ~ 'x' }}",
        "${{ params.list[5] }}",
        "${{ params.n + 'x' }}",
        "${{ params.n // 0 }}",
        "${{ params.n / 0 }}",
        "${{ params.big * params.big }}",
        "${{ params.name | int }}",
        "a${{ params.none }}",
        "${{ {1: 2} }}",
        "${{ files('[') }}",
    ] {
        assert!(eval_at(text, Path::new("/")).is_err(), "{text}: {}", eval(text));
    }
    assert_eq!(why("a${{ params.none }}"), "the expression `params.none` is null: a null has no text to insert here");
    assert_eq!(
        why("${{ inputs.entry.contarct }}"),
        "the expression `inputs.entry.contarct` has no value: there is no `contarct` in it"
    );
}

#[test]
fn names_and_places_are_known_before_anything_is_evaluated() {
    let text = "{a: 'x ${{ params.n }}', b: [\"${{ day ~ inputs.entry.x ~ env.HOME ~ files('*') }}\"]}";
    let template = template(text).unwrap();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let uses =
        Uses { params: set(&["n"]), axes: set(&["day"]), inputs: set(&["entry"]), env: set(&["HOME"]), files: true };
    assert_eq!(template.uses(), &uses);
    let places: Vec<&str> = template.names().iter().map(|name| template.file().slice(name.span)).collect();
    assert_eq!(places, ["params.n", "day", "inputs.entry", "env.HOME"]);
    assert_eq!(
        template.file().slice(template.span_at("/b/0")),
        "\"${{ day ~ inputs.entry.x ~ env.HOME ~ files('*') }}\""
    );
    assert_eq!(template.file().slice(template.span_at("/a/none")), "'x ${{ params.n }}'");
}

#[test]
fn every_use_in_every_part_of_an_expression_counts() {
    let text = "${{ (a if b else c)[d:e:2] + f + [g, {h: i}[j]] | join(k) ~ range(l) ~ (m is divisibleby(n)) ~ (not o) ~ (p < q < r) }}";
    let axes: Vec<String> = template(text).unwrap().uses().axes.iter().cloned().collect();
    assert_eq!(axes.concat(), "abcdefghijklmnopqr");
}

#[test]
fn files_are_sorted_and_in_the_form_of_the_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("project");
    for path in ["ticks/b.csv", "ticks/a.csv", "ticks/deep/c.csv", "ticks/a.txt"] {
        fs_err::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs_err::write(root.join(path), "").unwrap();
    }
    fs_err::write(folder.path().join("outside.csv"), "").unwrap();
    let files = |pattern: &str| eval_at(&format!("${{{{ files('{pattern}') }}}}"), &root).unwrap();
    assert_eq!(files("ticks/*.csv"), json!(["ticks/a.csv", "ticks/b.csv"]));
    assert_eq!(files("ticks/**/*.csv"), json!(["ticks/a.csv", "ticks/b.csv", "ticks/deep/c.csv"]));
    assert_eq!(files("ticks/**"), json!(["ticks/a.csv", "ticks/a.txt", "ticks/b.csv", "ticks/deep/c.csv"]));
    assert_eq!(files("**/c.*"), json!(["ticks/deep/c.csv"]));
    assert_eq!(files("ticks/{a,b}.csv"), json!(["ticks/a.csv", "ticks/b.csv"]));
    assert_eq!(files("ticks/a.csv"), json!(["ticks/a.csv"]));
    assert_eq!(files("../*.csv"), json!(["../outside.csv"]));
    assert_eq!(files("nothing/*"), json!([]));
    let absolute = folder.path().join("outside.csv").to_string_lossy().into_owned();
    assert_eq!(files(&format!("{}/*.csv", folder.path().display())), json!([absolute]));
}

#[test]
fn a_constant_is_cheap_and_fixed() {
    assert_eq!(template("{a: [1, two]}").unwrap().fixed(), Some(&json!({"a": [1, "two"]})));
    assert_eq!(template("${{ 1 + 1 }}").unwrap().fixed(), None);
    assert_eq!(eval("${{ 1 + 1 }}"), json!(2));
}
