//! Axes, joins, gathers, entries of JSON outputs, and tasks that read their own output of the day before.

use crate::space::{Counts, Space};

const DAYS: &str = r#"
tasks:
  schedule:
    run: cp "$INPUT_DAYS" "$OUTPUT_DAYS"
    inputs: { days: { path: days.json } }
    outputs: { days: days.json }
  day:
    run: 'cat "$INPUT_ENTRY" >"$OUTPUT_DAY"'
    matrix: { day: { from: schedule.days } }
    inputs: { entry: { from: schedule.days, at: "${{ day }}" } }
    outputs: { day: day.json }
  total:
    run: 'cd "$INPUT_DAYS" && for f in $(find . -type f | sort); do echo "$f $(cat $f)"; done >"$OUTPUT_TOTAL"'
    inputs: { days: { from: day } }
    outputs: { total: total.txt }
    publish: { total: total.txt }
"#;

#[test]
fn a_day_more_runs_that_day_alone() {
    let space = Space::with_flow(DAYS);
    space.write("days.json", r#"{"2022-02-17": {"c": "cu2203"}, "2022-02-18": {"c": "cu2203"}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(4, 0, 0, 0));
    assert_eq!(
        space.read("total.txt"),
        "./day=2022-02-17/day.json {\"c\":\"cu2203\"}\n./day=2022-02-18/day.json {\"c\":\"cu2203\"}\n"
    );
    space.write(
        "days.json",
        r#"{"2022-02-17": {"c": "cu2203"}, "2022-02-18": {"c": "cu2203"}, "2022-02-21": {"c": "cu2204"}}"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(3, 2, 0, 0));
    assert!(space.read("total.txt").ends_with("./day=2022-02-21/day.json {\"c\":\"cu2204\"}\n"));
}

#[test]
fn an_axis_that_is_not_known_yet_is_one_line_of_the_dry_run() {
    let space = Space::with_flow(DAYS);
    space.write("days.json", r#"{"2022-02-17": {"c": "cu2203"}}"#);
    let dry = space.run(&["-n"]);
    assert!(dry.err.contains("may run  day[day=*] (waits for schedule)"), "{dry:#?}");
}

#[test]
fn an_axis_with_equal_values_is_cut_off() {
    let space = Space::with_flow(DAYS);
    space.write("days.json", r#"{"2022-02-17": {"c": "cu2203"}}"#);
    space.up_to_date(&[]);
    space.write("days.json", r#"{ "2022-02-17":   {"c": "cu2203"} }"#);
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0));
}

#[test]
fn instances_join_on_common_axes_and_gather_over_the_others() {
    let space = Space::with_flow(
        r#"
params: { varieties: [cu, "a/u"] }
tasks:
  part:
    run: 'echo "$MATRIX_VARIETY $MATRIX_N" >"$OUTPUT_X"'
    matrix: { variety: "${{ params.varieties }}", n: [1, 2] }
    outputs: { x: deep/x.txt }
  joined:
    run: '(cd "$INPUT_X" && find . -type f | sort | xargs cat) >"$OUTPUT_X"'
    matrix: { variety: "${{ params.varieties }}" }
    inputs: { x: { from: part } }
    outputs: { x: x.txt }
  all:
    run: '(cd "$INPUT_X" && find . -type f | sort) >"$OUTPUT_LIST"; (cd "$INPUT_TWO" && find . -type f | sort) >>"$OUTPUT_LIST"'
    inputs: { x: { from: part }, two: { from: part, where: { n: 2 } } }
    outputs: { list: list.txt }
    publish: { list: list.txt }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(7, 0, 0, 0));
    assert_eq!(
        space.read("list.txt"),
        "./variety=a%2Fu/n=1/x.txt\n./variety=a%2Fu/n=2/x.txt\n./variety=cu/n=1/x.txt\n./variety=cu/n=2/x.txt\n\
         ./variety=a%2Fu/x.txt\n./variety=cu/x.txt\n"
    );
    let joined = space.call(&["get", "test:joined[variety=cu]", "-o", "joined.txt"]);
    assert_eq!(joined.code, 0, "{joined:#?}");
    assert_eq!(space.read("joined.txt"), "cu 1\ncu 2\n");
}

#[test]
fn a_task_reads_its_own_output_of_the_day_before() {
    let space = Space::with_flow(
        r#"
tasks:
  days: { run: 'cp "$INPUT_D" "$OUTPUT_D"', inputs: { d: { path: d.json } }, outputs: { d: d.json } }
  build:
    run: '(cat "${INPUT_STATE:-/dev/null}"; echo "$MATRIX_DAY") >"$OUTPUT_STATE"'
    matrix: { day: { from: days.d } }
    inputs:
      entry: { from: days.d, at: "${{ day }}" }
      state: { from: build.state, where: { day: "${{ inputs.entry.previous }}" }, optional: true }
    outputs: { state: state.txt }
"#,
    );
    space.write("d.json", r#"{"c": {"previous": "b"}, "a": {"previous": null}, "b": {"previous": "a"}}"#);
    assert_eq!(space.up_to_date(&[]), Counts(4, 0, 0, 0));
    space.call(&["get", "test:build[day=c]", "-o", "c.txt"]);
    assert_eq!(space.read("c.txt"), "a\nb\nc\n");

    space.write("d.json", r#"{"a": {"previous": "b"}, "b": {"previous": "a"}}"#);
    let cycle = space.run(&[]);
    assert_ne!(cycle.code, 0);
    assert!(cycle.err.contains("cycle"), "{cycle:#?}");
}

#[test]
fn a_part_of_a_folder_output_is_an_input() {
    let space = Space::with_flow(
        r#"
tasks:
  split:
    run: 'mkdir "$OUTPUT_PARTS"; cp "$INPUT_A" "$OUTPUT_PARTS/a"; echo b >"$OUTPUT_PARTS/b"'
    inputs: { a: { path: a.txt } }
    outputs: { parts: parts }
  b: { run: 'cp "$INPUT_B" "$OUTPUT_B"', inputs: { b: { from: split.parts, at: b } }, outputs: { b: b } }
"#,
    );
    space.write("a.txt", "1");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    space.write("a.txt", "2");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0), "b reads a part that did not change");
}

#[test]
fn a_missing_value_of_where_is_an_error_that_names_it() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x } }
  b: { run: 'cat $INPUT_X', inputs: { x: { from: a, where: { n: 3 } } } }
"#,
    );
    let answer = space.run(&[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("there is no `a` with n=3"), "{answer:#?}");
}

