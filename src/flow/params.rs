//! The parameters of a flow: what a file declares, and the values that a call gives them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::civil::Date;
use serde_json::Value;

use super::types::Flow;
use super::walk::{Fields, Walk};
use super::yaml::{self, Data, Node};
use crate::diagnostic::{Diagnostic, SourceFile, Span, Spanned, in_order, nearest};

/// The values of a flow's parameters, in the order of the file; a date is a text like `2022-02-18`.
pub type Params = IndexMap<String, Value>;

/// A parameter as declared.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub r#type: ParamType,
    /// Its value where none is given; without one it is null.
    pub default: Option<Value>,
    /// Whether a value has to be given.
    pub required: bool,
    /// The least number or earliest date.
    pub minimum: Option<Value>,
    /// The greatest number or latest date.
    pub maximum: Option<Value>,
    /// The only values, or items of a list.
    pub choices: Option<Vec<Value>>,
    /// One line for people.
    pub help: Option<String>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// A text.
    String,
    /// An integer of 64 bits.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of any values.
    List,
    /// A day, `2022-02-18`.
    Date,
}

const TYPES: [(&str, ParamType); 6] = [
    ("string", ParamType::String),
    ("integer", ParamType::Integer),
    ("number", ParamType::Number),
    ("boolean", ParamType::Boolean),
    ("list", ParamType::List),
    ("date", ParamType::Date),
];

const KEYS: [&str; 7] = ["type", "default", "required", "minimum", "maximum", "choices", "help"];

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TYPES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name))
    }
}

impl ParamType {
    /// `a string`, `an integer`, …, for messages.
    fn article(self) -> String {
        super::walk::article(&self.to_string())
    }

    /// Whether a value has this type.
    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::String, Value::String(_)) | (Self::Boolean, Value::Bool(_)) | (Self::List, Value::Array(_)) => true,
            (Self::Number, Value::Number(_)) => true,
            (Self::Integer, Value::Number(number)) => !number.is_f64(),
            (Self::Date, Value::String(text)) => is_date(text),
            _ => false,
        }
    }

    /// The value of a node if it has this type.
    fn value(self, node: &Node) -> Option<Value> {
        Some(node.json()).filter(|value| self.fits(value))
    }

    /// The type of a plain default.
    fn of(node: &Node) -> Option<Self> {
        Some(match &node.data {
            Data::Bool(_) => Self::Boolean,
            Data::Number(number) if number.is_f64() => Self::Number,
            Data::Number(_) => Self::Integer,
            Data::Text(text) if node.plain && looks_like_date(text) => Self::Date,
            Data::Text(_) => Self::String,
            Data::List(_) => Self::List,
            Data::Null | Data::Map(_) => return None,
        })
    }

    fn is_ordered(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Date)
    }
}

fn looks_like_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    shape == "9999-99-99"
}

fn is_date(text: &str) -> bool {
    looks_like_date(text) && text.parse::<Date>().is_ok()
}

/// Reads `params`.
pub(super) fn read(walk: &mut Walk, node: &Node) -> Vec<Param> {
    let entries = walk.named(node, "`params`", "parameter");
    entries.into_iter().filter_map(|(name, node)| param(walk, name, node)).collect()
}

