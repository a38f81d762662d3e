//! Errors as users see them, and exit codes of wrong usage.

use crate::space::{Counts, Space, answer, chain, signal, wait_for};

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

#[test]
fn what_a_task_writes_cannot_command_the_terminal() {
    let space = Space::with_flow(
        r#"tasks:
  a: { run: 'printf "\033[2Jred\r\n::progress 5/0 odd\n::metric =3\n::progress x\n"; exit 3' }
"#,
    );
    let failed = space.run(&[]);
    assert!(!failed.err.contains('\u{1b}'), "{failed:#?}");
    assert!(
        failed.err.contains("    \\x1b[2Jred\n    ::progress 5/0 odd\n    ::metric =3\n    ::progress x\n"),
        "{failed:#?}"
    );
    assert!(space.call(&["log", "last", "a"]).out.starts_with("\u{1b}[2Jred\r\n"), "a program gets it as it is");
    let json = space.run(&["--format", "json"]);
    assert!(json.events().iter().all(|event| event["event"] != "metric" && event["event"] != "progress"), "{json:#?}");
    assert!(!json.out.contains('\u{1b}'));
}

#[test]
fn a_name_that_is_printed_can_be_given_back() {
    let space = Space::with_flow(
        r#"tasks:
  a: { run: 'echo "$MATRIX_V"; false', matrix: { v: ["a,b", "x=1]", "it's", "", "*", "plain", "two\nlines"] } }
"#,
    );
    let failed = space.run(&["-k"]);
    let names: Vec<&str> =
        failed.err.lines().filter_map(|line| line.strip_prefix("error: ")?.split(" failed").next()).collect();
    assert_eq!(names.len(), 7, "{failed:#?}");
    for name in names {
        let again = space.run(&[name]);
        assert_eq!((again.code, again.counts()), (1, Counts(0, 0, 1, 0)), "{name}: {again:#?}");
        assert!(again.err.contains(&format!("error: {name} failed")), "{again:#?}");
        assert_eq!(space.call(&["log", "last", name]).code, 0, "{name}");
    }
}

#[test]
fn the_commands_of_a_failure_can_be_pasted_into_a_shell() {
    let space = Space::with_flow(
        r#"params: { mode: [bad], text: "" }
tasks:
  a: { run: 'test "${{ params.mode[0] }}" = good', matrix: { v: ["it's, $HOME"] } }
  b: { run: 'exit 1' }
"#,
    );
    let (root, cache) = (space.root().to_str().unwrap().to_owned(), space.path("my cache"));
    let elsewhere = tempfile::tempdir().unwrap();
    let call = |command: &mut std::process::Command| answer(command.current_dir(elsewhere.path()));
    let args = [
        "-C",
        &root,
        "--cache",
        cache.to_str().unwrap(),
        "run",
        "test",
        "-p",
        "mode=[bad, worse]",
        "-p",
        "text=a b",
        "a",
    ];
    let failed = call(&mut space.command(&args));
    let help = failed.err.lines().find_map(|line| line.split_once("help: run only this again with `")).unwrap().1;
    let script = help.trim_end_matches('`').replacen("ghtrader", env!("CARGO_BIN_EXE_ghtrader"), 1);
    let again = call(std::process::Command::new("bash").args(["-c", &script]));
    assert_eq!((again.code, again.counts()), (1, Counts(0, 0, 1, 0)), "{script}\n{again:#?}");
    let good = script.replace("[bad, worse]", "[good]");
    let again = call(std::process::Command::new("bash").args(["-c", &good]));
    assert_eq!((again.code, again.counts()), (0, Counts(1, 0, 0, 0)), "{good}\n{again:#?}");
    let log = failed.err.lines().find_map(|line| line.trim().strip_prefix("log      ")).unwrap();
    let script = log.replacen("ghtrader", env!("CARGO_BIN_EXE_ghtrader"), 1);
    assert_eq!(call(std::process::Command::new("bash").args(["-c", &script])).code, 0, "{script}");
    assert!(!space.exists("cache"));
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true' }\n");
    assert_eq!(answer(space.command(&["run", "test"]).env("GHTRADER_CACHE", "")).code, 0);
    assert!(space.exists("cache/v1"));
    assert_eq!(answer(space.command(&["run", "test"]).env("GHTRADER_CACHE", "other")).code, 0);
    assert!(space.exists("other/v1"));
}

#[test]
fn an_input_that_holds_the_cache_is_an_error_before_anything_runs() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true', inputs: { all: { path: . } } }\n");
    space.write("cache/v1/x", "");
    for args in [&["-n"][..], &[]] {
        let answer = space.run(args);
        assert_eq!(answer.code, 2, "{answer:#?}");
        assert!(answer.err.contains("input `all` contains the cache"), "{answer:#?}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let good = space.call(&["--cache", elsewhere.path().to_str().unwrap(), "run", "test"]);
    assert_eq!(good.code, 0, "{good:#?}");
}

#[test]
fn a_path_in_a_failed_tasks_folder_is_explained() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo \"$INPUT_DATA: not a market\" >&2; exit 1', inputs: { data: { path: data/m.yaml }, other: { path: data } } }\n",
    );
    space.write("data/m.yaml", "x");
    let failed = space.run(&[]);
    assert!(failed.err.contains("\n  input    in/data/m.yaml is a copy of data/m.yaml\n"), "{failed:#?}");
    assert!(!failed.err.contains("in/other"), "{failed:#?}");
}

