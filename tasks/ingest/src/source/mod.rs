//! Tick files: what they are is told by their first bytes, since a task's input need not keep its name.

mod columns;
mod csv_file;
mod parquet_file;

use std::io::{BufReader, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use fs_err::File;
use ghtrader_kit::Result;
use ghtrader_market::TicksSpec;

use crate::Raw;

/// Takes the rows of a source one by one.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Raw) -> Result<()>;

/// Reads a tick file; `file` is its name for messages.
///
/// # Errors
/// Names the file, and the line where there is one.
pub(crate) fn read(file: &str, path: &Path, spec: &TicksSpec, sink: Sink<'_>) -> Result<()> {
    let mut first = [0; 4];
    let length = File::open(path)?.read(&mut first)?;
    let reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    match &first[..length] {
        [0x1f, 0x8b, ..] => csv_file::read(file, MultiGzDecoder::new(reader), spec, sink),
        b"PAR1" => parquet_file::read(file, path, spec, sink),
        _ => csv_file::read(file, reader, spec, sink),
    }
}
