//! Tables and columns. ILP makes a column that it does not know without a word, and a table without keys too: so both are made
//! here, and compared, before anything is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array as _, ArrayRef, BooleanArray, Date32Array, Int8Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;

use super::client::Client;
use crate::rows::stamps;
use crate::{Column, Error, Of, Result, Slice, Table};

const DAY_MILLIS: i64 = 86_400_000;

/// The columns that say which slice a row belongs to: name and type, in their order.
pub(super) fn keys(table: Table) -> Vec<(&'static str, &'static str)> {
    let mut keys =
        vec![("symbol", "SYMBOL"), ("ticks_lake", "SYMBOL"), ("lake_version", "SYMBOL"), ("market", "SYMBOL")];
    if table.has_variant() {
        keys.push(("variant", "SYMBOL"));
    }
    keys.push((table.day_column(), "DATE"));
    if table.by_stamp() {
        keys.push(("datetime_ns", "LONG"));
    }
    keys
}

/// The type of a column on the server.
fn of(column: &Column) -> &'static str {
    match column.of {
        Of::Text => "SYMBOL",
        Of::Bool => "BOOLEAN",
        Of::Int8 | Of::Int32 => "INT",
        Of::Int64 => "LONG",
        Of::Float64 => "DOUBLE",
        Of::Day => "DATE",
    }
}

/// Whether rows can be a slice.
pub(super) fn check(slice: &Slice, rows: &RecordBatch, columns: &[Column]) -> Result<()> {
    let wrong = |what: String| Err(Error::Column { slice: Box::new(slice.clone()), what });
    for column in columns {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if column.name.is_empty() || !column.name.chars().all(letters) {
            return wrong(format!(
                "the column `{}` has a name that QuestDB does not take: use letters, digits and _",
                column.name
            ));
        }
        if matches!(column.name.as_str(), "ts" | "row_hash" | "ticks_lake" | "lake_version" | "market" | "variant") {
            return wrong(format!("the column `{}` has a name that every table has already", column.name));
        }
        if column.of == Of::Bool && column.nullable {
            return wrong(format!("the column `{}` may be neither yes nor no, which QuestDB cannot say", column.name));
        }
    }
    match (slice.table.by_stamp(), stamps(rows)) {
        (true, None) => wrong("there is no column `datetime_ns`".to_owned()),
        (true, Some(stamps)) if stamps.windows(2).any(|pair| pair[0] >= pair[1]) => {
            wrong("the stamps do not ascend: each makes a row".to_owned())
        }
        (false, _) if rows.num_rows() > 1 => wrong("there are several rows for one day".to_owned()),
        _ => Ok(()),
    }
}

/// Makes the table and its columns where they are missing.
pub(super) fn ensure(client: &Client, table: Table, columns: &[Column]) -> Result<()> {
    let (name, keys) = (table.name(), keys(table));
    let wrong = |what: String| Error::Table { server: client.host().to_owned(), table: name, what };
    let known = match there(client, table)? {
        Some(known) => known,
        None => {
            // With all its columns at once: each that is added later is a change of its own to the table.
            let own = columns.iter().filter(|column| !is_key(table, &column.name));
            let own = own.map(|column| format!("\"{}\" {}", column.name, of(column)));
            let listed: Vec<String> = keys.iter().map(|(key, of)| format!("{key} {of}")).chain(own).collect();
            let unique: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
            let partition = if table.by_stamp() { "DAY" } else { "YEAR" };
            client.execute(&format!(
                "CREATE TABLE IF NOT EXISTS {name} (ts TIMESTAMP, {}, row_hash LONG) TIMESTAMP(ts) PARTITION BY {partition} WAL \
                 DEDUP UPSERT KEYS(ts, {})",
                listed.join(", "),
                unique.join(", ")
            ))?;
            there(client, table)?.ok_or_else(|| {
                wrong(
                    "is made, and the server does not show it; was it killed while columns were added? Drop the table"
                        .to_owned(),
                )
            })?
        }
    };
    for (key, of) in keys {
        match known.get(key) {
            Some(found) if found.of == of && found.key => {}
            Some(found) if found.of == of => {
                return Err(wrong(format!(
                    "the column `{key}` is not one of its keys, so rows would come twice: somebody else made this table; rename it, \
                     and it is made anew"
                )));
            }
            found => {
                return Err(wrong(format!(
                    "the column `{key}` should be {of} and is {}: somebody else made this table, or an earlier version; rename it, \
                     and it is made anew",
                    shown(found)
                )));
            }
        }
    }
    for column in columns.iter().filter(|column| !is_key(table, &column.name)) {
        let of = of(column);
        match known.get(&column.name.to_ascii_lowercase()) {
            Some(found) if found.of == of => {}
            None => {
                let added =
                    client.execute(&format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS \"{}\" {of}", column.name));
                added.map_err(|error| match error {
                    // QuestDB's issue 7110: killed while a column was added, 9.3.4 takes rows but no more columns.
                    Error::Server { what, .. } if what.contains("corruption in transaction metadata") => wrong(format!(
                        "takes no column `{}` ({what}): the server was killed while a column was added. Its rows are whole: rename \
                         the table, and it is made anew and filled again",
                        column.name
                    )),
                    error => error,
                })?;
            }
            found => {
                return Err(wrong(format!(
                    "the column `{}` should be {of} and is {}; rename that column, or the table",
                    column.name,
                    shown(found)
                )));
            }
        }
    }
    Ok(())
}

