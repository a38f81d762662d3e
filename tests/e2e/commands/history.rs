//! The history: runs, logs, lineage, artifacts, events.

use serde_json::json;

use crate::space::{Counts, Space};

fn space() -> Space {
    let space = Space::with_flow(
        r#"
params: { k: 3 }
tasks:
  head: { run: 'head -n $PARAM_K $INPUT_TICKS >$OUTPUT_HEAD; echo read', with: { k: "${{ params.k }}" }, inputs: { ticks: { path: data/ticks.csv } }, outputs: { head: head.csv } }
  sum:
    run: 'echo "::progress 1/2 half"; echo "::metric rows=3"; wc -l <$INPUT_HEAD >$OUTPUT_SUM; echo "[{\"rows\": 3, \"name\": \"x\"}]" >$OUTPUT_TABLE'
    inputs: { head: { from: head } }
    outputs: { sum: sum.txt, table: table.json }
    publish: { sum: out/sum.txt }
    print: table
"#,
    );
    space.write("data/ticks.csv", "1\n2\n3\n4\n");
    space
}

#[test]
fn lineage_ends_at_the_source_and_names_parameters_and_code() {
    let space = space();
    space.up_to_date(&[]);
    for artifact in ["out/sum.txt", "test:sum.sum"] {
        let lineage = space.call(&["lineage", artifact]);
        assert_eq!(lineage.code, 0, "{lineage:#?}");
        for part in ["sum  key", "head: head  key", "with k=3", "code head -n $PARAM_K", "ticks: data/ticks.csv"] {
            assert!(lineage.out.contains(part), "{part} is not in {lineage:#?}");
        }
    }
    let down = space.call(&["lineage", "data/ticks.csv", "--down"]);
    assert!(down.out.contains("head  key") && down.out.contains("sum  key"), "{down:#?}");
    let json = space.call(&["lineage", "out/sum.txt", "--format", "json"]);
    let graph: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(graph["nodes"].as_array().unwrap().len(), 3);
}

#[test]
fn a_published_path_is_put_back_without_running_the_task() {
    let space = space();
    space.up_to_date(&[]);
    space.write("out/sum.txt", "changed");
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    assert_eq!(space.read("out/sum.txt").trim(), "3");
    std::fs::remove_dir_all(space.path("out")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    assert_eq!(space.read("out/sum.txt").trim(), "3");
}

#[test]
fn print_shows_a_table_also_when_nothing_ran() {
    let space = space();
    for _ in 0..2 {
        let answer = space.run(&[]);
        assert_eq!(answer.out, "rows  name\n   3  x\n", "{answer:#?}");
    }
}

#[test]
fn events_are_one_json_object_a_line() {
    let space = space();
    let events = space.run(&["--format", "json"]).events();
    let task = |name: &str, state: &str| {
        events
            .iter()
            .find(|event| event["task"] == name && event["state"] == state)
            .unwrap_or_else(|| panic!("{events:#?}"))
    };
    assert_eq!(task("head", "running")["reason"], "never ran");
    assert_eq!(task("sum", "ran")["key"].as_str().unwrap().len(), 64);
    assert!(events.iter().any(|event| event["event"] == "metric" && event["name"] == "rows" && event["value"] == 3.0));
    assert!(events.iter().any(|event| event["event"] == "progress" && event["total"] == 2));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["ran"], &last["failed"]), (&json!("finished"), &json!(2), &json!(0)));
}

#[test]
fn runs_show_and_log_tell_the_history() {
    let space = space();
    space.up_to_date(&["-p", "k=2"]);
    space.up_to_date(&[]);
    let runs = space.call(&["runs"]);
    assert_eq!(runs.out.lines().count(), 3, "{runs:#?}");
    let show = space.call(&["show", "last"]);
    assert!(show.out.contains("k = 3") && show.out.contains("parameter k changed: 2 → 3"), "{show:#?}");
    assert_eq!(space.call(&["log", "last", "head"]).out, "read\n");
    let wrong = space.call(&["log", "last", "haed"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean `head`?"), "{wrong:#?}");
}

#[test]
fn get_copies_an_artifact_by_hash_and_by_name() {
    let space = space();
    space.up_to_date(&[]);
    let first = space.call(&["get", "test:head", "-o", "copy.csv"]);
    assert_eq!(space.read("copy.csv"), "1\n2\n3\n");
    let short = &first.out[..8];
    let second = space.call(&["get", short, "-o", "again.csv"]);
    assert_eq!((second.code, space.read("again.csv")), (0, "1\n2\n3\n".to_owned()), "{second:#?}");
    assert_eq!(space.call(&["get", "nothing", "-o", "x"]).code, 2);
}

#[test]
fn graph_and_list_show_what_there_is() {
    let space = space();
    assert_eq!(space.call(&["graph", "test"]).out, "head\nsum  ← head\n");
    assert!(space.call(&["graph", "test", "--format", "dot"]).out.contains("n0 -> n1;"));
    assert!(space.call(&["list"]).out.starts_with("test"));
    assert_eq!(space.call(&["check", "test"]).code, 0);
}

#[test]
fn nothing_of_the_user_is_replaced_by_a_copy() {
    let space = space();
    space.up_to_date(&[]);
    space.write("docs/sub/mine.txt", "mine");
    for target in ["docs", ".", "/dev/null"] {
        let refused = space.call(&["get", "test:sum.sum", "-o", target]);
        assert_eq!(refused.code, 2, "{target}: {refused:#?}");
        assert!(refused.err.contains("is not replaced"), "{target}: {refused:#?}");
    }
    assert_eq!(space.read("docs/sub/mine.txt"), "mine");
    let flow = space.read("flows/test.yaml");
    for target in ["\"\"", ".", "..", "flows/other.yaml", "cache/v1/x", "/tmp/x"] {
        space.flow(&flow.replace("out/sum.txt", &format!("\"${{{{ '{}' }}}}\"", target.trim_matches('"'))));
        let refused = space.run(&[]);
        assert_eq!(refused.code, 2, "{target}: {refused:#?}");
        assert!(refused.err.contains("cannot publish to"), "{target}: {refused:#?}");
    }
}

#[test]
fn a_published_folder_is_put_back_and_a_folder_of_the_user_is_not_touched() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'mkdir $OUTPUT_F; echo 1 >$OUTPUT_F/x', outputs: { f: f }, publish: { f: out/f } }\n",
    );
    space.up_to_date(&[]);
    space.write("out/f/x", "changed");
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0));
    assert_eq!(space.read("out/f/x"), "1\n");
    let other = Space::with_flow(&space.read("flows/test.yaml"));
    other.write("out/f/precious", "mine");
    let refused = other.run(&[]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert_eq!(other.read("out/f/precious"), "mine");
}

