//! What is written down of a finished task and of a run: all that the reference names, by the schema that is published.

use serde_json::Value;

use crate::space::Space;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn space() -> Space {
    let space = Space::with_flow(
        r#"
params: { k: 3 }
tasks:
  make: { run: 'echo made >$OUTPUT_A', outputs: { a: a.txt } }
  use:
    run: |
      echo "to the log"; echo "::metric rows=5"; [ -e MARK ] || { touch MARK; exit 1; }
      head -c 20000000 /dev/zero | sha256sum >/dev/null
      cat $INPUT_A $INPUT_S >$OUTPUT_B
    with: { depth: "${{ params.k }}" }
    inputs: { a: { from: make }, s: { path: s.txt } }
    outputs: { b: b.txt }
    env: [{ name: TOKEN, secret: true }]
    resources: { gpu: 1 }
    retries: { attempts: 3, backoff: 50ms }
"#,
    );
    let mark = space.path("mark");
    space.flow(&space.read("flows/test.yaml").replace("MARK", &mark.display().to_string()));
    space.write("s.txt", "source");
    for args in [&["init", "-q"][..], &["add", "flows"], &["commit", "-qm", "one"]] {
        let git = ["-c", "user.name=x", "-c", "user.email=x@x"];
        let done = std::process::Command::new("git").args(git).args(args).current_dir(space.root()).status().unwrap();
        assert!(done.success());
    }
    space.write("flows/test.yaml", &format!("{}# edited\n", space.read("flows/test.yaml")));
    let ran = space.command(&["run", "test", "--gpus", "4,"]).env("TOKEN", "hunter2").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    space
}

fn manifests(space: &Space) -> Vec<Value> {
    let mut found = Vec::new();
    for shard in std::fs::read_dir(space.path("cache/v1/results")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            found.push(json(&file.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_manifest_has_all_that_identifies_explains_and_accounts_for_a_result() {
    let space = space();
    let manifests = manifests(&space);
    let of = |task: &str| manifests.iter().find(|manifest| manifest["task"] == task).unwrap();
    let (make, used) = (of("make"), of("use"));

    assert_eq!(used["key"].as_str().unwrap().len(), 64);
    let part = |group: &str, name: &str| {
        let parts = used["parts"].as_array().unwrap();
        parts.iter().find(|part| part["group"] == group && part["name"] == name).unwrap()["value"].as_str().unwrap()
    };
    assert!(part("command", "").contains("to the log"));
    assert_eq!(part("with", "depth"), "3");
    assert_eq!(part("output", "b"), "b.txt");
    assert_eq!(part("input", "a"), used["inputs"]["a"]["artifact"]["hash"]);
    assert!(part("env", "TOKEN").starts_with("secret ") && !used.to_string().contains("hunter2"));

    assert_eq!(used["inputs"]["a"]["artifact"], make["outputs"]["a"]);
    let producer = &used["inputs"]["a"]["origins"][0]["task"];
    assert_eq!((&producer["task"], &producer["key"], &producer["output"]), (&"make".into(), &make["key"], &"a".into()));
    assert_eq!(used["inputs"]["s"]["origins"][0]["path"], "s.txt");
    assert_eq!(used["inputs"]["s"]["artifact"]["hash"], blake3::hash(b"source").to_string());
    assert_eq!(used["outputs"]["b"]["hash"], blake3::hash(b"made\nsource").to_string());

    let execution = &used["execution"];
    let head =
        std::process::Command::new("git").args(["rev-parse", "HEAD"]).current_dir(space.root()).output().unwrap();
    assert_eq!(execution["commit"], String::from_utf8_lossy(&head.stdout).trim());
    assert_eq!(execution["dirty"], true);
    assert_eq!(execution["host"], rustix::system::uname().nodename().to_string_lossy().into_owned());
    assert_eq!(execution["devices"], serde_json::json!([4]));
    let time = |name: &str| execution[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("started") <= time("finished"));
    // The second attempt had to wait for the first, and for the pause after it.
    assert!(execution["waited"].as_f64().unwrap() >= 0.03, "{execution}");
    assert!(execution["cpu"].as_f64().unwrap() > 0.0, "{execution}");
    assert!(execution["peak_memory"].as_u64().unwrap() > 100_000, "{execution}");
    assert_eq!((&execution["attempts"], &execution["exit"]), (&2.into(), &0.into()));
    assert_eq!(execution["metrics"], serde_json::json!({ "rows": 5.0 }));
    let log = space.call(&["log", "last", "use"]).out;
    assert_eq!(execution["log"], blake3::hash(log.as_bytes()).to_string());

    let runs: Vec<_> = std::fs::read_dir(space.path("cache/v1/runs")).unwrap().map(|run| run.unwrap().path()).collect();
    let (start, end) = (json(&runs[0].join("start.json")), json(&runs[0].join("end.json")));
    assert_eq!((&start["commit"], &start["dirty"]), (&execution["commit"], &true.into()));
    assert_eq!((&start["params"]["k"], &start["flow"]), (&3.into(), &"test".into()));
    assert_eq!(used["run"], start["run"]);
    assert_eq!((&end["exit"], &end["ran"], &end["tasks"]["use"]["key"]), (&0.into(), &2.into(), &used["key"]));
}

#[test]
fn the_published_schema_is_that_of_the_program_and_fits_what_it_writes() {
    let space = space();
    let printed = space.call(&["schema", "--manifest"]).out;
    let published = include_str!("../../../flows/manifest.schema.json");
    assert_eq!(printed, published, "make it anew: `ghtrader schema --manifest >flows/manifest.schema.json`");
    let schema = jsonschema::validator_for(&serde_json::from_str(published).unwrap()).unwrap();
    let mut written = manifests(&space);
    for run in std::fs::read_dir(space.path("cache/v1/runs")).unwrap() {
        let run = run.unwrap().path();
        written.extend([json(&run.join("start.json")), json(&run.join("end.json"))]);
    }
    assert_eq!(written.len(), 4);
    for manifest in written {
        assert!(schema.is_valid(&manifest), "{manifest:#}");
        let mut other = manifest.clone();
        other["more"] = true.into();
        assert!(!schema.is_valid(&other), "an unknown field is an error");
    }
}
