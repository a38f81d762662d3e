//! The JSON Schema of a kind's parameters: checks values and fills in defaults.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use crate::diagnostic::nearest;

/// What is wrong with a value of `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The JSON pointer of the value; of an unknown key, with the key.
    pub pointer: String,
    /// What is wrong, without the place.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The key, where it is missing.
    pub missing: Option<String>,
}

/// Compiles a schema.
pub(super) fn compile(schema: &Value) -> Result<Validator, Problem> {
    jsonschema::validator_for(schema).map_err(|error| Problem {
        pointer: String::new(),
        message: format!("the JSON Schema of the kind is not one: {error}"),
        help: Some("mend `params` in what its program says at `describe`".to_owned()),
        missing: None,
    })
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.pointer.trim_start_matches('/').replace('/', ".");
        match place.as_str() {
            "" => write!(f, "{}", self.message),
            place => write!(f, "`{place}`: {}", self.message),
        }
    }
}

/// What a validator finds.
pub(super) fn problems(validator: &Validator, with: &Map<String, Value>) -> Vec<Problem> {
    let value = Value::Object(with.clone());
    validator.iter_errors(&value).flat_map(|error| describe(&error)).collect()
}

fn describe(error: &ValidationError<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().as_str().to_owned();
    let one = |message: String, help: Option<String>| {
        vec![Problem { pointer: pointer.clone(), message, help, missing: None }]
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let place = |key: &str| format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let message = "no such parameter".to_owned();
            let problem =
                |key: &String| Problem { pointer: place(key), message: message.clone(), help: None, missing: None };
            unexpected.iter().map(problem).collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let message = format!("the parameter `{name}` is missing");
            vec![Problem { pointer, message, help: None, missing: Some(name.to_owned()) }]
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<String> = options.as_array().into_iter().flatten().map(shown).collect();
            let given = error.instance().as_str().unwrap_or_default();
            let help = nearest(given, names.iter().map(String::as_str));
            one(format!("{} is not one of the choices", shown(error.instance())), help)
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            alternatives(error, context, pointer.clone())
        }
        ValidationErrorKind::FalseSchema => one("no such parameter".to_owned(), None),
        _ => one(error.to_string(), None),
    }
}

/// Several shapes are allowed: where only one of them is meant, by its type or tag, its errors are the ones to show.
fn alternatives(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    pointer: String,
) -> Vec<Problem> {
    let meant = |errors: &&Vec<ValidationError<'static>>| {
        errors.iter().all(|inner| match inner.kind() {
            ValidationErrorKind::Type { .. } => inner.instance_path().as_str() != pointer,
            ValidationErrorKind::Constant { .. } => false,
            _ => true,
        })
    };
    let near: Vec<&Vec<ValidationError<'static>>> = context.iter().filter(meant).collect();
    if let [errors] = near.as_slice() {
        return errors.iter().flat_map(describe).collect();
    }
    let tags: Vec<(&ValidationError<'static>, String)> =
        context.iter().flatten().filter_map(|error| Some((error, constant(error)?))).collect();
    let (given, pointer) = match tags.first() {
        Some((tag, _)) => (tag.instance().as_ref(), tag.instance_path().as_str().to_owned()),
        None => (error.instance().as_ref(), pointer),
    };
    let help = nearest(given.as_str().unwrap_or_default(), tags.iter().map(|(_, name)| name.as_str()));
    vec![Problem { pointer, message: format!("{} is not one of the choices", shown(given)), help, missing: None }]
}

fn constant(error: &ValidationError<'static>) -> Option<String> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => Some(shown(expected_value)),
        _ => None,
    }
}

/// A value in a message: a text in quotes, a long one cut.
fn shown(value: &Value) -> String {
    const LONG: usize = 60;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// `values` with the defaults that a schema declares: of keys that are absent, also inside of objects and lists.
pub fn with_defaults(schema: &Value, values: Map<String, Value>) -> Map<String, Value> {
    match fill(schema, schema, Value::Object(values)) {
        Value::Object(values) => values,
        _ => Map::new(),
    }
}

fn fill(root: &Value, schema: &Value, value: Value) -> Value {
    let schema = shape(root, schema, &value);
    match value {
        Value::Object(mut values) => {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let given = values.remove(name).or_else(|| default(root, field));
                if let Some(given) = given {
                    values.insert(name.clone(), fill(root, field, given));
                }
            }
            Value::Object(values)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| fill(root, &schema["items"], item)).collect()),
        other => other,
    }
}

fn default(root: &Value, field: &Value) -> Option<Value> {
    field.get("default").or_else(|| resolve(root, field).get("default")).cloned()
}

/// The part of a schema that describes `value`: references followed, and the alternative that has its shape.
fn shape<'s>(root: &'s Value, schema: &'s Value, value: &Value) -> &'s Value {
    let schema = resolve(root, schema);
    for key in ["anyOf", "oneOf"] {
        let Some(branches) = schema[key].as_array() else { continue };
        let mut fitting = branches.iter().map(|branch| resolve(root, branch)).filter(|branch| fits(branch, value));
        if let (Some(branch), None) = (fitting.next(), fitting.next()) {
            return branch;
        }
    }
    schema
}

/// Whether an alternative has the type of `value`, and its constants (the tag of an enum).
fn fits(branch: &Value, value: &Value) -> bool {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        _ => return false,
    };
    let typed = branch["type"] == kind;
    let constants = branch["properties"].as_object().into_iter().flatten();
    typed
        && constants
            .filter_map(|(name, field)| Some((name, field.get("const")?)))
            .all(|(name, tag)| value.get(name) == Some(tag))
}

/// Follows `$ref`s inside the schema.
fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // A reference that leads back to itself would not end.
    for _ in 0..16 {
        let target = schema["$ref"].as_str().and_then(|reference| root.pointer(reference.strip_prefix('#')?));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}
