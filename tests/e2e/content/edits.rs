//! Edits of sources: which are seen, and what they rerun.

use std::time::{Duration, SystemTime};

use crate::space::{Counts, Space, chain};

#[test]
fn a_second_run_executes_nothing() {
    let space = chain();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn a_touched_file_reruns_nothing_and_an_edit_reruns_what_depends_on_it() {
    let space = chain();
    space.up_to_date(&[]);
    space.write("text.txt", "b a b");
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    space.write("text.txt", "b a c");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    space.write("text.txt", "b a b");
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0), "an earlier input restores the earlier results");
}

#[test]
fn an_edit_of_the_same_size_and_time_is_seen() {
    let space = chain();
    space.up_to_date(&[]);
    let path = space.path("text.txt");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    space.write("text.txt", "b a d");
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

#[test]
fn the_same_bytes_leave_dependents_untouched() {
    let space = chain();
    space.up_to_date(&[]);
    space.write("text.txt", "a b a");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
}

#[test]
fn an_input_that_changes_while_the_task_runs_is_recorded_under_no_content() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'cat $INPUT_X >$OUTPUT_X; echo 2 >>"${{ params.file }}"', inputs: { x: { path: x.txt } }, outputs: { x: x } }
params: { file: { type: string, required: true } }
"#,
    );
    space.write("x.txt", "1\n");
    let file = format!("file={}", space.path("x.txt").display());
    let failed = space.run(&["-p", &file]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(failed.err.contains("changed while"), "{failed:#?}");
    assert_eq!(space.call(&["lineage", "x.txt", "--down"]).out.matches("key").count(), 0);
}

#[test]
fn a_file_replaced_by_one_of_the_same_size_and_time_is_seen() {
    let space = chain();
    space.up_to_date(&[]);
    let modified = std::fs::metadata(space.path("text.txt")).unwrap().modified().unwrap();
    space.write("other.txt", "b a d");
    let other = std::fs::File::options().append(true).open(space.path("other.txt")).unwrap();
    other.set_modified(modified).unwrap();
    std::fs::rename(space.path("other.txt"), space.path("text.txt")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

#[test]
fn an_older_file_with_other_bytes_is_seen() {
    let space = chain();
    space.up_to_date(&[]);
    space.write("text.txt", "c a b");
    let file = std::fs::File::options().append(true).open(space.path("text.txt")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

/// The first content is written and looked at, and the second one has the same size, both within the clock's grain.
#[test]
fn a_file_younger_than_the_clock_s_grain_is_not_trusted() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { path: x.txt } }, outputs: { x: x }, publish: { x: out.txt } }
"#,
    );
    for turn in 0..5 {
        space.write("x.txt", &format!("{turn}a"));
        space.up_to_date(&[]);
        space.write("x.txt", &format!("{turn}b"));
        space.up_to_date(&[]);
        assert_eq!(space.read("out.txt"), format!("{turn}b"));
    }
}

#[test]
fn an_edit_while_its_reader_runs_leaves_no_result_under_either_content() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'cat $INPUT_X >$OUTPUT_X; test -e @/quiet || echo after >@/x.txt', inputs: { x: { path: x.txt } }, outputs: { x: x } }
"#,
    );
    space.write("x.txt", "before\n");
    space.refused(&[], 1, &["changed while"]);
    space.write("quiet", "");
    for content in ["before\n", "after\n"] {
        space.write("x.txt", content);
        assert_eq!(space.run(&["-n"]).counts(), Counts(1, 0, 0, 0), "{content}");
    }
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    assert_eq!(space.output("test:a"), "after\n");
}

#[test]
fn cut_off_is_per_output() {
    let space = Space::with_flow(
        r#"
tasks:
  split: { run: 'head -n 1 $INPUT_X >$OUTPUT_HEAD; tail -n 1 $INPUT_X >$OUTPUT_TAIL', inputs: { x: { path: x.txt } }, outputs: { head: h, tail: t } }
  of-head: { run: 'cp $INPUT_X $OUTPUT_X', inputs: { x: { from: split.head } }, outputs: { x: x } }
  of-tail: { run: 'cp $INPUT_X $OUTPUT_X', inputs: { x: { from: split.tail } }, outputs: { x: x } }
  after-tail: { run: 'cat $INPUT_X $INPUT_X >$OUTPUT_X', inputs: { x: { from: of-tail } }, outputs: { x: x } }
"#,
    );
    space.write("x.txt", "head\ntail\n");
    space.up_to_date(&[]);
    space.write("x.txt", "head\nlonger tail\n");
    let answer = space.run(&["-v"]);
    assert_eq!(answer.counts(), Counts(3, 1, 0, 0), "{answer:#?}");
    assert!(answer.err.contains("cached") && answer.err.contains("of-head"), "{answer:#?}");
}

#[test]
fn going_back_restores_earlier_results_with_no_execution() {
    let space = chain();
    for text in ["b a b", "x y z", "one"] {
        space.write("text.txt", text);
        assert_eq!(space.up_to_date(&[]).0, 2);
    }
    space.write("text.txt", "b a b");
    assert_eq!(space.run(&["-n"]).counts(), Counts(0, 2, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    assert_eq!(space.output("test:count").trim(), "2");
}

#[test]
fn a_result_counts_in_whichever_flow_it_is_asked_for() {
    let space = chain();
    space.up_to_date(&[]);
    space.flow_named(
        "other",
        &crate::space::CHAIN.replace("  words:", "  renamed:").replace("from: words", "from: renamed"),
    );
    let answer = space.call(&["run", "other"]);
    assert_eq!(answer.counts(), Counts(0, 2, 0, 0), "{answer:#?}");
}
