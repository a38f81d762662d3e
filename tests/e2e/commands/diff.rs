//! `diff RUN RUN`.

use serde_json::Value;

use crate::space::Space;

fn space() -> Space {
    Space::with_flow(
        r#"
params: { k: 1, note: a }
tasks:
  a: { run: 'echo $PARAM_K >$OUTPUT_A', with: { k: "${{ params.k }}" }, outputs: { a: a } }
  b: { run: 'wc -l <$INPUT_A >$OUTPUT_B', inputs: { a: { from: a } }, outputs: { b: b } }
  c: { run: 'echo c >$OUTPUT_C', outputs: { c: c }, when: "${{ params.k < 3 }}" }
"#,
    )
}

fn ids(space: &Space) -> Vec<String> {
    let runs = space.call(&["runs"]).out;
    runs.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn what_differs_is_told_by_task_part_and_output() {
    let space = space();
    space.up_to_date(&[]);
    space.up_to_date(&["-p", "k=3"]);
    let [one, two] = &ids(&space)[..] else { panic!() };
    let diff = space.call(&["diff", one, two]);
    assert_eq!(diff.code, 0, "{diff:#?}");
    for part in [
        "  k = 1 → 3",
        "a: ran, key ",
        "    with k: 1 → 3",
        "    wrote a: ",
        "b: ran, key ",
        "    input a: ",
        "c: ran → skipped, key ",
        "0 of 3 tasks are alike",
    ] {
        assert!(diff.out.contains(part), "{part} is not in {diff:#?}");
    }
    // `b` read something else and wrote the same.
    assert!(!diff.out.contains("wrote b"), "{diff:#?}");

    let json: Value = serde_json::from_str(&space.call(&["diff", one, two, "--format", "json"]).out).unwrap();
    let a = json["tasks"].as_array().unwrap().iter().find(|task| task["task"] == "a").unwrap();
    assert_eq!(a["parts"], serde_json::json!([{ "group": "with", "name": "k", "before": "1", "after": "3" }]));
    assert!(a["seconds"]["before"].is_f64() && a["outputs"]["a"]["after"].is_string(), "{a:#?}");
    assert_eq!(json["params"]["k"], serde_json::json!({ "before": 1, "after": 3 }));
}

#[test]
fn a_run_is_like_itself_and_a_second_one_differs_in_its_states() {
    let space = space();
    space.up_to_date(&[]);
    space.up_to_date(&[]);
    let [one, two] = &ids(&space)[..] else { panic!() };
    assert!(space.call(&["diff", one, one]).out.ends_with("3 of 3 tasks are alike\n"));
    let diff = space.call(&["diff", one, "last"]).out;
    assert!(diff.contains("a: ran → cached, key "), "{diff}");
    assert!(!diff.contains("wrote") && diff.contains(two), "{diff}");
    assert_eq!(space.call(&["diff", one, "nothing"]).code, 2);
}

#[test]
fn an_output_of_the_same_key_that_differs_is_told() {
    let space = Space::with_flow("tasks: { r: { run: 'echo $RANDOM$RANDOM >$OUTPUT_R', outputs: { r: r } } }");
    space.up_to_date(&[]);
    space.up_to_date(&["--force", "r"]);
    let [one, two] = &ids(&space)[..] else { panic!() };
    let diff = space.call(&["diff", one, two]).out;
    assert!(diff.contains("    wrote r: ") && !diff.contains("    with"), "{diff}");
}
