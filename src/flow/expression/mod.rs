//! One `${{ … }}`: compiled once, evaluated for every instance.
//!
//! The language is minijinja's. Its syntax tree tells which names an expression uses and where they stand, so that an
//! unknown one is found when the file is read. A plain path (`variety`, `inputs.entry.contract`), which most expressions
//! are, is looked up in the JSON values directly; anything else is converted for minijinja and back.

mod syntax;
mod visit;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use minijinja::machinery::parse_expr;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

pub(super) use visit::FUNCTIONS;
#[cfg(test)]
pub(super) use visit::{FILTERS, TESTS};
pub use visit::{Name, Root};
use visit::{Visit, path};

use super::template::Scope;
use crate::diagnostic::{Diagnostic, SourceFile, Span, nearest};

/// Longer expressions are refused: minijinja's compiler recurses over them.
const LONGEST: usize = 2000;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    file: Arc<SourceFile>,
    /// What stands between `${{` and `}}`.
    text: String,
    place: Place,
    code: Code,
    pub(super) names: Vec<Name>,
    pub(super) files: bool,
}

/// An expression that is wrong; its names are checked all the same, so that all errors are reported at once.
pub(super) struct Refused {
    pub(super) errors: Vec<Diagnostic>,
    pub(super) names: Vec<Name>,
}

impl From<Diagnostic> for Refused {
    fn from(error: Diagnostic) -> Self {
        Self { errors: vec![error], names: Vec::new() }
    }
}

/// Where an expression stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What stands between `${{` and `}}`, or the nearest place that is known.
    pub(super) span: Span,
    /// Whether the file has the text there as it is, so that places inside the expression are known as well.
    pub(super) exact: bool,
}

impl Place {
    /// The place of a part of the expression.
    fn inside(&self, start: usize, end: usize) -> Span {
        if self.exact { Span::between(self.span.start + start, self.span.start + end) } else { self.span }
    }
}

#[derive(Clone, Debug)]
enum Code {
    /// The keys below a root, the name first.
    Path(Root, Vec<String>),
    Compiled(Arc<minijinja::Expression<'static, 'static>>),
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    environment
});

impl Expression {
    /// Compiles the text between `${{` and `}}`.
    pub(super) fn compile(file: &Arc<SourceFile>, text: &str, place: Place) -> Result<Self, Refused> {
        let refuse = |message: String, label: &str| Diagnostic::at(file, place.span, message, label);
        if text.trim().is_empty() {
            return Err(refuse("an empty expression".into(), "nothing here")
                .help("write ${{ params.NAME }}, say")
                .into());
        }
        if text.len() > LONGEST {
            return Err(refuse(format!("an expression of more than {LONGEST} bytes"), "here").into());
        }
        let tree = parse_expr(text).map_err(|error| refused(file, text, &error, place))?;
        let mut visit = Visit { file, place, names: Vec::new(), files: false, errors: Vec::new() };
        visit.expr(&tree);
        let Visit { names, files, errors, .. } = visit;
        if !errors.is_empty() {
            return Err(Refused { errors, names });
        }
        let code = match path(&tree) {
            Some((root, keys)) => Code::Path(root, keys),
            None => {
                let compiled = ENVIRONMENT.compile_expression_owned(text.to_owned());
                Code::Compiled(Arc::new(compiled.map_err(|error| refused(file, text, &error, place))?))
            }
        };
        Ok(Self { file: Arc::clone(file), text: text.trim().to_owned(), place, code, names, files })
    }

    /// Its value.
    pub(super) fn eval(&self, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
        match &self.code {
            Code::Path(root, keys) => self.look_up(*root, keys, scope),
            Code::Compiled(compiled) => {
                let value = compiled.eval(self.context(scope)).map_err(|error| self.failed(&error))?;
                json(&value, 0).map_err(|why| self.error("has no value", why))
            }
        }
    }

    fn look_up(&self, root: Root, keys: &[String], scope: &Scope<'_>) -> Result<Value, Diagnostic> {
        let (first, deeper) = keys.split_first().ok_or_else(|| self.error("has no value", "names nothing"))?;
        if root == Root::Env {
            let value = std::env::var(first).ok().filter(|_| deeper.is_empty());
            return value.map(Value::String).ok_or_else(|| self.unset(first));
        }
        let top = match root {
            Root::Param => scope.params.get(first),
            Root::Axis => scope.axes.iter().find(|(axis, _)| axis == first).map(|(_, value)| *value),
            Root::Input => scope.inputs.get(first),
            Root::Env => None,
        };
        let mut value = top.ok_or_else(|| self.error("has no value", format!("there is no `{first}` here")))?;
        for key in deeper {
            value = value.get(key).ok_or_else(|| self.missing(key, value))?;
        }
        Ok(value.clone())
    }

