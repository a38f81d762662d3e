//! Where an input comes from, and what part of it counts.

use crate::space::{Counts, Space};

const ENTRIES: &str = r#"
tasks:
  make: { run: 'cp $INPUT_D $OUTPUT_D', inputs: { d: { path: d.json } }, outputs: { d: d.json } }
  deep: { run: 'cat $INPUT_E >$OUTPUT_X', inputs: { e: { from: make.d, at: a/b } }, outputs: { x: x } }
  led:
    run: 'cat $INPUT_VALUE >$OUTPUT_X'
    inputs: { which: { from: make.d, at: which }, value: { from: make.d, at: "values/${{ inputs.which }}" } }
    outputs: { x: x }
"#;

#[test]
fn an_entry_is_handed_over_as_canonical_json_and_alone_counts() {
    let space = Space::with_flow(ENTRIES);
    space.write("d.json", r#"{"a": {"b": {"z": 1, "a": [1,  2]}, "c": 1}, "which": "x", "values": {"x": 7, "y": 8}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(3, 0, 0, 0));
    assert_eq!(space.output("test:deep"), r#"{"a":[1,2],"z":1}"#);
    space.write("d.json", r#"{"a": {"b": {"a": [1, 2], "z": 1}, "c": 2}, "which": "x", "values": {"x": 7, "y": 9}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0), "only `make`: the entries are the same");
}

#[test]
fn the_place_of_an_entry_may_come_from_another_entry() {
    let space = Space::with_flow(ENTRIES);
    space.write("d.json", r#"{"a": {"b": 1}, "which": "x", "values": {"x": 7, "y": 8}}"#);
    space.up_to_date(&[]);
    assert_eq!(space.output("test:led"), "7");
    space.write("d.json", r#"{"a": {"b": 1}, "which": "y", "values": {"x": 7, "y": 8}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(2, 1, 0, 0));
    assert_eq!(space.output("test:led"), "8");
}

#[test]
fn an_entry_that_is_not_there_is_an_error_that_names_it() {
    let space = Space::with_flow(ENTRIES);
    space.write("d.json", r#"{"a": {}, "which": "x", "values": {"x": 7}}"#);
    space.refused(&["deep"], 1, &["output `d` of `make` has no entry `a/b`"]);
}

#[test]
fn a_file_or_folder_inside_a_folder_output_is_taken_by_path() {
    let space = Space::with_flow(
        r#"
tasks:
  make: { run: 'mkdir -p $OUTPUT_F/a/b; echo 1 >$OUTPUT_F/a/b/one; cp $INPUT_X $OUTPUT_F/x', inputs: { x: { path: x.txt } }, outputs: { f: f } }
  use: { run: 'cat $INPUT_ONE $INPUT_B/one >$OUTPUT_X', inputs: { one: { from: make.f, at: a/b/one }, b: { from: make.f, at: a/b } }, outputs: { x: x } }
"#,
    );
    space.write("x.txt", "1");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(space.output("test:use"), "1\n1\n");
    space.write("x.txt", "2");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
}

#[test]
fn where_takes_one_value_a_list_or_null() {
    let space = Space::with_flow(
        r#"
tasks:
  part: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2, 3] }, outputs: { x: x } }
  one: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: part, where: { n: 2 } } }, outputs: { x: x } }
  some: { run: 'cat $INPUT_X/*/x >$OUTPUT_X', inputs: { x: { from: part, where: { n: [3, 1] } } }, outputs: { x: x } }
  none: { run: 'echo "${INPUT_X-unset}" >$OUTPUT_X', inputs: { x: { from: part, where: { n: null }, optional: true } }, outputs: { x: x } }
  other: { run: 'cat $INPUT_X >$OUTPUT_X', matrix: { n: [1, 2] }, inputs: { x: { from: part, where: { n: "${{ n + 1 }}" } } }, outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(8, 0, 0, 0));
    let outputs = ["one", "some", "none", "other[n=1]", "other[n=2]"].map(|task| space.output(&format!("test:{task}")));
    assert_eq!(outputs, ["2\n", "1\n3\n", "unset\n", "2\n", "3\n"], "`where` replaces the join");
}

#[test]
fn needs_joins_like_an_input_and_passes_no_data() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'test $MATRIX_N = 1', matrix: { n: [1, 2] } }
  b: { run: 'ls -A', matrix: { n: [1, 2] }, needs: [a] }
