//! What the key of a task is made of, and what it is not made of.

use crate::space::{CHAIN, Counts, Space, chain};

#[test]
fn cosmetic_changes_of_the_flow_rerun_nothing() {
    let space = chain();
    space.up_to_date(&[]);
    space.flow(
        r#"
# a comment
tasks:
  count:
    outputs: {count: count.txt}
    inputs:
      words:
        from: words.words
    run: "wc -l <\"$INPUT_WORDS\" >\"$OUTPUT_COUNT\""
  words:
    inputs: { text: { path: "text.txt" } }
    outputs: { words: words.txt }
    resources: { cpu: 2 }
    run: tr ' ' '\n' <"$INPUT_TEXT" | sort -u >"$OUTPUT_WORDS"
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn a_changed_command_is_a_reason() {
    let space = chain();
    space.up_to_date(&[]);
    space.flow(&CHAIN.replace("wc -l", "wc -w"));
    let dry = space.run(&["--dry-run"]);
    assert!(dry.err.contains("runs     count (command changed)"), "{dry:#?}");
    assert_eq!(dry.counts(), Counts(1, 1, 0, 0));
}

#[test]
fn explain_names_what_changed_with_both_values() {
    let space = Space::with_flow(
        r#"
params: { k: 1 }
tasks:
  a: { run: 'echo $PARAM_K >$OUTPUT_X', with: { k: "${{ params.k }}" }, outputs: { x: x } }
"#,
    );
    space.up_to_date(&[]);
    let explained = space.call(&["explain", "test", "a", "-p", "k=2"]);
    assert!(explained.out.contains("a: runs (parameter k changed: 1 → 2)"), "{explained:#?}");
    assert!(explained.out.contains("- with k: 1\n+ with k: 2"), "{explained:#?}");
}

#[test]
fn only_the_parameters_that_a_task_uses_count() {
    let space = Space::with_flow(
        r#"
params: { k: 1, unused: 1 }
tasks:
  a: { run: 'echo ${{ params.k }} >$OUTPUT_X', outputs: { x: x } }
"#,
    );
    space.up_to_date(&[]);
    assert_eq!(space.up_to_date(&["-p", "unused=2"]), Counts(0, 1, 0, 0));
    assert_eq!(space.up_to_date(&["-p", "k=2"]), Counts(1, 0, 0, 0));
}

#[test]
fn a_task_sees_only_the_variables_that_it_names() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "${SEEN-unset} ${HIDDEN-unset}" >$OUTPUT_X'
    outputs: { x: x }
    env: [SEEN]
    publish: { x: x.txt }
"#,
    );
    let run = |value: &str| {
        let mut command = space.command(&["run", "test"]);
        crate::space::answer(command.env("SEEN", value).env("HIDDEN", "no")).counts()
    };
    assert_eq!(run("1"), Counts(1, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "1 unset\n");
    assert_eq!(run("1"), Counts(0, 1, 0, 0));
    assert_eq!(run("2"), Counts(1, 0, 0, 0), "its value is part of the key");
}

const TASK: &str = r#"
tasks:
  a:
    run: 'cat $INPUT_X >$OUTPUT_X'
    inputs: { x: { path: x.txt } }
    outputs: { x: x }
"#;

#[test]
fn what_is_not_in_the_key_reruns_nothing() {
    let space = Space::with_flow(TASK);
    space.write("x.txt", "x");
    space.up_to_date(&[]);
    for more in [
        "resources: { cpu: 1, memory: 1MiB }",
        "retries: { attempts: 3 }",
        "timeout: 10m",
        "locks: [table]",
        "priority: 7",
        "publish: { x: out.txt }",
        "print: x",
        "when: true",
        "cache: { ttl: 1d }",
    ] {
        space.flow(&format!("{TASK}    {more}\n"));
        assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0), "{more}");
    }
    space.flow(&TASK.replace("  a:", "  renamed:"));
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0), "nor is its name");
    space.write("elsewhere.txt", "x");
    space.flow(&TASK.replace("x.txt", "elsewhere.txt"));
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0), "nor is where an input lies");
}

#[test]
fn what_is_in_the_key_runs_again() {
    let space = Space::with_flow(TASK);
    space.write("x.txt", "x");
    space.up_to_date(&[]);
    for (from, to) in [
        ("cat", "cat "),
        ("{ x: { path", "{ y: { path: x.txt }, x: { path"),
        ("outputs: { x: x }", "outputs: { x: other }"),
        ("outputs: { x: x }", "outputs: { x: x }\n    with: { p: 1 }"),
        ("outputs: { x: x }", "outputs: { x: x }\n    with: { p: \"1\" }"),
        ("outputs: { x: x }", "outputs: { x: x }\n    matrix: { m: [1] }"),
        ("outputs: { x: x }", "outputs: { x: x }\n    env: [NOT_SET]"),
    ] {
        space.flow(&TASK.replace(from, to));
        assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0), "{to}");
        assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0), "{to}");
    }
}

#[test]
fn a_task_that_is_not_cached_runs_every_time_and_cuts_off() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo run >>@/runs; echo x >$OUTPUT_X', outputs: { x: x }, cache: false }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(space.read("runs").lines().count(), 2);
}

#[test]
fn a_task_without_outputs_is_recorded_by_its_key_like_any_other() {
    let space = Space::with_flow("tasks:\n  a: { run: 'echo run >>@/runs' }\n");
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    assert_eq!(space.up_to_date(&[]), Counts(0, 1, 0, 0));
    assert_eq!(space.read("runs"), "run\n");
}
