//! Flows and their graphs: what is right gives the right graph; what is wrong is shown as stored in `tests/errors`.

use std::path::{Path, PathBuf};

use ghtrader_kit::Program;

use super::*;
use crate::diagnostic::render;

fn errors_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors")
}

pub(super) fn kinds() -> Kinds {
    let text = fs_err::read_to_string(errors_folder().join("kinds.json")).unwrap();
    Kinds::of(serde_json::from_str::<Program>(&text).unwrap().kinds)
}

fn errors_of(path: &Path, name: &str, kinds: &Kinds) -> Vec<Diagnostic> {
    match load(&errors_folder(), path, name, kinds) {
        Err(errors) => errors,
        Ok(flow) => Graph::new(&flow, kinds).err().unwrap_or_default(),
    }
}

/// Every `tests/errors/*.yaml` is a broken flow; the `.txt` beside it is what a user reads. `UPDATE=1` writes them anew.
#[test]
fn broken_flows_are_explained() {
    let kinds = kinds();
    let mut names: Vec<PathBuf> =
        fs_err::read_dir(errors_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 50, "{} flows", names.len());
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let errors = errors_of(&path, &name, &kinds);
        assert!(!errors.is_empty(), "{name} has no error");
        let shown = render(&errors, false);
        let stored = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs_err::write(&stored, &shown).unwrap();
        }
        if fs_err::read_to_string(&stored).unwrap_or_default() != shown {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "not as stored (UPDATE=1 stores them):\n{}", wrong.join("\n"));
}

fn flow(text: &str) -> Flow {
    Flow::parse(Path::new("flows/test.yaml"), "flows/test.yaml", text.to_owned())
        .unwrap_or_else(|errors| panic!("{}", render(&errors, false)))
}

