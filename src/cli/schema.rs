//! `ghtrader schema`: the JSON Schema of flow files, for editors, with `with` of every kind that is installed.

use clap::Args;
use serde_json::{Value, json};

use super::error::print;
use super::{CliError, Exit};
use crate::kinds::Kinds;
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
    let kinds = Kinds::installed();
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::SourceFile;
    use crate::flow::yaml::parse;

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let paths = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
    }

    /// The errors of a file by the schema; `None` where it is not YAML, or YAML that means nothing sure.
    fn judged(path: &Path) -> Option<Vec<String>> {
        let schema: Value = serde_json::from_str(FLOW).unwrap();
        let text = String::from_utf8(fs_err::read(path).unwrap()).ok()?;
        let (node, errors) = parse(&Arc::new(SourceFile { name: String::new(), text }));
        let json = node.filter(|_| errors.is_empty())?.json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        Some(validator.iter_errors(&json).map(|error| error.to_string()).collect())
    }

    #[test]
    fn shipped_flows_are_accepted_and_name_the_schema() {
        let folders = ["flows", "examples/first-flow/flows", "examples/own-kind/flows"];
        let flows: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
        assert!(flows.len() >= 4);
        for flow in flows {
            assert_eq!(judged(&flow), Some(Vec::new()), "{}", flow.display());
            let text = fs_err::read_to_string(&flow).unwrap();
            let shipped = flow.starts_with(Path::new(env!("CARGO_MANIFEST_DIR")).join("flows"));
            assert!(
                !shipped || text.starts_with("# yaml-language-server: $schema=flow.schema.json\n"),
                "{}",
                flow.display()
            );
        }
    }

    #[test]
    fn broken_flows_are_refused_where_a_schema_can() {
        let accepted: Vec<String> = files("tests/errors")
            .iter()
            .filter(|path| judged(path).is_some_and(|errors| errors.is_empty()))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        // Names that have to exist, expressions, and what follows from values are beyond a schema.
        for beyond in &accepted {
            assert!(BEYOND.contains(&beyond.as_str()), "the schema accepts {beyond}: {accepted:?}");
        }
    }

    const BEYOND: [&str; 23] = [
        "circles",
        "cycle-of-three",
        "cycle",
        "duplicate-keys",
        "expression-names",
        "expression-syntax",
        "expressions",
        "input-cycle",
        "itself",
        "joins",
        "kind-inputs",
        "kind-with",
        "no-such-task",
        "overlap",
        "publish",
        "scopes",
        "secrets",
        "sub-flow-secret",
        "sub-flow-across",
        "sub-flow-cycle",
        "sub-flow-inside",
        "unknown-kind",
        "merge-key",
    ];

    #[test]
    fn every_key_is_described() {
        fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
            if let Some(properties) = schema["properties"].as_object() {
                let named = properties.iter().filter(|(_, field)| field["description"].is_null());
                missing.extend(named.map(|(name, _)| format!("{path}/{name}")));
            }
            match schema {
                Value::Object(fields) => {
                    fields.iter().for_each(|(name, field)| walk(field, &format!("{path}/{name}"), missing))
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, path, missing)),
                _ => {}
            }
        }
        let mut missing = Vec::new();
        walk(&serde_json::from_str(FLOW).unwrap(), "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
