//! A flow in a flow: `flow:` in a task.

use crate::space::{Answer, Counts, Space};

/// Each of `items` becomes a file of its own; `all` gathers them.
const INNER: &str = r#"
params:
  items: [a, b]
  suffix: { type: string, required: true }
tasks:
  list:
    run: echo '${{ params.items | tojson }}' >"$OUTPUT_ITEMS"
    outputs: { items: items.json }
  each:
    run: echo "$PARAM_TEXT" >"$OUTPUT_TEXT"
    matrix: { item: { from: list.items } }
    with: { text: "${{ item }}${{ params.suffix }}" }
    outputs: { text: text.txt }
  all:
    run: cat "$INPUT_TEXTS"/*/* >"$OUTPUT_ALL"
    inputs: { texts: { from: each.text } }
    outputs: { all: all.txt }
    print: all
"#;

const OUTER: &str = r#"
params: { words: [x, y, z] }
tasks:
  before: { run: "true" }
  sub:
    flow: inner
    needs: [before]
    with: { items: "${{ params.words }}", suffix: "!" }
  after:
    run: tr a-z A-Z <"$INPUT_ALL" >"$OUTPUT_ALL"
    inputs: { all: { from: sub/all } }
    outputs: { all: all.txt }
    publish: { all: out/all.txt }
"#;

fn space(outer: &str) -> Space {
    let space = Space::with_flow(outer);
    space.write("flows/inner.yaml", INNER);
    space
}

/// `name[instance] state` of every task of a dry run or a run, sorted.
fn states(answer: &Answer) -> Vec<String> {
    let events = answer.events().into_iter().filter(|event| event["event"] == "task" && event["state"] != "running");
    let mut states: Vec<String> = events
        .map(|event| format!("{} {}", event["task"].as_str().unwrap(), event["state"].as_str().unwrap()))
        .collect();
    states.sort();
    states
}

#[test]
fn the_tasks_of_a_flow_in_a_flow_are_tasks_of_the_flow() {
    let space = space(OUTER);
    let run = space.run(&["--format", "json"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let each = |state: &str| ["x", "y", "z"].map(|item| format!("sub/each[item={item}] {state}"));
    let all = |state: &str| {
        let mut all = ["after", "before", "sub/all", "sub/list"].map(|task| format!("{task} {state}")).to_vec();
        all.extend(each(state));
        all.sort();
        all
    };
    assert_eq!(states(&run), all("ran"));
    assert_eq!(space.read("out/all.txt"), "X!\nY!\nZ!\n");
    let print = run.events().into_iter().find(|event| event["event"] == "print").unwrap();
    assert_eq!(print["task"], "sub/all");
    assert_eq!(states(&space.run(&["-n", "--format", "json"])), all("cached"));
    assert_eq!(space.up_to_date(&[]), Counts(0, 7, 0, 0));
}

#[test]
fn every_place_knows_them_by_their_whole_name() {
    let space = space(OUTER);
    space.up_to_date(&[]);
    let graph = space.call(&["graph", "test"]);
    assert_eq!(
        graph.out,
        "before\nsub/list  ← before\nsub/each  ← before, sub/list\nsub/all  ← before, sub/each\nafter  ← sub/all\n"
    );
    let instances = space.call(&["graph", "test", "--instances", "--format", "json"]);
    assert!(instances.out.contains("sub/each[item=y]"), "{instances:#?}");
    let explain = space.call(&["explain", "test", "sub/each[item=y]"]);
    assert!(explain.out.starts_with("sub/each[item=y]: cached\n"), "{explain:#?}");
    let log = space.call(&["log", "last", "sub/each[item=y]"]);
    assert_eq!(log.code, 0, "{log:#?}");
    let lineage = space.call(&["lineage", "test:sub/each[item=y].text"]);
    assert!(lineage.out.contains("sub/each[item=y]"), "{lineage:#?}");
    let show = space.call(&["show", "last"]);
    assert!(show.out.contains("sub/all"), "{show:#?}");
    let check = space.call(&["check", "test"]);
    assert_eq!(check.out, "flows/test.yaml is valid: 5 tasks\n");
}

#[test]
fn a_flow_in_a_flow_is_chosen_whole_or_by_task() {
    let space = space(OUTER);
    for (choice, chosen) in [("sub", 6), ("sub/*", 6), ("sub/each[item=y]", 3), ("sub/list", 2), ("before+", 7)] {
        let dry = space.run(&[choice, "-n", "--format", "json"]);
        assert_eq!(dry.code, 0, "{choice}: {dry:#?}");
        let run = space.run(&[choice, "--force", "*", "--format", "json"]);
        assert_eq!(states(&run).len(), chosen, "{choice}: {run:#?}");
    }
    let wrong = space.run(&["sub/eahc"]);
    assert_eq!((wrong.code, wrong.err.contains("did you mean `sub/each`?")), (2, true), "{wrong:#?}");
}

#[test]
fn a_task_has_the_same_key_wherever_its_flow_is() {
    let space = space(OUTER);
    space.up_to_date(&[]);
    let alone = space.call(&["run", "inner", "-p", "items=[x,y,z]", "-p", "suffix=!"]);
    assert_eq!((alone.code, alone.counts()), (0, Counts(0, 5, 0, 0)), "{alone:#?}");
    // A matrix around it is not part of the key either.
    space.flow(
        r#"
tasks:
  sub:
    flow: flows/inner.yaml
    matrix: { words: [[x, y, z], [x]] }
    with: { items: "${{ words }}", suffix: "!" }
"#,
    );
    let around = space.run(&["--format", "json"]);
    assert_eq!(states(&around).iter().filter(|state| state.ends_with(" ran")).count(), 2, "{around:#?}");
}

#[test]
fn the_axes_of_the_outer_task_are_added_to_every_inner_one() {
    let space = space(
        r#"
tasks:
  days: { run: "echo '[\"mon\",\"tue\"]' >$OUTPUT_DAYS", outputs: { days: days.json } }
  sub:
    flow: inner
    matrix:
      day: { from: days.days }
      tail: [1, 2]
      exclude: [{ day: tue, tail: 2 }]
    with: { items: "${{ [day] }}", suffix: "-${{ tail }}" }
  joined:
    run: cat "$INPUT_ALL"/*/all.txt >"$OUTPUT_ALL"; env | grep MATRIX_ >>"$OUTPUT_ALL"
    matrix: { day: { from: days.days } }
    inputs: { all: { from: sub/all.all } }
    outputs: { all: all.txt }
    publish: { all: "out/${{ day }}.txt" }
