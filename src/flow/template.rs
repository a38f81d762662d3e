//! A YAML value in which texts may hold `${{ … }}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::expression::{Expression, Name, Place, Root};
use super::params::Params;
use super::yaml::{Data, Node};
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// A compiled value. A text that is one expression alone has the type of its value; in a longer text every expression
/// gives its text. A clone shares what was compiled.
#[derive(Clone, Debug)]
pub struct Template(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    root: Part,
    /// Its value where it has no expression.
    fixed: Option<Value>,
    uses: Uses,
    names: Vec<Name>,
    file: Arc<SourceFile>,
}

/// The names that a template uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Parameters of the flow.
    pub params: BTreeSet<String>,
    /// Axes of the task.
    pub axes: BTreeSet<String>,
    /// Inputs of the task.
    pub inputs: BTreeSet<String>,
    /// Variables of the caller.
    pub env: BTreeSet<String>,
    /// Whether it looks at files.
    pub files: bool,
}

/// What the names of an expression stand for.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The parameters of the flow.
    pub params: &'a Params,
    /// The instance's axes.
    pub axes: &'a [(&'a str, &'a Value)],
    /// The inputs that are JSON entries.
    pub inputs: &'a BTreeMap<String, Value>,
    /// The project root, for `files("pattern")`.
    pub root: &'a Path,
}

#[derive(Clone, Debug)]
struct Part {
    span: Span,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// A value without expressions.
    Fixed(Value),
    /// One expression alone.
    Whole(Expression),
    /// A text with expressions.
    Text(Vec<Piece>),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Compiles a value of a file, and says all that is wrong with its expressions; those are null in the template.
    pub fn compile(file: &Arc<SourceFile>, node: &Node) -> (Self, Vec<Diagnostic>) {
        let mut compiler = Compiler { file, names: Vec::new(), files: false, errors: Vec::new() };
        let root = compiler.part(node);
        let (names, file) = (compiler.names, Arc::clone(file));
        let uses = Uses::of(&names, compiler.files);
        let fixed = root.is_fixed().then(|| node.json());
        (Self(Arc::new(Compiled { root, fixed, uses, names, file })), compiler.errors)
    }

    /// Its value.
    ///
    /// # Errors
    /// Where an expression has no value: a name that is not there, a wrong type, a null inside a text.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
        match &self.0.fixed {
            Some(value) => Ok(value.clone()),
            None => self.0.root.eval(scope),
        }
    }

    /// Its value where it has no expression.
    pub fn fixed(&self) -> Option<&Value> {
        self.0.fixed.as_ref()
    }

    /// The text before its first expression.
    pub fn head(&self) -> &str {
        match (&self.0.fixed, &self.0.root.content) {
            (Some(Value::String(text)), _) => text,
            (None, Content::Text(pieces)) => match pieces.first() {
                Some(Piece::Text(text)) => text,
                _ => "",
            },
            _ => "",
        }
    }

    /// The names that it uses.
    pub fn uses(&self) -> &Uses {
        &self.0.uses
    }

    /// The same with places, a name as often as it is used.
    pub fn names(&self) -> &[Name] {
        &self.0.names
    }

    /// Where it is written.
    pub fn span(&self) -> Span {
        self.0.root.span
    }

    /// The file that it is written in.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.0.file
    }

    /// The place of a part by its JSON pointer (`/a/0`); the nearest outer one where it is not written out.
    pub fn span_at(&self, pointer: &str) -> Span {
        let mut part = &self.0.root;
        for key in pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")) {
            let inner = match &part.content {
                Content::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
                Content::Map(fields) => fields.iter().find(|(name, _)| *name == key).map(|(_, part)| part),
                _ => None,
            };
            let Some(inner) = inner else { break };
            part = inner;
        }
        part.span
    }

    /// An error about its value, at its place.
    pub fn error(&self, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.0.file, self.0.root.span, message, label)
    }
}

impl Uses {
    fn of(names: &[Name], files: bool) -> Self {
        let set = |root| names.iter().filter(|name| name.root == root).map(|name| name.name.clone()).collect();
        Self { params: set(Root::Param), axes: set(Root::Axis), inputs: set(Root::Input), env: set(Root::Env), files }
    }
}

impl Part {
    fn eval(&self, scope: &Scope<'_>) -> Result<Value, Diagnostic> {
        match &self.content {
            Content::Fixed(value) => Ok(value.clone()),
            Content::Whole(expression) => expression.eval(scope),
            Content::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(piece) => text.push_str(piece),
                        Piece::Expression(expression) => text.push_str(&inserted(expression, scope)?),
                    }
                }
                Ok(Value::String(text))
            }
            Content::List(items) => items.iter().map(|item| item.eval(scope)).collect(),
            Content::Map(fields) => fields.iter().map(|(key, part)| Ok((key.clone(), part.eval(scope)?))).collect(),
        }
    }
}

fn inserted(expression: &Expression, scope: &Scope<'_>) -> Result<String, Diagnostic> {
    let value = expression.eval(scope)?;
    text_of(&value).ok_or_else(|| {
        let help = "give it another value for that case: ${{ … or '' }}";
        expression.error("is null", "a null has no text to insert here").help(help)
    })
}

/// A value as text: a text as it is, a list or map as JSON; none for null.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

