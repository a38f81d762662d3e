//! Content decides: what runs, what does not, and whether the dry run says so beforehand.

use crate::space::{Counts, Space};

const CHAIN: &str = r#"
tasks:
  words:
    run: tr ' ' '\n' <"$INPUT_TEXT" | sort -u >"$OUTPUT_WORDS"
    inputs: { text: { path: text.txt } }
    outputs: { words: words.txt }
  count:
    run: wc -l <"$INPUT_WORDS" >"$OUTPUT_COUNT"
    inputs: { words: { from: words } }
    outputs: { count: count.txt }
"#;

fn chain() -> Space {
    let space = Space::with_flow(CHAIN);
    space.write("text.txt", "b a b");
    space
}

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
fn a_dry_run_says_what_will_happen_and_writes_nothing() {
    let space = chain();
    let dry = space.run(&["--dry-run"]);
    assert_eq!(dry.code, 0);
    assert!(dry.err.contains("runs     words (never ran)"), "{dry:#?}");
    assert!(dry.err.contains("may run  count (waits for words)"), "{dry:#?}");
    assert!(!space.exists("cache"));

    space.up_to_date(&[]);
    space.write("text.txt", "b a c");
    let dry = space.run(&["--dry-run"]);
    assert!(dry.err.contains("runs     words (input text changed: text.txt)"), "{dry:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
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
fn forced_tasks_run_again() {
    let space = chain();
    space.up_to_date(&[]);
    assert_eq!(space.up_to_date(&["--force", "words"]), Counts(1, 1, 0, 0));
}

#[test]
fn a_selected_task_brings_what_it_needs_and_no_more() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo a >$OUTPUT_X', outputs: { x: x } }
  b: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x } }
  c: { run: 'cat $INPUT_X $INPUT_X >$OUTPUT_X', inputs: { x: { from: b } }, outputs: { x: x } }
"#,
    );
    assert_eq!(space.up_to_date(&["b"]), Counts(2, 0, 0, 0));
    assert_eq!(space.up_to_date(&["b+"]), Counts(1, 2, 0, 0));
}

#[test]
fn a_lost_or_damaged_object_is_made_again() {
    let space = chain();
    space.up_to_date(&[]);
    let before = space.call(&["get", "test:words", "-o", "words"]);
    assert_eq!(before.code, 0, "{before:#?}");
    let hash = before.out.split(' ').next().unwrap().to_owned();
    let object = space.path(&format!("cache/v1/objects/{}/{}", &hash[..2], &hash[2..]));
    assert!(object.is_file(), "{object:?}");
    std::fs::remove_file(&object).unwrap();
    let dry = space.run(&["--dry-run"]);
    assert!(dry.err.contains("runs     words (output words is lost)"), "{dry:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));

    let mut permissions = std::fs::metadata(&object).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&object, permissions).unwrap();
    std::fs::write(&object, "X\nb\n").unwrap();
    let answer = space.run(&["--dry-run"]);
    assert!(answer.err.contains("words (output words is damaged)"), "{answer:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(std::fs::read_to_string(&object).unwrap(), "a\nb\n");
}

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

#[test]
fn a_secret_is_written_nowhere() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "${#TOKEN}" >$OUTPUT_X'
    outputs: { x: x }
    env: [{ name: TOKEN, secret: true }]
"#,
    );
    let mut command = space.command(&["run", "test", "--format", "json"]);
    let answer = crate::space::answer(command.env("TOKEN", "hunter2-and-more"));
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.out.contains("hunter2"));
    for entry in walk(&space.path("cache")) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{entry:?}");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn a_task_that_is_asked_for_and_is_not_there_is_an_error() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true', matrix: { n: [1, 2] } }\n");
    assert_eq!(space.up_to_date(&["a[n=2]"]), Counts(1, 0, 0, 0));
    let missing = space.run(&["a[n=7]"]);
    assert_eq!(missing.code, 2, "{missing:#?}");
    assert!(missing.err.contains("no instance `a[n=7]`"), "{}", missing.err);
}

#[test]
fn include_extends_and_adds_combinations() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "$MATRIX_V/$MATRIX_N/$MATRIX_EXTRA" >$OUTPUT_X'
    matrix:
      v: [cu, au]
      n: [1, 2]
      exclude: [{ v: au, n: 2 }]
      include: [{ v: cu, extra: x }, { v: ag, n: 9, extra: y }]
    outputs: { x: x }
  all: { run: 'find $INPUT_X -type f | xargs cat | sort >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    assert_eq!(space.up_to_date(&[]), Counts(5, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "ag/9/y\nau/1/null\ncu/1/x\ncu/2/x\n");
}

#[test]
fn two_instances_that_publish_to_one_path_are_an_error_before_either_runs() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x }, publish: { x: out/x.txt } }\n",
    );
    let answer = space.run(&[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("both publish to `out/x.txt`"), "{}", answer.err);
    assert_eq!(space.call(&["runs"]).out, "no runs yet\n");
}

#[test]
fn optional_devices_are_done_without() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo \"[$CUDA_VISIBLE_DEVICES]\" >$OUTPUT_X', resources: { gpu: { count: 1, optional: true } }, outputs: { x: x }, publish: { x: x.txt } }\n",
    );
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    assert_eq!(space.read("x.txt"), "[]\n");
}
