//! Refs that are read before the task that moves them: those readers too are planned with the value before the move.

use crate::space::{Counts, Space};

/// A model starts from the one in service (`train`), and replaces it where it is better; `polish` lies between.
/// `report` reads the model in service without being asked by the mover.
const WARM: &str = r#"
params: { varieties: [cu, au] }
tasks:
  train:
    run: echo $(( $(cat "$INPUT_SCORE") + $(cat "${INPUT_START:-/dev/null}" || true) + 0 )) >$OUTPUT_MODEL
    matrix: { variety: "${{ params.varieties }}" }
    inputs:
      score: { path: "${{ variety }}.txt" }
      start: { ref: "model/${{ variety }}", optional: true }
    outputs: { model: model.txt }
  polish:
    run: cp $INPUT_MODEL $OUTPUT_MODEL
    matrix: { variety: "${{ params.varieties }}" }
    inputs: { model: { from: train } }
    outputs: { model: model.txt }
  promote:
    run: |
      old=$(cat "${INPUT_INCUMBENT:-/dev/null}"); new=$(cat $INPUT_MODEL)
      cp $INPUT_MODEL $OUTPUT_MODEL
      if [ "$new" -gt "${old:-0}" ]; then ok=true; else ok=false; fi
      echo "{\"promote\": $ok}" >$OUTPUT_DECISION
    matrix: { variety: "${{ params.varieties }}" }
    inputs:
      model: { from: polish }
      incumbent: { ref: "model/${{ variety }}", optional: true }
    outputs: { model: model.txt, decision: decision.json }
    publish: { model: { ref: "model/${{ variety }}", when: decision.promote } }
"#;

fn space() -> Space {
    let space = Space::with_flow(WARM);
    space.write("cu.txt", "5\n");
    space.write("au.txt", "7\n");
    assert_eq!(space.up_to_date(&[]), Counts(6, 0, 0, 0));
    space
}

/// A dry run and a run, which have to agree.
fn counts(space: &Space, args: &[&str]) -> Counts {
    let dry = space.run(&[args, &["-n"]].concat());
    let run = space.up_to_date(args);
    assert!(dry.counts().1 <= run.1, "{dry:#?} {run:?}");
    if run.0 == 0 {
        assert_eq!(dry.counts(), run, "{dry:#?}");
    }
    run
}

fn in_service(space: &Space, name: &str) -> String {
    assert_eq!(space.call(&["get", name, "-o", "service.txt"]).code, 0);
    space.read("service.txt").trim().to_owned()
}

#[test]
fn a_flow_whose_readers_come_before_the_mover_is_up_to_date_after_it_moved() {
    let space = space();
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
    // Also where only a part is asked for.
    assert_eq!(counts(&space, &["train"]), Counts(0, 2, 0, 0));
    let explain = space.call(&["explain", "test", "train[variety=cu]"]);
    assert!(explain.out.starts_with("train[variety=cu]: cached"), "{explain:#?}");
}

#[test]
fn what_changed_starts_from_the_model_in_service_and_the_rest_stands() {
    let space = space();
    space.write("cu.txt", "1\n");
    assert_eq!(counts(&space, &[]), Counts(3, 3, 0, 0));
    assert_eq!(in_service(&space, "model/cu"), "6", "one more than what was in service");
    assert_eq!(in_service(&space, "model/au"), "7");
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
}

#[test]
fn a_move_that_was_not_made_leaves_the_value_in_service_to_all() {
    let space = space();
    space.write("cu.txt", "-3\n");
    assert_eq!(counts(&space, &[]), Counts(3, 3, 0, 0));
    assert_eq!(in_service(&space, "model/cu"), "5");
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
    // Back to what made the move: it stands again.
    space.write("cu.txt", "5\n");
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
    assert_eq!(space.call(&["refs", "log", "model/cu"]).out.lines().count(), 2, "a heading, and the one move");
}