struct Compiler<'a> {
    file: &'a Arc<SourceFile>,
    names: Vec<Name>,
    files: bool,
    errors: Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn part(&mut self, node: &Node) -> Part {
        let content = match &node.data {
            Data::Text(text) => self.text(text, node.span),
            Data::List(items) => Content::List(items.iter().map(|item| self.part(item)).collect()),
            Data::Map(fields) => {
                Content::Map(fields.iter().map(|(key, node)| (key.value.clone(), self.part(node))).collect())
            }
            _ => Content::Fixed(node.json()),
        };
        Part { span: node.span, content }
    }

    fn text(&mut self, text: &str, span: Span) -> Content {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut raw = span;
        while let Some(start) = rest.find(OPEN) {
            let (before, inside) = (&rest[..start], &rest[start + OPEN.len()..]);
            let Some(end) = closing(inside) else {
                let at = self.locate(&mut raw, "");
                let error = Diagnostic::at(self.file, at.span, "`${{` has no `}}`", "opened here");
                self.errors.push(error.help("an expression is written ${{ … }}"));
                return Content::Fixed(Value::Null);
            };
            let (inner, after) = (&inside[..end], &inside[end + CLOSE.len()..]);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let place = self.locate(&mut raw, inner);
            self.expression(inner, place, &mut pieces);
            rest = after;
        }
        if pieces.is_empty() {
            return Content::Fixed(Value::String(text.to_owned()));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        match pieces.pop() {
            Some(Piece::Expression(expression)) if pieces.is_empty() => Content::Whole(expression),
            last => Content::Text(pieces.into_iter().chain(last).collect()),
        }
    }

    fn expression(&mut self, inner: &str, place: Place, pieces: &mut Vec<Piece>) {
        match Expression::compile(self.file, inner, place) {
            Ok(expression) => {
                self.names.extend(expression.names.iter().cloned());
                self.files |= expression.files;
                pieces.push(Piece::Expression(expression));
            }
            Err(refused) => {
                self.errors.extend(refused.errors);
                self.names.extend(refused.names);
                pieces.push(Piece::Text(String::new()));
            }
        }
    }

    /// Where the next expression of a scalar stands in the file: `raw` is what is left of the scalar there, which may
    /// have escapes and line ends that its text has not.
    fn locate(&self, raw: &mut Span, inner: &str) -> Place {
        let written = self.file.slice(*raw);
        let Some(open) = written.find(OPEN) else { return Place { span: *raw, exact: false } };
        let start = open + OPEN.len();
        let after = written.get(start..).unwrap_or_default();
        let exact = after.starts_with(inner) && after.get(inner.len()..).is_some_and(|rest| rest.starts_with(CLOSE));
        let length = if exact { inner.len() } else { after.find(CLOSE).unwrap_or(0) };
        let first = raw.start + open;
        *raw = Span::between(raw.start + start + length, raw.end());
        match (exact, length) {
            (true, _) => Place { span: Span { start: first + OPEN.len(), len: length }, exact },
            (false, 0) => Place { span: Span { start: first, len: OPEN.len() }, exact },
            (false, _) => Place { span: Span { start: first, len: OPEN.len() + length + CLOSE.len() }, exact },
        }
    }
}

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// The end of an expression: the first `}}` outside of quotes and brackets.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut quote, mut depth, mut at) = (None, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{' | b'[' | b'(') => depth += 1,
            (None, b'}') if depth == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, b'}' | b']' | b')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        at += 1;
    }
    // A bracket or quote that is not closed: minijinja says it better.
    text.find(CLOSE)
}

impl Part {
    fn is_fixed(&self) -> bool {
        match &self.content {
            Content::Fixed(_) => true,
            Content::Whole(_) | Content::Text(_) => false,
            Content::List(items) => items.iter().all(Self::is_fixed),
            Content::Map(fields) => fields.iter().all(|(_, part)| part.is_fixed()),
        }
    }
}

/// Sorted paths of the files that match a pattern, in the form of the pattern: below the project root, or as given
/// where it is absolute or starts with `..`.
pub(super) fn files(root: &Path, pattern: &str) -> Result<Vec<String>, minijinja::Error> {
    let fail = |why: String| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why);
    // `./market//**` as shells complete it, and `market/**`, are the same.
    let plain: PathBuf = Path::new(pattern).components().filter(|part| *part != Component::CurDir).collect();
    let pattern = &*plain.to_string_lossy();
    let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
    let matcher =
        glob.map_err(|error| fail(format!("`{pattern}` is not a pattern: {}", error.kind())))?.compile_matcher();
    let prefix = fixed_folder(pattern);
    let start = root.join(&prefix);
    let mut found = Vec::new();
    if !start.exists() {
        return Ok(found);
    }
    for entry in walkdir::WalkDir::new(&start).follow_links(true) {
        let entry = entry.map_err(|error| fail(error.to_string()))?;
        let below = entry.path().strip_prefix(&start).unwrap_or(entry.path());
        let path = prefix.join(below);
        if entry.file_type().is_file() && matcher.is_match(&path) {
            let text = path.into_os_string().into_string();
            found.push(text.map_err(|path| fail(format!("{} is not UTF-8", path.display())))?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The folders before the first component that has a wildcard.
fn fixed_folder(pattern: &str) -> PathBuf {
    let path = Path::new(pattern);
    let wild = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{', '\\']);
    let fixed: PathBuf = path.components().take_while(|part| !wild(part)).collect();
    // A pattern without wildcards names a file: start at its folder.
    if fixed == path { fixed.parent().map(Path::to_path_buf).unwrap_or_default() } else { fixed }
}
