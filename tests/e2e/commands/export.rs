//! Lineage in the formats of others. The fields that their specifications require are written down here once more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::space::Space;

fn space() -> Space {
    let space = Space::with_flow(
        r#"
params: { k: [1, 2] }
tasks:
  list: { run: 'echo "{\"1\": {\"v\": 10}, \"2\": {\"v\": 20}}" >$OUTPUT_CELLS', outputs: { cells: cells.json } }
  one:
    matrix: { n: { from: list.cells } }
    run: 'cat $INPUT_SOURCE $INPUT_CELL >$OUTPUT_O'
    inputs: { cell: { from: list.cells, at: "${{ n }}" }, source: { path: data/source.txt } }
    outputs: { o: o.txt }
    env: [{ name: TOKEN, secret: true }]
  all:
    run: 'cat $INPUT_O/*/* >$OUTPUT_MODEL'
    with: { depth: 3 }
    inputs: { o: { from: one } }
    outputs: { model: model.txt }
    publish: { model: { ref: model } }
"#,
    );
    space.write("data/source.txt", "ticks");
    let ran = space.command(&["run", "test"]).env("TOKEN", "hunter2").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    space
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn has(value: &Value, required: &[&str]) {
    let missing: Vec<&&str> = required.iter().filter(|name| !keys(value).contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {value:#}");
}

/// Every record of a PROV-JSON document refers to records that are there, by names whose prefix is declared.
#[test]
fn prov_is_one_whole_document() {
    let space = space();
    let answer = space.call(&["lineage", "model", "--format", "prov"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.out.contains("hunter2"));
    let prov: Value = serde_json::from_str(&answer.out).unwrap();
    let known =
        ["prefix", "entity", "activity", "agent", "used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith"];
    assert_eq!(keys(&prov), known.into());
    let declared = keys(&prov["prefix"]);
    let records = |name: &str| prov[name].as_object().cloned().unwrap_or_else(Map::new);
    for kind in ["entity", "activity", "agent"] {
        for (id, record) in records(kind) {
            assert!(declared.contains(id.split(':').next().unwrap()), "{id}");
            for attribute in keys(&record) {
                let prefix = attribute.split_once(':').unwrap().0;
                assert!(prefix == "prov" || declared.contains(prefix), "{attribute}");
            }
        }
    }
    let relations: BTreeMap<&str, [(&str, &str); 2]> = [
        ("used", [("prov:activity", "activity"), ("prov:entity", "entity")]),
        ("wasGeneratedBy", [("prov:entity", "entity"), ("prov:activity", "activity")]),
        ("wasDerivedFrom", [("prov:generatedEntity", "entity"), ("prov:usedEntity", "entity")]),
        ("wasAssociatedWith", [("prov:activity", "activity"), ("prov:agent", "agent")]),
    ]
    .into();
    for (relation, ends) in relations {
        assert!(!records(relation).is_empty(), "{relation}");
        for (id, record) in records(relation) {
            assert!(id.starts_with("_:"), "{id}");
            for (end, kind) in ends {
                assert!(records(kind).contains_key(record[end].as_str().unwrap()), "{relation} {id}: {end}");
            }
        }
    }
    assert_eq!(records("activity").len(), 4);
    for activity in records("activity").values() {
        for time in ["prov:startTime", "prov:endTime"] {
            activity[time].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        }
    }
    // Two cells of `list`, and the gather of two.
    assert_eq!(records("wasDerivedFrom").len(), 4);
    assert!(records("entity").values().any(|entity| entity["ghtrader:path"] == "data/source.txt"));
    assert!(records("activity").values().any(|activity| activity["ghtrader:with.depth"] == "3"));
}

#[test]
fn openlineage_has_one_complete_event_for_each_execution() {
    let space = space();
    let answer = space.call(&["lineage", "model", "--format", "openlineage"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    assert!(!answer.out.contains("hunter2"));
    let events: Vec<Value> = answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 4);
    let mut ids = BTreeSet::new();
    let mut written = BTreeSet::new();
    for event in &events {
        has(event, &["eventTime", "producer", "schemaURL", "run", "job"]);
        assert_eq!(event["eventType"], "COMPLETE");
        assert_eq!(event["schemaURL"], "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent");
        event["eventTime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let id = event["run"]["runId"].as_str().unwrap();
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert!(groups == [8, 4, 4, 4, 12] && ids.insert(id), "{id}");
        has(&event["job"], &["namespace", "name"]);
        let mut facets = vec![&event["run"]["facets"], &event["job"]["facets"]];
        for dataset in event["inputs"].as_array().unwrap().iter().chain(event["outputs"].as_array().unwrap()) {
            has(dataset, &["namespace", "name"]);
            has(&dataset["facets"]["version"], &["datasetVersion"]);
            facets.extend([&dataset["facets"], &dataset["inputFacets"], &dataset["outputFacets"]]);
        }
        for facet in facets.into_iter().filter_map(Value::as_object).flat_map(Map::values) {
            has(facet, &["_producer", "_schemaURL"]);
        }
        has(&event["run"]["facets"]["parent"], &["run", "job"]);
        has(&event["run"]["facets"]["processing_engine"], &["version"]);
        has(&event["job"]["facets"]["sourceCode"], &["language", "sourceCode"]);
        // What is read was written by an event before, or is a file.
        for input in event["inputs"].as_array().unwrap() {
            let name = input["name"].as_str().unwrap();
            let version = input["facets"]["version"]["datasetVersion"].as_str().unwrap();
            let file = input["namespace"] == "file" && name == "data/source.txt";
            assert!(file || written.contains(&(name, version)), "{input:#}");
        }
        for output in event["outputs"].as_array().unwrap() {
            let version = output["facets"]["version"]["datasetVersion"].as_str().unwrap();
            written.insert((output["name"].as_str().unwrap(), version));
        }
    }
    assert!(written.iter().any(|(name, _)| *name == "test:all.model"), "{written:?}");
    let last = events.iter().find(|event| event["job"]["name"] == "test:all").unwrap();
    let parameters = &last["run"]["facets"]["jobRunParameters"]["parameters"];
    assert_eq!(parameters, &serde_json::json!([{ "key": "depth", "value": 3 }]));
    assert_eq!(last["inputs"].as_array().unwrap().len(), 2);
}
