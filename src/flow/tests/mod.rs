//! Flow files: what they mean. What broken ones say is in `tests/errors`.

mod drawn;
mod params;
mod templates;

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::diagnostic::render;

/// The example of the flow reference, section 1, word by word.
const REFERENCE: &str = r#"
description: One line that `ghtrader list` shows.

params:                          # each: a default, or a full declaration
  market: examples/market        #   the type follows from the default: string, integer, number, boolean, list, date
  varieties: [cu, au, ag]
  horizon: { type: integer, default: 50, minimum: 1, help: Label horizon in ticks }
  token:   { type: string, required: true }

tasks:
  schedule:
    uses: schedule               # a task kind compiled into ghtrader …
    matrix: { variety: "${{ params.varieties }}" }
    inputs:
      ticks: { path: "${{ params.market }}/ticks/${{ variety }}" }     # a file or folder outside the cache
    with: { threshold: 1.1 }     # the kind's parameters, checked against its schema

  main-l5:
    uses: main-l5
    matrix: { variety: "${{ params.varieties }}", day: { from: schedule.days } }   # values known only once `schedule` ran
    inputs:
      contract: { from: schedule.days, at: "${{ day }}" }   # one entry of a JSON output: only that entry counts
      ticks:    { path: "${{ params.market }}/ticks/${{ inputs.contract.symbol }}/${{ day }}.parquet" }

  summary:
    run: |                       # … or a shell command (bash -euo pipefail), for anything else
      find "$INPUT_TABLE" -type f | xargs wc -c > "$OUTPUT_COUNTS"
    inputs:  { table: { from: main-l5.ticks } }             # every main-l5 instance: a folder of their outputs
    outputs: { counts: counts.txt }
    resources: { cpu: 1, memory: 2GiB }
    locks: ["summary:flow=example"]
    env: [LANG, { name: TOKEN, secret: true }]   # the only variables of the caller that the task sees; their values are part of its key
    retries: { attempts: 3, backoff: 2s, max: 60s }         # exponential, with jitter
    timeout: 30m
    when: "${{ params.horizon > 10 }}"
    publish: { counts: out/counts.txt }                     # a stable path for people
"#;

pub(super) fn flow(text: &str) -> Flow {
    match Flow::parse(Path::new("flows/test.yaml"), "flows/test.yaml", text.to_owned()) {
        Ok(flow) => flow,
        Err(errors) => panic!("{}", render(&errors, false)),
    }
}

#[test]
fn the_example_of_the_reference_is_read_whole() {
    let flow = flow(REFERENCE);
    assert_eq!(flow.name, "test");
    assert_eq!(flow.description.as_deref(), Some("One line that `ghtrader list` shows."));
    let types: Vec<ParamType> = flow.params.iter().map(|param| param.r#type).collect();
    assert_eq!(types, [ParamType::String, ParamType::List, ParamType::Integer, ParamType::String]);
    let main = flow.task("main-l5").unwrap();
    assert_eq!(main.axes(), ["variety", "day"]);
    assert!(main.input("contract").unwrap().is_entry());
    let summary = flow.task("summary").unwrap();
    assert_eq!(summary.resources.memory, Some(2 << 30));
    assert_eq!(summary.timeout, Some(Duration::from_secs(1800)));
    let retries = Retries { attempts: 3, backoff: Duration::from_secs(2), max: Duration::from_secs(60) };
    assert_eq!(summary.retries, retries);
    let env: Vec<(&str, bool)> = summary.env.iter().map(|env| (env.name.value.as_str(), env.secret)).collect();
    assert_eq!(env, [("LANG", false), ("TOKEN", true)]);
    assert_eq!(summary.cache, CachePolicy::Always);
    assert_eq!(summary.outputs[0].path.value, "counts.txt");
}

#[test]
fn every_form_of_every_key_is_read() {
    let flow = flow(
        r#"
tasks:
  first: { run: "true", outputs: { days: days.json, big: a/b } }
  all:
    run: cat
    needs: first
    matrix:
      n: [1, 2.5, true, text, null, [1], { a: 1 }]
      day: { from: first.days, at: "a/${{ n }}" }
      include: [{ n: 3, extra: x }]
      exclude: [{ n: 1, day: "2022-02-18" }]
    inputs:
      entry: { from: first.days, at: "${{ day }}", optional: true }
      where: { from: first.big, where: { a: [1, 2] } }
      ref: { ref: "model/${{ n }}", optional: true }
    resources: { cpu: 0.5, memory: 1024, gpu: { count: 2, memory: 20GiB, optional: true }, tqsdk: 1 }
    locks: [plain, { key: "a=${{ n }}", mode: shared }, { key: b, mode: exclusive }]
    cache: { ttl: 1d }
    priority: -5
    when: false
    outputs: { model: model, decision: decision.json }
    publish: { model: { ref: "model/${{ n }}", when: decision.gate.promote } }
    print: decision
"#,
    );
    let task = flow.task("all").unwrap();
    assert_eq!(task.axes(), ["n", "day", "extra"]);
    assert_eq!(task.needs[0].value, "first");
    assert_eq!(task.resources.gpu, Some(Gpu { count: 2.0, memory: Some(20 << 30), optional: true }));
    assert_eq!(task.resources.tokens, [("tqsdk".to_owned(), 1.0)]);
    assert_eq!(task.locks.iter().map(|lock| lock.shared).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(task.cache, CachePolicy::Ttl(Duration::from_secs(86_400)));
    assert_eq!(task.priority, -5);
    assert_eq!(task.when.as_ref().unwrap().fixed(), Some(&json!(false)));
    let Target::Ref { when: Some((output, field)), .. } = &task.publish[0].target else { panic!() };
    assert_eq!((output.value.as_str(), field.value.as_str()), ("decision", "gate.promote"));
    let AxisValues::Template(values) = &task.matrix.axes[0].values else { panic!() };
    assert_eq!(values.fixed(), Some(&json!([1, 2.5, true, "text", null, [1], { "a": 1 }])));
}

#[test]
fn order_comments_and_spacing_do_not_matter() {
    let one = flow("tasks: { a: { run: echo, timeout: 1m, outputs: { x: x } } }");
    let other =
        flow("# a flow\ntasks:\n  a:\n\n    outputs:   { \"x\": 'x' }   # one\n    timeout: 1m\n    run: echo\n");
    let seen = |flow: &Flow| {
        let task = flow.task("a").unwrap();
        let Action::Command(command) = &task.action else { panic!() };
        (command.fixed().cloned(), task.timeout, task.outputs[0].path.value.clone())
    };
    assert_eq!(seen(&one), seen(&other));
}
