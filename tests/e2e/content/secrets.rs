//! A variable marked `secret` is in the key as a hash, and is written nowhere.

use crate::space::{Answer, Counts, Space, answer, files_below, wait_for};

const SECRET: &str = "hunter2-and-more";

/// A task that succeeds, one that fails, and one that is shown.
fn space() -> Space {
    Space::with_flow(
        r#"
params: { fail: false }
tasks:
  good: { run: 'echo "${#TOKEN}" >$OUTPUT_X', outputs: { x: x }, env: [{ name: TOKEN, secret: true }], publish: { x: x.txt } }
  bad:
    run: 'test -n "$TOKEN" && ! ${{ params.fail }}'
    inputs: { x: { from: good } }
    env: [{ name: TOKEN, secret: true }]
"#,
    )
}

fn call(space: &Space, args: &[&str], secret: &str) -> Answer {
    answer(space.command(args).env("TOKEN", secret))
}

/// Neither what a command said nor any file of the project holds the secret.
fn nowhere(space: &Space, answer: &Answer) {
    assert!(!answer.out.contains(SECRET) && !answer.err.contains(SECRET), "{answer:#?}");
    for path in files_below(space.root()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{path:?}");
    }
}

#[test]
fn a_secret_is_written_nowhere() {
    let space = space();
    for args in [&["run", "test", "-n"][..], &["run", "test", "--format", "json"], &["run", "test", "-v"]] {
        let answer = call(&space, args, SECRET);
        assert_eq!(answer.code, 0, "{answer:#?}");
        nowhere(&space, &answer);
    }
}

#[test]
fn a_secret_is_not_in_what_a_failure_leaves() {
    let space = space();
    let answer = call(&space, &["run", "test", "-p", "fail=true", "-v"], SECRET);
    assert_eq!(answer.code, 1, "{answer:#?}");
    let left = files_below(&space.path("cache/v1/scratch"));
    assert!(left.iter().any(|path| path.ends_with("request.json")), "the folder stays for a look: {left:?}");
    nowhere(&space, &answer);
}

#[test]
fn a_secret_is_in_no_command_s_answer() {
    let space = space();
    call(&space, &["run", "test"], SECRET);
    for args in [
        &["explain", "test", "good"][..],
        &["show", "last"],
        &["log", "last", "good"],
        &["runs"],
        &["lineage", "x.txt"],
        &["lineage", "x.txt", "--format", "json"],
        &["lineage", "x.txt", "--format", "dot"],
        &["graph", "test", "--format", "json", "--instances"],
        &["check", "test"],
        &["run", "test", "-n", "-v", "--format", "json"],
    ] {
        let answer = call(&space, args, SECRET);
        assert_eq!(answer.code, 0, "{answer:#?}");
        nowhere(&space, &answer);
    }
    let explained = call(&space, &["explain", "test", "good"], "another");
    assert!(explained.out.contains("TOKEN") && !explained.out.contains("another"), "{explained:#?}");
}

#[test]
fn the_value_of_a_secret_is_part_of_the_key() {
    let space = space();
    assert_eq!(call(&space, &["run", "test"], SECRET).counts(), Counts(2, 0, 0, 0));
    assert_eq!(call(&space, &["run", "test"], SECRET).counts(), Counts(0, 2, 0, 0));
    let dry = call(&space, &["run", "test", "-n"], "another");
    assert!(dry.err.contains("runs     good (variable TOKEN changed)"), "{dry:#?}");
    let empty = call(&space, &["run", "test"], "").counts();
    assert_eq!(empty, Counts(1, 0, 1, 0), "it fails with an empty one");
    let mut unset = space.command(&["run", "test", "-n"]);
    let unset = answer(unset.env_remove("TOKEN"));
    assert!(unset.err.contains("runs     good (variable TOKEN changed)"), "empty is not unset: {unset:#?}");
}

/// A manifest is public, and a short secret would be found in a list of the hashes of all short texts.
#[test]
fn what_is_kept_of_a_secret_is_not_its_plain_hash() {
    let space = space();
    call(&space, &["run", "test"], SECRET);
    let plain = blake3::hash(SECRET.as_bytes()).to_hex().to_string();
    let explained = call(&space, &["explain", "test", "good"], SECRET);
    assert!(explained.out.contains("TOKEN"), "{explained:#?}");
    for path in files_below(&space.path("cache")) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{path:?}");
    }
}