"#,
    );
    let run = space.run(&["--format", "json"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let (listed, sub): (Vec<String>, Vec<String>) =
        states(&run).into_iter().filter(|state| state.starts_with("sub/")).partition(|state| state.contains("/list["));
    assert_eq!(
        sub,
        [
            "sub/all[day=mon,tail=1] ran",
            "sub/all[day=mon,tail=2] ran",
            "sub/all[day=tue,tail=1] ran",
            "sub/each[day=mon,tail=1,item=mon] ran",
            "sub/each[day=mon,tail=2,item=mon] ran",
            "sub/each[day=tue,tail=1,item=tue] ran",
        ]
    );
    // Its command does not use the tail: the two of Monday have one key, and whichever came first ran.
    let ran = |day: &str| listed.iter().filter(|state| state.contains(day) && state.ends_with(" ran")).count();
    assert_eq!((listed.len(), ran("mon"), ran("tue")), (3, 1, 1), "{listed:#?}");
    assert_eq!(space.read("out/mon.txt"), "mon-1\nmon-2\nMATRIX_DAY=mon\n");
    assert_eq!(space.read("out/tue.txt"), "tue-1\nMATRIX_DAY=tue\n");
    let chosen = states(&space.run(&["sub[day=mon]", "-n", "--format", "json"]));
    assert!(chosen.iter().all(|state| state.contains("day=mon") || state == "days cached"), "{chosen:#?}");
    assert_eq!(chosen.len(), 7, "{chosen:#?}");
}

#[test]
fn include_adds_to_the_matrix_of_a_flow() {
    let space = space(
        r#"
tasks:
  sub:
    flow: inner
    matrix: { day: [mon, tue], include: [{ day: mon, tail: x }, { day: wed, tail: y }] }
    with: { items: "${{ [day] }}", suffix: "${{ tail or 'none' }}" }
"#,
    );
    let run = space.run(&["--format", "json"]);
    let each: Vec<String> = states(&run).into_iter().filter(|state| state.starts_with("sub/each")).collect();
    assert_eq!(
        each,
        [
            "sub/each[day=mon,tail=x,item=mon] ran",
            "sub/each[day=tue,tail=null,item=tue] ran",
            "sub/each[day=wed,tail=y,item=wed] ran"
        ]
    );
}

#[test]
fn when_false_skips_all_of_it_and_needs_waits_for_all_of_it() {
    let space = space(
        r#"
params: { go: false }
tasks:
  sub: { flow: inner, when: "${{ params.go }}", with: { suffix: "" } }
  reader: { run: "true", inputs: { all: { from: sub/all } } }
  last: { run: "true", needs: [sub] }
"#,
    );
    let skipped = space.run(&["--format", "json"]);
    assert_eq!(skipped.code, 0, "{skipped:#?}");
    assert_eq!(
        states(&skipped),
        ["last ran", "reader skipped", "sub/all skipped", "sub/each[item=*] skipped", "sub/list skipped"]
    );
    let reasons: Vec<_> = skipped.events().into_iter().filter(|event| event["task"] == "sub/all").collect();
    assert_eq!(reasons[0]["reason"], "the `when` of `sub` is false");
    let run = space.run(&["-p", "go=true", "--format", "json"]);
    let ended = |task: &str| {
        run.events().iter().position(|event| event["task"] == task && event["state"] == "ran").unwrap_or(usize::MAX)
    };
    assert_eq!(run.code, 0, "{run:#?}");
    assert!(space.call(&["graph", "test"]).out.contains("last  ← sub/list, sub/each, sub/all"));
    assert!(ended("reader") < usize::MAX);
}

#[test]
fn needs_of_the_outer_task_hold_for_all_inner_ones() {
    let space = space(
        r#"
tasks:
  fails: { run: "false" }
  sub: { flow: inner, needs: fails, with: { suffix: "" } }
"#,
    );
    let run = space.run(&["--format", "json"]);
    assert_eq!(run.code, 1);
    assert_eq!(states(&run), ["fails failed", "sub/all skipped", "sub/each[item=*] skipped", "sub/list skipped"]);
}

#[test]
fn flows_nest_and_each_level_has_its_own_names() {
    let space = space(
        "params: { word: outer }\ntasks:\n  top: { flow: middle, with: { words: [\"${{ params.word }}\", b] } }\n",
    );
    space.write(
        "flows/middle.yaml",
        r#"
params: { words: [], word: middle, n: 2 }
tasks:
  low:
    flow: inner
    matrix: { k: "${{ range(params.n) | list }}" }
    with: { items: "${{ params.words }}", suffix: "-${{ params.word }}${{ k }}" }
  end:
    run: cat $INPUT_ALL/*/all.txt >$OUTPUT_END
    inputs: { all: { from: low/all } }
    outputs: { end: end.txt }
    publish: { end: out.txt }
"#,
    );
    let run = space.run(&["--format", "json"]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(space.read("out.txt"), "b-middle0\nouter-middle0\nb-middle1\nouter-middle1\n");
    assert!(states(&run).contains(&"top/low/each[k=1,item=outer] ran".to_owned()), "{run:#?}");
    assert_eq!(space.up_to_date(&["top/low"]).0, 0);
    assert_eq!(space.call(&["run", "middle", "-p", "words=[outer,b]"]).counts().0, 0);
}

#[test]
fn two_instances_of_a_flow_cannot_publish_to_one_place() {
    let space = Space::with_flow("tasks:\n  sub: { flow: inner, matrix: { day: [1, 2] } }\n");
    space.write(
        "flows/inner.yaml",
        "tasks:\n  a: { run: 'echo >$OUTPUT_X', outputs: { x: x }, publish: { x: out/x } }\n",
    );
    let run = space.run(&[]);
    assert_eq!(run.code, 2, "{run:#?}");
    assert!(run.err.contains("`sub/a[day=1]` and `sub/a[day=2]` both publish to `out/x`"), "{run:#?}");
    assert!(run.err.contains("note: `flows/inner.yaml` is the flow of `sub`, flows/test.yaml:2:3"), "{run:#?}");
}

#[test]
fn an_edit_of_the_inner_file_reruns_what_it_changes() {
    let space = space(OUTER);
    space.up_to_date(&[]);
    space.write("flows/inner.yaml", &INNER.replace("cat \"$INPUT", "cat  \"$INPUT"));
    let dry = space.run(&["-n"]);
    assert!(dry.err.contains("runs     sub/all (command changed)"), "{dry:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 6, 0, 0));
}