fn param(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Param> {
    if let Data::Map(_) = node.data {
        return declaration(walk, name, node);
    }
    let kind = ParamType::of(node);
    let Some(kind) = kind else {
        if walk.is_reported(node.span) {
            return None;
        }
        let help = format!("give a value, or a declaration: {name}: {{ type: string }}");
        walk.error_help(name.span, format!("the parameter `{name}` has no value"), "null has no type", help);
        return None;
    };
    let param = Param { name: name.clone(), default: None, ..Param::of(kind) };
    let default = value(walk, &param, node, "default")?;
    Some(Param { default: Some(default), ..param })
}

impl Param {
    fn of(kind: ParamType) -> Self {
        let name = Spanned::new(String::new(), Span::default());
        Self {
            name,
            r#type: kind,
            default: None,
            required: false,
            minimum: None,
            maximum: None,
            choices: None,
            help: None,
        }
    }

    /// Whether it takes a value from outside: what is wrong otherwise, and why.
    pub(super) fn accepts(&self, value: &Value) -> Result<(), (String, String)> {
        if value.is_null() && !self.required {
            return Ok(());
        }
        if !self.r#type.fits(value) {
            let shown = value.to_string();
            return Err((format!("has to be {}", self.r#type.article()), format!("gives {shown}")));
        }
        self.refuses(value).map_or(Ok(()), |why| Err(("does not allow this value".to_owned(), why)))
    }

    /// Why a value of the right type is not allowed.
    fn refuses(&self, value: &Value) -> Option<String> {
        if self.minimum.as_ref().is_some_and(|minimum| less(value, minimum)) {
            return self.minimum.as_ref().map(|minimum| format!("the least is {}", shown(minimum)));
        }
        if self.maximum.as_ref().is_some_and(|maximum| less(maximum, value)) {
            return self.maximum.as_ref().map(|maximum| format!("the greatest is {}", shown(maximum)));
        }
        let choices = self.choices.as_ref()?;
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let all: Vec<String> = choices.iter().map(shown).collect();
        (!items.iter().all(|item| choices.contains(item))).then(|| format!("the choices are {}", all.join(", ")))
    }
}

fn declaration(walk: &mut Walk, name: &Spanned<String>, node: &Node) -> Option<Param> {
    let fields = walk.fields(node, &format!("the parameter `{name}`"), &KEYS)?;
    let kind = declared_type(walk, name, &fields)?;
    let mut param = Param { name: name.clone(), ..Param::of(kind) };
    param.required = fields.get("required").and_then(|node| walk.boolean(node, "`required`")).unwrap_or(false);
    param.help = fields.get("help").and_then(|node| walk.text(node, "`help`", "")).map(str::to_owned);
    param.minimum = bound(walk, kind, &fields, "minimum");
    param.maximum = bound(walk, kind, &fields, "maximum");
    if let Some(node) = fields.get("choices") {
        let items = walk.list(node, "`choices`", "write choices: [a, b]").unwrap_or_default();
        param.choices = Some(items.iter().filter_map(|item| choice(walk, kind, item)).collect());
    }
    if let Some(node) = fields.get("default") {
        param.default = value(walk, &param, node, "default");
        if param.required {
            let span = fields.key("required").unwrap_or(name.span);
            let message = format!("the parameter `{name}` is required and has a default");
            walk.error_help(span, message, "required here", "remove one of the two");
        }
    }
    Some(param)
}

fn declared_type(walk: &mut Walk, name: &Spanned<String>, fields: &Fields<'_>) -> Option<ParamType> {
    let names = TYPES.map(|(name, _)| name);
    let Some(node) = fields.get("type") else {
        let inferred = fields.get("default").and_then(ParamType::of);
        if inferred.is_none() {
            let help = format!("add `type`: {}", names.join(", "));
            walk.error_help(
                name.span,
                format!("the parameter `{name}` has neither type nor default"),
                "declared here",
                help,
            );
        }
        return inferred;
    };
    let text = walk.text(node, "`type`", &format!("one of {}", names.join(", ")))?;
    let kind = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    if kind.is_none() {
        let error = Diagnostic::at(&walk.file, node.span, format!("there is no type `{text}`"), "not known here");
        walk.errors.push(error.maybe_help(nearest(text, names)));
    }
    kind
}

fn bound(walk: &mut Walk, kind: ParamType, fields: &Fields<'_>, key: &str) -> Option<Value> {
    let node = fields.get(key)?;
    if !kind.is_ordered() {
        walk.error(fields.key(key)?, format!("{} has no {key}", kind.article()), "not for this type");
        return None;
    }
    // The bound of an integer may be any number.
    let wanted = if kind == ParamType::Integer { ParamType::Number } else { kind };
    typed(walk, wanted, node, &format!("`{key}`"))
}

fn choice(walk: &mut Walk, kind: ParamType, node: &Node) -> Option<Value> {
    if kind == ParamType::List { Some(node.json()) } else { typed(walk, kind, node, "a choice") }
}

fn typed(walk: &mut Walk, kind: ParamType, node: &Node, what: &str) -> Option<Value> {
    let value = kind.value(node);
    if value.is_none() {
        let label = match node.text() {
            Some(text) if kind == ParamType::Date && looks_like_date(text) => "there is no such day".to_owned(),
            _ => format!("this is {}", node.kind()),
        };
        let help = if kind == ParamType::Date { Some("a date is written 2022-02-18".to_owned()) } else { None };
        let error = Diagnostic::at(&walk.file, node.span, format!("{what} has to be {}", kind.article()), label);
        walk.errors.push(error.maybe_help(help));
    }
    value
}

/// A value for a parameter: of its type, within its bounds.
fn value(walk: &mut Walk, param: &Param, node: &Node, what: &str) -> Option<Value> {
    let name = &param.name;
    let value = typed(walk, param.r#type, node, &format!("the {what} of `{name}`"))?;
    if has_expression(&value) {
        let help = "only tasks have expressions";
        walk.error_help(node.span, format!("the {what} of `{name}` cannot have an expression"), "has one", help);
        return None;
    }
    if let Some(why) = param.refuses(&value) {
        walk.error(node.span, format!("the {what} of `{name}` is not allowed"), why);
        return None;
    }
    Some(value)
}

fn has_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${{"),
        Value::Array(items) => items.iter().any(has_expression),
        Value::Object(fields) => fields.values().any(has_expression),
        _ => false,
    }
}

/// Whether a number is less than another, or a date earlier.
fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a < b,
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_f64() < b.as_f64(),
        },
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    super::template::text_of(value).unwrap_or_else(|| "null".to_owned())
}

impl Flow {
    /// The values of all parameters: those of `-p name=value`, then those of a file (`--params`), then the defaults.
    ///
    /// A text for a string parameter is taken as it is, any other is read as YAML.
    ///
    /// # Errors
    /// All that is wrong: unknown names, wrong types, values out of bounds, required ones that are missing.
    pub fn bind(&self, overrides: &[(String, String)], file: Option<&Path>) -> Result<Params, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut given = Params::new();
        if let Some(path) = file {
            errors.extend(self.bind_file(path, &mut given).err().into_iter().flatten());
        }
        for (name, text) in overrides {
            errors.extend(self.bind_one(name, text, &mut given).err().into_iter().flatten());
        }
        let mut params = Params::new();
        for param in &self.params {
            let value = given.swap_remove(&param.name.value).or_else(|| param.default.clone());
            if value.is_none() && param.required && errors.is_empty() {
                errors.push(self.missing(param));
            }
            params.insert(param.name.value.clone(), value.unwrap_or(Value::Null));
        }
        if errors.is_empty() { Ok(params) } else { Err(errors) }
    }

    fn missing(&self, param: &Param) -> Diagnostic {
        let name = &param.name;
        let message = format!("the parameter `{name}` needs a value");
        Diagnostic::at(&self.source, name.span, message, "required").help(format!("give it: -p {name}=…"))
    }

    fn bind_file(&self, path: &Path, given: &mut Params) -> Result<(), Vec<Diagnostic>> {
        let text = fs_err::read_to_string(path).map_err(|error| vec![Diagnostic::new(error.to_string())])?;
        let file = Arc::new(SourceFile { name: path.display().to_string(), text });
        let mut walk = Walk::new(Arc::clone(&file));
        let (root, errors) = yaml::parse(&file);
        walk.errors = errors;
        if let Some(root) = root.filter(|root| root.data != Data::Null) {
            let help = "write name: value, a line each";
            for (name, node) in walk.map(&root, "a file of parameters", help).unwrap_or_default() {
                let Some(param) = self.params.iter().find(|param| param.name.value == name.value) else {
                    walk.errors.push(self.unknown(&file, name));
                    continue;
                };
                if let Some(value) = bound_value(&mut walk, param, node) {
                    given.insert(name.value.clone(), value);
                }
            }
        }
        if walk.errors.is_empty() { Ok(()) } else { Err(in_order(walk.errors)) }
    }

    fn bind_one(&self, name: &str, text: &str, given: &mut Params) -> Result<(), Vec<Diagnostic>> {
        const OPTION: &str = "-p ";
        let file = Arc::new(SourceFile { name: "command line".to_owned(), text: format!("{OPTION}{name}={text}") });
        let spanned = Spanned::new(name.to_owned(), Span { start: OPTION.len(), len: name.len() });
        let Some(param) = self.params.iter().find(|param| param.name.value == name) else {
            return Err(vec![self.unknown(&file, &spanned)]);
        };
        let span = Span { start: OPTION.len() + name.len() + 1, len: text.len() };
        let node = if param.r#type == ParamType::String {
            Node { data: Data::Text(text.to_owned()), span, plain: true }
        } else {
            let value = Arc::new(SourceFile { name: format!("the value of -p {name}"), text: text.to_owned() });
            let (node, errors) = yaml::parse(&value);
            let node = node.filter(|_| errors.is_empty()).ok_or(errors)?;
            Node { span, ..node }
        };
        let mut walk = Walk::new(file);
        match bound_value(&mut walk, param, &node) {
            Some(value) => {
                given.insert(name.to_owned(), value);
                Ok(())
            }
            None => Err(walk.errors),
        }
    }

    fn unknown(&self, file: &Arc<SourceFile>, name: &Spanned<String>) -> Diagnostic {
        let error =
            Diagnostic::at(file, name.span, format!("the flow `{}` has no parameter `{name}`", self.name), "not known");
        error.maybe_help(nearest(&name.value, self.params.iter().map(|param| param.name.value.as_str())))
    }
}

/// A value from outside; null is one where the parameter is not required.
fn bound_value(walk: &mut Walk, param: &Param, node: &Node) -> Option<Value> {
    if node.data == Data::Null && !param.required {
        return Some(Value::Null);
    }
    value(walk, param, node, "value")
}
