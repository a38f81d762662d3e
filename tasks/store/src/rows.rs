//! The rows of a slice: their columns, and the hash of each row.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Float64Type, Int8Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use crate::{Column, Digest, Error, Of, Result};

/// A column, ready to be read row by row.
pub(crate) enum Values<'a> {
    Text(&'a StringArray),
    Bool(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Day(&'a PrimitiveArray<Date32Type>),
}

/// One value; none is a missing one.
pub(crate) enum Value<'a> {
    None,
    Text(&'a str),
    Bool(bool),
    Whole(i64),
    Float(f64),
    Day(i32),
}

impl<'a> Values<'a> {
    /// The values of a column of this type.
    pub(crate) fn of(array: &'a ArrayRef, of: Of) -> Self {
        match of {
            Of::Text => Self::Text(array.as_string()),
            Of::Bool => Self::Bool(array.as_boolean()),
            Of::Int8 => Self::Int8(array.as_primitive()),
            Of::Int32 => Self::Int32(array.as_primitive()),
            Of::Int64 => Self::Int64(array.as_primitive()),
            Of::Float64 => Self::Float64(array.as_primitive()),
            Of::Day => Self::Day(array.as_primitive()),
        }
    }

    pub(crate) fn at(&self, row: usize) -> Value<'a> {
        let missing = match self {
            Self::Text(array) => array.is_null(row),
            Self::Bool(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Int32(array) => array.is_null(row),
            Self::Int64(array) => array.is_null(row),
            Self::Float64(array) => array.is_null(row) || array.value(row).is_nan(),
            Self::Day(array) => array.is_null(row),
        };
        if missing {
            return Value::None;
        }
        match self {
            Self::Text(array) => Value::Text(array.value(row)),
            Self::Bool(array) => Value::Bool(array.value(row)),
            Self::Int8(array) => Value::Whole(array.value(row).into()),
            Self::Int32(array) => Value::Whole(array.value(row).into()),
            Self::Int64(array) => Value::Whole(array.value(row)),
            Self::Float64(array) => Value::Float(array.value(row)),
            Self::Day(array) => Value::Day(array.value(row)),
        }
    }
}

/// The columns of rows.
///
/// # Errors
/// Where one is of a type that no slice has.
pub fn columns(rows: &RecordBatch) -> Result<Vec<Column>> {
    rows.schema().fields().iter().map(|field| column(field)).collect()
}

fn column(field: &Field) -> Result<Column> {
    let of = match field.data_type() {
        DataType::Utf8 => Of::Text,
        DataType::Boolean => Of::Bool,
        DataType::Int8 => Of::Int8,
        DataType::Int32 => Of::Int32,
        DataType::Int64 => Of::Int64,
        DataType::Float64 => Of::Float64,
        DataType::Date32 => Of::Day,
        other => {
            return Err(Error::Rows(format!("the column `{}` is of type {other}, which no table has", field.name())));
        }
    };
    Ok(Column { name: field.name().clone(), of, nullable: field.is_nullable() })
}

/// The Arrow schema of columns.
pub(crate) fn schema(columns: &[Column]) -> Schema {
    let data_type = |of| match of {
        Of::Text => DataType::Utf8,
        Of::Bool => DataType::Boolean,
        Of::Int8 => DataType::Int8,
        Of::Int32 => DataType::Int32,
        Of::Int64 => DataType::Int64,
        Of::Float64 => DataType::Float64,
        Of::Day => DataType::Date32,
    };
    Schema::new(columns.iter().map(|c| Field::new(&c.name, data_type(c.of), c.nullable)).collect::<Vec<_>>())
}

/// The hash of each row: the first eight bytes, little endian, of the BLAKE3 hash of `symbol ‖ 0 ‖` the values in the order of
/// the columns, without the column `symbol`. Numbers are little endian in their width (`int8` in four bytes), days are days
/// since 1970 in four bytes; a missing double is `7ff8000000000000`, and −0 is 0; a missing whole number is the smallest of its
/// width; a text is its length in four bytes and its bytes, a missing one the length `ffffffff`; yes is 1, no is 0, missing is 2.
///
/// For ticks of a contract this is [`ghtrader_market::row_hash`].
///
/// # Errors
/// As [`columns`].
pub fn hashes(symbol: &str, rows: &RecordBatch) -> Result<Vec<u64>> {
    let columns = columns(rows)?;
    let counted = columns.iter().zip(rows.columns()).filter(|(column, _)| column.name != "symbol");
    let values: Vec<(Of, Values<'_>)> =
        counted.map(|(column, array)| (column.of, Values::of(array, column.of))).collect();
    let mut bytes = Vec::new();
    let hash = |row| {
        bytes.clear();
        bytes.extend_from_slice(symbol.as_bytes());
        bytes.push(0);
        values.iter().for_each(|(of, values)| put(&mut bytes, *of, &values.at(row)));
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
        u64::from_le_bytes(first)
    };
    Ok((0..rows.num_rows()).map(hash).collect())
}

fn put(bytes: &mut Vec<u8>, of: Of, value: &Value<'_>) {
    match (of, value) {
        (_, Value::Text(text)) => {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        (_, Value::Bool(yes)) => bytes.push(u8::from(*yes)),
        (Of::Int64, Value::Whole(number)) => bytes.extend_from_slice(&number.to_le_bytes()),
        // The column's type says that it fits.
        (_, Value::Whole(number)) => bytes.extend_from_slice(&i32::try_from(*number).unwrap_or(i32::MIN).to_le_bytes()),
        (_, Value::Float(number)) => bytes.extend_from_slice(&(number + 0.0).to_bits().to_le_bytes()),
        (_, Value::Day(day)) => bytes.extend_from_slice(&day.to_le_bytes()),
        (Of::Text, Value::None) => bytes.extend_from_slice(&u32::MAX.to_le_bytes()),
        (Of::Bool, Value::None) => bytes.push(2),
        (Of::Int64, Value::None) => bytes.extend_from_slice(&i64::MIN.to_le_bytes()),
        (Of::Float64, Value::None) => bytes.extend_from_slice(&0x7ff8_0000_0000_0000_u64.to_le_bytes()),
        (Of::Int8 | Of::Int32 | Of::Day, Value::None) => bytes.extend_from_slice(&i32::MIN.to_le_bytes()),
    }
}

/// The content of rows.
///
/// # Errors
/// As [`columns`].
pub fn digest(symbol: &str, rows: &RecordBatch) -> Result<Digest> {
    Ok(Digest::of(hashes(symbol, rows)?))
}

/// Whether two tables hold the same bits.
pub(crate) fn same(one: &RecordBatch, other: &RecordBatch) -> bool {
    one.schema().fields() == other.schema().fields() && one.columns() == other.columns()
}

/// The stamps of rows, UTC nanoseconds; nothing where they have none.
pub(crate) fn stamps(rows: &RecordBatch) -> Option<&[i64]> {
    let column = rows.column_by_name("datetime_ns")?;
    column.as_primitive_opt::<Int64Type>().map(|stamps| &stamps.values()[..])
}
