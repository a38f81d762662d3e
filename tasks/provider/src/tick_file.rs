//! The files that `fetch` and `record` write: CSV with TqSdk's column names, which `ingest` reads, and beside it where it
//! comes from.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use ghtrader_market::{Day, Regime, value_names};
use serde::{Deserialize, Serialize};

use crate::SourceTick;

/// A tick file being written.
pub struct TickFile<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> TickFile<W> {
    /// Begins a file: its header.
    ///
    /// # Errors
    /// Where the writer refuses.
    pub fn begin(writer: W) -> io::Result<Self> {
        let mut file = Self::go_on(writer);
        let names = value_names();
        let columns = ["symbol", "id", "datetime_nano"].into_iter().chain(names.iter().map(String::as_str));
        file.writer.write_record(columns)?;
        Ok(file)
    }

    /// Goes on with a file that has its header.
    pub fn go_on(writer: W) -> Self {
        Self { writer: csv::Writer::from_writer(writer) }
    }

    /// Adds a row; a value that is missing is empty.
    ///
    /// # Errors
    /// Where the writer refuses.
    pub fn push(&mut self, tick: &SourceTick) -> io::Result<()> {
        let text = |value: &f64| if value.is_nan() { String::new() } else { value.to_string() };
        self.writer.write_field(&*tick.contract)?;
        self.writer.write_field(tick.id.to_string())?;
        self.writer.write_field(tick.datetime_ns.to_string())?;
        for value in &tick.values {
            self.writer.write_field(text(value))?;
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Hands what was written to the writer below.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer below, with all of it.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(|error| io::Error::other(error.error().to_string()))
    }
}

/// A writer of gzip whose bytes depend on what is written alone.
pub fn compress<W: Write>(writer: W) -> GzEncoder<W> {
    GzEncoder::new(writer, Compression::new(6))
}

/// Where a tick file comes from: `source.json` beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// `tqsdk`.
    pub source: String,
    /// How far it is trusted.
    pub tier: Regime,
    /// `SHFE.cu2403`.
    pub contract: String,
    /// Its trading day.
    pub day: Day,
    /// Rows in the file.
    pub rows: u64,
    /// Stamps of the first and the last row, UTC nanoseconds.
    pub stamps_ns: Option<[i64; 2]>,
    /// The source's numbers of them.
    pub ids: Option<[i64; 2]>,
    /// Ticks that the source did not give between these, by its numbers: 0 where nothing is missing.
    pub missing: u64,
}

impl Origin {
    /// Nothing yet.
    pub fn new(source: &str, tier: Regime, contract: &str, day: Day) -> Self {
        let (source, contract) = (source.to_owned(), contract.to_owned());
        Self { source, tier, contract, day, rows: 0, stamps_ns: None, ids: None, missing: 0 }
    }

    /// One more row.
    pub fn count(&mut self, tick: &SourceTick) {
        self.count_row(tick.id, tick.datetime_ns);
    }

    /// One more row, by its number and stamp.
    pub fn count_row(&mut self, id: i64, ns: i64) {
        self.rows += 1;
        let begin = |of: Option<[i64; 2]>, value: i64| of.map_or(value, |[begin, _]| begin);
        if let Some([_, last]) = self.ids {
            self.missing += u64::try_from(id - last - 1).unwrap_or(0);
        }
        self.stamps_ns = Some([begin(self.stamps_ns, ns), ns]);
        self.ids = Some([begin(self.ids, id), id]);
    }

    /// Writes it.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs_err::write(path, text)?)
    }
}
