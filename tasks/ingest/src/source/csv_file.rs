//! CSV files.

use std::io::Read;

use csv::ByteRecord;
use ghtrader_kit::Result;
use ghtrader_market::{Day, TicksSpec};

use super::Sink;
use super::columns::{Columns, Symbols};
use crate::{Raw, SourceError};

/// Reads CSV with a header.
pub(crate) fn read(file: &str, reader: impl Read, spec: &TicksSpec, sink: Sink<'_>) -> Result<()> {
    let mut csv = csv::ReaderBuilder::new().has_headers(false).from_reader(Watched { reader, last: None });
    let mut record = ByteRecord::new();
    let broken = |error: csv::Error| SourceError::Line {
        file: file.to_owned(),
        line: error.position().map_or(0, csv::Position::line),
        what: describe(&error),
    };
    let at = |line: u64, what: String| SourceError::Line { file: file.to_owned(), line, what };
    if !csv.read_byte_record(&mut record).map_err(broken)? {
        let what = "the file is empty: not even a header".to_owned();
        return Err(SourceError::File { file: file.to_owned(), what }.into());
    }
    let columns = Columns::of(&header(&record), spec).map_err(|what| at(1, what))?;
    let mut parser = Parser { columns, symbols: Symbols::default(), last_day: None };
    while csv.read_byte_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        sink(parser.row(line, &record).map_err(|what| at(line, what))?)?;
    }
    // A number of which the end is missing is a number: only the line's end says that all of it is there.
    match csv.get_ref().last {
        Some(b'\n' | b'\r') => Ok(()),
        _ => {
            let line = record.position().or(Some(csv.position())).map_or(0, csv::Position::line);
            let what =
                "the file ends in the middle of this line: is it cut off? If it is whole, end it with a line break";
            Err(at(line.max(1), what.to_owned()).into())
        }
    }
}

/// Remembers the last byte that was read.
struct Watched<R> {
    reader: R,
    last: Option<u8>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.last = buffer[..count].last().copied().or(self.last);
        Ok(count)
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        csv::ErrorKind::Io(error) => format!("cannot be read on: {error} (is the file cut off?)"),
        _ => error.to_string(),
    }
}

/// The names of the columns; a byte order mark is no part of the first.
fn header(record: &ByteRecord) -> Vec<String> {
    let name = |bytes| String::from_utf8_lossy(bytes).trim().trim_start_matches('\u{feff}').to_owned();
    record.iter().map(name).collect()
}

struct Parser {
    columns: Columns,
    symbols: Symbols,
    /// The trading day read last, and its text: neighbours mostly have the same.
    last_day: Option<(Vec<u8>, Day)>,
}

impl Parser {
    fn row(&mut self, line: u64, record: &ByteRecord) -> std::result::Result<Raw, String> {
        let stamp = text(record, Some(self.columns.stamp));
        let datetime_ns = stamp
            .parse()
            .map_err(|_| format!("the stamp `{stamp}` is not a whole number of nanoseconds since 1970 in UTC"))?;
        let mut values = [f64::NAN; ghtrader_market::VALUES];
        for (index, value) in values.iter_mut().enumerate() {
            if let Some(column) = self.columns.values[index] {
                let text = text(record, Some(column));
                *value = number(text).ok_or_else(|| {
                    format!("column `{}`: `{text}` is not a number", ghtrader_market::value_names()[index])
                })?;
            }
        }
        let symbol = text(record, self.columns.symbol);
        let contract = self.symbols.contract(symbol, text(record, self.columns.underlying))?;
        Ok(Raw { line, contract, day: self.day(record)?, datetime_ns, values })
    }

    fn day(&mut self, record: &ByteRecord) -> std::result::Result<Option<Day>, String> {
        let text = text(record, self.columns.day);
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
fn text(record: &ByteRecord, column: Option<usize>) -> &str {
    let bytes = column.and_then(|column| record.get(column)).unwrap_or_default();
    std::str::from_utf8(bytes).map_or("\u{fffd}", str::trim)
}

/// A number; nothing and `nan` are NaN.
fn number(text: &str) -> Option<f64> {
    if text.is_empty() { Some(f64::NAN) } else { text.parse().ok() }
}
