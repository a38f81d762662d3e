//! Plans over thousands of recorded results, without a process for each: the cache is filled as if a flow had run.
//!
//! `GHTRADER_FILL=PROJECT:FLOW cargo test --release --test recorded -- --ignored` fills the cache of a project, for
//! measurements (src/plan/README.md).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test, what fails is to fail it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ghtrader::cache::Cache;
use ghtrader::graph::{self, Graph};
use ghtrader::kinds::Kinds;
use ghtrader::manifest::{Execution, Input, Manifest, SCHEMA};
use ghtrader::plan::{Context, Done, InstanceId, Outcome, Planner, Resolved, Wish};
use ghtrader::refs::Refs;
use ghtrader::resources::Pool;

/// Manifests that are recorded with one wait for the disk.
const BATCH: usize = 10_000;

/// Plans a flow with a cache that is open for writing, and hands the planner over.
fn with_planner<T>(root: &Path, name: &str, work: impl FnOnce(&mut Planner<'_>, &Cache) -> T) -> T {
    let kinds = Kinds::find(None, None);
    let flow = graph::load(root, &root.join(format!("flows/{name}.yaml")), name, &kinds).unwrap();
    let params = flow.bind(&[], None).unwrap();
    let graph = Graph::new(&flow, &kinds).unwrap();
    let cache = Cache::open(&root.join("cache")).unwrap();
    let refs = Refs::open(&cache).snapshot().unwrap();
    let machine = Pool::new(1.0, 0, &[]);
    let (graph, params, kinds, refs) = (&graph, &params, &kinds, &refs);
    let context = Context { graph, params, kinds, cache: &cache, refs, machine: &machine, root, flow: name };
    let mut planner = Planner::new(context, Wish::default());
    let value = work(&mut planner, &cache);
    assert!(planner.take_errors().unwrap().is_empty());
    value
}

/// Records a result for all that has to run; how many there were.
fn fill(root: &Path, name: &str) -> usize {
    with_planner(root, name, |planner, cache| {
        let mut manifests = Vec::new();
        let mut count = 0;
        loop {
            planner.advance();
            let ready = planner.take_ready();
            if ready.is_empty() {
                break;
            }
            for (id, resolved) in ready {
                count += 1;
                let manifest = manifest(planner, cache, (name, id), *resolved);
                let done = Done { key: manifest.key, outputs: manifest.outputs.clone().into() };
                planner.finish(id, Outcome::Ran(done.into()));
                manifests.push(manifest);
            }
            if manifests.len() >= BATCH {
                cache.record_all(&std::mem::take(&mut manifests)).unwrap();
            }
        }
        cache.record_all(&manifests).unwrap();
        planner.check();
        count
    })
}

fn manifest(planner: &Planner<'_>, cache: &Cache, (flow, id): (&str, InstanceId), resolved: Resolved) -> Manifest {
    let task = planner.name(id);
    let outputs = planner.outputs(id).iter();
    let bytes = |output: &str| format!("{output} of {task}\n").into_bytes();
    let outputs: BTreeMap<String, _> =
        outputs.map(|output| (output.name.clone(), cache.place_bytes(&bytes(&output.name)).unwrap())).collect();
    let inputs = resolved.inputs.into_iter();
    Manifest {
        schema: SCHEMA,
        key: resolved.key,
        parts: resolved.parts,
        flow: flow.to_owned(),
        run: "00000000000000000000000000".to_owned(),
        inputs: inputs
            .map(|input| (input.name, Input { artifact: input.data.artifact().clone(), origins: input.origins }))
            .collect(),
        outputs,
        execution: Execution { finished: "2026-01-01T00:00:00Z".to_owned(), ..Execution::default() },
        task,
    }
}

/// What is not cached, and why: `name: reason`.
fn runs(root: &Path, name: &str) -> Vec<String> {
    with_planner(root, name, |planner, _| {
        planner.to_the_end();
        let ids = planner.take_settled();
        let line = |id: InstanceId| match planner.outcome(id) {
            Some(Outcome::Cached(_)) => None,
            Some(Outcome::WillRun(reason)) => Some(format!("{}: {reason}", planner.name(id))),
            other => Some(format!("{}: {other:?}", planner.name(id))),
        };
        let lines: Vec<String> = ids.into_iter().filter_map(line).collect();
        lines
    })
}

/// 600 instances that read a file each, a task for every other one's neighbour, and a gather of all.
const FLOW: &str = r#"tasks:
  fan:
    run: cat "$INPUT_SOURCE" >"$OUTPUT_X"
    matrix: { n: "${{ range(600) }}" }
    inputs: { source: { path: "in/${{ n }}" } }
    outputs: { x: x.txt }
  next:
    run: cat "$INPUT_X" >"$OUTPUT_X"
    matrix: { n: "${{ range(0, 600, 2) }}" }
    inputs: { x: { from: fan, where: { n: "${{ n + 1 }}" } } }
    outputs: { x: x.txt }
  all:
    run: ls "$INPUT_X" >"$OUTPUT_X"
    inputs: { x: { from: next } }
    outputs: { x: x.txt }
"#;

/// Many instances are looked at together, and the index is read at once for them: that must hide no change.
#[test]
fn of_thousands_exactly_those_run_that_changed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("in")).unwrap();
    fs::create_dir_all(root.join("flows")).unwrap();
    fs::write(root.join("flows/fan.yaml"), FLOW).unwrap();
    (0..600).for_each(|n| fs::write(root.join(format!("in/{n}")), format!("{n:04}")).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(fill(root, "fan"), 600 + 300 + 1);
    assert_eq!(runs(root, "fan"), [""; 0]);

    let source = root.join("in/400");
    let times = fs::metadata(&source).unwrap().modified().unwrap();
    fs::write(&source, "0004").unwrap();
    fs::File::open(&source).unwrap().set_modified(times).unwrap();
    assert_eq!(runs(root, "fan"), ["fan[n=400]: input source changed: in/400"]);
    fs::write(&source, "0400").unwrap();
    assert_eq!(runs(root, "fan"), [""; 0]);

    let cache = Cache::open(&root.join("cache")).unwrap();
    let object = |text: &str| cache.object_path(&ghtrader::hash::Hash::of(text.as_bytes()));
    let (lost, damaged) = (object("x of fan[n=501]\n"), object("x of next[n=4]\n"));
    fs::remove_file(lost).unwrap();
    fs::set_permissions(&damaged, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&damaged, "x of next[n=5]\n").unwrap();
    let next = |line: &str| line.starts_with("next[n=500]: Some(MayRun");
    let all = |line: &str| line.starts_with("all: Some(MayRun");
    let found = runs(root, "fan");
    assert!(found.iter().any(|line| line == "fan[n=501]: output x is lost"), "{found:?}");
    assert!(found.iter().any(|line| line == "next[n=4]: output x is damaged"), "{found:?}");
    assert!(found.iter().any(|line| next(line)) && found.iter().any(|line| all(line)), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[test]
#[ignore = "fills a cache for measurements"]
fn fill_a_project() {
    let asked = std::env::var("GHTRADER_FILL").unwrap();
    let (root, name) = asked.split_once(':').unwrap();
    println!("{} results recorded", fill(Path::new(root), name));
}
