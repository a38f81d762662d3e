//! YAML → a tree in which every key and value knows its place.
//!
//! YAML 1.2 with its core schema: a plain `1` is a number, a quoted `"1"` a text, `yes` a text. What would make a flow
//! ambiguous is an error: a key given twice, tags, several documents, numbers that JSON cannot hold. Anchors and aliases
//! work, as in GitHub Actions; merge keys (`<<`) do not. It knows no flow.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Number, Value};

use super::yaml_error::explain;
use crate::diagnostic::{Diagnostic, SourceFile, Span, Spanned};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub data: Data,
    /// Where it is written.
    pub span: Span,
    /// Whether a text is written without quotes.
    pub plain: bool,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits, or a finite float.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; its keys are texts, each only once.
    Map(Vec<(Spanned<String>, Node)>),
}

/// Nesting deeper than this is refused, so that no walk over the tree runs out of stack.
const DEEPEST: usize = 64;

/// More values than this are refused: aliases of aliases could otherwise fill any memory.
const MOST: usize = 1_000_000;

impl Node {
    fn new(data: Data, span: Span) -> Self {
        Self { data, span, plain: false }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(ref number) if number.is_f64() => "a number",
            Data::Number(_) => "an integer",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// Its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::json).collect(),
            Data::Map(fields) => fields.iter().map(|(key, node)| (key.value.clone(), node.json())).collect(),
        }
    }

    /// The place of its last value.
    fn last(&self) -> Option<Span> {
        match &self.data {
            Data::List(items) => items.last().map(|node| node.span),
            Data::Map(fields) => fields.last().map(|(_, node)| node.span),
            _ => None,
        }
    }

    /// How many values it has, itself included, and how deep it is.
    fn measure(&self) -> (usize, usize) {
        let add = |(count, depth): (usize, usize), (more, deeper): (usize, usize)| (count + more, depth.max(deeper));
        let (count, depth) = match &self.data {
            Data::List(items) => items.iter().map(Self::measure).fold((0, 0), add),
            Data::Map(fields) => fields.iter().map(|(_, node)| node.measure()).fold((0, 0), add),
            _ => (0, 0),
        };
        (count + 1, depth + 1)
    }
}

/// Parses one document. Errors that leave the rest readable come with the tree; `None` where YAML itself is broken.
pub fn parse(file: &Arc<SourceFile>) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::new(file);
    let mut parser = Parser::new_from_str(&file.text);
    while let Some(event) = parser.next_event() {
        let done = match event {
            Ok((event, span)) => {
                let span = Span::between(builder.byte(span.start.index()), builder.byte(span.end.index()));
                builder.event(event, span)
            }
            Err(error) => {
                builder.broken(builder.byte(error.marker().index()), error.info());
                Err(Stop)
            }
        };
        if done.is_err() {
            return (None, builder.errors);
        }
    }
    let root = builder.root.unwrap_or(Node::new(Data::Null, Span::default()));
    (Some(root), builder.errors)
}

/// Nothing after this place can be read.
struct Stop;

/// A list or map that is not at its end yet.
struct Open {
    node: Node,
    key: Option<Spanned<String>>,
    /// The keys so far.
    keys: HashMap<String, Span>,
    anchor: usize,
}

struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    /// The byte of every character; empty where the text is ASCII.
    bytes: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, Node>,
    count: usize,
    errors: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<SourceFile>) -> Self {
        let bytes =
            if file.text.is_ascii() { Vec::new() } else { file.text.char_indices().map(|(at, _)| at).collect() };
        let (open, errors, anchors) = (Vec::new(), Vec::new(), HashMap::new());
        Self { file, bytes, open, root: None, documents: 0, anchors, count: 0, errors }
    }

    /// The byte of a character; the parser counts characters.
    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            character.min(self.file.text.len())
        } else {
            self.bytes.get(character).copied().unwrap_or(self.file.text.len())
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>, label: &str) -> &mut Diagnostic {
        self.errors.push(Diagnostic::at(self.file, span, message, label));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// The text is not YAML from `at` on.
    fn broken(&mut self, at: usize, info: &str) {
        let mistake = explain(&self.file.text, at, info);
        let error = Diagnostic::at(self.file, mistake.span, mistake.message, mistake.label).help(mistake.help);
        self.errors.push(match mistake.also {
            Some((span, label)) => error.and(span, label),
            None => error,
        });
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.is_some(), span);
                let node = self.scalar(&text, style, span);
                self.add(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.is_some(), span);
                self.begin(Data::List(Vec::new()), span, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.is_some(), span);
                self.begin(Data::Map(Vec::new()), span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents < 2 {
            return Ok(());
        }
        self.error(span, "a second document", "starts here").help = Some("one file, one flow: remove it".into());
        Err(Stop)
    }

    fn no_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let help = "the type follows from how a value is written: quotes make a text";
            self.error(span, "tags are not supported", "has a tag").help = Some(help.into());
        }
    }

    /// A scalar. An empty one has no length; its place is where it would be.
    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let plain = style == ScalarStyle::Plain;
        let data = match (plain, plain_value(text)) {
            (true, Ok(data)) => data,
            (true, Err(why)) => {
                self.error(span, format!("the number {text} {why}"), "here").help =
                    Some("quote it to make it a text".into());
                Data::Null
            }
            (false, _) => Data::Text(text.to_owned()),
        };
        if text.contains('\0') {
            let help = "leave it out: no command, variable or path can have one";
            self.error(span, "a text with a nul byte", "has one").help = Some(help.into());
        }
        Node { data, span: self.trim(span), plain }
    }

    /// `span` without white space at its end.
    fn trim(&self, span: Span) -> Span {
        Span { len: self.file.slice(span).trim_end().len(), ..span }
    }

    fn begin(&mut self, data: Data, span: Span, anchor: usize) -> Result<(), Stop> {
        if self.open.len() >= DEEPEST {
            self.error(span, format!("nested deeper than {DEEPEST} levels"), "here");
            return Err(Stop);
        }
        self.open.push(Open { node: Node::new(data, span), key: None, keys: HashMap::new(), anchor });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let mut node = open.node;
        // The parser ends a block where the next one starts, and a bracket's comment with the bracket.
        let closed = self.file.text.get(span.start..).is_some_and(|rest| rest.starts_with([']', '}']));
        let end = if closed { span.start + 1 } else { node.last().map_or(span.start, |last| last.end()) };
        node.span = Span::between(node.span.start, end);
        self.add(node, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.error(span, "an alias inside what it stands for", "here").help = Some("write the value out".into());
            return Err(Stop);
        };
        let (count, depth) = node.measure();
        self.count += count;
        if self.count > MOST || self.open.len() + depth > DEEPEST {
            self.error(span, "aliases make this file too large", "here");
            return Err(Stop);
        }
        self.add(node, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.data {
            Data::List(items) => items.push(node),
            Data::Map(_) => self.field(node),
            _ => {}
        }
        Ok(())
    }

    /// A key, or the value of the key before it.
    fn field(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else { return };
        let Some(key) = open.key.take() else {
            let key = self.key(node);
            if let Some(open) = self.open.last_mut() {
                open.key = Some(key);
            }
            return;
        };
        let Data::Map(fields) = &mut open.node.data else { return };
        match open.keys.entry(key.value.clone()) {
            Entry::Vacant(place) => {
                place.insert(key.span);
                fields.push((key, node));
            }
            Entry::Occupied(first) => {
                let first = *first.get();
                let message = format!("the key `{}` is given twice", key.value);
                let error = Diagnostic::at(self.file, key.span, message, "again here").and(first, "first here");
                self.errors.push(error.help("remove one of them"));
            }
        }
    }

    /// A key is a text as it is written; `1:` is the key `1`.
    fn key(&mut self, node: Node) -> Spanned<String> {
        let text = match &node.data {
            Data::Text(text) => text.clone(),
            Data::List(_) | Data::Map(_) => {
                self.error(node.span, "a key has to be a text", "not a text").help = Some("write `name: value`".into());
                String::new()
            }
            _ => self.file.slice(node.span).to_owned(),
        };
        Spanned::new(text, node.span)
    }
}

