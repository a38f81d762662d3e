//! What went wrong, where, why, and what to do next: the errors of a flow, with the places they are about.
//!
//! A [`Diagnostic`] is built where a problem is found and rendered where it is shown; several of one file are collected,
//! so that a user sees all of them at once. It knows no flow: a place is a span in a named text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::text::{is_hidden, visible, visible_line};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceSpan, ThemeCharacters, ThemeStyles};

/// A text that errors can point into, by the name that people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As shown, e.g. `flows/daily.yaml`.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A piece of a [`SourceFile`], in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// Its length; 0 for a place between two characters.
    pub len: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// One error: what, where, why, next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// The text that the labels point into.
    pub file: Option<Arc<SourceFile>>,
    /// The marked places; the first one gives the error its `file:line:column`.
    pub labels: Vec<Label>,
    /// What would be right.
    pub help: Option<String>,
    /// How one comes to the file, where that is not the one that was asked for.
    pub notes: Vec<String>,
}

/// A marked place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

impl Span {
    /// From `start` up to, not including, `end`.
    pub fn between(start: usize, end: usize) -> Self {
        Self { start, len: end.saturating_sub(start) }
    }

    /// The first byte after it.
    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// The same as a range.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end()
    }
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl SourceFile {
    /// Line and column of a byte, both counted from 1, the column in characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte.min(self.text.len())).unwrap_or(&self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// What is written at `span`, or nothing where the text has no such place.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// `span` widened to whole lines, without the last line's end.
    fn lines_of(&self, span: Span) -> Span {
        let bytes = self.text.as_bytes();
        let is_end = |byte: &u8| *byte == b'\n';
        let start = bytes.iter().take(span.start).rposition(is_end).map_or(0, |at| at + 1);
        let end = bytes.iter().skip(span.end()).position(is_end).map_or(bytes.len(), |at| span.end() + at);
        Span::between(start, end)
    }

    /// `span` cut to its first line and to the text, so that a mark never spreads over lines.
    fn on_one_line(&self, span: Span) -> Span {
        let start = floor(&self.text, span.start);
        let end = floor(&self.text, span.end().max(start));
        let first = self.text.get(start..end).and_then(|text| text.lines().next()).unwrap_or_default();
        Span { start, len: first.trim_end().len() }
    }
}

/// The nearest place at or before `byte` that is in `text` and between two characters.
fn floor(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

impl Diagnostic {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), file: None, labels: Vec::new(), help: None, notes: Vec::new() }
    }

    /// An error at a place: `label` says what is there.
    pub fn at(file: &Arc<SourceFile>, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { file: Some(Arc::clone(file)), ..Self::new(message) }.and(span, label)
    }

    /// A further place in the same file.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: label.into() });
        self
    }

    /// What would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What would be right where there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// How one comes to the file.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// `file:line:column` of the first label.
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        let (line, column) = file.position(file.on_one_line(self.labels.first()?.span).start);
        Some(format!("{}:{line}:{column}", file.name))
    }

    /// Orders errors as a reader of the file meets them.
    fn start(&self) -> usize {
        self.labels.first().map_or(usize::MAX, |label| label.span.start)
    }
}

/// `help` for a wrong name: the nearest of `known`, if one is near, else all of them, if they are few.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match near(name, &known) {
        Some(other) => Some(format!("did you mean `{other}`?")),
        None if known.is_empty() || known.len() > LISTED => None,
        None => Some(format!("known here: {}", known.join(", "))),
    }
}

/// The name that was probably meant: at most every third letter is different.
pub fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = |other: &str| name.chars().count().max(other.chars().count());
    let small = name.to_lowercase();
    known
        .iter()
        // A name in other letters is the same word.
        .map(|other| (strsim::damerau_levenshtein(&small, &other.to_lowercase()), *other))
        .filter(|(distance, other)| *distance <= (length(other) / 3).max(1) && *distance < length(other))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// More names than this are not listed in a help.
const LISTED: usize = 24;

/// Sorts errors by place and drops repetitions.
pub fn in_order(mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    errors.sort_by_key(Diagnostic::start);
    errors.dedup();
    errors
}

/// All errors as people read them, each after an empty line but the first.
pub fn render(errors: &[Diagnostic], color: bool) -> String {
    errors.iter().map(|error| one(error, color)).collect::<Vec<_>>().join("\n")
}

fn one(error: &Diagnostic, color: bool) -> String {
    let error = &harmless(error);
    let mut text = String::new();
    let styles = if color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let characters = ThemeCharacters { error: "error:".to_owned(), ..ThemeCharacters::unicode() };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_context_lines(0)
        .with_wrap_lines(false)
        .with_links(false);
    // Writing to a string cannot fail; if miette gives up, the message alone is better than nothing.
    if handler.render_report(&mut text, &Report(error)).is_err() {
        return format!("error: {}\n", error.message);
    }
    let notes: String = error.notes.iter().map(|note| format!("  note: {note}\n")).collect();
    one_box(&text, error.place().as_deref()) + &notes
}

/// The same without what a terminal would obey. In the source every byte keeps its place, so that marks stay right.
fn harmless(error: &Diagnostic) -> Diagnostic {
    let line = |text: &String| visible(text).into_owned();
    let stand_in = |c: char| match c.len_utf8() {
        _ if matches!(c, '\n' | '\t' | '\r') || !is_hidden(c) => c,
        1 => '?',
        2 => '¿',
        _ => char::REPLACEMENT_CHARACTER,
    };
    let source = |file: &Arc<SourceFile>| match file.text.chars().any(|c| stand_in(c) != c) {
        true => Arc::new(SourceFile { name: line(&file.name), text: file.text.chars().map(stand_in).collect() }),
        false => Arc::clone(file),
    };
    let label = |label: &Label| Label { span: label.span, text: visible_line(&label.text).into_owned() };
    Diagnostic {
        message: line(&error.message),
        file: error.file.as_ref().map(source),
        labels: error.labels.iter().map(label).collect(),
        help: error.help.as_ref().map(line),
        notes: error.notes.iter().map(line).collect(),
    }
}

