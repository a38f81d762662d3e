//! What people did wrong where a text stops being YAML: the parser says where it gave up, which is often not where the
//! mistake is. It guesses from the text before that place; what it cannot guess keeps the parser's words.

use crate::diagnostic::{Span, near};

/// A mistake, with the place to mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) span: Span,
    pub(super) label: String,
    /// Another place that belongs to it.
    pub(super) also: Option<(Span, &'static str)>,
    pub(super) help: String,
}

/// The line of a place, cut at its indentation.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    fn words(&self) -> &'a str {
        self.text.trim()
    }
}

/// The mistake that made the parser stop at byte `at` of `text`, saying `info`.
pub(super) fn explain(text: &str, at: usize, info: &str) -> Mistake {
    let line = line_of(text, at);
    let guesses = [
        tab(line),
        anchor(text, at, info),
        expression(line),
        first_character(text, at),
        escape(text, at, info),
        quote(text, at, info),
        bracket(text, at),
        colon(text, line, info),
        indentation(text, line, info),
    ];
    guesses.into_iter().flatten().next().unwrap_or_else(|| Mistake {
        message: format!("this is not YAML: {info}"),
        span: Span { start: at, len: 0 },
        label: "here".to_owned(),
        also: None,
        help: "look at the indentation and the brackets before this place; quote texts that have `: ` or ` #`"
            .to_owned(),
    })
}

fn mistake(
    message: impl Into<String>,
    start: usize,
    len: usize,
    label: &str,
    help: impl Into<String>,
) -> Option<Mistake> {
    let (message, span, label) = (message.into(), Span { start, len }, label.to_owned());
    Some(Mistake { message, span, label, also: None, help: help.into() })
}

fn line_of(text: &str, at: usize) -> Line<'_> {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    Line { start, text: text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default() }
}

/// The lines before a line that are not empty, the nearest first.
fn lines_before<'a>(text: &'a str, line: Line<'a>) -> impl Iterator<Item = Line<'a>> {
    let mut end = line.start;
    std::iter::from_fn(move || {
        while end > 0 {
            let line = line_of(text, end - 1);
            end = line.start;
            if !line.words().is_empty() && !line.words().starts_with('#') {
                return Some(line);
            }
        }
        None
    })
}

fn tab(line: Line<'_>) -> Option<Mistake> {
    let at = line.text.get(..line.indent())?.find('\t')?;
    mistake("a tab in the indentation", line.start + at, 1, "a tab", "YAML indents by blanks: put two for it, say")
}

fn anchor(text: &str, at: usize, info: &str) -> Option<Mistake> {
    if !info.contains("unknown anchor") {
        return None;
    }
    let end = |c: char| c.is_whitespace() || ",[]{}".contains(c);
    let name = |rest: &'_ str| rest.split(end).next().unwrap_or_default().to_owned();
    let alias = name(text.get(at..)?.strip_prefix('*')?);
    let anchors: Vec<String> = text.match_indices('&').filter_map(|(at, _)| Some(name(text.get(at + 1..)?))).collect();
    let anchors: Vec<&str> = anchors.iter().map(String::as_str).filter(|anchor| !anchor.is_empty()).collect();
    let help = match near(&alias, &anchors) {
        Some(anchor) => format!("did you mean `*{anchor}`?"),
        None => format!("a text that begins with `*` needs quotes: \"*{alias}\""),
    };
    mistake(format!("no value is marked `&{alias}`"), at, alias.len() + 1, "stands for it", help)
}

fn expression(line: Line<'_>) -> Option<Mistake> {
    let at = line.text.find("${{")?;
    if line.text.get(..at)?.contains(['"', '\'']) {
        return None;
    }
    let len = line.text.get(at..)?.find("}}").map_or(3, |end| end + 2);
    mistake("an expression without quotes", line.start + at, len, "here", "put quotes around it: \"${{ … }}\"")
}

fn first_character(text: &str, at: usize) -> Option<Mistake> {
    let first = text.get(at..)?.chars().next().filter(|c| "@%`".contains(*c))?;
    mistake(format!("no text begins with `{first}` in YAML"), at, 1, "here", "put quotes around the whole text")
}

fn escape(text: &str, at: usize, info: &str) -> Option<Mistake> {
    if !info.contains("escape") {
        return None;
    }
    let rest = text.get(at..)?;
    let mut from = 0;
    loop {
        let place = from + rest.get(from..)?.find('\\')?;
        let escaped = rest.get(place + 1..)?.chars().next()?;
        if !"0abt\tnvfre \"/\\N_LPxuU\r\n".contains(escaped) {
            let message = format!("`\\{escaped}` in a text in double quotes");
            let help = format!("write `\\\\{escaped}` for a backslash, or put the text in single quotes");
            return mistake(message, at + place, 1 + escaped.len_utf8(), "no such escape", help);
        }
        from = place + 1 + escaped.len_utf8();
    }
}

fn quote(text: &str, at: usize, info: &str) -> Option<Mistake> {
    if info.contains("trailing content") {
        let help = "write two single quotes for one in a text in single quotes, or put the text in double quotes";
        return mistake("a text in quotes ends before its line does", at, 1, "this is left over", help);
    }
    if !info.contains("quoted scalar") || !text.get(at..)?.starts_with(['"', '\'']) {
        return None;
    }
    let help = "close the quote on its line; a text of several lines is written with `|`";
    mistake("a quote that is not closed", at, 1, "opened here", help)
}

