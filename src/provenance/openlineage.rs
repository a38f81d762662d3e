//! A lineage as OpenLineage events, by version 2-0-2 of its specification
//! (<https://openlineage.io/spec/2-0-2/OpenLineage.json>): one `COMPLETE` event for each execution.
//!
//! A job is a task of a flow, a run is one execution of it, a dataset is an output (`flow:task.output`), a file outside the
//! cache (by its path) or a ref. The content of a dataset is its version. What has no facet of the specification's own (the
//! key, the code's version, what it used) is in the facet `ghtrader`.

use serde_json::{Value, json};

use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::Group;
use crate::manifest::{Input, Manifest, Origin};

const SPEC: &str = "https://openlineage.io/spec";
const PRODUCER: &str = concat!("urn:ghtrader:runner:", env!("CARGO_PKG_VERSION"));
/// The namespace of what a flow makes.
const NAMESPACE: &str = "ghtrader";

/// One event for each of `manifests`.
///
/// # Errors
/// Where the manifest of what they read cannot be read.
pub(super) fn events(cache: &Cache, manifests: &[Manifest]) -> Result<Vec<Value>, CacheError> {
    manifests.iter().map(|manifest| event(cache, manifest)).collect()
}

fn event(cache: &Cache, manifest: &Manifest) -> Result<Value, CacheError> {
    let mut inputs = Vec::new();
    for (name, input) in &manifest.inputs {
        inputs.extend(input_datasets(cache, name, input)?);
    }
    let outputs = manifest.outputs.iter().map(|(name, artifact)| {
        let statistics =
            facet("facets/1-0-2/OutputStatisticsOutputDatasetFacet.json", json!({ "size": artifact.size }));
        let mut dataset = dataset(NAMESPACE, &output(&manifest.flow, &manifest.task, name), &artifact.hash);
        dataset["outputFacets"] = json!({ "outputStatistics": statistics });
        dataset
    });
    Ok(json!({
        "eventType": "COMPLETE",
        "eventTime": manifest.execution.finished,
        "producer": PRODUCER,
        "schemaURL": format!("{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"),
        "run": { "runId": execution_id(manifest), "facets": run_facets(manifest) },
        "job": { "namespace": NAMESPACE, "name": format!("{}:{}", manifest.flow, manifest.task), "facets": job_facets(manifest) },
        "inputs": inputs,
        "outputs": outputs.collect::<Vec<_>>(),
    }))
}

fn run_facets(manifest: &Manifest) -> Value {
    let execution = &manifest.execution;
    let parameters = manifest.parts.iter().filter(|part| matches!(part.group, Group::With | Group::Matrix));
    let parameters = parameters.map(|part| {
        let value = serde_json::from_str(&part.value).unwrap_or_else(|_| Value::from(part.value.as_str()));
        json!({ "key": part.name, "value": value })
    });
    let code = manifest.parts.iter().find(|part| part.group == Group::Kind);
    let mut facets = json!({
        "nominalTime": facet(
            "facets/1-0-1/NominalTimeRunFacet.json",
            json!({ "nominalStartTime": execution.started, "nominalEndTime": execution.finished }),
        ),
        "processing_engine": facet(
            "facets/1-1-1/ProcessingEngineRunFacet.json",
            json!({ "name": "ghtrader", "version": env!("CARGO_PKG_VERSION") }),
        ),
        "jobRunParameters": facet(
            "facets/1-0-0/JobRunParametersFacet.json",
            json!({ "parameters": parameters.collect::<Vec<_>>() }),
        ),
        "ghtrader": {
            "_producer": PRODUCER, "_schemaURL": "urn:ghtrader:schema:manifest",
            "key": manifest.key, "code": code.map(|code| &code.value), "dirty": execution.dirty, "run": manifest.run,
            "host": execution.host, "devices": execution.devices, "deviceClass": execution.device_class, "waited": execution.waited, "cpu": execution.cpu,
            "peakMemory": execution.peak_memory, "attempts": execution.attempts, "log": execution.log,
        },
    });
    if let Ok(run) = ulid::Ulid::from_string(&manifest.run) {
        let job = json!({ "namespace": NAMESPACE, "name": manifest.flow });
        let parent = json!({ "run": { "runId": uuid(run.0.to_be_bytes()) }, "job": job });
        facets["parent"] = facet("facets/1-0-1/ParentRunFacet.json", parent);
    }
    facets
}

