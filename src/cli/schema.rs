//! `ghtrader schema`: the JSON Schema of flow files, for editors, with `with` of every kind that is installed.

use clap::Args;
use serde_json::{Value, json};

use super::error::print;
use super::project::kinds;
use super::{CliError, Exit};
use crate::provenance::manifest_schema;

/// What does not depend on the kinds that are installed.
const FLOW: &str = include_str!("schema.json");

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// That of manifests instead: what is written down of tasks and runs
    #[arg(long)]
    manifest: bool,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<Exit, CliError> {
    if args.manifest {
        print(&serde_json::to_string_pretty(&manifest_schema()).map_err(std::io::Error::from)?);
        return Ok(Exit::Done);
    }
    let mut schema: Value = serde_json::from_str(FLOW).map_err(std::io::Error::from)?;
    let kinds = kinds();
    let mut kinds: Vec<_> = kinds.all().map_err(CliError::Invalid)?.into_iter().map(|kind| &kind.spec).collect();
    kinds.sort_by(|a, b| a.name.cmp(&b.name));
    let with: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "uses": { "const": kind.name } }, "required": ["uses"] },
                "then": { "properties": { "with": { "type": "object", "properties": fields(&kind.params) } } }
            })
        })
        .collect();
    schema["$defs"]["task"]["allOf"] = with.into();
    schema["$defs"]["task"]["properties"]["uses"]["examples"] = kinds.iter().map(|kind| kind.name.as_str()).collect();
    print(&serde_json::to_string_pretty(&schema).map_err(std::io::Error::from)?);
    Ok(Exit::Done)
}

/// The names and explanations of a kind's parameters. Types are left out: an expression may stand for any value.
fn fields(params: &Value) -> Value {
    let properties = params["properties"].as_object().into_iter().flatten();
    let field = |(name, field): (&String, &Value)| (name.clone(), json!({ "description": field["description"] }));
    Value::Object(properties.map(field).collect())
}