#[test]
fn a_gather_leaves_out_what_was_skipped_also_where_that_was_an_axis() {
    let space = Space::with_flow(
        r#"
tasks:
  days:
    run: 'echo "[1, 2]" >$OUTPUT_D'
    matrix: { v: [cu, ag] }
    when: "${{ v != 'ag' }}"
    outputs: { d: d.json }
  part:
    run: 'echo "$MATRIX_V $MATRIX_D" >$OUTPUT_X'
    matrix: { v: [cu, ag], d: { from: days.d } }
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | sort | xargs cat >$OUTPUT_X', inputs: { x: { from: part } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(4, 0, 0, 2));
    assert_eq!(space.read("x.txt"), "cu 1\ncu 2\n");
}

#[test]
fn a_cycle_is_an_error_before_anything_else_runs() {
    let space = Space::with_flow(
        r#"
tasks:
  free: { run: 'echo x >$OUTPUT_X', outputs: { x: x } }
  day:
    run: 'cat "${INPUT_STATE:-/dev/null}" >$OUTPUT_STATE'
    matrix: { day: [a, b] }
    inputs: { state: { from: day.state, where: { day: "${{ 'b' if day == 'a' else 'a' }}" } } }
    outputs: { state: s }
"#,
    );
    let answer = space.run(&[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("tasks form a cycle: `day[day=a]`"), "{answer:#?}");
    assert_eq!(space.call(&["runs"]).out, "no runs yet\n");
}