/// What a plain scalar is by YAML's core schema; the error says why JSON cannot hold the number.
pub fn plain_value(text: &str) -> Result<Data, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => match number(text)? {
            Some(number) => Data::Number(number),
            None => Data::Text(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Result<Option<Number>, &'static str> {
    const WIDE: &str = "does not fit into 64 bits";
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(&unsigned) {
        return Err("is not finite");
    }
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix).filter(|rest| digits(rest, radix)) {
            return u64::from_str_radix(rest, radix).map(|value| Some(value.into())).map_err(|_| WIDE);
        }
    }
    if digits(unsigned, 10) {
        let (signed, positive) = (text.parse::<i64>(), unsigned.parse::<u64>());
        return match (signed, positive) {
            (Ok(value), _) => Ok(Some(value.into())),
            (Err(_), Ok(value)) if !text.starts_with('-') => Ok(Some(value.into())),
            _ => Err(WIDE),
        };
    }
    if !is_float(unsigned) {
        return Ok(None);
    }
    let value: f64 = text.parse().map_err(|_| WIDE)?;
    Number::from_f64(value).map(Some).ok_or("is too large for a float")
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some_digit = !whole.is_empty() || !fraction.is_empty();
    some_digit && digits(whole) && digits(fraction) && exponent.is_none_or(|text| !text.is_empty() && digits(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;

    fn file(text: &str) -> Arc<SourceFile> {
        Arc::new(SourceFile { name: "x.yaml".into(), text: text.into() })
    }

    fn json(text: &str) -> Value {
        let (node, errors) = parse(&file(text));
        assert_eq!(render(&errors, false), "");
        node.unwrap().json()
    }

    fn errors(text: &str) -> Vec<String> {
        parse(&file(text)).1.into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let text = r#"[1, "1", '1', -7, +7, 1.0, .5, 5., 1e3, 0x10, 0o10, 010, true, "true", yes, null, ~, "", 1_000,
                      2022-02-18, 1.2.3, 18446744073709551615, -9223372036854775808, e5, 1e, "-"]"#;
        let expected = r#"[1, "1", "1", -7, 7, 1.0, 0.5, 5.0, 1000.0, 16, 8, 10, true, "true", "yes", null, null, "",
                      "1_000", "2022-02-18", "1.2.3", 18446744073709551615, -9223372036854775808, "e5", "1e", "-"]"#;
        assert_eq!(json(text), serde_json::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_errors() {
        for text in
            ["18446744073709551616", "-9223372036854775809", "1e999", ".inf", "-.inf", ".nan", "0xfffffffffffffffff"]
        {
            assert_eq!(errors(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn places_count_bytes_although_the_parser_counts_characters() {
        let file = file("größe: [ä, {b: \"c d\" } ]   # end\nrun: |\n  one\n  two\nlast: x\n");
        let (node, _) = parse(&file);
        let Data::Map(fields) = node.unwrap().data else { panic!() };
        let slices: Vec<&str> = fields.iter().flat_map(|(k, v)| [file.slice(k.span), file.slice(v.span)]).collect();
        assert_eq!(slices, ["größe", "[ä, {b: \"c d\" } ]", "run", "one\n  two", "last", "x"]);
    }

    #[test]
    fn aliases_stand_for_their_anchor() {
        assert_eq!(json("a: &x {b: 1}\nc: *x\n"), serde_json::json!({"a": {"b": 1}, "c": {"b": 1}}));
        assert_eq!(errors("a: *nothing").len(), 1);
        assert_eq!(errors("a: &x [*x]").len(), 1);
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        assert_eq!(errors(&bomb), ["aliases make this file too large"]);
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        assert_eq!(errors("a: 1\nb: 2\na: 3"), ["the key `a` is given twice"]);
        assert_eq!(errors("a: !!str 1"), ["tags are not supported"]);
        assert_eq!(errors("a: 1\n---\nb: 1"), ["a second document"]);
        assert_eq!(errors("[a]: 1"), ["a key has to be a text"]);
        assert_eq!(errors(&"[".repeat(100)), ["nested deeper than 64 levels"]);
        assert_eq!(errors("a: [1"), ["`[` has no `]`"]);
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(json(""), Value::Null);
        assert_eq!(json("# only a comment\n"), Value::Null);
        assert_eq!(json("a:\nb: 1"), serde_json::json!({"a": null, "b": 1}));
    }
}
