//! Axes that another task writes.

use crate::space::{Counts, Space};

/// Days that a task reads from a file, and a task with an axis over them.
const DAYS: &str = r#"
tasks:
  days: { run: 'cp $INPUT_D $OUTPUT_D', inputs: { d: { path: d.json } }, outputs: { d: d.json } }
  day:
    run: 'echo "$MATRIX_DAY" >$OUTPUT_X; echo "$MATRIX_DAY" >>@/ran'
    matrix: { day: { from: days } }
    outputs: { x: x.txt }
    publish: { x: "out/${{ day | lower }}.txt" }
  all: { run: 'ls $INPUT_X >$OUTPUT_X', inputs: { x: { from: day } }, outputs: { x: x } }
"#;

#[test]
fn a_list_and_the_keys_of_an_object_give_the_same_instances() {
    let space = Space::with_flow(DAYS);
    space.write("d.json", r#"["b", "a"]"#);
    assert_eq!(space.up_to_date(&[]), Counts(4, 0, 0, 0));
    space.write("d.json", r#"{"a": 1, "b": 2}"#);
    assert_eq!(space.up_to_date(&[]), Counts(1, 3, 0, 0));
}

#[test]
fn equal_values_in_other_bytes_rerun_no_instance() {
    let space = Space::with_flow(DAYS);
    space.write("d.json", r#"["a", "b"]"#);
    space.up_to_date(&[]);
    space.write("d.json", "[\n  \"a\",\n  \"b\"\n]");
    assert_eq!(space.up_to_date(&[]), Counts(1, 3, 0, 0));
}

#[test]
fn a_value_less_is_one_instance_less_in_the_gather() {
    let space = Space::with_flow(DAYS);
    space.write("d.json", r#"["a", "b"]"#);
    space.up_to_date(&[]);
    space.write("d.json", r#"["b"]"#);
    assert_eq!(space.up_to_date(&[]), Counts(2, 1, 0, 0));
    assert_eq!(space.output("test:all"), "day=b\n");
    space.write("d.json", "[]");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(space.output("test:all"), "", "no instance gives an empty folder");
}

#[test]
fn a_clash_that_values_create_is_caught_before_either_runs() {
    let space = Space::with_flow(DAYS);
    space.write("d.json", r#"["a", "A"]"#);
    let answer = space.run(&[]);
    assert_ne!(answer.code, 0, "{answer:#?}");
    assert!(answer.err.contains("both publish to `out/a.txt`"), "{answer:#?}");
    assert!(!space.exists("ran"), "{answer:#?}");
}

#[test]
fn a_value_given_twice_is_caught() {
    let space = Space::with_flow(DAYS);
    space.write("d.json", r#"["a", "a"]"#);
    let answer = space.run(&[]);
    assert_ne!(answer.code, 0, "{answer:#?}");
    assert!(answer.err.contains("twice"), "{answer:#?}");
    assert!(!space.exists("ran"), "{answer:#?}");
}

#[test]
fn values_that_are_no_axis_are_an_error_that_names_the_output() {
    for content in [r#""text""#, "7", "not json"] {
        let space = Space::with_flow(DAYS);
        space.write("d.json", content);
        let answer = space.run(&[]);
        assert_eq!(answer.code, 1, "{content}: {answer:#?}");
        assert!(answer.err.contains("days"), "{content}: {answer:#?}");
        assert!(!space.exists("ran"), "{answer:#?}");
    }
}

#[test]
fn a_cycle_that_values_create_is_caught_and_names_the_instances() {
    let space = Space::with_flow(
        r#"
tasks:
  days: { run: 'cp $INPUT_D $OUTPUT_D', inputs: { d: { path: d.json } }, outputs: { d: d.json } }
  state:
    run: 'echo ran >>@/ran; cat "${INPUT_BEFORE:-/dev/null}" >$OUTPUT_X'
    matrix: { day: { from: days } }
    inputs:
      entry: { from: days.d, at: "${{ day }}" }
      before: { from: state.x, where: { day: "${{ inputs.entry.before }}" }, optional: true }
    outputs: { x: x }
"#,
    );
    space.write("d.json", r#"{"a": {"before": "c"}, "b": {"before": "a"}, "c": {"before": "b"}}"#);
    let answer = space.run(&[]);
    assert_ne!(answer.code, 0, "{answer:#?}");
    for part in ["cycle", "state[day=a]", "state[day=b]", "state[day=c]"] {
        assert!(answer.err.contains(part), "{part} is not in {answer:#?}");
    }
    assert!(!space.exists("ran"));
    space.write("d.json", r#"{"a": {"before": null}, "b": {"before": "a"}, "c": {"before": "b"}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(4, 0, 0, 0));
}

#[test]
fn an_axis_of_an_axis_agrees_with_the_axes_before_it() {
    let space = Space::with_flow(
        r#"
tasks:
  days:
    run: 'if [ $MATRIX_V = cu ]; then echo "[1, 2]"; else echo "[3]"; fi >$OUTPUT_D'
    matrix: { v: [cu, ag] }
    outputs: { d: d.json }
  nested: { run: 'echo "{\"cu\": {\"days\": [7]}, \"ag\": {\"days\": [8, 9]}}" >$OUTPUT_N', outputs: { n: n.json } }
  own: { run: 'true', matrix: { v: [cu, ag], d: { from: days.d } } }
  entry: { run: 'true', matrix: { v: [cu, ag], d: { from: nested.n, at: "${{ v }}/days" } } }
"#,
    );
    let answer = space.run(&["-v"]);
    assert_eq!(answer.counts(), Counts(3 + 3 + 3, 0, 0, 0), "{answer:#?}");
    for name in ["own[v=cu,d=1]", "own[v=cu,d=2]", "own[v=ag,d=3]", "entry[v=cu,d=7]", "entry[v=ag,d=9]"] {
        assert!(answer.err.contains(name), "{name} is not in {answer:#?}");
    }
}