/// What a task itself prints is its log; a runner that shows it need not show the secret.
#[test]
fn a_secret_that_a_task_prints_is_masked() {
    let space = Space::with_flow(
        r#"
tasks:
  good:
    run: 'echo "::progress 1/2 with $TOKEN"; echo "out $TOKEN"; echo "err $TOKEN" >&2; echo x >$OUTPUT_X'
    outputs: { x: x }
    env: [{ name: TOKEN, secret: true }]
  bad: { run: 'echo "out $TOKEN"; echo "err $TOKEN" >&2; exit 3', env: [{ name: TOKEN, secret: true }], needs: [good] }
"#,
    );
    let answer = call(&space, &["run", "test", "--format", "json"], SECRET);
    assert_eq!(answer.code, 1, "{answer:#?}");
    nowhere(&space, &answer);
    assert!(answer.out.contains("out ***") && answer.out.contains("with ***"), "{answer:#?}");
    let log = call(&space, &["log", "last", "good"], SECRET);
    assert!(log.out.contains("out ***\n") && log.out.contains("err ***\n"), "{log:#?}");
}

/// A metric is in the manifest too, under its name.
#[test]
fn a_secret_in_a_report_is_masked() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo "::metric loss-$TOKEN=0.5"; echo "::progress 1/1 of $TOKEN"', env: [{ name: TOKEN, secret: true }] }
"#,
    );
    let answer = call(&space, &["run", "test", "--format", "json"], SECRET);
    assert_eq!(answer.code, 0, "{answer:#?}");
    nowhere(&space, &answer);
    assert!(answer.out.contains("loss-***") && answer.out.contains("of ***"), "{answer:#?}");
    // A number that is the secret is no metric any more.
    let space =
        Space::with_flow("tasks:\n  a: { run: 'echo ::metric loss=$TOKEN', env: [{ name: TOKEN, secret: true }] }\n");
    let answer = call(&space, &["run", "test", "--format", "json"], "47110815");
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.out.contains("47110815"), "{answer:#?}");
    let log = call(&space, &["log", "last", "a"], SECRET);
    assert_eq!(log.out, "::metric loss=***\n");
}

#[test]
fn a_killed_run_leaves_no_secret_in_a_log() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'echo "out $TOKEN"; echo "err $TOKEN" >&2; printf %s "${TOKEN:0:7}"; sleep 0.2; echo "${TOKEN:7}"; touch "@/written"; sleep 60'
    env: [{ name: TOKEN, secret: true }]
"#,
    );
    let mut run = space.command(&["run", "test"]);
    let mut child = run.env("TOKEN", SECRET).stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_for("the task", || space.exists("written"));
    let logs = || {
        files_below(&space.path("cache/v1/runs")).into_iter().filter(|path| path.extension() == Some("log".as_ref()))
    };
    wait_for("its log", || logs().any(|path| std::fs::read_to_string(path).unwrap().matches("***").count() == 3));
    child.kill().unwrap();
    child.wait().unwrap();
    nowhere(&space, &Answer { code: 0, out: String::new(), err: String::new() });
}

#[test]
fn a_secret_in_an_expression_is_an_error_of_the_flow() {
    let space = Space::with_flow(
        r#"
tasks:
  a: { run: 'echo "$TOKEN"', env: [{ name: TOKEN, secret: true }] }
  b: { run: 'echo "${{ env.TOKEN }}"' }
"#,
    );
    let answer = call(&space, &["check", "test"], SECRET);
    assert_eq!(answer.code, 2, "{answer:#?}");
    assert!(answer.err.contains("flows/test.yaml:4") && answer.err.contains("secret"), "{answer:#?}");
    nowhere(&space, &answer);
}

#[test]
fn an_error_that_names_what_a_task_wrote_keeps_its_secret() {
    let space = Space::with_flow(
        "tasks: { a: { env: [{ name: TOKEN, secret: true }], run: 'mkdir $OUTPUT_O; mkfifo $OUTPUT_O/$TOKEN', outputs: { o: o } } }",
    );
    let told =
        crate::space::answer(space.command(&["run", "test", "--format", "json"]).env("TOKEN", "hunter2-hunter2"));
    assert_eq!(told.code, 1, "{told:#?}");
    assert!(told.out.contains("***") && !told.out.contains("hunter2") && !told.err.contains("hunter2"), "{told:#?}");
    for path in crate::space::files_below(&space.path("cache/v1/runs")) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{}", path.display());
    }
}
