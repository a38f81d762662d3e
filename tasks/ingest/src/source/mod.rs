//! Tick files: what they are is told by their first bytes, since a task's input need not keep its name.
//!
//! A source is given in pieces, so that memory holds a part of it, and the rows of several can be taken out at once.

mod columns;
mod csv_file;
mod lines;
mod number;
mod parquet_file;

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use fs_err::File;
use ghtrader_kit::Result;
use ghtrader_market::TicksSpec;

use crate::Raw;

/// Rows of a piece that are known already.
const ROWS: usize = 4_096;

/// Takes rows one by one; a row's memory may be that of the one before.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&mut Raw) -> Result<()>;

/// The pieces of a source, in its order; none after the first error.
pub(crate) type Pieces = Box<dyn Iterator<Item = Result<Box<dyn Piece>>> + Send>;

/// Part of a source.
pub(crate) trait Piece: Send {
    /// How many rows it has, about.
    fn size(&self) -> usize;

    /// Gives its rows, in their order.
    ///
    /// # Errors
    /// Names the file, and the line of the row that cannot be taken out. Those of the sink.
    fn rows(self: Box<Self>, sink: Sink<'_>) -> Result<()>;
}

impl Piece for Vec<Raw> {
    fn size(&self) -> usize {
        self.len()
    }

    fn rows(mut self: Box<Self>, sink: Sink<'_>) -> Result<()> {
        self.iter_mut().try_for_each(sink)
    }
}

/// Those of rows that are known already.
pub(crate) fn known(rows: Vec<Raw>) -> Pieces {
    let mut rows = rows.into_iter();
    Box::new(std::iter::from_fn(move || {
        let piece: Vec<Raw> = rows.by_ref().take(ROWS).collect();
        (!piece.is_empty()).then(|| Ok(Box::new(piece) as Box<dyn Piece>))
    }))
}

/// Opens a tick file; `file` is its name for messages.
///
/// # Errors
/// Names the file, and the line where there is one.
pub(crate) fn open(file: &str, path: &Path, spec: &TicksSpec) -> Result<Pieces> {
    let mut first = [0; 4];
    let length = File::open(path)?.read(&mut first)?;
    let reader = File::open(path)?;
    match &first[..length] {
        [0x1f, 0x8b, ..] => csv_file::open(file, MultiGzDecoder::new(std::io::BufReader::new(reader)), spec),
        b"PAR1" => parquet_file::open(file, reader, spec),
        _ => csv_file::open(file, reader, spec),
    }
}
