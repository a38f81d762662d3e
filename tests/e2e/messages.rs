//! Errors as users see them, and exit codes of wrong usage.

use crate::space::Space;

#[test]
fn all_errors_of_a_file_are_shown_at_once_with_their_places() {
    let space = Space::with_flow(
        r#"tasks:
  a: { run: 'true', outputs: { x: x }, inputz: {} }
  b: { run: 'true', inputs: { x: { from: aa } } }
"#,
    );
    let answer = space.call(&["check", "test"]);
    assert_eq!(answer.code, 2);
    for part in ["flows/test.yaml:2", "did you mean `inputs`?", "flows/test.yaml:3", "did you mean `a`?"] {
        assert!(answer.err.contains(part), "{part} is not in\n{}", answer.err);
    }
}

#[test]
fn an_unknown_flow_parameter_or_task_names_the_nearest() {
    let space = Space::with_flow("params: { horizon: 50 }\ntasks:\n  build: { run: 'true' }\n");
    for (args, expected) in [
        (vec!["run", "tets"], "did you mean `test`?"),
        (vec!["run", "test", "-p", "horizn=1"], "horizon"),
        (vec!["run", "test", "-p", "horizon=abc"], "integer"),
        (vec!["run", "test", "biuld"], "did you mean `build`?"),
    ] {
        let answer = space.call(&args);
        assert_eq!(answer.code, 2, "{answer:#?}");
        assert!(answer.err.contains(expected), "{expected} is not in\n{}", answer.err);
    }
    assert!(!space.exists("cache"), "an error that can be known beforehand leaves nothing behind");
}

#[test]
fn a_missing_input_is_an_error_before_anything_runs() {
    let space = Space::with_flow(
        "tasks:\n  first: { run: 'echo x >$OUTPUT_X', outputs: { x: x } }\n  a: { run: 'true', inputs: { x: { path: not/there.csv } } }\n",
    );
    let answer = space.run(&[]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("not/there.csv") && answer.err.contains("optional: true"), "{}", answer.err);
    assert_eq!(space.run(&["first", "-n"]).counts().0, 1, "nothing ran");
}
