//! CSV files.

use std::io::Read;
use std::sync::Arc;

use csv::ByteRecord;
use ghtrader_kit::Result;
use ghtrader_market::{Day, TicksSpec, value_names};

use super::columns::{Columns, Symbols};
use super::lines::{LineReader, Lines, count};
use super::number::number;
use super::{Piece, Pieces, Sink};
use crate::{Raw, SourceError};

/// Opens CSV with a header.
pub(crate) fn open(file: &str, reader: impl Read + Send + 'static, spec: &TicksSpec) -> Result<Pieces> {
    let mut lines = LineReader::new(reader);
    let mut next = move |file: &str| {
        let lines = lines.read().map_err(|error| SourceError::Line {
            file: file.to_owned(),
            line: lines.line,
            what: format!("cannot be read on: {error} (is the file cut off?)"),
        })?;
        Ok(lines)
    };
    let first = next(file)?.filter(|lines| !lines.text.is_empty());
    let (layout, first) = match first {
        Some(lines) => header(file, lines, spec)?,
        None => return Err(empty(file)),
    };
    let layout = Arc::new(layout);
    let rest = std::iter::from_fn({
        let layout = Arc::clone(&layout);
        move || next(&layout.file).transpose()
    });
    let piece = move |lines| Box::new(Chunk { lines, layout: Arc::clone(&layout) }) as Box<dyn Piece>;
    Ok(Box::new(std::iter::once(Ok(first)).chain(rest).map(move |lines: Result<Lines>| lines.map(&piece))))
}

fn empty(file: &str) -> anyhow::Error {
    let what =
        "the file is empty: not even a header; remove it, and where it was fetched, run `fetch` again".to_owned();
    SourceError::File { file: file.to_owned(), what }.into()
}

/// Takes the header from the first lines.
fn header(file: &str, mut lines: Lines, spec: &TicksSpec) -> Result<(Layout, Lines)> {
    let mut csv = reader(&lines.text);
    let mut record = ByteRecord::new();
    let at = |line: u64, what: String| SourceError::Line { file: file.to_owned(), line, what };
    if !csv.read_byte_record(&mut record).map_err(|error| at(1, error.to_string()))? {
        return Err(empty(file));
    }
    // A byte order mark is no part of the first name.
    let name = |bytes| String::from_utf8_lossy(bytes).trim().trim_start_matches('\u{feff}').to_owned();
    let names: Vec<String> = record.iter().map(name).collect();
    let columns = Columns::of(&names, spec).map_err(|what| at(1, what))?;
    let end = usize::try_from(csv.position().byte())?;
    lines.first += count(&lines.text[..end]) as u64;
    lines.text.drain(..end);
    Ok((Layout { file: file.to_owned(), columns, fields: names.len() }, lines))
}

/// Knows quotation marks and every line end.
fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text)
}

/// What all lines of a file have in common.
struct Layout {
    file: String,
    columns: Columns,
    /// How many there are.
    fields: usize,
}

impl Layout {
    fn at(&self, line: u64, what: String) -> anyhow::Error {
        SourceError::Line { file: self.file.clone(), line, what }.into()
    }
}

/// Some lines.
struct Chunk {
    lines: Lines,
    layout: Arc<Layout>,
}

impl Piece for Chunk {
    fn size(&self) -> usize {
        self.lines.count
    }

    fn rows(self: Box<Self>, sink: Sink<'_>) -> Result<()> {
        let Lines { text, first, cut, .. } = &self.lines;
        let mut parser = Parser::new(&self.layout);
        let mut fields = Vec::with_capacity(self.layout.fields);
        let (mut start, mut number) = (0, *first);
        for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
            let line = &text[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if memchr::memchr2(b'"', b'\r', line).is_some() {
                parser.unusual(number, &text[start..], sink)?;
                break;
            }
            if !line.is_empty() {
                fields.clear();
                split(line, &mut fields);
                sink(parser.row(number, &fields)?)?;
            }
            (start, number) = (end + 1, number + 1);
        }
        // A number of which the end is missing is a number: only the line's end says that all of it is there.
        if *cut {
            let what =
                "the file ends in the middle of this line: is it cut off? If it is whole, end it with a line break";
            return Err(self.layout.at(first + count(text) as u64, what.to_owned()));
        }
        Ok(())
    }
}

