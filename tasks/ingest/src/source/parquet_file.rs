//! Parquet files, as pandas, polars or arrow write them.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use fs_err::File;
use ghtrader_kit::Result;
use ghtrader_market::{Day, TicksSpec};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::columns::{Columns, Symbols};
use super::{Piece, Pieces, Sink};
use crate::{Raw, SourceError};

/// Rows that are read at a time.
const ROWS: usize = 4_096;

/// Opens a Parquet file, which is read by pages: memory holds some of each column, however many rows a row group has.
pub(crate) fn open(file: &str, reader: File, spec: &TicksSpec) -> Result<Pieces> {
    let whole = |what: String| SourceError::File { file: file.to_owned(), what };
    let broken = |error: ParquetError| whole(format!("cannot be read: {error} (is the file cut off?)"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(reader.into_file()).map_err(broken)?;
    let schema = builder.schema().clone();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let columns = Columns::of(&names, spec).map_err(whole)?;
    Table::of(&RecordBatch::new_empty(schema), &columns).map_err(whole)?;
    let layout = Arc::new((file.to_owned(), columns));
    let mut first = 1;
    let batches = builder.with_batch_size(ROWS).build().map_err(broken)?;
    Ok(Box::new(batches.map(move |batch| {
        let (file, line) = (layout.0.clone(), first);
        let batch =
            batch.map_err(|error| SourceError::Line { file, line, what: format!("cannot be read on: {error}") })?;
        first += batch.num_rows() as u64;
        Ok(Box::new(Batch { batch, first: line, layout: Arc::clone(&layout) }) as Box<dyn Piece>)
    })))
}

/// Some rows.
struct Batch {
    batch: RecordBatch,
    /// The number of the first one, from 1.
    first: u64,
    /// The file's name, and its columns.
    layout: Arc<(String, Columns)>,
}

impl Piece for Batch {
    fn size(&self) -> usize {
        self.batch.num_rows()
    }

    fn rows(self: Box<Self>, sink: Sink<'_>) -> Result<()> {
        let (file, columns) = &*self.layout;
        let table = Table::of(&self.batch, columns);
        let table = table.map_err(|what| SourceError::File { file: file.clone(), what })?;
        let mut known = Symbols::default();
        let mut raw = Raw::none();
        for (row, stamp) in table.stamps.into_iter().enumerate() {
            let line = self.first + row as u64;
            let at = |what: String| SourceError::Line { file: file.clone(), line, what };
            raw.line = line;
            raw.datetime_ns = stamp.ok_or_else(|| at("there is no stamp".to_owned()))?;
            raw.contract = known.contract(text(&table.symbols, row), text(&table.underlyings, row)).map_err(at)?;
            raw.day = table.days.get(row).copied().flatten();
            for (value, column) in raw.values.iter_mut().zip(&table.values) {
                *value = column.get(row).copied().unwrap_or(f64::NAN);
            }
            sink(&mut raw)?;
        }
        Ok(())
    }
}

/// The columns of some rows; one that is not there has no rows.
struct Table<'a> {
    stamps: Vec<Option<i64>>,
    symbols: Vec<&'a str>,
    underlyings: Vec<&'a str>,
    days: Vec<Option<Day>>,
    values: Vec<Vec<f64>>,
}

impl<'a> Table<'a> {
    fn of(batch: &'a RecordBatch, columns: &Columns) -> std::result::Result<Self, String> {
        let values = columns.values.iter().map(|column| optional(batch, *column, numbers));
        Ok(Self {
            stamps: stamps(batch.column(columns.stamp))?,
            symbols: optional(batch, columns.symbol, texts)?,
            underlyings: optional(batch, columns.underlying, texts)?,
            days: optional(batch, columns.day, days)?,
            values: values.collect::<std::result::Result<_, _>>()?,
        })
    }
}

/// The column where there is one; nothing otherwise.
fn optional<'a, T>(
    batch: &'a RecordBatch,
    column: Option<usize>,
    read: fn(&str, &'a ArrayRef) -> std::result::Result<Vec<T>, String>,
) -> std::result::Result<Vec<T>, String> {
    column.map_or_else(|| Ok(Vec::new()), |column| read(batch.schema_ref().field(column).name(), batch.column(column)))
}

fn text<'a>(column: &[&'a str], row: usize) -> &'a str {
    column.get(row).copied().unwrap_or_default()
}

/// Nanoseconds since 1970: whole numbers, or a timestamp of any unit.
fn stamps(array: &ArrayRef) -> std::result::Result<Vec<Option<i64>>, String> {
    let scaled = |values: Vec<Option<i64>>, factor: i64| {
        values.into_iter().map(|value| value.and_then(|value| value.checked_mul(factor))).collect()
    };
    match array.data_type() {
        DataType::Int64 => Ok(array.as_primitive::<Int64Type>().iter().collect()),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Ok(array.as_primitive::<TimestampNanosecondType>().iter().collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(scaled(array.as_primitive::<TimestampMicrosecondType>().iter().collect(), 1_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(scaled(array.as_primitive::<TimestampMillisecondType>().iter().collect(), 1_000_000))
        }
        other => Err(format!("the stamp is of type {other}: it should be int64 nanoseconds or a timestamp in UTC")),
    }
}

fn numbers(name: &str, array: &ArrayRef) -> std::result::Result<Vec<f64>, String> {
    macro_rules! of {
        ($type:ty) => {
            array.as_primitive::<$type>().iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Float64 => of!(Float64Type),
        DataType::Float32 => of!(Float32Type),
        DataType::Int64 => of!(Int64Type),
        DataType::Int32 => of!(Int32Type),
        DataType::UInt64 => of!(UInt64Type),
        DataType::UInt32 => of!(UInt32Type),
        DataType::Null => vec![f64::NAN; array.len()],
        other => return Err(format!("the column `{name}` is of type {other}: it should be a number")),
    })
}

fn texts<'a>(name: &str, array: &'a ArrayRef) -> std::result::Result<Vec<&'a str>, String> {
    macro_rules! dictionary {
        ($keys:ty) => {{
            let dictionary = array.as_dictionary::<$keys>();
            let values = texts(name, dictionary.values())?;
            let at = |key: Option<usize>| key.and_then(|key| values.get(key)).copied().unwrap_or_default();
            (0..array.len()).map(|row| at(dictionary.key(row))).collect()
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(Option::unwrap_or_default).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(Option::unwrap_or_default).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(Option::unwrap_or_default).collect(),
        DataType::Dictionary(keys, _) => match **keys {
            DataType::Int8 => dictionary!(Int8Type),
            DataType::Int16 => dictionary!(Int16Type),
            DataType::Int32 => dictionary!(Int32Type),
            DataType::UInt32 => dictionary!(UInt32Type),
            ref other => return Err(format!("the column `{name}` has keys of type {other}: write it as text")),
        },
        other => return Err(format!("the column `{name}` is of type {other}: it should be text")),
    })
}

/// Days: a date, a number such as 20220218, or a text.
fn days(name: &str, array: &ArrayRef) -> std::result::Result<Vec<Option<Day>>, String> {
    let parse = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| format!("column `{name}`: {error}")),
    };
    match array.data_type() {
        DataType::Date32 => Ok(array.as_primitive::<Date32Type>().iter().map(|day| day.map(Day)).collect()),
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().iter();
            values.map(|value| parse(&value.map(|value| value.to_string()).unwrap_or_default())).collect()
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().iter();
            values.map(|value| parse(&value.map(|value| value.to_string()).unwrap_or_default())).collect()
        }
        _ => texts(name, array)?.into_iter().map(parse).collect(),
    }
}