    fn unset(&self, name: &str) -> Diagnostic {
        let error = self.error("has no value", format!("the variable {name} is not set"));
        error.help(format!("set it, or give a default: ${{{{ env.{name} | default('…') }}}}"))
    }

    fn missing(&self, key: &str, value: &Value) -> Diagnostic {
        match value {
            Value::Object(map) => self
                .error("has no value", format!("there is no `{key}` in it"))
                .maybe_help(nearest(key, map.keys().map(String::as_str))),
            Value::Null => self.error("has no value", format!("it is null, so it has no `{key}`")),
            _ => self.error("has no value", format!("it is not a JSON object, so it has no `{key}`")),
        }
    }

    /// What minijinja sees: the names that the expression uses, and nothing else.
    fn context(&self, scope: &Scope<'_>) -> minijinja::Value {
        let mut context: BTreeMap<String, minijinja::Value> = BTreeMap::new();
        let roots = [(Root::Param, "params"), (Root::Axis, "matrix"), (Root::Input, "inputs"), (Root::Env, "env")];
        for (root, word) in roots {
            let used = self.names.iter().filter(|name| name.root == root);
            let values: BTreeMap<String, minijinja::Value> =
                used.filter_map(|name| Some((name.name.clone(), value_of(root, &name.name, scope)?))).collect();
            if root == Root::Axis {
                context.extend(values.clone());
            }
            context.insert(word.to_owned(), minijinja::Value::from_pairs(values));
        }
        if self.files {
            let root = scope.root.to_path_buf();
            let files = move |pattern: &str| super::template::files(&root, pattern).map(minijinja::Value::from);
            context.insert("files".to_owned(), minijinja::Value::from_function(files));
        }
        minijinja::Value::from_pairs(context)
    }

    fn failed(&self, error: &minijinja::Error) -> Diagnostic {
        let span = error.range().map_or(self.place.span, |range| self.place.inside(range.start, range.end));
        let why = match (error.kind(), error.detail()) {
            (ErrorKind::UndefinedError, Some(detail)) => format!("not defined: {detail}"),
            (ErrorKind::UndefinedError, None) => "not defined".to_owned(),
            (_, Some(detail)) => detail.to_owned(),
            (kind, None) => kind.to_string(),
        };
        Diagnostic::at(&self.file, span, format!("the expression `{}` has no value", self.text), why)
    }

    /// An error about the whole of it.
    pub(super) fn error(&self, what: &str, why: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.file, self.place.span, format!("the expression `{}` {what}", self.text), why)
    }
}

fn value_of(root: Root, name: &str, scope: &Scope<'_>) -> Option<minijinja::Value> {
    let json = |value: &Value| minijinja::Value::from(Serde(value));
    match root {
        Root::Param => scope.params.get(name).map(json),
        Root::Axis => scope.axes.iter().find(|(axis, _)| *axis == name).map(|(_, value)| json(value)),
        Root::Input => scope.inputs.get(name).map(json),
        Root::Env => std::env::var(name).ok().map(minijinja::Value::from),
    }
}

/// A value of minijinja as JSON; the error says why it has none.
fn json(value: &minijinja::Value, depth: usize) -> Result<Value, &'static str> {
    use minijinja::value::ValueKind;
    if depth > 128 {
        return Err("it is nested too deep");
    }
    Ok(match value.kind() {
        ValueKind::Undefined => return Err("it is not defined"),
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => number(value)?,
        ValueKind::String => Value::String(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| "it is not a list")?;
            items.map(|item| json(&item, depth + 1)).collect::<Result<_, _>>()?
        }
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter().map_err(|_| "it is not a map")? {
                let name = key.as_str().ok_or("it is a map with keys that are not texts")?;
                map.insert(name.to_owned(), json(&value.get_item(&key).unwrap_or_default(), depth + 1)?);
            }
            Value::Object(map)
        }
        _ => return Err("it is not a value that JSON has"),
    })
}

fn number(value: &minijinja::Value) -> Result<Value, &'static str> {
    if value.is_integer() {
        let small = i64::try_from(value.clone()).map(Value::from);
        return small
            .or_else(|_| u64::try_from(value.clone()).map(Value::from))
            .map_err(|_| "it does not fit into 64 bits");
    }
    let float = f64::try_from(value.clone()).map_err(|_| "it is not a number")?;
    serde_json::Number::from_f64(float).map(Value::Number).ok_or("it is not a finite number")
}

fn refused(file: &Arc<SourceFile>, text: &str, error: &minijinja::Error, place: Place) -> Diagnostic {
    let range = error.range().unwrap_or(0..0);
    let span = if range.is_empty() { place.span } else { place.inside(range.start, range.end) };
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let help = syntax::help(text, range.start, &why);
    Diagnostic::at(file, span, "this is not an expression", why).help(help)
}