/// A bracket that is not closed, closed by another, or never opened.
fn bracket(text: &str, at: usize) -> Option<Mistake> {
    let closing = |open: char| if open == '[' { ']' } else { '}' };
    let mut open: Vec<(usize, char)> = Vec::new();
    for (place, c) in brackets(text).into_iter().take_while(|(place, _)| *place <= at) {
        match (c, open.last().copied()) {
            ('[' | '{', _) => open.push((place, c)),
            (_, Some((_, last))) if closing(last) == c => drop(open.pop()),
            (_, Some((opened, last))) => {
                let found = unclosed(opened, last);
                return found
                    .map(|found| Mistake { also: Some((Span { start: place, len: 1 }, "closed here")), ..found });
            }
            (_, None) => {
                let opening = if c == ']' { '[' } else { '{' };
                let help = format!("remove it, or open it with `{opening}`");
                return mistake(format!("`{c}` closes nothing"), place, 1, "no bracket is open here", help);
            }
        }
    }
    // One on the line itself may be closed behind the place, unless nothing comes there.
    let ends = text.get(at..).is_none_or(|rest| rest.trim().is_empty());
    let (place, last) = open.into_iter().rfind(|(place, _)| ends || *place < line_of(text, at).start)?;
    unclosed(place, last)
}

fn unclosed(place: usize, bracket: char) -> Option<Mistake> {
    let (closing, what) = if bracket == '[' { (']', "list") } else { ('}', "map") };
    let help = format!("close the {what} with `{closing}`; put quotes around a text that has a bracket");
    mistake(format!("`{bracket}` has no `{closing}`"), place, 1, "opened here", help)
}

/// The brackets of lists and maps: not those in quotes, comments and texts after `|` or `>`.
fn brackets(text: &str) -> Vec<(usize, char)> {
    let mut found = Vec::new();
    let (mut quote, mut depth, mut block) = (None, 0_usize, None);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|block| line.trim().is_empty() || indent > block) {
            start += line.len();
            continue;
        }
        block = None;
        let mut before = ' ';
        for (place, c) in line.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open && before != '\\' => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if before.is_whitespace() || "[{,(:".contains(before) => quote = Some(c),
                (None, '#') if before.is_whitespace() => break,
                (None, '[' | '{') if depth > 0 || before.is_whitespace() => {
                    depth += 1;
                    found.push((start + place, c));
                }
                (None, ']' | '}') if depth > 0 || before.is_whitespace() || "]}".contains(before) => {
                    depth = depth.saturating_sub(1);
                    found.push((start + place, c));
                }
                _ => {}
            }
            before = c;
        }
        let last = line.split(" #").next().unwrap_or_default().trim_end();
        let last = last.trim_end_matches(['+', '-']);
        if depth == 0 && quote.is_none() && (last.ends_with(" |") || last.ends_with(" >")) {
            block = Some(indent);
        }
        start += line.len();
    }
    found
}

/// `: ` where a value has begun already.
fn colon(text: &str, line: Line<'_>, info: &str) -> Option<Mistake> {
    if !info.contains("mapping values are not allowed") {
        return None;
    }
    let words = line.words();
    if let Some((key, value)) = words.split_once(": ").filter(|(_, value)| value.contains(": ") || value.ends_with(':'))
    {
        let start = line.start + line.indent() + key.len() + 2;
        return mistake("a text with a colon in it", start, value.len(), "no quotes", "put quotes around it");
    }
    let before = lines_before(text, line).next()?;
    let start = before.start + before.indent();
    let (key, value) = before.words().split_once(':')?;
    if !value.is_empty() && !value.starts_with(' ') {
        let help = format!("write `{key}: {value}`");
        return mistake(format!("no blank after `{key}:`"), start, before.words().len(), "a text, not a key", help);
    }
    let help = format!("give it the indentation of `{key}`, or remove the value of `{key}`");
    let found = mistake("a line that is indented too far", line.start + line.indent(), words.len(), "this line", help)?;
    let also = Some((Span { start, len: before.words().len() }, "has a value already"));
    (line.indent() > before.indent()).then_some(Mistake { also, ..found })
}

/// A line that begins where no line above it does.
fn indentation(text: &str, line: Line<'_>, info: &str) -> Option<Mistake> {
    if !info.contains("did not find expected") {
        return None;
    }
    let mut columns: Vec<usize> = Vec::new();
    for before in lines_before(text, line) {
        if columns.last().is_none_or(|last| before.indent() < *last) {
            columns.push(before.indent());
        }
    }
    if columns.contains(&line.indent()) {
        return None;
    }
    columns.reverse();
    let columns: Vec<String> = columns.iter().map(usize::to_string).collect();
    let help = format!("begin it below its neighbours: the lines above it have {} blanks", columns.join(", "));
    let label = format!("after {} blanks", line.indent());
    mistake("a line that begins below no other", line.start + line.indent(), line.words().len(), &label, help)
}
