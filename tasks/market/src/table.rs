//! Any table as a Parquet file, with settings under which the same rows give the same bytes on every machine: ZSTD at
//! level 3, encodings that follow from the values, a fixed size of row groups, no name of a program version, no Arrow
//! schema beside Parquet's own. How many threads encode the columns changes nothing.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};
use fs_err::File;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowWriterOptions, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::{Error, Result};

/// Rows of a row group: a day of ticks fits in one.
const GROUP_ROWS: usize = 1 << 17;
const ZSTD_LEVEL: i32 = 3;
/// So many values of a column say whether they occur again.
const SAMPLE: usize = 1 << 10;

/// Writes a table of flat columns, which the threads of the calling rayon pool encode; `metadata` are key-value pairs kept
/// with it.
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
        .set_key_value_metadata((!pairs.is_empty()).then_some(pairs));
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let properties =
        columns.fold(properties, |properties, (field, values)| encoding(properties, field, values)).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let writer = ArrowWriter::try_new_with_options(file, batch.schema(), options)?;
    let (mut writer, groups) = writer.into_serialized_writer()?;
    for (number, start) in (0..batch.num_rows()).step_by(GROUP_ROWS).enumerate() {
        let rows = batch.slice(start, GROUP_ROWS.min(batch.num_rows() - start));
        let columns = groups.create_column_writers(number)?;
        if columns.len() != rows.num_columns() {
            return Err(ParquetError::General("a column of this table is not flat".to_owned()));
        }
        let fields = batch.schema_ref().fields();
        let encoded = columns.into_par_iter().zip(rows.columns()).zip(&fields[..]);
        let encoded: Vec<_> = encoded.map(|((writer, array), field)| encode(writer, field, array)).collect();
        let mut group = writer.next_row_group()?;
        for column in encoded {
            column?.append_to_row_group(&mut group)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// How a column is encoded where a dictionary of its values, the library's choice, would cost time and room: whole numbers of
/// 64 bits are stamps, which do not occur twice and lie near each other; and some numbers hardly occur twice either.
fn encoding(properties: WriterPropertiesBuilder, field: &Field, values: &ArrayRef) -> WriterPropertiesBuilder {
    let column = || ColumnPath::from(field.name().as_str());
    match values.data_type() {
        DataType::Int64 => properties
            .set_column_dictionary_enabled(column(), false)
            .set_column_encoding(column(), Encoding::DELTA_BINARY_PACKED),
        DataType::Float64 if differ(values.as_primitive()) => properties.set_column_dictionary_enabled(column(), false),
        _ => properties,
    }
}

/// Whether most of a column's first values differ from each other.
fn differ(values: &Float64Array) -> bool {
    let first = &values.values()[..values.len().min(SAMPLE)];
    let different: HashSet<u64> = first.iter().map(|value| value.to_bits()).collect();
    2 * different.len() > first.len()
}

fn encode(
    mut writer: ArrowColumnWriter,
    field: &Field,
    array: &ArrayRef,
) -> std::result::Result<ArrowColumnChunk, ParquetError> {
    for leaf in compute_leaves(field, array)? {
        writer.write(&leaf)?;
    }
    writer.close()
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
    let known = || NullBuffer::from_iter(values.iter().map(|value| !value.is_nan()));
    let nulls = values.iter().any(|value| value.is_nan()).then(known);
    Arc::new(Float64Array::new(values.to_vec().into(), nulls))
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