"#,
    );
    let answer = space.run(&["-k"]);
    assert_eq!(answer.counts(), Counts(2, 0, 1, 1), "{answer:#?}");
    assert!(answer.err.contains("b[n=2]"), "{answer:#?}");
    space.flow("tasks:\n  a: { run: 'test $MATRIX_N = 1', matrix: { n: [1] } }\n  b: { run: 'ls -A', matrix: { n: [1] }, needs: [] }\n");
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0), "order is not part of the key");
}

#[test]
fn an_optional_input_that_is_not_there_is_not_set() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'cat "${INPUT_X-/dev/null}" >$OUTPUT_X', inputs: { x: { path: x.txt, optional: true }, r: { ref: model/none, optional: true } }, outputs: { x: x } }
"#,
    );
    space.up_to_date(&[]);
    assert_eq!(space.output("test:a"), "");
    space.write("x.txt", "there");
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    assert_eq!(space.output("test:a"), "there");
}

#[test]
fn a_ref_that_is_not_set_is_an_error_before_anything_runs() {
    let space = Space::with_flow(
        "tasks:\n  free: { run: 'touch @/ran' }\n  a: { run: 'true', inputs: { r: { ref: model/none } } }\n",
    );
    space.refused(&[], 2, &["the ref `model/none` is not set", "optional: true"]);
    assert!(!space.exists("ran"));
}

#[test]
fn a_task_with_one_output_is_named_without_it_and_several_have_to_be_told_apart() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'true', outputs: { x: x, y: y } }\n  b: { run: 'true', inputs: { x: { from: a } } }\n",
    );
    space.refused(&[], 2, &["flows/test.yaml:3", "a.x"]);
}

/// What the kernel would refuse at the start of a task is told before any task starts, with its place.
#[test]
fn what_is_too_long_to_be_handed_over_is_an_error_before_anything_runs() {
    let first = "  first: { run: 'touch @/began; echo x >$OUTPUT_X', outputs: { x: x } }\n";
    let later = "inputs: { x: { from: first } }";
    let long = "x".repeat(140_000);
    let many: String = (0..60).map(|n| format!("v{n}: '{}', ", "y".repeat(120_000))).collect();
    let flows = [
        (format!("  t: {{ run: 'true {long}' }}"), "3:13", "its command has 140006 bytes"),
        (format!("  t: {{ run: 'true {long}', {later} }}"), "3:13", "its command has 140006 bytes"),
        (format!("  t: {{ run: 'true', with: {{ v: '{long}' }}, {later} }}"), "3:29", "`PARAM_V` has 140009 bytes"),
        (format!("  t: {{ run: 'true', matrix: {{ v: ['{long}'] }} }}"), "3:31", "`MATRIX_V` has"),
        (format!("  t: {{ run: 'true', with: {{ {many} }} }}"), "3:3", "too many for the system"),
    ];
    for (flow, place, what) in flows {
        let space = Space::with_flow(&format!("tasks:\n{first}{flow}\n"));
        let answer = space.run(&[]);
        let told: String = answer.err.chars().filter(|c| !"xy".contains(*c)).take(2000).collect();
        assert_eq!(answer.code, 2, "{told}");
        assert!(answer.err.contains(&format!("test.yaml:{place}]")) && answer.err.contains(what), "{place}: {told}");
        assert!(!space.exists("began"), "{told}");
    }
    let short = "x".repeat(120_000);
    let space = Space::with_flow(&format!("tasks:\n  t: {{ run: 'true {short}', with: {{ v: '{short}' }} }}\n"));
    assert_eq!(space.run(&[]).code, 0, "as much as there is room for");
}
