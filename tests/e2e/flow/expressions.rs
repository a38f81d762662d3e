//! What expressions give, and how values reach a task.

use crate::space::{Counts, Space, answer};

#[test]
fn a_parameter_reaches_a_task_through_expressions_only() {
    let space = Space::with_flow(
        "params: { secret_word: hidden }\ntasks:\n  a: { run: 'env >$OUTPUT_X', outputs: { x: x } }\n",
    );
    space.up_to_date(&[]);
    assert!(!space.output("test:a").contains("hidden"));
}

#[test]
fn what_is_passed_by_with_is_data_and_no_command() {
    let space = Space::with_flow(
        r#"
params: { text: { type: string, required: true } }
tasks:
  safe: { run: 'printf %s "$PARAM_TEXT" >$OUTPUT_X', with: { text: "${{ params.text }}" }, outputs: { x: x } }
  raw: { run: 'echo ${{ params.text }} >$OUTPUT_X', outputs: { x: x } }
"#,
    );
    let evil = "$(touch ran); `x` 'y' \"z\"";
    let given = format!("text={evil}");
    space.up_to_date(&["safe", "-p", &given]);
    assert_eq!(space.output("test:safe"), evil);
    space.up_to_date(&["raw", "-p", "text=$((1 + 2))"]);
    assert_eq!(space.output("test:raw"), "3\n", "in a command, an expression inserts raw text");
}

#[test]
fn values_are_text_and_json_for_lists_and_objects() {
    let space = Space::with_flow(
        r#"
params: { day: 2022-02-18, list: [1, a] }
tasks:
  a:
    run: 'echo "$PARAM_INTEGER|$PARAM_FLAG|$PARAM_LIST|$PARAM_MAP|$PARAM_DAY|$MATRIX_AXIS" >$OUTPUT_X'
    matrix: { axis: [x] }
    with: { integer: 7, flag: true, list: "${{ params.list }}", map: { b: 1, a: null }, day: "${{ params.day }}" }
    outputs: { x: x }
"#,
    );
    space.up_to_date(&[]);
    let line = space.output("test:a[axis=x]");
    assert_eq!(line, "7|true|[1,\"a\"]|{\"a\":null,\"b\":1}|2022-02-18|x\n");
}

#[test]
fn a_variable_in_an_expression_is_part_of_what_it_is_used_for() {
    let space = Space::with_flow("tasks:\n  a: { run: 'echo ${{ env.WORD }} >$OUTPUT_X', outputs: { x: x } }\n");
    let run = |word: &str| answer(space.command(&["run", "test"]).env("WORD", word)).counts();
    assert_eq!(run("one"), Counts(1, 0, 0, 0));
    assert_eq!(run("two"), Counts(1, 0, 0, 0));
    assert_eq!(run("one"), Counts(0, 1, 0, 0));
    let unset = answer(space.command(&["run", "test"]).env_remove("WORD"));
    assert!(unset.code == 2 && unset.err.contains("WORD"), "{unset:#?}");
}

#[test]
fn files_gives_sorted_paths_and_a_file_more_is_an_instance_more() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'cat $INPUT_F', matrix: { file: "${{ files('data/*.csv') }}" }, inputs: { f: { path: "${{ file }}" } } }
"#,
    );
    for name in ["b", "a"] {
        space.write(&format!("data/{name}.csv"), name);
    }
    let answer = space.run(&["--jobs", "1", "-v"]);
    let place = |name: &str| {
        answer.err.find(&format!("ran      a[file=data/{name}.csv]")).unwrap_or_else(|| panic!("{answer:#?}"))
    };
    assert!(place("a") < place("b"));
    space.write("data/c.csv", "c");
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0));
}

#[test]
fn an_axis_may_be_a_list_or_an_expression_that_gives_one() {
    let space = Space::with_flow(
        "params: { n: 3 }\ntasks:\n  a: { run: 'true', matrix: { v: [cu, au], n: \"${{ range(params.n) | list }}\" } }\n",
    );
    let graph = space.call(&["graph", "test", "--instances"]);
    assert_eq!(graph.out.lines().count(), 6, "{graph:#?}");
    assert!(graph.out.contains("a[v=au,n=2]"), "{graph:#?}");
}
