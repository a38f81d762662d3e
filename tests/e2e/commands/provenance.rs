//! Manifests and run records, as files and as answers.

use serde_json::Value;

use crate::space::{Space, chain, files_below};

fn manifests(space: &Space) -> Vec<(std::path::PathBuf, Value)> {
    let mut files = files_below(&space.path("cache/v1/results"));
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()))
        .collect()
}

#[test]
fn every_finished_task_has_a_manifest_with_all_that_is_promised() {
    let space = chain();
    space.up_to_date(&[]);
    let manifests = manifests(&space);
    assert_eq!(manifests.len(), 2);
    for (_, manifest) in &manifests {
        for field in ["key", "parts", "flow", "task", "run", "inputs", "outputs"] {
            assert!(!manifest[field].is_null(), "{field}: {manifest:#}");
        }
        let execution = &manifest["execution"];
        for field in [
            "dirty",
            "host",
            "devices",
            "started",
            "finished",
            "waited",
            "cpu",
            "peak_memory",
            "attempts",
            "exit",
            "log",
        ] {
            assert!(!execution[field].is_null(), "{field}: {manifest:#}");
        }
    }
    let count = manifests.iter().find(|(_, manifest)| manifest["task"] == "count").unwrap().1.to_string();
    let words = manifests.iter().find(|(_, manifest)| manifest["task"] == "words").unwrap().1["key"].clone();
    assert!(count.contains(words.as_str().unwrap()), "the producing task of each input: {count}");
}

#[test]
fn manifests_are_never_changed_once_written() {
    let space = chain();
    space.up_to_date(&[]);
    let before = manifests(&space);
    space.up_to_date(&["--force", "words", "--force", "count"]);
    let after = manifests(&space);
    assert_eq!(after.len(), 4, "an execution more is a manifest more");
    assert!(before.iter().all(|one| after.contains(one)));
}

#[test]
fn the_commit_of_the_project_is_in_the_manifest() {
    let space = chain();
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        let identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"];
        let output = command.args(identity).args(args).current_dir(space.root()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    space.write(".gitignore", "cache\n");
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    space.up_to_date(&[]);
    let manifest = manifests(&space).remove(0).1;
    assert_eq!(manifest["execution"]["commit"], git(&["rev-parse", "HEAD"]));
    assert_eq!(manifest["execution"]["dirty"], false);
    space.write("text.txt", "edited");
    space.up_to_date(&[]);
    assert!(manifests(&space).iter().any(|(_, manifest)| manifest["execution"]["dirty"] == true));
    let lineage = space.call(&["lineage", "test:count"]).out;
    assert!(lineage.contains(" with changes\n"), "{lineage}");
}

#[test]
fn an_artifact_is_found_by_hash_path_ref_content_and_name() {
    let space = chain();
    space.flow(&crate::space::CHAIN.replace(
        "outputs: { count: count.txt }",
        "outputs: { count: count.txt }\n    publish: { count: out/count.txt }",
    ));
    space.up_to_date(&[]);
    let got = space.call(&["get", "test:count", "-o", "copied.txt"]).out;
    space.call(&["refs", "set", "model/x", "test:count"]);
    for artifact in [&got[..8], "out/count.txt", "copied.txt", "model/x", "test:count.count", "test:count"] {
        let lineage = space.call(&["lineage", artifact]);
        assert!(lineage.code == 0 && lineage.out.contains("text: text.txt"), "{artifact}: {lineage:#?}");
    }
    for format in ["json", "dot", "mermaid"] {
        let lineage = space.call(&["lineage", "test:count", "--format", format]);
        assert!(lineage.code == 0 && lineage.out.contains("words"), "{format}: {lineage:#?}");
    }
}

#[test]
fn a_move_of_a_ref_says_who_when_from_what_and_why() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'cp $INPUT_X $OUTPUT_X; echo "{\"go\": true}" >$OUTPUT_D'
    inputs: { x: { path: x.txt } }
    outputs: { x: x, d: d.json }
    publish: { x: { ref: model/x, when: d.go } }
"#,
    );
    for text in ["one", "two"] {
        space.write("x.txt", text);
        space.up_to_date(&[]);
    }
    let log = space.call(&["refs", "log", "model/x"]).out;
    let header = log.lines().next().unwrap();
    assert!(["moved", "artifact", "decision", "by"].iter().all(|column| header.contains(column)), "{log}");
    let decision = space.call(&["get", "test:a.d", "-o", "d.json"]).out;
    let moves: Vec<&str> = log.lines().skip(1).collect();
    let told = |line: &str| line.contains("test:a") && line.contains(&decision[..8]) && line.contains("  20");
    assert!(moves.len() == 2 && moves.iter().all(|line| told(line)), "{log}");
}

#[test]
fn what_was_gathered_or_taken_out_of_a_json_output_is_no_source() {
    let space = Space::with_flow(
        r#"
tasks:
  one: { run: 'echo $MATRIX_N >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x } }
  list: { run: 'echo "{\"a\": [7]}" >$OUTPUT_L', outputs: { l: l.json } }
  all: { run: 'find $INPUT_X -type f | xargs cat >$OUTPUT_Y', inputs: { x: { from: one.x }, a: { from: list.l, at: a } }, outputs: { y: y } }
"#,
    );
    space.up_to_date(&[]);
    let manifests = manifests(&space);
    let all = &manifests.iter().find(|(_, manifest)| manifest["task"] == "all").unwrap().1;
    for (input, writers) in [("x", ["one[n=1]", "one[n=2]"].as_slice()), ("a", ["list"].as_slice())] {
        let hash = all["inputs"][input]["artifact"]["hash"].as_str().unwrap();
        let up = space.call(&["lineage", hash]);
        assert!(up.code == 0 && !up.out.contains("source"), "{up:#?}");
        assert!(writers.iter().all(|writer| up.out.contains(&format!("{writer}  key"))), "{up:#?}");
        let down = space.call(&["lineage", hash, "--down"]).out;
        assert!(
            down.starts_with(&format!("{input}, of what tasks wrote  content")) && down.contains("all  key"),
            "{down}"
        );
    }
}
