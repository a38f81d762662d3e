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

/// `a` publishes to this path, beside a link `lnk` to `out` and `lf` to `flows`, `lc` to `cache/v1`.
fn linked(path: &str, more: &str) -> Space {
    let space = Space::with_flow(&format!(
        "tasks:\n  a: {{ run: 'echo 1 >$OUTPUT_O', outputs: {{ o: o }}, publish: {{ o: {path} }} }}\n{more}"
    ));
    space.write("out/a", "old");
    for (target, link) in [("out", "lnk"), ("flows", "lf"), ("cache/v1", "lc"), ("out/a", "one")] {
        std::os::unix::fs::symlink(target, space.path(link)).unwrap();
    }
    space
}

#[test]
fn an_input_under_a_published_path_is_found_however_it_is_written() {
    for path in ["@/out/a", "lnk/a", "lnk", "one", "@/lnk/../out/a", "."] {
        let space = linked("out/a", &format!("  e: {{ run: 'true', inputs: {{ x: {{ path: {path} }} }} }}\n"));
        space.refused(&[], 2, &["flows/test.yaml", "`a`", "`x`"]);
        assert_eq!(space.call(&["runs"]).out, "no runs yet\n", "{path}");
    }
    let space = linked("lnk/a", "  e: { run: 'true', inputs: { x: { path: out/a } } }\n");
    space.refused(&[], 2, &["`x` lies where `a` publishes"]);
}

#[test]
fn two_tasks_that_publish_to_one_place_over_a_link_are_an_error() {
    let space = linked("out/a", "  b: { run: 'echo 2 >$OUTPUT_O', outputs: { o: o }, publish: { o: lnk/a } }\n");
    space.refused(&[], 2, &["`a` and `b` both publish to `lnk/a`"]);
    assert_eq!(space.read("out/a"), "old");
}

#[test]
fn nothing_is_published_into_flows_or_the_cache_over_a_link() {
    for path in ["lf/zz.yaml", "lc/objects/zz", "lf/new/zz.yaml"] {
        let space = linked(path, "");
        space.write("cache/v1/keep", "");
        space.refused(&[], 2, &["cannot publish to", path]);
        assert!(!space.exists("flows/zz.yaml") && !space.exists("cache/v1/objects/zz"));
    }
    let space = linked("lnk/b", "");
    space.up_to_date(&[]);
    assert_eq!(space.read("out/b"), "1\n", "a link to elsewhere is the user's");
}
