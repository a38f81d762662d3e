//! Parquet files, as pandas, polars or arrow write them.

use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use ghtrader_kit::Result;
use ghtrader_market::{Day, TicksSpec, VALUES, table};

use super::Sink;
use super::columns::{Columns, Symbols};
use crate::{Raw, SourceError};

/// Reads a Parquet file.
pub(crate) fn read(file: &str, path: &Path, spec: &TicksSpec, sink: Sink<'_>) -> Result<()> {
    let (batch, _) = table::read(path)?;
    let whole = |what: String| SourceError::File { file: file.to_owned(), what };
    let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let columns = Columns::of(&names, spec).map_err(whole)?;
    let stamps = stamps(batch.column(columns.stamp)).map_err(whole)?;
    let symbols = optional(&batch, columns.symbol, texts).map_err(whole)?;
    let underlyings = optional(&batch, columns.underlying, texts).map_err(whole)?;
    let days = optional(&batch, columns.day, days).map_err(whole)?;
    let mut values = Vec::with_capacity(VALUES);
    for column in columns.values {
        values.push(optional(&batch, column, numbers).map_err(whole)?);
    }
    let mut known = Symbols::default();
    for (row, stamp) in stamps.into_iter().enumerate() {
        let line = row as u64 + 1;
        let at = |what: String| SourceError::Line { file: file.to_owned(), line, what };
        let datetime_ns = stamp.ok_or_else(|| at("there is no stamp".to_owned()))?;
        let contract = known.contract(text(&symbols, row), text(&underlyings, row)).map_err(at)?;
        let day = days.get(row).copied().flatten();
        let values = std::array::from_fn(|column| values[column].get(row).copied().unwrap_or(f64::NAN));
        sink(Raw { line, contract, day, datetime_ns, values })?;
    }
    Ok(())
}

/// The column where there is one; nothing otherwise.
fn optional<T>(
    batch: &RecordBatch,
    column: Option<usize>,
    read: fn(&str, &ArrayRef) -> std::result::Result<Vec<T>, String>,
) -> std::result::Result<Vec<T>, String> {
    column.map_or_else(|| Ok(Vec::new()), |column| read(batch.schema().field(column).name(), batch.column(column)))
}

fn text(column: &[String], row: usize) -> &str {
    column.get(row).map_or("", String::as_str)
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

fn texts(name: &str, array: &ArrayRef) -> std::result::Result<Vec<String>, String> {
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    macro_rules! dictionary {
        ($keys:ty) => {{
            let dictionary = array.as_dictionary::<$keys>();
            let values = texts(name, dictionary.values())?;
            let at = |key: Option<usize>| key.and_then(|key| values.get(key)).cloned().unwrap_or_default();
            (0..array.len()).map(|row| at(dictionary.key(row))).collect()
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(owned).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(owned).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(owned).collect(),
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
    let parse = |text: String| match text.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error| format!("column `{name}`: {error}")),
    };
    match array.data_type() {
        DataType::Date32 => Ok(array.as_primitive::<Date32Type>().iter().map(|day| day.map(Day)).collect()),
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().iter();
            values.map(|value| parse(value.map(|value| value.to_string()).unwrap_or_default())).collect()
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().iter();
            values.map(|value| parse(value.map(|value| value.to_string()).unwrap_or_default())).collect()
        }
        _ => texts(name, array)?.into_iter().map(parse).collect(),
    }
}