/// The graph of a flow; its tasks by name.
fn with_graph<T>(text: &str, kinds: &Kinds, look: impl FnOnce(&Graph<'_>) -> T) -> T {
    let flow = flow(text);
    let graph = Graph::new(&flow, kinds).unwrap_or_else(|errors| panic!("{}", render(&errors, false)));
    look(&graph)
}

/// A kind with these inputs (`name?` is optional) and outputs (`name:json`, …).
fn kind(name: &str, inputs: &str, outputs: &str) -> ghtrader_kit::KindSpec {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let inputs = words(inputs).into_iter().map(|word| {
        let (word, optional) = word.strip_suffix('?').map_or((word.as_str(), false), |word| (word, true));
        let (name, kind) = word.split_once(':').unwrap_or((word, "json"));
        (name.to_owned(), serde_json::json!({ "type": kind, "optional": optional }))
    });
    let outputs = words(outputs).into_iter().map(|word| {
        let (name, kind) = word.split_once(':').unwrap_or((&word, "json"));
        (name.to_owned(), serde_json::json!({ "type": kind, "path": name }))
    });
    let (inputs, outputs): (serde_json::Map<_, _>, serde_json::Map<_, _>) = (inputs.collect(), outputs.collect());
    let params = serde_json::json!({ "type": "object" });
    let spec = serde_json::json!({ "name": name, "about": "", "code": "1", "params": params, "inputs": inputs, "outputs": outputs });
    serde_json::from_value(spec).unwrap()
}

/// The flow that the runner is for: every form of join, a task that reads itself, a ref that is read and moved.
const DAILY: &str = r#"
params:
  market: examples/synthetic
  from: { type: date, required: false }
  horizons: [10, 50]
  models: [logistic, lightgbm]
tasks:
  cells:
    uses: cells
    inputs: { market: { path: "${{ params.market }}/market.yaml" }, rolls: { path: "${{ params.market }}/rolls", optional: true } }
    with: { root: "${{ params.market }}", files: "${{ files(params.market ~ '/**') }}", from: "${{ params.from }}" }
  ingest:
    uses: ingest
    matrix: { variety: { from: cells.cells }, cell: { from: cells.cells, at: "${{ variety }}" } }
    inputs:
      cell: { from: cells.cells, at: "${{ variety }}/${{ cell }}" }
      spec: { from: cells.specs, at: "${{ variety }}/ticks" }
      ticks: { path: "${{ params.market ~ '/' ~ inputs.cell.file if inputs.cell.file else none }}", optional: true }
  schedule:
    uses: schedule
    matrix: { variety: { from: cells.cells } }
    inputs: { index: { from: ingest.index }, roll: { from: cells.specs, at: "${{ variety }}/roll" } }
  main-l5:
    uses: main-l5
    matrix: { variety: { from: cells.cells }, day: { from: schedule.days } }
    inputs:
      ticks: { from: ingest.ticks, where: { cell: "${{ inputs.entry.cell }}" }, at: "${{ inputs.entry.contract }}/${{ day }}.parquet" }
      entry: { from: schedule.days, at: "${{ day }}" }
  build:
    uses: build
    matrix: { variety: { from: cells.cells }, day: { from: schedule.days } }
    inputs:
      entry: { from: schedule.days, at: "${{ day }}" }
      ticks: { from: main-l5.ticks }
      state: { from: build.state, where: { day: "${{ inputs.entry.previous }}" }, optional: true }
    with: { horizons: "${{ params.horizons }}" }
  train:
    uses: train
    matrix: { variety: { from: cells.cells }, horizon: "${{ params.horizons }}", model: "${{ params.models }}" }
    inputs:
      window: { from: schedule.windows, at: train }
      features: { from: build.features, where: { day: "${{ inputs.window.days }}" } }
  promote:
    uses: promote
    matrix: { variety: { from: cells.cells }, horizon: "${{ params.horizons }}" }
    inputs:
      models: { from: train.model }
      incumbent: { ref: "model/${{ variety }}/h${{ horizon }}/production", optional: true }
    publish: { model: { ref: "model/${{ variety }}/h${{ horizon }}/production", when: decision.promote } }
  summary:
    uses: summary
    inputs: { decisions: { from: promote.decision } }
    print: table
"#;

fn daily_kinds() -> Kinds {
    Kinds::of([
        kind("cells", "market:file rolls:folder?", "cells specs"),
        kind("ingest", "cell spec ticks:file?", "index ticks:folder"),
        kind("schedule", "index:folder roll", "days windows"),
        kind("main-l5", "ticks:file entry", "ticks:file manifest"),
        kind("build", "entry ticks:file state:file?", "state:file features:file"),
        kind("train", "window features:folder", "model:folder"),
        kind("promote", "models:folder incumbent:folder?", "model:folder decision"),
        kind("summary", "decisions:folder", "table"),
    ])
}

#[test]
fn the_daily_flow_has_the_graph_that_one_draws_by_hand() {
    with_graph(DAILY, &daily_kinds(), |graph| {
        let name = |task: usize| graph.tasks()[task].name.value.as_str();
        let edges = graph
            .edges()
            .iter()
            .map(|(from, to)| format!("{}>{}", name(*from), name(*to)))
            .collect::<Vec<_>>()
            .join(" ");
        let expected = "cells>ingest cells>schedule cells>main-l5 cells>build cells>train cells>promote ingest>schedule \
            ingest>main-l5 schedule>main-l5 schedule>build schedule>train main-l5>build build>train train>promote promote>summary";
        assert_eq!(edges, expected);
        assert_eq!(graph.longest(|_| 1), [8, 7, 6, 5, 4, 3, 2, 1]);
        let train = graph.index("train").unwrap();
        assert_eq!(graph.longest(|task| if task == train { 100 } else { 1 }), [107, 106, 105, 104, 103, 102, 2, 1]);
        let main = graph.index("main-l5").unwrap();
        assert_eq!(graph.input_order(main), [1, 0]);
        assert_eq!(graph.kind_name(main), Some("main-l5"));
        let outputs: Vec<&str> = graph.outputs(main).iter().map(|output| output.name.as_str()).collect();
        assert_eq!(outputs, ["manifest", "ticks"]);
    });
}

#[test]
fn selectors_are_checked_against_the_flow() {
    with_graph(DAILY, &daily_kinds(), |graph| {
        let check = |text: &str| {
            let selector: Selector = text.parse().unwrap();
            graph.check_selectors([&selector]).err().map(|errors| render(&errors, false))
        };
        assert_eq!(check("train[variety=cu]+"), None);
        assert_eq!(check("*[day=2022-*]"), None);
        assert_eq!(
            check("trian").unwrap(),
            "error: the flow `test` has no task `trian`\n  help: did you mean `train`?\n"
        );
        assert!(check("train[dya=1]").unwrap().starts_with("error: the task `train` has no axis `dya`"));
    });
}

#[test]
fn a_chain_of_ten_thousand_tasks_needs_no_deep_stack() {
    let mut text = "tasks:\n  t0: { run: echo }\n".to_owned();
    for task in 1..10_000 {
        text.push_str(&format!("  t{task}: {{ run: echo, needs: [t{}] }}\n", task - 1));
    }
    with_graph(&text, &Kinds::of([]), |graph| {
        assert_eq!(graph.longest(|_| 1)[0], 10_000);
    });
    let closed = text.replacen("t0: { run: echo }", "t0: { run: echo, needs: [t9999] }", 1);
    let flow = flow(&closed);
    let errors = Graph::new(&flow, &Kinds::of([])).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].labels.len(), 10_000);
}

mod drawn {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a plain definition: there is a cycle if and only if taking away tasks that need nothing gets stuck.
        #[test]
        fn orders_and_cycles_are_those_of_a_plain_definition(edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..24)) {
            let edges: Vec<(usize, usize)> = edges.into_iter().filter(|(from, to)| from != to).collect();
            let mut text = "tasks:\n".to_owned();
            for task in 0..12 {
                let needs: Vec<String> = edges.iter().filter(|(_, to)| *to == task).map(|(from, _)| format!("t{from}")).collect();
                text.push_str(&format!("  t{task}: {{ run: echo, needs: [{}] }}\n", needs.join(", ")));
            }
            let mut left: Vec<usize> = (0..12).collect();
            while let Some(place) = left.iter().position(|task| !edges.iter().any(|(from, to)| to == task && left.contains(from))) {
                left.remove(place);
            }
            let flow = flow(&text);
            match Graph::new(&flow, &Kinds::of([])) {
                Ok(graph) => {
                    prop_assert!(left.is_empty());
                    let each = |task: usize| task as u64 + 1;
                    let longest = graph.longest(each);
                    // By the definition: one more than the longest of those behind it.
                    for task in 0..12 {
                        let behind = edges.iter().filter(|(from, _)| *from == task).map(|(_, to)| longest[*to]).max();
                        prop_assert_eq!(longest[task], each(task) + behind.unwrap_or(0));
                    }
                }
                Err(errors) => {
                    prop_assert!(!left.is_empty());
                    prop_assert!(errors.iter().all(|error| error.message.starts_with("tasks form a cycle: `t")));
                }
            }
        }
    }
}
