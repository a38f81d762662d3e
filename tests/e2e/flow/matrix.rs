//! The instances of a task.

use crate::space::{Counts, Space};

#[test]
fn include_extends_and_adds_combinations() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "$MATRIX_V/$MATRIX_N/$MATRIX_EXTRA" >$OUTPUT_X'
    matrix:
      v: [cu, au]
      n: [1, 2]
      exclude: [{ v: au, n: 2 }]
      include: [{ v: cu, extra: x }, { v: ag, n: 9, extra: y }]
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | xargs cat | sort >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(5, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "ag/9/y\nau/1/null\ncu/1/x\ncu/2/x\n");
}

#[test]
fn two_instances_that_publish_to_one_path_are_an_error_before_either_runs() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x }, publish: { x: out/x.txt } }\n",
    );
    let answer = space.run(&[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("both publish to `out/x.txt`"), "{}", answer.err);
    assert_eq!(space.call(&["runs"]).out, "no runs yet\n");
}
