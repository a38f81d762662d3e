//! A store that is a QuestDB server.
//!
//! | module | |
//! |---|---|
//! | [`client`] | questions over HTTP, tried again while the server is away |
//! | [`schema`] | tables and columns: made where they are missing, compared where they are there |
//! | [`write`] | rows over HTTP, acknowledged by request |
//!
//! What it is built on was measured and tried with 9.3.4 (see the README): a request is committed as a whole; an answer says
//! that it lies in the write-ahead log, and a question sees it once the log is applied; keys make a row that comes twice one.

mod client;
mod schema;
mod write;

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use bytes::Bytes;
use ghtrader_market::Day;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::address::Server;
use crate::rows::{columns, digest, same, schema as arrow_schema, stamps};
use crate::{Column, Digest, Error, LAKE_VERSION, Of, Result, Slice, Store, Table};
use client::Client;

/// A QuestDB server.
pub struct QuestDb {
    client: Client,
}

impl QuestDb {
    /// The server is not asked before it is needed.
    pub(crate) fn new(server: Server) -> Self {
        Self { client: Client::new(server) }
    }

    /// Rows of the slice that are none of these: they get another `lake_version`, since QuestDB does not delete rows.
    fn put_away(&self, slice: &Slice, rows: &RecordBatch) -> Result<()> {
        // What is under a stamp that none of our rows has. A table without `datetime_ns` has one row for a day.
        if !slice.table.by_stamp() {
            return self.replace(slice, &format!(" AND ts != '{}T00:00:00.000000Z'", slice.day));
        }
        self.replace(slice, " AND (datetime_ns = null OR ts != cast(datetime_ns / 1000 AS TIMESTAMP))")?;
        let there = self.read(slice, &[Column { name: "datetime_ns".to_owned(), of: Of::Int64, nullable: true }])?;
        let ours: BTreeSet<i64> = stamps(rows).unwrap_or_default().iter().copied().collect();
        let strange: Vec<i64> =
            stamps(&there).unwrap_or_default().iter().copied().filter(|stamp| !ours.contains(stamp)).collect();
        // As many stamps as an address holds.
        for stamps in strange.chunks(256) {
            let list = stamps.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
            self.replace(slice, &format!(" AND datetime_ns IN ({list})"))?;
        }
        Ok(())
    }

    /// Gives rows of the slice another `lake_version`, and waits until that is seen.
    fn replace(&self, slice: &Slice, which: &str) -> Result<()> {
        let (name, condition) = (slice.table.name(), self.condition(slice));
        let query = format!("UPDATE {name} SET lake_version = '{LAKE_VERSION} replaced' WHERE {condition}{which}");
        self.client.execute(&query)?;
        self.client.applied(name)
    }

    /// Which rows are the slice's.
    fn condition(&self, slice: &Slice) -> String {
        let Slice { table, market, symbol, day, variant } = slice;
        // Which partitions to look into: ticks of a day lie within its evening before and its close, whatever holidays are
        // between; a label may have waited as long as its contract was not traded.
        let before = if *table == Table::Labels { 400 } else { 30 };
        let mut parts = vec![
            format!("ts BETWEEN '{}T00:00:00Z' AND '{}T23:59:59.999999Z'", day.plus(-before), day.plus(2)),
            format!("symbol = {}", quoted(symbol)),
            format!("market = {}", quoted(market)),
            format!("lake_version = '{LAKE_VERSION}'"),
            format!("{} = '{day}'", table.day_column()),
        ];
        if table.has_variant() {
            parts.push(format!("variant = {}", quoted(variant)));
        }
        parts.join(" AND ")
    }

    /// Columns of the slice's rows.
    fn read(&self, slice: &Slice, wanted: &[Column]) -> Result<RecordBatch> {
        let names: Vec<String> = wanted.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let order = if slice.table.by_stamp() { " ORDER BY datetime_ns" } else { "" };
        let query =
            format!("SELECT {} FROM {} WHERE {}{order}", names.join(", "), slice.table.name(), self.condition(slice));
        let bytes = self.client.parquet(&query)?;
        let wrong = |what: String| Error::Server { server: self.client.host().to_owned(), what };
        let batch = parse(bytes).map_err(wrong)?;
        let mut arrays = Vec::with_capacity(wanted.len());
        for column in wanted {
            let array =
                batch.column_by_name(&column.name).ok_or_else(|| wrong(format!("no column {}", column.name)))?;
            arrays.push(schema::restore(array, column).map_err(wrong)?);
        }
        let rows = RecordBatch::try_new(std::sync::Arc::new(arrow_schema(wanted)), arrays);
        rows.map_err(|error| Error::Column { slice: Box::new(slice.clone()), what: error.to_string() })
    }
}

impl Store for QuestDb {
    fn write(&self, slice: &Slice, rows: &RecordBatch) -> Result<()> {
        let wanted = columns(rows)?;
        schema::check(slice, rows, &wanted)?;
        schema::ensure(&self.client, slice.table, &wanted)?;
        write::rows(&self.client, slice, rows, &wanted)
    }

