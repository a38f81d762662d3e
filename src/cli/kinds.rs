//! `ghtrader kinds [KIND]`: the task kinds that are installed, from what their programs say of themselves.

use clap::{Args, ValueEnum};
use ghtrader_kit::{KindSpec, PathType};
use serde_json::Value;

use super::error::print;
use super::{CliError, Exit};
use crate::diagnostic::{Diagnostic, nearest};
use crate::key::canonical;
use crate::kinds::Kinds;

#[derive(Debug, Args)]
pub(super) struct KindsArgs {
    /// One kind, with all its inputs, parameters and outputs
    #[arg(add = super::completions::kinds())]
    kind: Option<String>,
    /// How to show them
    #[arg(long, value_enum, default_value_t = KindsFormat::Human)]
    format: KindsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindsFormat {
    Human,
    Json,
    Markdown,
}

pub(super) fn kinds(args: &KindsArgs) -> Result<Exit, CliError> {
    let kinds = Kinds::installed();
    let mut specs: Vec<&KindSpec> =
        kinds.all().map_err(CliError::Invalid)?.into_iter().map(|kind| &kind.spec).collect();
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(name) = &args.kind {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let help = nearest(name, names.iter().copied());
        specs.retain(|spec| spec.name == *name);
        if specs.is_empty() {
            let error = Diagnostic::new(format!("there is no kind `{name}`")).maybe_help(help);
            return Err(CliError::Invalid(vec![error]));
        }
    }
    match args.format {
        KindsFormat::Json => print(&serde_json::to_string_pretty(&specs).unwrap_or_default()),
        KindsFormat::Markdown => print(markdown(&specs).trim_end()),
        KindsFormat::Human if args.kind.is_none() => {
            specs.iter().for_each(|spec| print(&format!("{:<10} {}", spec.name, spec.about)));
        }
        KindsFormat::Human => specs.iter().for_each(|spec| print(page(spec).trim_end())),
    }
    Ok(Exit::Done)
}

/// A kind for a terminal.
fn page(spec: &KindSpec) -> String {
    let mut text = format!("{}: {}\ncode version {}\n", spec.name, spec.about, spec.code);
    text.push_str("\ninputs\n");
    for (name, input) in &spec.inputs {
        let optional = if input.optional { ", optional" } else { "" };
        text.push_str(&format!("  {name} ({}{optional})  {}\n", shown(input.r#type), input.about));
    }
    if spec.device_dependent {
        text.push_str(&format!("\n{DEPENDENT}\n"));
    }
    text.push_str("\nparameters (`with`)\n");
    for param in params(&spec.params) {
        text.push_str(&format!("  {}: {}{}  {}\n", param.name, param.r#type, param.default(" = "), param.about));
    }
    text.push_str("\noutputs\n");
    for (name, output) in &spec.outputs {
        let measured = if output.measured { ", measured" } else { "" };
        text.push_str(&format!("  {name} ({}{measured}: {})  {}\n", shown(output.r#type), output.path, output.about));
    }
    text
}

/// All kinds as a page of documentation. Code versions are left out: they change with every edit.
fn markdown(specs: &[&KindSpec]) -> String {
    let mut text = String::from("# Task kinds\n\nMade by `./x generate` from what `ghtrader-tasks describe` says.\n");
    for spec in specs {
        text.push_str(&format!("\n## {}\n\n{}\n", spec.name, spec.about));
        if spec.device_dependent {
            text.push_str(&format!("\n{DEPENDENT}\n"));
        }
        text.push_str("\n| input | type | |\n|---|---|---|\n");
        for (name, input) in &spec.inputs {
            let optional = if input.optional { ", optional" } else { "" };
            text.push_str(&format!("| `{name}` | {}{optional} | {} |\n", shown(input.r#type), one_line(&input.about)));
        }
        let params = params(&spec.params);
        if !params.is_empty() {
            text.push_str("\n| parameter | type | default | |\n|---|---|---|---|\n");
        }
        for param in params {
            let (name, r#type, about) = (&param.name, one_line(&param.r#type), one_line(&param.about));
            text.push_str(&format!("| `{name}` | {type} | {} | {about} |\n", one_line(&param.default(""))));
        }
        text.push_str("\n| output | type | path | |\n|---|---|---|---|\n");
        for (name, output) in &spec.outputs {
            let measured = if output.measured { ", measured" } else { "" };
            let (r#type, path, about) = (shown(output.r#type), &output.path, one_line(&output.about));
            text.push_str(&format!("| `{name}` | {type}{measured} | `{path}` | {about} |\n"));
        }
    }
    text
}

/// Of a kind that says so.
const DEPENDENT: &str = "What it writes depends on whether it has a device: that is part of its key.";

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn shown(path_type: PathType) -> &'static str {
    match path_type {
        PathType::File => "file",
        PathType::Folder => "folder",
        PathType::Json => "JSON",
    }
}

struct Param {
    name: String,
    r#type: String,
    default: Option<Value>,
    about: String,
}

impl Param {
    fn default(&self, before: &str) -> String {
        self.default.as_ref().map(|value| format!("{before}{}", canonical(value))).unwrap_or_default()
    }
}

/// The parameters that a JSON Schema of an object declares.
fn params(schema: &Value) -> Vec<Param> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let param = |(name, field): (&String, &Value)| Param {
        name: name.clone(),
        r#type: type_of(field, schema),
        default: field.get("default").cloned(),
        about: field["description"].as_str().unwrap_or_default().to_owned(),
    };
    properties.map(param).collect()
}

/// A type in a few words: the schema's own, the alternatives of an enum, or what a reference points to.
fn type_of(field: &Value, root: &Value) -> String {
    if let Some(pointer) = field["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        return root.pointer(pointer).map_or_else(String::new, |target| type_of(target, root));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(all) = field[key].as_array() {
            return all.iter().map(|one| type_of(one, root)).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(values) = field["enum"].as_array() {
        return values.iter().map(canonical).collect::<Vec<_>>().join(" or ");
    }
    if let Some(value) = field.get("const") {
        return canonical(value);
    }
    match &field["type"] {
        Value::String(name) if name == "array" => format!("list of {}", type_of(&field["items"], root)),
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}