fn job_facets(manifest: &Manifest) -> Value {
    let mut facets = json!({
        "jobType": facet(
            "facets/2-0-3/JobTypeJobFacet.json",
            json!({ "processingType": "BATCH", "integration": "GHTRADER", "jobType": "TASK" }),
        ),
    });
    if let Some(command) = manifest.parts.iter().find(|part| part.group == Group::Command) {
        let code = json!({ "language": "bash", "sourceCode": command.value });
        facets["sourceCode"] = facet("facets/1-0-1/SourceCodeJobFacet.json", code);
    }
    if let Some(commit) = &manifest.execution.commit {
        let location = json!({ "type": "git", "url": format!("urn:git:{commit}"), "version": commit });
        facets["sourceCodeLocation"] = facet("facets/1-0-1/SourceCodeLocationJobFacet.json", location);
    }
    facets
}

/// What an input was: one dataset, or for a gather one for each instance.
fn input_datasets(cache: &Cache, name: &str, input: &Input) -> Result<Vec<Value>, CacheError> {
    let own = &input.artifact.hash;
    let mut datasets = Vec::with_capacity(input.origins.len());
    for origin in &input.origins {
        let mut dataset = match origin {
            Origin::Path(path) => dataset("file", path, own),
            Origin::Ref { name, .. } => dataset(NAMESPACE, &format!("ref {name}"), own),
            Origin::Task { task, key, output: written, .. } => {
                // The producer's own names, where its result is known here: those are the names of its event's outputs.
                let recorded = cache.find_result(key)?;
                let flow = recorded.as_ref().map_or("", |recorded| &recorded.flow);
                let task = recorded.as_ref().map_or(task, |recorded| &recorded.task);
                let hash = recorded
                    .as_ref()
                    .and_then(|recorded| recorded.outputs.get(written))
                    .map_or(own, |output| &output.hash);
                dataset(NAMESPACE, &output(flow, task, written), hash)
            }
        };
        let at = match origin {
            Origin::Task { at, .. } => at.as_deref(),
            Origin::Path(_) | Origin::Ref { .. } => None,
        };
        dataset["inputFacets"] = json!({
            "ghtrader": { "_producer": PRODUCER, "_schemaURL": "urn:ghtrader:schema:manifest", "input": name, "at": at, "content": own },
        });
        datasets.push(dataset);
    }
    Ok(datasets)
}

fn dataset(namespace: &str, name: &str, content: &Hash) -> Value {
    let version = facet("facets/1-0-1/DatasetVersionDatasetFacet.json", json!({ "datasetVersion": content }));
    json!({ "namespace": namespace, "name": name, "facets": { "version": version } })
}

fn output(flow: &str, task: &str, name: &str) -> String {
    format!("{flow}:{task}.{name}")
}

/// A facet of the specification's own.
fn facet(schema: &str, mut fields: Value) -> Value {
    fields["_producer"] = PRODUCER.into();
    fields["_schemaURL"] = format!("{SPEC}/{schema}").into();
    fields
}

/// The same execution always has the same id, and no two have one.
fn execution_id(manifest: &Manifest) -> String {
    let Manifest { key, run, execution, .. } = manifest;
    let hash = Hash::of(format!("{key} {run} {}", execution.started).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(hash.as_bytes().split_at(16).0);
    // Version 8 of RFC 9562: the bits are whatever the program says.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    uuid(bytes)
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]].map(|part| part.concat()).join("-")
}