    fn put(&self, slice: &Slice, rows: &RecordBatch) -> Result<RecordBatch> {
        let wanted = columns(rows)?;
        schema::check(slice, rows, &wanted)?;
        schema::ensure(&self.client, slice.table, &wanted)?;
        let expected = digest(&slice.symbol, rows)?;
        self.client.applied(slice.table.name())?;
        if self.digest(slice)? == expected
            && let Some(there) = self.get(slice, &wanted)?.filter(|there| same(there, rows))
        {
            return Ok(there);
        }
        write::rows(&self.client, slice, rows, &wanted)?;
        self.client.applied(slice.table.name())?;
        if self.digest(slice)?.rows > expected.rows {
            self.put_away(slice, rows)?;
        }
        let there = self.get(slice, &wanted)?.filter(|there| same(there, rows));
        there.ok_or_else(|| Error::Differs(Box::new(slice.clone())))
    }

    fn get(&self, slice: &Slice, wanted: &[Column]) -> Result<Option<RecordBatch>> {
        if let Some(what) = schema::lacks(&self.client, slice.table, wanted)? {
            return match what {
                schema::Lack::Table => Ok(None),
                schema::Lack::Column(name) => {
                    let what = format!("the table has no column `{name}` any more");
                    Err(Error::Column { slice: Box::new(slice.clone()), what })
                }
            };
        }
        let rows = self.read(slice, wanted)?;
        Ok((rows.num_rows() > 0).then_some(rows))
    }

    fn remove(&self, slice: &Slice) -> Result<()> {
        let name = slice.table.name();
        if !schema::exists(&self.client, slice.table)? {
            return Ok(());
        }
        self.client.applied(name)?;
        if self.digest(slice)?.rows > 0 {
            self.replace(slice, "")?;
        }
        match self.digest(slice)?.rows {
            0 => Ok(()),
            _ => Err(Error::Differs(Box::new(slice.clone()))),
        }
    }

    fn owned(&self, table: Table, market: &str, owner: &str) -> Result<BTreeSet<(String, Day)>> {
        let Some(column) = table.owner_column() else { return Ok(BTreeSet::new()) };
        let known = Column { name: column.to_owned(), of: Of::Text, nullable: false };
        if schema::lacks(&self.client, table, &[known])?.is_some() {
            return Ok(BTreeSet::new());
        }
        let name = table.name();
        self.client.applied(name)?;
        let query = format!(
            "SELECT symbol, {} FROM {name} WHERE market = {} AND {column} = {} AND lake_version = '{LAKE_VERSION}'",
            table.day_column(),
            quoted(market),
            quoted(owner)
        );
        let answer = self.client.ask(&query)?;
        let wrong = |row: &Value| {
            let what = format!("{row} is no symbol and day of {name}");
            Error::Server { server: self.client.host().to_owned(), what }
        };
        let slice = |row: &Value| {
            let text = |place: usize| row.get(place).and_then(Value::as_str);
            // The server writes a day as 2022-02-18T00:00:00.000000Z.
            let day = text(1).and_then(|stamp| stamp.get(..10)?.parse().ok());
            Ok((text(0).ok_or_else(|| wrong(row))?.to_owned(), day.ok_or_else(|| wrong(row))?))
        };
        answer.get("dataset").and_then(Value::as_array).into_iter().flatten().map(slice).collect()
    }

    fn digest(&self, slice: &Slice) -> Result<Digest> {
        if !schema::exists(&self.client, slice.table)? {
            return Ok(Digest::of([]));
        }
        let name = slice.table.name();
        let condition = self.condition(slice);
        let query =
            format!("SELECT count(), min(row_hash), max(row_hash), sum(row_hash) FROM {name} WHERE {condition}");
        let answer = self.client.ask(&query)?;
        let number = |column: usize| answer.pointer(&format!("/dataset/0/{column}")).and_then(Value::as_i64);
        let rows = number(0).unwrap_or_default().cast_unsigned();
        if rows == 0 {
            return Ok(Digest::of([]));
        }
        // What it shows as null is the smallest number.
        Ok(Digest::from_numbers(rows, [1, 2, 3].map(|column| number(column).unwrap_or(i64::MIN))))
    }
}

/// A text in a query.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table that the server gave.
fn parse(bytes: Bytes) -> std::result::Result<RecordBatch, String> {
    let broken = |error: &dyn std::fmt::Display| format!("it sent no Parquet file that can be read: {error}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| broken(&error))?;
    let schema = builder.schema().clone();
    let mut reader = builder.with_batch_size(usize::MAX).build().map_err(|error| broken(&error))?;
    let batch = reader.next().transpose().map_err(|error| broken(&error))?;
    Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted("a'b"), "'a''b'");
    }

    #[test]
    fn what_is_no_parquet_file_is_said() {
        assert!(parse(Bytes::from_static(b"{}")).is_err());
    }
}
