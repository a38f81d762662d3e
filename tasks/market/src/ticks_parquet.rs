//! Ticks as a Parquet file.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};

use crate::{Day, Error, MainColumns, Result, Ticks, table, value_names};

impl Ticks {
    /// Reads a file that [`Ticks::write`] wrote; the columns of a main series are optional.
    ///
    /// # Errors
    /// Where it is no Parquet file, lacks a column, or holds more than one symbol.
    pub fn read(path: &Path) -> Result<Self> {
        let (batch, _) = table::read(path)?;
        let symbol = symbol(path, &batch)?;
        let days: &Date32Array = table::column(path, &batch, "trading_day")?;
        let stamps: &Int64Array = table::column(path, &batch, "datetime_ns")?;
        let mut ticks = Self {
            symbol,
            trading_day: days.values().iter().map(|day| Day(*day)).collect(),
            datetime_ns: stamps.values().to_vec(),
            main: main_columns(path, &batch)?,
            ..Self::default()
        };
        let names = value_names();
        let columns = names.iter().map(|name| table::read_floats(path, &batch, name)).collect::<Result<Vec<_>>>()?;
        let mut columns = columns.into_iter();
        ticks.for_each_column(|_, column| *column = columns.next().unwrap_or_default());
        Ok(ticks)
    }

    /// Writes the canonical file: `symbol`, `trading_day` (date32), `datetime_ns` (int64), the 26 value columns (double,
    /// null where NaN), and for a main series `underlying_contract`, `segment_id` (int32), `schedule_hash`.
    ///
    /// # Errors
    /// Where the disk refuses, or columns differ in length.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut columns: Vec<(String, bool, ArrayRef)> = vec![
            ("symbol".to_owned(), false, strings(std::iter::repeat_n(self.symbol.as_str(), self.len()))),
            (
                "trading_day".to_owned(),
                false,
                Arc::new(Date32Array::from_iter_values(self.trading_day.iter().map(|day| day.0))),
            ),
            ("datetime_ns".to_owned(), false, Arc::new(Int64Array::from(self.datetime_ns.clone()))),
        ];
        for (name, values) in value_names().into_iter().zip(self.columns()) {
            columns.push((name, true, table::floats(values)));
        }
        if let Some(main) = &self.main {
            columns.push((
                "underlying_contract".to_owned(),
                false,
                strings(main.underlying_contract.iter().map(AsRef::as_ref)),
            ));
            columns.push(("segment_id".to_owned(), false, Arc::new(Int32Array::from(main.segment_id.clone()))));
            columns.push(("schedule_hash".to_owned(), false, strings(main.schedule_hash.iter().map(AsRef::as_ref))));
        }
        let field =
            |(name, nullable, array): &(String, bool, ArrayRef)| Field::new(name, array.data_type().clone(), *nullable);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays)
            .map_err(|error| Error::Table { path: path.to_owned(), what: error.to_string() })?;
        table::write(path, &batch, &[])
    }
}

fn strings<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// The one symbol of all rows.
fn symbol(path: &Path, batch: &RecordBatch) -> Result<String> {
    let symbols: &StringArray = table::column(path, batch, "symbol")?;
    let mut all = symbols.iter().flatten();
    let Some(first) = all.next() else { return Ok(String::new()) };
    match all.find(|other| *other != first) {
        Some(other) => Err(Error::Symbols { symbol: first.to_owned(), other: other.to_owned() }),
        None => Ok(first.to_owned()),
    }
}

fn main_columns(path: &Path, batch: &RecordBatch) -> Result<Option<MainColumns>> {
    if batch.column_by_name("segment_id").is_none() {
        return Ok(None);
    }
    let segments: &Int32Array = table::column(path, batch, "segment_id")?;
    Ok(Some(MainColumns {
        underlying_contract: shared(path, batch, "underlying_contract")?,
        segment_id: segments.values().to_vec(),
        schedule_hash: shared(path, batch, "schedule_hash")?,
    }))
}

/// A column of texts, where equal neighbours share their memory.
fn shared(path: &Path, batch: &RecordBatch, name: &str) -> Result<Vec<Arc<str>>> {
    let array: &StringArray = table::column(path, batch, name)?;
    let mut all: Vec<Arc<str>> = Vec::with_capacity(array.len());
    for text in array.iter().map(Option::unwrap_or_default) {
        match all.last() {
            Some(last) if last.as_ref() == text => all.push(Arc::clone(last)),
            _ => all.push(Arc::from(text)),
        }
    }
    Ok(all)
}
