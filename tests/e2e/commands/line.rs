//! The command line itself: where the project is, parameters, what is said, exit codes.

use crate::space::{Counts, Space, answer, chain};

#[test]
fn the_project_is_the_nearest_folder_upwards_or_what_is_named() {
    let space = chain();
    std::fs::create_dir_all(space.path("deep/down")).unwrap();
    let below = answer(space.command(&["run", "test"]).current_dir(space.path("deep/down")));
    assert_eq!((below.code, below.counts()), (0, Counts(2, 0, 0, 0)), "{below:#?}");
    let root = space.root().display().to_string();
    let named = answer(space.command(&["-C", &root, "run", "test"]).current_dir("/"));
    assert_eq!((named.code, named.counts()), (0, Counts(0, 2, 0, 0)), "{named:#?}");
    assert_eq!(answer(space.command(&["run", "test"]).current_dir("/")).code, 2);
}

#[test]
fn the_cache_is_in_the_project_unless_it_is_named() {
    let space = chain();
    space.call(&["run", "test", "--cache", "other"]);
    assert!(space.exists("other/v1") && !space.exists("cache"));
    let counts = answer(space.command(&["run", "test"]).env("GHTRADER_CACHE", space.path("other"))).counts();
    assert_eq!(counts, Counts(0, 2, 0, 0));
    space.up_to_date(&[]);
    assert!(space.exists("cache/v1"));
}

#[test]
fn parameters_are_yaml_from_the_line_or_a_file() {
    let space = Space::with_flow(
        r#"
params: { varieties: [cu], day: 2020-01-01, n: { type: integer, default: 1, minimum: 1 }, x: 1.5, flag: false, text: t }
tasks:
  a:
    run: 'echo "$PARAM_ALL" >$OUTPUT_X'
    with: { all: "${{ params.varieties | join('+') }} ${{ params.day }} ${{ params.n }} ${{ params.x }} ${{ params.flag }} ${{ params.text }}" }
    outputs: { x: x }
"#,
    );
    let list = ["-p", "varieties=[cu,au]", "-p", "day=2022-02-18", "-p", "n=2", "-p", "flag=true", "-p", "text=010"];
    space.up_to_date(&list);
    assert_eq!(space.output("test:a"), "cu+au 2022-02-18 2 1.5 true 010\n");
    space.write("p.yaml", "varieties: [ag]\nn: 3\n");
    space.up_to_date(&["--params", "p.yaml", "-p", "n=4"]);
    assert_eq!(space.output("test:a"), "ag 2020-01-01 4 1.5 false t\n");
    for wrong in ["n=x", "n=0", "day=soon", "varieties=cu", "flag=7", "other=1"] {
        assert_eq!(space.run(&["-p", wrong]).code, 2, "{wrong}");
    }
}

#[test]
fn a_required_parameter_has_to_be_given() {
    let space = Space::with_flow("params: { token: { type: string, required: true } }\ntasks:\n  a: { run: 'true' }\n");
    space.refused(&[], 2, &["token"]);
    assert_eq!(space.up_to_date(&["-p", "token=x"]), Counts(1, 0, 0, 0));
}

#[test]
fn the_last_line_counts_and_quiet_says_less() {
    let space = chain();
    let loud = space.run(&[]);
    let line = loud.err.lines().last().unwrap();
    assert!(line.starts_with("2 ran, 0 cached, 0 failed, 0 skipped in ") && line.ends_with(" s"), "{line}");
    assert!(space.run(&["-v"]).err.lines().count() > space.run(&[]).err.lines().count());
    assert!(space.run(&["-q", "--force", "words"]).err.lines().count() <= 1);
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let space = Space::with_flow("tasks:\n  a: { rum: 'true' }\n");
    let coloured = |args: &[&str]| space.call(&[&["check", "test"], args].concat()).err.contains('\u{1b}');
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--color", "never"]) && !coloured(&[]));
}

#[test]
fn the_dry_run_is_told_in_json_too() {
    let space = chain();
    let states = |space: &Space| -> Vec<String> {
        let events = space.run(&["-n", "-v", "--format", "json"]).events();
        let tasks = events.iter().filter(|event| event["event"] == "task");
        tasks.map(|event| format!("{} {}", event["task"].as_str().unwrap(), event["state"].as_str().unwrap())).collect()
    };
    assert_eq!(states(&space), ["words runs", "count may-run"]);
    space.up_to_date(&[]);
    assert_eq!(states(&space), ["words cached", "count cached"]);
}

#[test]
fn a_lock_is_waited_for_as_long_as_is_said() {
    let space = Space::with_flow(
        "tasks:\n  hold: { run: 'touch @/held; until [ -e @/go ]; do sleep 0.02; done', locks: [table], timeout: 30s }\n",
    );
    space.flow_named("two", "tasks:\n  want: { run: 'echo', locks: [table] }\n");
    let holder = space.spawn(&["run", "test"]);
    crate::space::wait_for("the lock", || space.exists("held"));
    let waited = space.call(&["run", "two", "--wait-locks", "100ms"]);
    assert_eq!(waited.code, 3, "{waited:#?}");
    assert!(waited.err.contains("`table` is held by hold"), "{waited:#?}");
    space.write("go", "");
    assert!(holder.wait_with_output().unwrap().status.success());
}

#[test]
fn list_shows_descriptions_and_parameters() {
    let space = Space::with_flow(
        "description: What it is for.\nparams: { horizon: { type: integer, default: 50, help: In ticks } }\ntasks:\n  a: { run: 'true' }\n",
    );
    let list = space.call(&["list"]).out;
    for part in ["test", "What it is for.", "horizon", "50"] {
        assert!(list.contains(part), "{part} is not in {list}");
    }
}

#[test]
fn the_graph_has_four_formats_and_instances() {
    let space =
        Space::with_flow("tasks:\n  a: { run: 'true', matrix: { n: [1, 2] } }\n  b: { run: 'true', needs: [a] }\n");
    for (format, part) in [("text", "b  ← a"), ("dot", "digraph"), ("mermaid", "-->"), ("json", "\"a\"")] {
        let graph = space.call(&["graph", "test", "--format", format]);
        assert!(graph.code == 0 && graph.out.contains(part), "{format}: {graph:#?}");
    }
    let expanded = space.call(&["graph", "test", "--instances"]).out;
    assert!(expanded.contains("a[n=1]") && expanded.contains("a[n=2]"), "{expanded}");
}

/// What is lost is told, whatever the command; who stops reading is no error.
#[test]
fn a_full_standard_output_is_an_error_and_a_closed_one_is_not() {
    let space = Space::with_flow(
        "tasks: { a: { run: 'echo text; echo x >$OUTPUT_X', outputs: { x: x }, publish: { x: out.txt }, print: x } }\n",
    );
    space.up_to_date(&[]);
    let run = space.call(&["runs"]).out.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    let commands: [&[&str]; 13] = [
        &["run", "test"],
        &["run", "test", "--format", "json"],
        &["check", "test"],
        &["graph", "test"],
        &["list"],
        &["kinds"],
        &["runs"],
        &["show", "last"],
        &["log", &run, "a"],
        &["lineage", "out.txt"],
        &["schema"],
        &["completions", "bash"],
        &["--help"],
    ];
    for args in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = space.command(args).stdout(full).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("error: standard output cannot be written to: No space left"), "{args:?}: {told}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = space.command(args).stdout(writer).output().unwrap();
        assert_eq!(closed.status.code(), Some(0), "{args:?}: {closed:#?}");
        assert!(!String::from_utf8(closed.stderr).unwrap().contains("error"), "{args:?}");
    }
}
