//! A task changes nothing but its own folder.

use crate::space::{Counts, Space};

#[test]
fn a_task_cannot_change_its_inputs() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo a >$OUTPUT_X', outputs: { x: x } }
  b:
    run: 'chmod u+w $INPUT_X $INPUT_S; echo evil >$INPUT_X; echo evil >$INPUT_S; echo b >$OUTPUT_X'
    inputs: { x: { from: a }, s: { path: s.txt } }
    outputs: { x: x }
  c: { run: 'cat $INPUT_X >$OUTPUT_X', inputs: { x: { from: a } }, outputs: { x: x }, needs: [b], publish: { x: c.txt } }
"#,
    );
    space.write("s.txt", "source");
    assert_eq!(space.up_to_date(&[]), Counts(3, 0, 0, 0));
    assert_eq!((space.read("c.txt"), space.read("s.txt")), ("a\n".to_owned(), "source".to_owned()));
    assert_eq!(space.up_to_date(&[]), Counts(0, 3, 0, 0));
}

/// A task that writes `x` in some way that does not stay in its folder, and is refused.
fn leaves(run: &str, path: &str) {
    let space = Space::with_flow(&format!(
        "tasks:\n  a: {{ run: '{run}', outputs: {{ x: {path} }} }}\n  b: {{ run: 'cat $INPUT_X', inputs: {{ x: {{ from: a }} }} }}\n"
    ));
    space.write("precious.txt", "mine");
    space.write("folder/precious.txt", "mine");
    let answer = space.run(&[]);
    assert_eq!((answer.code, answer.counts()), (1, Counts(0, 0, 1, 1)), "{run}: {answer:#?}");
    assert_eq!(space.read("precious.txt"), "mine");
    assert_eq!(space.run(&["-n"]).counts().1, 0, "no result is recorded");
}

#[test]
fn an_output_that_is_a_link_is_refused() {
    leaves("ln -s @/precious.txt $OUTPUT_X", "x");
    leaves("echo y >y; ln -s y $OUTPUT_X", "x");
    leaves("ln -s @/folder $OUTPUT_X", "x");
}

#[test]
fn an_output_below_a_link_is_refused() {
    leaves("rmdir sub; ln -s @/folder sub", "sub/precious.txt");
}

#[test]
fn a_link_in_a_folder_output_that_leads_out_is_refused() {
    leaves("mkdir $OUTPUT_X; ln -s @/precious.txt $OUTPUT_X/link", "x");
    leaves("mkdir $OUTPUT_X; ln -s ../../../link $OUTPUT_X/link", "x");
    leaves("mkdir -p $OUTPUT_X/a; ln -s a $OUTPUT_X/b; ln -s b/../../y $OUTPUT_X/c", "x");
}

#[test]
fn an_output_that_is_a_pipe_is_refused() {
    leaves("mkfifo $OUTPUT_X", "x");
    leaves("mkdir $OUTPUT_X; mkfifo $OUTPUT_X/pipe", "x");
}

/// The file outside stays its owner's, and the object is a file of its own.
#[test]
fn an_output_with_a_second_name_outside_is_copied() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'ln @/mine.txt $OUTPUT_X; mkdir $OUTPUT_F; ln @/mine.txt $OUTPUT_F/mine', outputs: { x: x, f: f } }
  b: { run: 'cat $INPUT_X $INPUT_F/mine >$OUTPUT_X', inputs: { x: { from: a.x }, f: { from: a.f } }, outputs: { x: x } }
"#,
    );
    space.write("mine.txt", "before\n");
    space.up_to_date(&["a"]);
    space.write("mine.txt", "afterwards\n");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(space.output("test:b"), "before\nbefore\n");
}

#[test]
fn inputs_of_every_sort_cannot_be_changed() {
    let space = Space::with_flow(
        r#"
tasks:
  make: { run: 'mkdir $OUTPUT_F; echo f >$OUTPUT_F/f; echo "{\"k\": 1}" >$OUTPUT_J', outputs: { f: f, j: j.json } }
  gathered: { run: 'echo g >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x } }
  evil:
    run: |
      for input in "$INPUT_FOLDER" "$INPUT_PART" "$INPUT_ENTRY" "$INPUT_SOURCES" "$INPUT_GATHER"; do
        chmod -R u+w "$input"
        find "$input" -type f | while read -r file; do echo evil >"$file"; rm "$file"; done
        rm -rf "$input"
      done
    inputs:
      folder: { from: make.f }
      part: { from: make.f, at: f }
      entry: { from: make.j, at: k }
      sources: { path: sources }
      gather: { from: gathered }
  after:
    run: 'cat "$INPUT_FOLDER/f" "$INPUT_ENTRY" "$INPUT_SOURCES/s" "$INPUT_GATHER/n=1/x" >$OUTPUT_X'
    needs: [evil]
    inputs: { folder: { from: make.f }, entry: { from: make.j, at: k }, sources: { path: sources }, gather: { from: gathered } }
    outputs: { x: x }
"#,
    );
    space.write("sources/s", "s\n");
    assert_eq!(space.up_to_date(&[]), Counts(5, 0, 0, 0));
    assert_eq!(space.output("test:after"), "f\n1s\ng\n");
    assert_eq!(space.read("sources/s"), "s\n");
    assert_eq!(space.up_to_date(&[]), Counts(0, 5, 0, 0));
}

#[test]
fn outputs_that_overlap_climb_out_or_are_absolute_are_errors_of_the_flow() {
    for (outputs, part) in [
        ("{ x: out, y: out }", "out"),
        ("{ x: out, y: out/deep/y }", "out"),
        ("{ x: ../x }", ".."),
        ("{ x: a/../../x }", ".."),
        ("{ x: /tmp/x }", "/tmp/x"),
    ] {
        let space = Space::with_flow(&format!("tasks:\n  a: {{ run: 'touch @/ran', outputs: {outputs} }}\n"));
        space.refused(&[], 2, &["flows/test.yaml:2", part]);
        assert!(!space.exists("ran"));
    }
}

#[test]
fn a_task_begins_in_an_empty_folder_with_its_temporary_files_beside_it() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'ls -A >$OUTPUT_X; touch left; ls -A "$TMPDIR" >>$OUTPUT_X; case "$TMPDIR" in "$PWD"*) echo inside >>$OUTPUT_X;; esac'
    outputs: { x: deep/down/x.txt }
"#,
    );
    space.up_to_date(&[]);
    assert_eq!(space.output("test:a"), "deep\n");
}
