//! Stable paths for people, and what is printed for them.

use std::os::unix::fs::MetadataExt as _;

use crate::space::{Counts, Space};

const PUBLISH: &str = r#"
tasks:
  a: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { path: x.txt } }, outputs: { x: x.txt }, publish: { x: out/deep/x.txt } }
"#;

#[test]
fn a_published_path_is_a_copy_and_no_link_into_the_cache() {
    let space = Space::with_flow(PUBLISH);
    space.write("x.txt", "one");
    space.up_to_date(&[]);
    let published = std::fs::symlink_metadata(space.path("out/deep/x.txt")).unwrap();
    assert!(published.is_file() && published.nlink() == 1);
    space.write("out/deep/x.txt", "changed by hand");
    assert_eq!(space.output("test:a"), "one", "the cache is untouched");
}

#[test]
fn a_new_result_replaces_what_was_published() {
    let space = Space::with_flow(PUBLISH);
    for text in ["one", "two", "one"] {
        space.write("x.txt", text);
        space.up_to_date(&[]);
        assert_eq!(space.read("out/deep/x.txt"), text);
    }
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0));
}

#[test]
fn an_input_under_a_published_path_is_an_error_of_the_flow() {
    let space =
        Space::with_flow(&format!("{PUBLISH}  b: {{ run: 'true', inputs: {{ x: {{ path: out/deep/x.txt }} }} }}\n"));
    space.write("x.txt", "one");
    space.refused(&[], 2, &["out/deep/x.txt", "flows/test.yaml"]);
}

#[test]
fn two_tasks_that_publish_to_one_path_or_move_one_ref_are_errors_of_the_flow() {
    for target in ["out/x.txt", "{ ref: model/x }"] {
        let task = |name: &str| {
            format!("  {name}: {{ run: 'echo {name} >$OUTPUT_X', outputs: {{ x: x }}, publish: {{ x: {target} }} }}\n")
        };
        let space = Space::with_flow(&format!("tasks:\n{}{}", task("a"), task("b")));
        space.refused(&[], 2, &["`a`", "`b`"]);
        assert_eq!(space.call(&["runs"]).out, "no runs yet\n");
    }
}

#[test]
fn a_text_is_printed_as_it_is_also_when_nothing_ran() {
    let space = Space::with_flow("tasks:\n  a: { run: 'echo hello >$OUTPUT_X', outputs: { x: x }, print: x }\n");
    for _ in 0..2 {
        assert_eq!(space.run(&[]).out, "hello\n");
    }
}

#[test]
fn an_input_where_a_task_publishes_is_an_error_whichever_is_known_first() {
    let flow = r#"
tasks:
  report: { run: 'cat $INPUT_X/* >$OUTPUT_R', inputs: { x: { path: out } }, outputs: { r: r } }
  days: { run: 'echo "[\"out\"]" >$OUTPUT_DAYS', outputs: { days: days.json } }
  a: { matrix: { d: { from: days } }, run: 'echo $MATRIX_D >$OUTPUT_O', outputs: { o: o }, publish: { o: "${{ d }}/o.txt" } }
"#;
    let space = Space::with_flow(flow);
    space.write("out/first", "1");
    let first = space.run(&[]);
    assert!(first.code == 1 && !space.exists("out/o.txt"), "{first:#?}");
    assert!(first.err.contains("`a[d=out]` publishes to `out/o.txt`, where `report` reads `x`"), "{first:#?}");
    let known = space.run(&[]);
    assert!(known.code == 2 && known.err.contains("where `report` reads `x`"), "{known:#?}");
    // The other way round: what is published is known before the input is.
    space.flow(
        r#"
tasks:
  where: { run: 'echo "{\"at\": \"out\"}" >$OUTPUT_W', outputs: { w: w.json } }
  a: { run: 'echo >$OUTPUT_O', outputs: { o: o }, publish: { o: "${{ 'out' }}/o.txt" } }
  report:
    run: 'true'
    inputs: { w: { from: where, at: at }, x: { path: "${{ inputs.w }}" } }
"#,
    );
    let later = space.run(&[]);
    assert!(later.code == 1 && later.err.contains("`x` lies where `a` publishes"), "{later:#?}");
}
