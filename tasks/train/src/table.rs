//! A Parquet file as plain columns, and back: the few types that features, labels and predictions are made of.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Int8Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use ghtrader_kit::Result;
use ghtrader_market::{Day, table};

/// A file's columns; a file is small enough to be held whole.
pub struct Table {
    path: PathBuf,
    batch: RecordBatch,
    metadata: Vec<(String, String)>,
}

impl Table {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Where it is not there or is no Parquet file.
    pub fn read(path: &Path) -> Result<Self> {
        let (batch, metadata) = table::read(path)?;
        Ok(Self { path: path.to_owned(), batch, metadata })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Names of the columns of 64-bit floats, in the file's order.
    pub fn f64_columns(&self) -> Vec<String> {
        let schema = self.batch.schema();
        let floats = schema.fields().iter().filter(|field| field.data_type() == &DataType::Float64);
        floats.map(|field| field.name().clone()).collect()
    }

    /// The value of a key of the file's own metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// A column of 64-bit floats; NaN for null.
    ///
    /// # Errors
    /// Where there is no such column of this type.
    pub fn f64(&self, name: &str) -> Result<Vec<f64>> {
        Ok(table::read_floats(&self.path, &self.batch, name)?)
    }

    /// A column of 64-bit integers; 0 for null.
    ///
    /// # Errors
    /// As for [`Table::f64`].
    pub fn i64(&self, name: &str) -> Result<Vec<i64>> {
        self.column(name, |array| {
            Some(array.as_primitive_opt::<Int64Type>()?.iter().map(Option::unwrap_or_default).collect())
        })
    }

    /// A column of 32-bit integers or of dates (days since 1970-01-01), without nulls.
    ///
    /// # Errors
    /// As for [`Table::f64`], and where a value is null.
    pub fn i32(&self, name: &str) -> Result<Vec<i32>> {
        self.column(name, |array| match array.data_type() {
            DataType::Date32 => array.as_primitive_opt::<Date32Type>()?.iter().collect(),
            _ => array.as_primitive_opt::<Int32Type>()?.iter().collect(),
        })
    }

    /// A column of 8-bit integers.
    ///
    /// # Errors
    /// As for [`Table::f64`].
    pub fn optional_i8(&self, name: &str) -> Result<Vec<Option<i8>>> {
        self.column(name, |array| Some(array.as_primitive_opt::<Int8Type>()?.iter().collect()))
    }

    fn column<T>(&self, name: &str, values: impl Fn(&ArrayRef) -> Option<Vec<T>>) -> Result<Vec<T>> {
        let file = self.path.display();
        let array = self.batch.column_by_name(name).with_context(|| format!("{file} has no column `{name}`"))?;
        values(array).with_context(|| format!("{file}: column `{name}` is not of the expected type, or has nulls"))
    }
}

/// Writes columns of equal length as one Parquet file, with the workspace's fixed settings.
///
/// # Errors
/// Where lengths differ or the file cannot be written.
pub fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
    let length = columns.first().map_or(0, |(_, array)| array.len());
    ensure!(columns.iter().all(|(_, array)| array.len() == length), "columns of different lengths");
    Ok(table::write(path, &RecordBatch::try_from_iter(columns)?, &[])?)
}

/// A day (in days since 1970-01-01) as `2022-02-18`.
pub fn day_text(day: i32) -> String {
    Day(day).to_string()
}