#[test]
fn after_a_rollback_or_a_move_by_hand_the_present_value_counts() {
    let space = space();
    space.write("cu.txt", "1\n");
    space.up_to_date(&[]);
    assert_eq!(space.call(&["refs", "rollback", "model/cu"]).code, 0);
    assert_eq!(in_service(&space, "model/cu"), "5");
    // `train` and `promote` read 5, as they did when the flow moved on from it: no result moves a ref twice.
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
    assert_eq!(in_service(&space, "model/cu"), "5");
    assert_eq!(space.call(&["refs", "set", "model/cu", "model/au"]).code, 0);
    assert_eq!(counts(&space, &[]), Counts(3, 3, 0, 0));
    assert_eq!(in_service(&space, "model/cu"), "8");
    assert_eq!(counts(&space, &[]), Counts(0, 6, 0, 0));
}

#[test]
fn a_lost_object_before_the_mover_is_made_again_as_it_was() {
    let space = space();
    let lineage = space.call(&["get", "test:train[variety=cu].model", "-o", "was.txt"]);
    let hash = lineage.out.split(' ').next().unwrap().to_owned();
    let objects = space.path("cache/v1/objects");
    let object = walk(&objects).into_iter().find(|path| path.replace('/', "").ends_with(&hash)).unwrap();
    std::fs::remove_file(&object).unwrap();
    let counts = counts(&space, &[]);
    assert!(counts.0 <= 3 && counts.0 > 0, "{counts:?}");
    assert_eq!(in_service(&space, "model/cu"), "5");
    assert_eq!(space.up_to_date(&[]), Counts(0, 6, 0, 0));
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

#[test]
fn a_reader_that_the_mover_does_not_depend_on_sees_the_present_value() {
    let space = Space::with_flow(&format!(
        "{WARM}  report:\n    run: cat \"${{INPUT_NOW:-/dev/null}}\" >$OUTPUT_TEXT\n    inputs: {{ now: {{ ref: model/cu, optional: true }}, wait: {{ from: train }} }}\n    outputs: {{ text: text.txt }}\n    publish: {{ text: report.txt }}\n"
    ));
    space.write("cu.txt", "5\n");
    space.write("au.txt", "7\n");
    assert_eq!(space.up_to_date(&[]), Counts(7, 0, 0, 0));
    assert_eq!(space.read("report.txt"), "");
    assert_eq!(counts(&space, &[]), Counts(1, 6, 0, 0));
    assert_eq!(space.read("report.txt"), "5\n");
    assert_eq!(counts(&space, &[]), Counts(0, 7, 0, 0));
}

/// `low` moves a ref that it reads, and reads the one that `high` moves after it; so does the task of an axis in between.
const TWO: &str = r#"
tasks:
  days: { run: "echo '[1,2]' >$OUTPUT_DAYS; cat ${INPUT_B:-/dev/null}", inputs: { b: { ref: b, optional: true } }, outputs: { days: days.json } }
  low:
    run: cat $INPUT_SEED ${INPUT_B:-/dev/null} | cksum >$OUTPUT_X
    inputs: { seed: { path: seed.txt }, b: { ref: b, optional: true }, a: { ref: a, optional: true } }
    outputs: { x: x.txt }
    publish: { x: { ref: a } }
  each: { run: "cp $INPUT_X $OUTPUT_Y", matrix: { day: { from: days.days } }, inputs: { x: { from: low } }, outputs: { y: y.txt } }
  high:
    run: cat $INPUT_ALL/*/* | cksum >$OUTPUT_X
    inputs: { all: { from: each.y } }
    outputs: { x: x.txt }
    publish: { x: { ref: b } }
"#;

#[test]
fn moves_that_depend_on_each_other_stand_together() {
    let space = Space::with_flow(TWO);
    space.write("seed.txt", "1\n");
    assert_eq!(space.up_to_date(&[]), Counts(5, 0, 0, 0));
    assert_eq!(counts(&space, &[]), Counts(0, 5, 0, 0));
    space.write("seed.txt", "2\n");
    // Nothing of the old moves stands: all that reads a ref sees the present value.
    assert_eq!(counts(&space, &[]).2, 0);
    assert_eq!(counts(&space, &[]), Counts(0, 5, 0, 0));
    space.write("seed.txt", "1\n");
    let back = space.up_to_date(&[]);
    assert!(back.0 > 0, "the refs were moved since: {back:?}");
}
