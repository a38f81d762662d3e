//! A skip is a skip: not failed, not done, with its reason.

use crate::space::{Counts, Space};

#[test]
fn when_false_skips_the_task_and_what_reads_it() {
    let space = Space::with_flow(
        r#"
params: { k: 1 }
tasks:
  a: { run: 'echo a >$OUTPUT_X', outputs: { x: x }, when: "${{ params.k > 1 }}" }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
  c: { run: 'echo c >$OUTPUT_X', outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 2));
    assert_eq!(space.up_to_date(&["-p", "k=2"]), Counts(2, 1, 0, 0));
}

const SKIP: &str = r#"
params: { go: false }
tasks:
  a: { run: 'echo a >$OUTPUT_X', outputs: { x: x }, when: "${{ params.go }}" }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
  c: { run: 'wc -c <$INPUT_X >$OUTPUT_X', inputs: { x: { from: b } }, outputs: { x: x } }
  free: { run: 'echo f >$OUTPUT_X', outputs: { x: x } }
"#;

#[test]
fn a_skip_has_its_reason_and_the_run_exits_0() {
    let space = Space::with_flow(SKIP);
    let answer = space.run(&["--format", "json"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let events = answer.events();
    let reason = |task: &str| {
        let found = events.iter().find(|event| event["task"] == task && event["state"] == "skipped");
        found.unwrap_or_else(|| panic!("{task}: {events:#?}"))["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("a").contains("when"), "{}", reason("a"));
    assert!(reason("b").contains('a'), "{}", reason("b"));
    assert!(reason("c").contains('b'), "{}", reason("c"));
    let last = events.last().unwrap();
    assert_eq!((&last["ran"], &last["skipped"], &last["failed"]), (&1.into(), &3.into(), &0.into()));
}

#[test]
fn a_skip_is_neither_failed_nor_done() {
    let space = Space::with_flow(SKIP);
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 3));
    let show = space.call(&["show", "last"]);
    assert!(show.out.contains("skipped") && !show.out.contains("failed  "), "{show:#?}");
    assert_eq!(space.call(&["get", "test:a", "-o", "a.txt"]).code, 2, "there is no output");
    assert_eq!(space.up_to_date(&["-p", "go=true"]), Counts(3, 1, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 3), "and it is a skip again, whatever was done");
}

#[test]
fn the_dry_run_tells_skips_too() {
    let space = Space::with_flow(SKIP);
    let dry = space.run(&["-n"]);
    assert_eq!((dry.code, dry.counts()), (0, Counts(1, 0, 0, 3)), "{dry:#?}");
    assert!(dry.err.contains("skipped  a ("), "{dry:#?}");
}

#[test]
fn when_may_differ_by_instance_and_a_gather_leaves_the_skipped_out() {
    let space = Space::with_flow(
        r#"
tasks:
  part: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2, 3] }, when: "${{ n != 2 }}", outputs: { x: x } }
  each: { run: 'cat $INPUT_X >$OUTPUT_X', matrix: { n: [1, 2, 3] }, inputs: { x: { from: part } }, outputs: { x: x } }
  all: { run: 'cat $INPUT_X/*/x >$OUTPUT_X', inputs: { x: { from: each } }, outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(5, 0, 0, 2));
    assert_eq!(space.output("test:all"), "1\n3\n");
}

#[test]
fn when_may_use_an_entry_that_another_task_writes() {
    let space = Space::with_flow(
        r#"
tasks:
  decide: { run: 'cp $INPUT_D $OUTPUT_D', inputs: { d: { path: d.json } }, outputs: { d: d.json } }
  act: { run: 'true', inputs: { go: { from: decide.d, at: go } }, when: "${{ inputs.go }}" }
"#,
    );
    space.write("d.json", r#"{"go": false}"#);
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 1));
    space.write("d.json", r#"{"go": true}"#);
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

#[test]
fn when_is_not_part_of_the_key() {
    let space = Space::with_flow(SKIP);
    space.up_to_date(&["-p", "go=true"]);
    space.flow(&SKIP.replace(r#", when: "${{ params.go }}""#, ""));
    assert_eq!(space.up_to_date(&[]), Counts(0, 4, 0, 0));
}

#[test]
fn a_failure_skips_what_it_blocks_with_that_reason() {
    let space = Space::with_flow(
        r#"
tasks:
  bad: { run: 'exit 1', outputs: { x: x } }
  after: { run: 'true', inputs: { x: { from: bad } } }
  order: { run: 'true', needs: [after] }
"#,
    );
    let events = space.run(&["-k", "--format", "json"]).events();
    for (task, cause) in [("after", "bad"), ("order", "after")] {
        let skipped = events.iter().find(|event| event["task"] == task && event["state"] == "skipped");
        let reason = skipped.unwrap_or_else(|| panic!("{events:#?}"))["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(cause) || reason.contains("bad"), "{task}: {reason}");
    }
}

#[test]
fn what_reads_a_skipped_task_is_skipped_whatever_else_it_reads_failed() {
    let flow = |first: &str, second: &str| {
        format!(
            r#"
tasks:
  list: {{ run: 'echo "{{\"a\":1}}" >$OUTPUT_X', outputs: {{ x: x }} }}
  fails: {{ run: 'exit 1', outputs: {{ x: x }} }}
  late: {{ run: 'echo >$OUTPUT_X', inputs: {{ n: {{ from: list, at: a }} }}, when: "${{{{ inputs.n > 1 }}}}", outputs: {{ x: x }} }}
  both: {{ run: 'echo >$OUTPUT_X', matrix: {{ n: [1] }}, inputs: {{ i: {{ from: {first} }}, j: {{ from: {second} }} }}, outputs: {{ x: x }} }}
  gather: {{ run: 'true', inputs: {{ all: {{ from: both }} }} }}
"#
        )
    };
    for (first, second) in [("fails", "late"), ("late", "fails")] {
        let answer = Space::with_flow(&flow(first, second)).run(&["-k"]);
        assert_eq!(answer.code, 1, "{answer:#?}");
        assert_eq!(answer.counts(), Counts(2, 0, 1, 2), "`list` and `gather` run: {answer:#?}");
    }
}
