//! Refs: what is in service, how it moves, and how it is rolled back.

use crate::space::{Counts, Space};

/// Promotes the candidate where it is better (larger) than what is in service.
const PROMOTE: &str = r#"
tasks:
  candidate: { run: 'cp $INPUT_SCORE $OUTPUT_MODEL', inputs: { score: { path: score.txt } }, outputs: { model: model.txt } }
  promote:
    run: |
      old=$(cat "${INPUT_INCUMBENT:-/dev/null}"); new=$(cat $INPUT_MODEL)
      cp $INPUT_MODEL $OUTPUT_MODEL
      if [ "$new" -gt "${old:-0}" ]; then ok=true; else ok=false; fi
      echo "{\"promote\": $ok, \"old\": ${old:-0}, \"new\": $new}" >$OUTPUT_DECISION
    inputs:
      model: { from: candidate }
      incumbent: { ref: model/cu/production, optional: true }
    outputs: { model: model.txt, decision: decision.json }
    publish: { model: { ref: model/cu/production, when: decision.promote } }
"#;

fn in_service(space: &Space) -> String {
    let answer = space.call(&["get", "model/cu/production", "-o", "service.txt"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    space.read("service.txt").trim().to_owned()
}

#[test]
fn a_flow_that_has_just_promoted_is_up_to_date() {
    let space = Space::with_flow(PROMOTE);
    space.write("score.txt", "5\n");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(in_service(&space), "5");
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    let dry = space.run(&["-n"]);
    assert_eq!(dry.counts(), Counts(0, 2, 0, 0), "{dry:#?}");
}

#[test]
fn a_worse_candidate_is_compared_with_the_model_in_service() {
    let space = Space::with_flow(PROMOTE);
    space.write("score.txt", "5\n");
    space.up_to_date(&[]);
    space.write("score.txt", "3\n");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(in_service(&space), "5");
    space.call(&["get", "test:promote.decision", "-o", "decision.json"]);
    assert_eq!(space.read("decision.json"), "{\"promote\": false, \"old\": 5, \"new\": 3}\n");
    space.write("score.txt", "7\n");
    space.up_to_date(&[]);
    assert_eq!(in_service(&space), "7");
    assert_eq!(space.call(&["refs", "log", "model/cu/production"]).out.lines().count(), 3);
}

#[test]
fn a_rollback_stands_although_the_flow_runs_again() {
    let space = Space::with_flow(PROMOTE);
    for score in ["5\n", "7\n"] {
        space.write("score.txt", score);
        space.up_to_date(&[]);
    }
    let back = space.call(&["refs", "rollback", "model/cu/production"]);
    assert_eq!(back.code, 0, "{back:#?}");
    assert_eq!(in_service(&space), "5");
    space.up_to_date(&[]);
    assert_eq!(in_service(&space), "5", "a result moves a ref at most once");
    let log = space.call(&["refs", "log", "model/cu/production"]).out;
    assert_eq!(log.lines().count(), 4, "history is never rewritten: {log}");
}

#[test]
fn a_ref_is_set_by_hand_and_read_by_its_lineage() {
    let space = Space::with_flow(PROMOTE);
    space.write("score.txt", "5\n");
    space.up_to_date(&[]);
    let set = space.call(&["refs", "set", "model/cu/frozen", "test:promote.model"]);
    assert_eq!(set.code, 0, "{set:#?}");
    let refs = space.call(&["refs"]);
    assert!(refs.out.contains("model/cu/frozen") && refs.out.contains("model/cu/production"), "{refs:#?}");
    let lineage = space.call(&["lineage", "model/cu/production"]);
    assert!(lineage.out.contains("score: score.txt"), "{lineage:#?}");
    assert_eq!(space.call(&["refs", "set", "../x", "test:promote.model"]).code, 2);
}
