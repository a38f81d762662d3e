//! A lineage as PROV-JSON: the JSON form of the W3C's PROV data model, as submitted on 24 April 2013
//! (<https://www.w3.org/submissions/2013/SUBM-prov-json-20130424/>).
//!
//! | here | in PROV |
//! |---|---|
//! | an artifact, by its content; a source with its path | entity `artifact:<hash>` |
//! | an execution of a task | activity `task:<key>` |
//! | an output, an input, with their names | `wasGeneratedBy`, `used`, with `prov:role` |
//! | an entry or a gather of what other tasks wrote | `wasDerivedFrom` |
//! | the machine on which it ran | agent `host:<name>`, `wasAssociatedWith` |

use serde_json::{Map, Value, json};

use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError};
use crate::hash::Hash;
use crate::key::Group;
use crate::manifest::{Input, Manifest, Origin};

/// The document, built up.
#[derive(Default)]
struct Document {
    entities: Map<String, Value>,
    activities: Map<String, Value>,
    agents: Map<String, Value>,
    generated: Map<String, Value>,
    used: Map<String, Value>,
    derived: Map<String, Value>,
    associated: Map<String, Value>,
}

/// The executions `manifests` as one PROV document.
///
/// # Errors
/// Where the manifest of what they read cannot be read.
pub(super) fn document(cache: &Cache, manifests: &[Manifest]) -> Result<Value, CacheError> {
    let mut document = Document::default();
    for manifest in manifests {
        document.execution(manifest);
        for (name, input) in &manifest.inputs {
            document.input(cache, manifest, name, input)?;
        }
    }
    let Document { entities, activities, agents, generated, used, derived, associated } = document;
    let prefix =
        ["artifact", "task", "host", "ghtrader"].map(|name| (name.to_owned(), format!("urn:ghtrader:{name}:").into()));
    let mut whole = Map::from_iter([("prefix".to_owned(), Value::Object(Map::from_iter(prefix)))]);
    for (name, records) in [
        ("entity", entities),
        ("activity", activities),
        ("agent", agents),
        ("wasGeneratedBy", generated),
        ("used", used),
        ("wasDerivedFrom", derived),
        ("wasAssociatedWith", associated),
    ] {
        if !records.is_empty() {
            whole.insert(name.to_owned(), Value::Object(records));
        }
    }
    Ok(Value::Object(whole))
}

impl Document {
    fn execution(&mut self, manifest: &Manifest) {
        let Manifest { key, execution, parts, .. } = manifest;
        let activity = activity(key);
        let mut record = json!({
            "prov:startTime": execution.started,
            "prov:endTime": execution.finished,
            "prov:label": manifest.task,
            "ghtrader:flow": manifest.flow,
            "ghtrader:run": manifest.run,
            "ghtrader:commit": execution.commit.clone().unwrap_or_default(),
            "ghtrader:dirty": execution.dirty,
        });
        for part in parts {
            let name = match part.group {
                Group::Kind => "ghtrader:kind".to_owned(),
                Group::Command => "ghtrader:command".to_owned(),
                Group::With => format!("ghtrader:with.{}", part.name),
                Group::Matrix => format!("ghtrader:matrix.{}", part.name),
                Group::Device => "ghtrader:device".to_owned(),
                Group::Input | Group::Env | Group::Output => continue,
            };
            let value =
                if part.group == Group::Kind { format!("{} {}", part.name, part.value) } else { part.value.clone() };
            record[name] = value.into();
        }
        let host = format!("host:{}", execution.host);
        self.agents
            .insert(host.clone(), json!({ "prov:type": { "$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME" } }));
        self.associated.insert(format!("_:on-{key}"), json!({ "prov:activity": activity, "prov:agent": host }));
        for (name, artifact) in &manifest.outputs {
            self.entity(artifact, None);
            self.generated.insert(
                format!("_:wrote-{key}-{name}"),
                json!({
                    "prov:entity": entity(&artifact.hash), "prov:activity": activity,
                    "prov:time": execution.finished, "prov:role": name,
                }),
            );
        }
        self.activities.insert(activity, record);
    }

    fn input(&mut self, cache: &Cache, manifest: &Manifest, name: &str, input: &Input) -> Result<(), CacheError> {
        let Input { artifact, origins } = input;
        let (key, hash) = (&manifest.key, &artifact.hash);
        self.used.insert(
            format!("_:read-{key}-{name}"),
            json!({
                "prov:activity": activity(key), "prov:entity": entity(hash),
                "prov:time": manifest.execution.started, "prov:role": name,
            }),
        );
        self.entity(artifact, None);
        for origin in origins {
            match origin {
                Origin::Path(path) => self.entity(artifact, Some(("path", path))),
                Origin::Ref { name, .. } => self.entity(artifact, Some(("ref", name))),
                Origin::Task { key, output, .. } => {
                    let Some(source) = written(cache, key, output)?.filter(|source| source.hash != *hash) else {
                        continue;
                    };
                    self.derived.insert(
                        format!("_:from-{hash}-{}", source.hash),
                        json!({ "prov:generatedEntity": entity(hash), "prov:usedEntity": entity(&source.hash) }),
                    );
                    self.entity(&source, None);
                }
            }
        }
        Ok(())
    }

    fn entity(&mut self, artifact: &Artifact, attribute: Option<(&str, &str)>) {
        let record = self
            .entities
            .entry(entity(&artifact.hash))
            .or_insert_with(|| json!({ "ghtrader:size": artifact.size, "ghtrader:folder": artifact.folder }));
        if let Some((name, value)) = attribute {
            record[format!("ghtrader:{name}")] = value.into();
        }
    }
}

/// What the task with this key wrote as `output`.
fn written(cache: &Cache, key: &Hash, output: &str) -> Result<Option<Artifact>, CacheError> {
    Ok(cache.find_result(key)?.and_then(|recorded| recorded.outputs.get(output).cloned()))
}

fn entity(hash: &Hash) -> String {
    format!("artifact:{hash}")
}

fn activity(key: &Hash) -> String {
    format!("task:{key}")
}
