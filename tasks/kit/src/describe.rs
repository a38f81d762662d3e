//! What a program says about its kinds.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to `describe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The version of the contract that the program speaks.
    pub contract: u32,
    /// Its kinds.
    pub kinds: Vec<KindSpec>,
}

/// One kind: all that the runner has to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpec {
    /// The name for `uses`.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// The version of its code; part of every key of the kind.
    pub code: String,
    /// JSON Schema of `with`: an object.
    pub params: Value,
    /// Its inputs by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Its outputs by name.
    pub outputs: BTreeMap<String, OutputSpec>,
    /// Whether a cached result has to be asked for with `probe` before it is trusted.
    #[serde(default)]
    pub probes: bool,
    /// Whether its bytes depend on what it runs on, processor or device: then that is part of its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub device_dependent: bool,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathType {
    /// A file of any content.
    File,
    /// A folder.
    Folder,
    /// A JSON file.
    Json,
}

/// One input of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// What lies there.
    pub r#type: PathType,
    /// Whether a flow may leave it out.
    #[serde(default)]
    pub optional: bool,
    /// One line for people.
    #[serde(default)]
    pub about: String,
}

/// One output of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// What lies there.
    pub r#type: PathType,
    /// Its path relative to the folder of outputs.
    pub path: String,
    /// Whether its bytes are a measurement (a latency, say), so that they may differ from run to run.
    #[serde(default)]
    pub measured: bool,
    /// One line for people.
    #[serde(default)]
    pub about: String,
}

/// The inputs that a struct of path types declares, read from its JSON Schema.
pub(crate) fn inputs(schema: &Value) -> crate::Result<BTreeMap<String, InputSpec>> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    fields(schema)
        .map(|(name, field)| {
            let spec = InputSpec {
                r#type: path_type(name, field)?,
                optional: !required.contains(&name.as_str()),
                about: about(field),
            };
            Ok((name.clone(), spec))
        })
        .collect()
}

/// The outputs that a struct of path types declares, read from its JSON Schema.
pub(crate) fn outputs(schema: &Value) -> crate::Result<BTreeMap<String, OutputSpec>> {
    fields(schema)
        .map(|(name, field)| {
            let spec = OutputSpec {
                r#type: path_type(name, field)?,
                path: field["path"].as_str().unwrap_or(name).to_owned(),
                measured: field["measured"].as_bool().unwrap_or(false),
                about: about(field),
            };
            Ok((name.clone(), spec))
        })
        .collect()
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn about(field: &Value) -> String {
    field["description"].as_str().unwrap_or_default().to_owned()
}

fn path_type(name: &str, field: &Value) -> crate::Result<PathType> {
    serde_json::from_value(field["format"].clone())
        .with_context(|| format!("`{name}` is not one of the path types of ghtrader-kit: {field}"))
}