/// miette indents the message and draws a box for every line that has a mark: here the message starts at the margin,
/// and the boxes become one, headed by the place of the first label.
fn one_box(text: &str, place: Option<&str>) -> String {
    let widest = text.lines().filter(|line| is_top(line)).map(margin).max().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    let mut pad = 0;
    for line in text.lines() {
        if is_top(line) {
            pad = widest - margin(line);
            let continues = lines.last().is_some_and(|last| is_bottom(last));
            match (continues, place) {
                (true, _) => drop(lines.pop()),
                (false, Some(place)) => lines.push(format!("{:widest$}╭─[{place}]", "")),
                (false, None) => lines.push(line.to_owned()),
            }
        } else if is_bottom(line) {
            lines.push(format!("{:pad$}{line}", ""));
            pad = 0;
        } else {
            lines.push(format!("{:pad$}{line}", ""));
        }
    }
    let mut text: String = lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect();
    if let Some(start) = text.find(|c: char| !c.is_whitespace()) {
        text.drain(..start);
    }
    text
}

fn is_top(line: &str) -> bool {
    line.trim_start().starts_with("╭─[")
}

fn is_bottom(line: &str) -> bool {
    line.trim_start() == "╰────"
}

fn margin(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A [`Diagnostic`] as miette wants it.
#[derive(Debug)]
struct Report<'a>(&'a Diagnostic);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.file.as_deref().map(|file| file as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = self.0.file.as_ref()?;
        let labels = self.0.labels.iter().map(|label| {
            let span = file.on_one_line(label.span);
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            LabeledSpan::new_with_span(text, SourceSpan::from((span.start, span.len)))
        });
        Some(Box::new(labels))
    }
}

impl miette::SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        // miette would show the marked text alone; people want its line.
        let whole = self.lines_of(Span { start: span.offset(), len: span.len() });
        let contents = self.text.read_span(&SourceSpan::from((whole.start, whole.len)), before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Arc<SourceFile> {
        let text = "one: 1\ntwo: [a, b]\n\n\n\n\n\n\n\nten: größe x\n";
        Arc::new(SourceFile { name: "flows/x.yaml".into(), text: text.into() })
    }

    fn at(text: &str) -> Span {
        Span { start: file().text.find(text).unwrap(), len: text.len() }
    }

    #[test]
    fn places_far_apart_share_a_box_headed_by_the_first_label() {
        let error =
            Diagnostic::at(&file(), at("x\n"), "it is wrong", "here").and(at("two"), "and here").help("change it");
        let expected = "\
error: it is wrong
    ╭─[flows/x.yaml:10:12]
  2 │ two: [a, b]
    · ─┬─
    ·  ╰── and here
 10 │ ten: größe x
    ·            ┬
    ·            ╰── here
    ╰────
  help: change it
";
        assert_eq!(render(&[error], false), expected);
    }

    #[test]
    fn an_error_without_a_place_is_a_line() {
        let errors = [Diagnostic::new("no flow `x`"), Diagnostic::new("no flow `y`").help("make one")];
        assert_eq!(render(&errors, false), "error: no flow `x`\n\nerror: no flow `y`\n  help: make one\n");
    }

    #[test]
    fn a_mark_outside_the_text_or_inside_a_character_is_moved_not_lost() {
        let inside = file().text.find('ö').unwrap() + 1;
        for span in [Span { start: 9000, len: 5 }, Span { start: inside, len: 1 }, Span { start: 3, len: 9000 }] {
            assert!(render(&[Diagnostic::at(&file(), span, "m", "l")], false).contains("╭─[flows/x.yaml:"));
        }
    }

    #[test]
    fn colour_changes_only_the_colour() {
        let error = Diagnostic::at(&file(), at("two"), "m", "l").and(at("x\n"), "l");
        let colored = render(std::slice::from_ref(&error), true);
        assert!(colored.contains("\u{1b}["));
        let mut plain = String::new();
        for (index, part) in colored.split('\u{1b}').enumerate() {
            plain.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(plain, render(&[error], false));
    }

    #[test]
    fn nothing_in_an_error_reaches_a_terminal_as_a_command() {
        let text = "a: \u{1b}[2J\u{9b}\u{202e}x # y\n";
        let file = Arc::new(SourceFile { name: "x.yaml".into(), text: text.into() });
        let span = Span { start: text.find('x').unwrap(), len: 1 };
        let error = Diagnostic::at(&file, span, "no `\u{1b}[0m`", "a\u{7}b\n").help("\u{8}");
        let expected = "\
error: no `\\x1b[0m`
   ╭─[x.yaml:1:10]
 1 │ a: ?[2J¿�x # y
   ·          ┬
   ·          ╰── a\\x07b\\n
   ╰────
  help: \\x08
";
        assert_eq!(render(&[error], false), expected);
    }

    #[test]
    fn only_a_near_name_is_offered() {
        assert_eq!(nearest("inputz", ["inputs", "outputs"]).unwrap(), "did you mean `inputs`?");
        assert_eq!(nearest("zzz", ["inputs", "outputs"]).unwrap(), "known here: inputs, outputs");
        assert_eq!(nearest("INPUT", ["inputs", "outputs"]).unwrap(), "did you mean `inputs`?");
        assert_eq!(nearest("zzz", []), None);
    }
}
