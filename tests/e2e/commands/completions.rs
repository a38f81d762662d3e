//! Completions that know the project: the answers, and the scripts in the shells that are installed.

use std::process::Command;

use crate::space::{Space, answer};

fn space() -> Space {
    let space = Space::with_flow(
        r#"
params:
  horizon: { type: integer, default: 50, help: Label horizon }
  variety: { type: string, default: cu, choices: [cu, au] }
tasks:
  schedule: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, publish: { x: { ref: model/cu } } }
  summary: { run: 'true', matrix: { day: [1] } }
  broken: { rum: 'true' }
"#,
    );
    space.write("flows/daily.yaml", "tasks: { only: { run: 'true' } }\n");
    space
}

/// What the program answers to the words so far, the last of which is being typed.
fn complete(space: &Space, words: &[&str]) -> Vec<String> {
    let mut command = space.command(&[&["--", "ghtrader"], words].concat());
    let index = words.len().to_string();
    let said =
        answer(command.env("GHTRADER_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n"));
    assert_eq!(said.code, 0, "{said:#?}");
    said.out.lines().map(str::to_owned).collect()
}

#[test]
fn names_of_the_project_are_completed() {
    let space = space();
    assert_eq!(complete(&space, &["run", ""])[..2], ["daily", "test"]);
    assert_eq!(complete(&space, &["run", "da"]), ["daily"]);
    assert_eq!(complete(&space, &["run", "test", "s"]), ["schedule", "summary"], "also of a broken flow");
    assert_eq!(complete(&space, &["explain", "daily", "o"]), ["only"]);
    assert_eq!(complete(&space, &["run", "test", "schedule", "--force", "su"]), ["summary"]);
    assert_eq!(complete(&space, &["run", "test", "-p", "h"]), ["horizon="]);
    assert_eq!(complete(&space, &["run", "test", "-p", "variety="]), ["variety=cu", "variety=au"]);
    assert_eq!(complete(&space, &["sche"]), ["schema"]);
    assert!(complete(&space, &["run", "test", "--wa"]).contains(&"--watch".to_owned()));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = space.command(&["--", "ghtrader", "-C", space.root().to_str().unwrap(), "check", "da"]);
    command.current_dir(elsewhere.path()).env("GHTRADER_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "4");
    assert_eq!(answer(&mut command).out.trim(), "daily");
    assert!(!space.exists("cache"), "completing writes nothing");
}

#[test]
fn refs_runs_and_kinds_are_completed() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo 1 >$OUTPUT_X', outputs: { x: x }, publish: { x: { ref: model/cu } } }\n  b: { run: 'true', matrix: { day: [1] } }\n",
    );
    assert_eq!(space.run(&[]).code, 0);
    assert_eq!(complete(&space, &["refs", "log", "mo"]), ["model/cu"]);
    assert_eq!(complete(&space, &["lineage", "model/"]), ["model/cu"]);
    assert_eq!(complete(&space, &["show", "la"]), ["last"]);
    let all = complete(&space, &["show", ""]);
    assert_eq!(all.iter().filter(|word| !word.starts_with('-')).count(), 2, "{all:?}");
    assert_eq!(complete(&space, &["log", "last", "b"]), ["b[day=1]"]);
    assert!(complete(&space, &["kinds", "sched"]).contains(&"schedule".to_owned()));
}

/// A shell with the script, asked as its user would by a tab; `None` where the shell is not installed.
fn shell(space: &Space, shell: &str, ask: &str) -> Option<Vec<String>> {
    let script = space.call(&["completions", shell]);
    assert_eq!(script.code, 0, "{script:#?}");
    let mut command = Command::new(shell);
    command.current_dir(space.root()).args(["-c", &format!("{}\n{ask}", script.out)]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{error}"),
    };
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| line.split('\t').next().unwrap_or_default().trim().to_owned()).collect())
}

#[test]
fn the_script_works_in_bash() {
    let ask = r#"COMP_WORDS=(ghtrader run test s); COMP_CWORD=3; COMP_TYPE=9
_clap_complete_ghtrader ghtrader s test; printf '%s\n' "${COMPREPLY[@]}""#;
    assert_eq!(shell(&space(), "bash", ask).unwrap(), ["schedule", "summary"]);
}

#[test]
fn the_script_works_in_fish_and_zsh_where_they_are_installed() {
    let space = space();
    match shell(&space, "fish", "complete -C 'ghtrader run test s'") {
        Some(said) => assert_eq!(said, ["schedule", "summary"]),
        None => eprintln!("skipped: fish is not here"),
    }
    // zsh completes in its line editor only: its function is called with what that would set.
    let ask = "compdef() { }; _describe() { print -l -- ${(P)${@[-1]}} }
words=(ghtrader run test s); CURRENT=4; _clap_dynamic_completer_ghtrader";
    let script = space.call(&["completions", "zsh"]).out;
    assert!(script.contains("_clap_dynamic_completer_ghtrader"), "{script}");
    let script = format!("autoload() {{ }}; compinit() {{ }}; compdef() {{ }}\n{script}\n{ask}");
    match Command::new("zsh").current_dir(space.root()).args(["-f", "-c", &script]).output() {
        Ok(output) => {
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.contains("schedule") && said.contains("summary") && !said.contains("broken"), "{said}");
        }
        Err(_) => eprintln!("skipped: zsh is not here"),
    }
}
