//! Any table as a Parquet file, with settings under which the same rows give the same bytes on every machine: ZSTD at
//! level 3, a fixed size of row groups, no name of a program version, no Arrow schema beside Parquet's own.

use std::path::Path;

use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch};
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// Rows of a row group: a day of ticks fits in one.
const GROUP_ROWS: usize = 1 << 17;
const ZSTD_LEVEL: i32 = 3;

/// Writes a table; `metadata` are key-value pairs kept with it.
///
/// # Errors
/// Where the disk or the Parquet library refuses; both name the file.
pub fn write(path: &Path, batch: &RecordBatch, metadata: &[(&str, &str)]) -> Result<()> {
    let file = File::create(path)?;
    put(file, batch, metadata).map_err(|source| Error::Parquet { path: path.to_owned(), source })
}

fn put(file: File, batch: &RecordBatch, metadata: &[(&str, &str)]) -> std::result::Result<(), ParquetError> {
    let pairs: Vec<_> =
        metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by("ghtrader".to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata((!pairs.is_empty()).then_some(pairs))
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options)?;
    writer.write(batch)?;
    writer.close()?;
    Ok(())
}

/// Reads a table whole, as one batch, with the key-value pairs kept with it.
///
/// # Errors
/// Where there is no such file, or it is no Parquet file.
pub fn read(path: &Path) -> Result<(RecordBatch, Vec<(String, String)>)> {
    let file = File::open(path)?;
    get(file).map_err(|source| Error::Parquet { path: path.to_owned(), source })
}

fn get(file: File) -> std::result::Result<(RecordBatch, Vec<(String, String)>), ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_file())?;
    let schema = builder.schema().clone();
    let pairs = builder.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    let pairs = pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect();
    // One batch for all rows: the reader takes the number of rows where more are asked for.
    let mut reader = builder.with_batch_size(usize::MAX).build()?;
    let batch = reader.next().transpose()?.unwrap_or_else(|| RecordBatch::new_empty(schema));
    if reader.next().is_some() {
        return Err(ParquetError::General("the reader gave more than one batch".to_owned()));
    }
    Ok((batch, pairs))
}

/// A column of numbers; NaN becomes null.
pub fn floats(values: &[f64]) -> ArrayRef {
    std::sync::Arc::new(Float64Array::from_iter(values.iter().map(|value| (!value.is_nan()).then_some(*value))))
}

/// The column of a name and Arrow type.
///
/// # Errors
/// Where there is none, or it is of another type: names the file and the column.
pub fn column<'a, A: Array + 'static>(path: &Path, batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let wrong = |what: String| Error::Table { path: path.to_owned(), what };
    let array = batch.column_by_name(name).ok_or_else(|| wrong(format!("there is no column `{name}`")))?;
    let found = array.data_type();
    array.as_any().downcast_ref().ok_or_else(|| wrong(format!("the column `{name}` has another type: {found}")))
}

/// A column of doubles; null becomes NaN.
///
/// # Errors
/// As [`column`].
pub fn read_floats(path: &Path, batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let array: &Float64Array = column(path, batch, name)?;
    Ok(array.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}