#[test]
fn a_name_that_no_ref_can_have_is_an_error_before_anything_runs() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, publish: { x: { ref: \"bad name\" } } }\n",
    );
    for args in [&["-n"][..], &[]] {
        let answer = space.run(args);
        assert_eq!(answer.code, 2, "{answer:#?}");
        assert!(answer.err.contains("`a` cannot move a ref: `bad name` cannot name a ref"), "{answer:#?}");
    }
}

#[test]
fn the_log_of_a_task_that_was_cached_is_named_by_the_run_that_has_it() {
    let space = chain();
    space.up_to_date(&[]);
    let first = space.call(&["log", "last", "count"]);
    assert_eq!(first.code, 0, "{first:#?}");
    space.up_to_date(&[]);
    let answer = space.call(&["log", "last", "count"]);
    assert_eq!(answer.code, 2, "{answer:#?}");
    let help = answer.err.split('`').find(|part| part.starts_with("ghtrader log ")).unwrap().to_owned();
    let args: Vec<&str> = help.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
    assert_eq!(space.call(&args).code, 0, "{help}");
}

#[test]
fn what_is_too_large_is_called_so() {
    let space = Space::with_flow(
        "tasks: { a: { run: 'true', retries: { attempts: 99999999999 }, timeout: 99999999999999999999d } }",
    );
    space.refused(&[], 2, &["`attempts` has to be at most 4294967295", "`timeout` is too long"]);
}

#[test]
fn memory_of_the_machine_is_a_size_as_in_a_flow() {
    let space = Space::with_flow("tasks: { a: { run: 'true', resources: { memory: 1000000 } } }");
    assert_eq!(space.run(&["--memory", "1000000"]).code, 0);
    space.refused(&["--memory", "999999"], 2, &["`a` cannot run here"]);
}

#[test]
fn a_flow_with_its_ending_is_known_by_its_name() {
    let answer = chain().call(&["run", "test.yaml"]);
    assert!(answer.code == 2 && answer.err.contains("did you mean `test`?"), "{answer:#?}");
}

#[test]
fn a_task_without_outputs_has_none_to_choose_from() {
    let space = Space::with_flow("tasks: { e: { run: 'true' } }");
    space.up_to_date(&[]);
    let answer = space.call(&["lineage", "test:e.x"]);
    assert!(answer.code == 2 && answer.err.contains("help: it has no outputs"), "{answer:#?}");
}

#[test]
fn get_keeps_a_link_and_writes_where_it_leads() {
    let space = chain();
    space.up_to_date(&[]);
    space.write("deep/file", "old");
    for (target, link) in [("deep/file", "to-file"), ("nowhere", "to-nothing"), ("/proc/self/fd/1", "to-pipe")] {
        std::os::unix::fs::symlink(target, space.path(link)).unwrap();
    }
    assert_eq!(space.call(&["get", "test:words", "-o", "to-file"]).code, 0);
    assert_eq!(space.read("deep/file"), "a\nb\n");
    for link in ["to-nothing", "to-pipe"] {
        let answer = space.call(&["get", "test:words", "-o", link]);
        assert_eq!(answer.code, 2, "{answer:#?}");
    }
    for link in ["to-file", "to-nothing", "to-pipe"] {
        assert!(space.path(link).is_symlink(), "{link}");
    }
}

#[test]
fn what_waits_for_its_next_attempt_is_not_said_to_run() {
    let space = Space::with_flow(
        "tasks: { a: { run: 'touch @/tried; exit 1', retries: { attempts: 2, backoff: 20s, max: 20s } } }",
    );
    let child = space.spawn(&["run", "test"]);
    wait_for("the first attempt", || space.exists("tried"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(130) && said.contains("interrupted: no task is running"), "{said}");
}

#[test]
fn what_a_newcomer_meets_first_says_what_is_so() {
    let space = Space::with_flow(
        r#"params: { day: { type: date, required: false, help: the first }, k: { type: integer, required: true }, n: 1 }
tasks:
  each: { run: 'echo $MATRIX_I', matrix: { i: [1, 2] } }
  much: { run: 'true', resources: { cpus: 4 } }
"#,
    );
    let listed = space.call(&["list"]).out;
    for line in ["    day: date, optional  the first\n", "    k: integer, required\n", "    n: integer = 1\n"] {
        assert!(listed.contains(line), "{line} is not in\n{listed}");
    }
    space.refused(&["-p", "k=1"], 2, &["asks for 4 cpus", "did you mean `cpu`?"]);
    assert_eq!(space.run(&["each", "-p", "k=1"]).counts().0, 2);
    let log = space.call(&["log", "last", "each"]);
    assert!(log.code == 2 && log.err.contains("`each` has 2 instances"), "{log:#?}");
    assert!(log.err.contains("`ghtrader log last 'each[i=1]'`"), "{log:#?}");
    std::fs::remove_dir_all(space.path("flows")).unwrap();
    let listed = space.call(&["list"]);
    assert!(listed.code == 2 && listed.err.contains("there is no project: no `flows/` in"), "{listed:#?}");
}
