//! Drawn inputs: whatever the text is, there is a flow or there are errors with places; nothing panics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use crate::diagnostic::render;

/// Words of flow files, so that drawn texts go deep.
const WORDS: [&str; 48] = [
    "tasks",
    "params",
    "run",
    "uses",
    "flow",
    "matrix",
    "inputs",
    "from",
    "at",
    "where",
    "path",
    "ref",
    "with",
    "needs",
    "outputs",
    "publish",
    "resources",
    "gpu",
    "env",
    "retries",
    "timeout",
    "when",
    "cache",
    "locks",
    ":",
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "'",
    "\"",
    "# ",
    "&a ",
    "*a",
    "${{",
    "}}",
    " params.x ",
    "1",
    "1e9",
    "null",
    "é",
    "|",
];

/// Pieces of expressions.
const PIECES: [&str; 50] = [
    "params.n",
    "params.list",
    "day",
    "inputs.e",
    "env.HOME",
    "files('*')",
    "range(3)",
    "dict(a=1)",
    "1",
    "0",
    "1.5",
    "-",
    "+",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "<",
    " and ",
    " or ",
    " not ",
    " in ",
    " is ",
    " if ",
    " else ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "|",
    "upper",
    "length",
    "default('x')",
    "map('upper')",
    "join",
    "'a'",
    "\"",
    "none",
    "true",
    "é",
    "[::2]",
    "batch(2)",
];

fn drawn(words: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..most).prop_map(|words| words.concat())
}

fn check_flow(text: &str) {
    let (_, errors) = Flow::read(Path::new("x.yaml"), "x.yaml", text.to_owned());
    for error in &errors {
        assert!(error.place().is_some(), "no place: {error:?}");
    }
    // Rendering has to cope with every place.
    assert_eq!(render(&errors, false).is_empty(), errors.is_empty());
}

fn check_expression(text: &str) {
    let file = Arc::new(SourceFile { name: "x.yaml".into(), text: text.to_owned() });
    let node =
        yaml::Node { data: yaml::Data::Text(text.to_owned()), span: Span { start: 0, len: text.len() }, plain: false };
    let (template, errors) = Template::compile(&file, &node);
    let _ = render(&errors, false);
    if !errors.is_empty() {
        return;
    }
    let params: Params = [("n".to_owned(), json!(3)), ("list".to_owned(), json!(["a", null, 2]))].into_iter().collect();
    let (day, inputs) = (json!("2022-02-18"), BTreeMap::from([("e".to_owned(), json!({"a": [1]}))]));
    let scope = Scope { params: &params, axes: &[("day", &day)], inputs: &inputs, root: Path::new("/nowhere") };
    if let Err(error) = template.eval(&scope) {
        assert!(!render(&[error], false).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_flow_or_has_errors(text in any::<String>()) {
        check_flow(&text);
    }

    #[test]
    fn any_words_are_a_flow_or_have_errors(text in drawn(&WORDS, 60)) {
        check_flow(&text);
    }

    #[test]
    fn any_pieces_are_an_expression_or_have_errors(text in drawn(&PIECES, 20)) {
        check_expression(&format!("${{{{{text}}}}}"));
        check_expression(&format!("x ${{{{ {text} }}}} ${{{{{text}"));
    }
}

/// `DRAWN=1000000 cargo test drawn` for the long one.
fn cases() -> u32 {
    std::env::var("DRAWN").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[test]
fn deep_and_long_expressions_are_refused_or_evaluated() {
    // The program evaluates in its main thread, which has 8 MiB of stack; a test's thread has 2.
    let main = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        for unit in ["(", "[", "-", "not ", "1+", "x|", "a.", "a[", "{'a':", "1 if ", "'"] {
            for times in [100, 150, 400, 3_000] {
                check_expression(&format!("${{{{ {}1 }}}}", unit.repeat(times)));
            }
        }
        check_expression(&format!("${{{{ 1{} }}}}", "+1".repeat(900)));
        check_expression(&format!("${{{{ 'a'{} }}}}", "|upper".repeat(300)));
    });
    main.unwrap().join().unwrap();
}
