//! The instances of a task.

use crate::space::{Counts, Space};

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

/// A typing error must not take all memory: it is found before the first instance is made.
#[test]
fn more_instances_than_a_flow_may_have_are_an_error() {
    let all = "'${{ range(3000)|list }}'";
    let listed = format!("tasks:\n  t: {{ run: 'true', matrix: {{ a: {all}, b: {all}, c: {all} }} }}\n");
    let space = Space::with_flow(&listed);
    for command in [&["run", "test"][..], &["run", "test", "-n"], &["graph", "test", "--instances"]] {
        let answer = crate::space::answer(&mut limited(&space, command));
        assert_eq!(answer.code, 2, "{command:?}: {answer:#?}");
        assert!(answer.err.contains("3000 × 3000 × 3000") && answer.err.contains("test.yaml:2:31]"), "{answer:#?}");
    }
    space.flow(&listed.replace("{ a:", "{ include: [{ a: 1, b: 1, c: 1 }], a:"));
    let answer = crate::space::answer(&mut limited(&space, &["run", "test"]));
    assert!(answer.code == 2 && answer.err.contains("3000 × 3000 × 3000"), "{answer:#?}");
    let written = "tasks:\n  n: { run: 'seq -s, 4000 | sed \"s/.*/[&]/\" >$OUTPUT_N', outputs: { n: n.json } }\n  \
                   t: { run: 'true', matrix: { a: { from: n }, b: '${{ range(3000)|list }}' } }\n";
    space.flow(written);
    let answer = crate::space::answer(&mut limited(&space, &["run", "test"]));
    assert!(answer.code == 1 && answer.err.contains("`t` has too many instances: 4000 × 3000"), "{answer:#?}");
}

/// With so much memory that a mistake harms nobody.
fn limited(space: &Space, args: &[&str]) -> std::process::Command {
    let program = space.command(args);
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "ulimit -v 12000000; exec \"$@\"", "bash"]).arg(program.get_program()).args(program.get_args());
    command.current_dir(space.root()).env_remove("GHTRADER_CACHE");
    command
}