/// Whether a column says which slice a row belongs to.
pub(super) fn is_key(table: Table, column: &str) -> bool {
    keys(table).iter().any(|(key, _)| *key == column)
}

fn shown(found: Option<&Found>) -> &str {
    found.map_or("missing", |found| found.of.as_str())
}

/// A column of the server's.
struct Found {
    of: String,
    key: bool,
}

/// The columns that a table has, by their names in lower case, since the server's names do not tell cases apart.
fn there(client: &Client, table: Table) -> Result<Option<BTreeMap<String, Found>>> {
    let name = table.name();
    let answer = client.ask(&format!("SELECT \"column\", type, upsertKey FROM table_columns('{name}')"));
    let answer = match answer {
        Err(Error::Server { what, .. }) if what.contains("table does not exist") => return Ok(None),
        answer => answer?,
    };
    let rows = answer.get("dataset").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |row: &Value, place: usize| row.get(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let found = |row: &Value| Found { of: text(row, 1), key: row.get(2).and_then(Value::as_bool) == Some(true) };
    let known: BTreeMap<String, Found> =
        rows.iter().map(|row| (text(row, 0).to_ascii_lowercase(), found(row))).collect();
    Ok((!known.is_empty()).then_some(known))
}

/// Whether there is such a table.
pub(super) fn exists(client: &Client, table: Table) -> Result<bool> {
    Ok(there(client, table)?.is_some())
}

/// What the server does not have.
pub(super) enum Lack {
    Table,
    Column(String),
}

/// What is missing of a table with these columns.
pub(super) fn lacks(client: &Client, table: Table, columns: &[Column]) -> Result<Option<Lack>> {
    let Some(known) = there(client, table)? else { return Ok(Some(Lack::Table)) };
    let missing = columns.iter().find(|column| !known.contains_key(&column.name.to_ascii_lowercase()));
    Ok(missing.map(|column| Lack::Column(column.name.clone())))
}

/// A column as the server gives it, as it was before.
pub(super) fn restore(array: &ArrayRef, column: &Column) -> std::result::Result<ArrayRef, String> {
    let wrong = || format!("the column `{}` comes as {}", column.name, array.data_type());
    let days = |millis: Vec<Option<i64>>| -> ArrayRef {
        let day = |millis: i64| i32::try_from(millis.div_euclid(DAY_MILLIS)).ok();
        Arc::new(Date32Array::from_iter(millis.into_iter().map(|value| value.and_then(day))))
    };
    Ok(match (column.of, array.data_type()) {
        (Of::Text, DataType::Utf8)
        | (Of::Int32, DataType::Int32)
        | (Of::Int64, DataType::Int64)
        | (Of::Float64, DataType::Float64) => Arc::clone(array),
        (Of::Bool, DataType::Boolean) => {
            Arc::new(BooleanArray::from_iter(array.as_boolean().iter().map(|value| Some(value.unwrap_or_default()))))
        }
        (Of::Int8, DataType::Int32) => {
            let narrow = |value: Option<i32>| value.and_then(|value| i8::try_from(value).ok());
            Arc::new(Int8Array::from_iter(array.as_primitive::<Int32Type>().iter().map(narrow)))
        }
        (Of::Day, DataType::Timestamp(TimeUnit::Millisecond, _)) => {
            days(array.as_primitive::<TimestampMillisecondType>().iter().collect())
        }
        (Of::Day, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().iter();
            days(micros.map(|value| value.map(|value| value.div_euclid(1_000))).collect())
        }
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_keys_that_tell_its_rows_apart() {
        for table in Table::ALL {
            let keys = keys(table);
            assert!(keys.iter().any(|(key, _)| *key == table.day_column()), "{table:?}");
            assert_eq!(keys.iter().any(|(key, _)| *key == "datetime_ns"), table.by_stamp(), "{table:?}");
        }
    }
}