/// The fields of a line without quotation marks.
fn split<'a>(line: &'a [u8], fields: &mut Vec<&'a [u8]>) {
    let mut start = 0;
    for end in memchr::memchr_iter(b',', line).chain([line.len()]) {
        fields.push(&line[start..end]);
        start = end + 1;
    }
}

struct Parser<'a> {
    layout: &'a Layout,
    symbols: Symbols,
    /// The trading day read last, and its text: neighbours mostly have the same.
    last_day: Option<(Vec<u8>, Day)>,
    row: Raw,
}

impl<'a> Parser<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self { layout, symbols: Symbols::default(), last_day: None, row: Raw::none() }
    }

    /// Lines that have quotation marks, or other ends; the first one's number is `first`.
    fn unusual(&mut self, first: u64, text: &[u8], sink: Sink<'_>) -> Result<()> {
        let mut csv = reader(text);
        let mut record = ByteRecord::new();
        loop {
            let more = csv.read_byte_record(&mut record);
            let line = first - 1 + record.position().or(Some(csv.position())).map_or(1, csv::Position::line);
            if !more.map_err(|error| self.layout.at(line, error.to_string()))? {
                return Ok(());
            }
            sink(self.row(line, &record.iter().collect::<Vec<_>>())?)?;
        }
    }

    /// The row of a line.
    fn row(&mut self, line: u64, fields: &[&[u8]]) -> Result<&mut Raw> {
        self.row.line = line;
        self.read(fields).map_err(|what| self.layout.at(line, what))?;
        Ok(&mut self.row)
    }

    fn read(&mut self, fields: &[&[u8]]) -> std::result::Result<(), String> {
        let columns = &self.layout.columns;
        if fields.len() != self.layout.fields {
            return Err(format!("{} fields where the header has {}", fields.len(), self.layout.fields));
        }
        let stamp = text(fields, Some(columns.stamp));
        self.row.datetime_ns = stamp
            .parse()
            .map_err(|_| format!("the stamp `{stamp}` is not a whole number of nanoseconds since 1970 in UTC"))?;
        for (index, (value, column)) in self.row.values.iter_mut().zip(columns.values).enumerate() {
            let field = column.and_then(|column| fields.get(column)).copied().unwrap_or_default();
            *value = number(field).ok_or_else(|| {
                format!("column `{}`: `{}` is not a number", value_names()[index], text(fields, column))
            })?;
        }
        self.row.contract = self.symbols.contract(text(fields, columns.symbol), text(fields, columns.underlying))?;
        self.row.day = self.day(text(fields, columns.day))?;
        Ok(())
    }

    fn day(&mut self, text: &str) -> std::result::Result<Option<Day>, String> {
        match &self.last_day {
            Some((bytes, day)) if bytes == text.as_bytes() => Ok(Some(*day)),
            _ if text.is_empty() => Ok(None),
            _ => {
                let day = text.parse().map_err(|error| format!("column `trading_day`: {error}"))?;
                self.last_day = Some((text.as_bytes().to_vec(), day));
                Ok(Some(day))
            }
        }
    }
}

/// A field without the blanks around it; what is no UTF-8 counts as a text that fits nowhere.
fn text<'a>(fields: &[&'a [u8]], column: Option<usize>) -> &'a str {
    let bytes = column.and_then(|column| fields.get(column)).copied().unwrap_or_default();
    std::str::from_utf8(bytes).map_or("\u{fffd}", str::trim)
}