#[test]
fn a_run_that_was_killed_at_its_start_does_not_hide_the_others() {
    let space = space();
    space.up_to_date(&[]);
    space.write("cache/v1/runs/01M7Z6TQ000000000000000000/start.json", "{");
    space.write("cache/v1/runs/stray/file", "");
    let runs = space.call(&["runs"]);
    assert_eq!((runs.code, runs.out.lines().count()), (0, 3), "{runs:#?}");
}

#[test]
fn what_came_of_an_artifact_is_told_through_entries_and_gathers() {
    let space = Space::with_flow(
        r#"
tasks:
  cells: { run: 'echo "{\"1\": {\"v\": 1}, \"2\": {\"v\": 2}}" >$OUTPUT_CELLS', outputs: { cells: cells.json } }
  part: { matrix: { n: { from: cells.cells } }, run: 'cp $INPUT_CELL $OUTPUT_O', inputs: { cell: { from: cells.cells, at: "${{ n }}" } }, outputs: { o: o } }
  all: { run: 'cat $INPUT_O/*/* $INPUT_X >$OUTPUT_M', inputs: { o: { from: part }, x: { path: x.txt } }, outputs: { m: m } }
"#,
    );
    space.write("x.txt", "x");
    space.up_to_date(&[]);
    let down = |artifact: &str| space.call(&["lineage", artifact, "--down"]).out;
    let cells = down("test:cells");
    assert!(cells.starts_with("cells  key "), "{cells}");
    for part in ["cell: part[n=1]", "cell: part[n=2]", "o: all  key"] {
        assert!(cells.contains(part), "{part} is not in {cells}");
    }
    assert!(!cells.contains("not recorded"), "{cells}");
    assert!(!down("test:part[n=2]").contains("part[n=1]"));
    assert!(down("x.txt").starts_with("x.txt  content "), "{}", down("x.txt"));
    let several = space.call(&["get", "test:part", "-o", "x"]);
    assert!(several.code == 2 && several.err.contains("`test:part[n=1]`"), "{several:#?}");
}

#[test]
fn a_damaged_ref_is_told_and_a_lost_object_says_what_makes_it_again() {
    let space = space();
    space.up_to_date(&[]);
    space.call(&["refs", "set", "r", "test:head"]);
    let hash = space.call(&["get", "r", "-o", "copy.csv"]).out[..64].to_owned();
    std::fs::remove_file(space.path(&format!("cache/v1/objects/{}/{}", &hash[..2], &hash[2..]))).unwrap();
    let lost = space.call(&["get", "r", "-o", "again.csv"]);
    assert_eq!(lost.code, 4, "{lost:#?}");
    assert!(lost.err.contains("help: `ghtrader run test 'head'` makes it again"), "{lost:#?}");
    let head = space.read("flows/test.yaml");
    space.flow("tasks: { a: { run: 'cat $INPUT_R', inputs: { r: { ref: r } } } }");
    let failed = space.run(&[]);
    assert!(failed.code == 1 && failed.err.contains("`ghtrader refs log r`"), "{failed:#?}");
    space.flow(&head);
    space.write("cache/v1/refs/r/1.json", "{");
    for command in [&["lineage", "r"][..], &["get", "r", "-o", "x"]] {
        let damaged = space.call(command);
        assert!(damaged.code == 4 && damaged.err.contains("is not a move of a ref"), "{damaged:#?}");
    }
}

#[test]
fn what_no_task_wrote_is_not_replaced_without_a_word() {
    let space =
        Space::with_flow("tasks:\n  a: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, publish: { x: notes.txt } }\n");
    space.write("notes.txt", "mine");
    let told = space.run(&[]);
    assert!(told.err.contains("notes.txt held what no task wrote; it was replaced by the output of a"), "{told:#?}");
    assert_eq!(space.read("notes.txt"), "1\n");
    // What a task wrote can be had again.
    space.flow("tasks:\n  a: { run: 'echo 2 >$OUTPUT_X', outputs: { x: x }, publish: { x: notes.txt } }\n");
    let told = space.run(&[]);
    assert!(space.read("notes.txt") == "2\n" && !told.err.contains("held"), "{told:#?}");
}

#[test]
fn a_task_that_cannot_publish_counts_once() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, publish: { x: out } }\n  b: { run: 'true' }\n",
    );
    space.write("out/mine", "1");
    assert_eq!(space.run(&["-k"]).counts(), Counts(1, 0, 1, 0));
    assert_eq!(space.run(&["-k"]).counts(), Counts(0, 1, 1, 0));
    assert_eq!(space.read("out/mine"), "1");
}
