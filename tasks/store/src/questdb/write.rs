//! Rows over HTTP: while the server takes a request, the next one is being made.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use arrow_array::RecordBatch;
use backon::BlockingRetryable as _;
use questdb::ErrorCode;
use questdb::ingress::{Buffer, ColumnName, Sender, TableName, TimestampMicros};

use super::client::{Client, pauses};
use crate::address::{Login, Server};
use crate::rows::{Value, Values, hashes};
use crate::slice::to_number;
use crate::{Column, Error, LAKE_VERSION, Result, Slice};

/// Rows of a request: fewer cost round trips, more cost memory and gain nothing (measured: the README).
const REQUEST_ROWS: usize = 50_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// Writes the rows of a slice. Each request is acknowledged, and sent again until it is.
///
/// # Errors
/// Where the server refuses, or is away for long.
pub(super) fn rows(client: &Client, slice: &Slice, rows: &RecordBatch, columns: &[Column]) -> Result<()> {
    let failed = |error: questdb::Error| Error::Server { server: client.host().to_owned(), what: error.to_string() };
    let server = client.server();
    let mut sender = connect(server).map_err(failed)?;
    let encoder = Encoder::new(slice, rows, columns)?;
    let (first, second) = (sender.new_buffer(), sender.new_buffer());
    let (full, to_send) = sync_channel::<Buffer>(1);
    let (empty, to_fill) = sync_channel::<Buffer>(2);
    thread::scope(|scope| {
        let flush = scope.spawn(move || {
            for mut buffer in to_send {
                send(server, &mut sender, &buffer)?;
                buffer.clear();
                // Nobody wants it any more at the end.
                let _ = empty.send(buffer);
            }
            Ok(())
        });
        let mut buffers = vec![first, second];
        let mut encoded = Ok(());
        for begin in (0..rows.num_rows()).step_by(REQUEST_ROWS) {
            // The flushing end hangs up where it failed, and says why below.
            let Some(mut buffer) = buffers.pop().or_else(|| to_fill.recv().ok()) else { break };
            encoded = encoder.encode(&mut buffer, begin..(begin + REQUEST_ROWS).min(rows.num_rows()));
            if encoded.is_err() || full.send(buffer).is_err() {
                break;
            }
        }
        drop(full);
        let flushed = flush.join().unwrap_or_else(|_| {
            Err(questdb::Error::new(ErrorCode::SocketError, "the thread that sends ended before its time"))
        });
        flushed.and(encoded).map_err(failed)
    })
}

/// Sends a request until it is acknowledged, or the server has been away for as long as it may.
fn send(server: &Server, sender: &mut Sender, buffer: &Buffer) -> questdb::Result<()> {
    let end = Instant::now() + server.patience;
    let tried = (|| sender.flush_and_keep(buffer)).retry(pauses(server));
    tried.when(|error| may_pass(error) && Instant::now() < end).call()
}

/// It asks the server nothing yet, since the protocol's version is said and not found out; and does not try again by itself, which
/// would be a second deadline within ours.
fn connect(server: &Server) -> questdb::Result<Sender> {
    let Server { scheme, host, login, .. } = server;
    let login = match login {
        Login::None => String::new(),
        Login::Basic { user, password } => format!("username={};password={};", escaped(user), escaped(password)),
        Login::Token(token) => format!("token={};", escaped(token)),
    };
    Sender::from_conf(format!("{scheme}::addr={host};protocol_version=2;retry_timeout=0;{login}"))
}

/// A value of a configuration: a semicolon ends it unless it stands twice.
fn escaped(text: &str) -> String {
    text.replace(';', ";;")
}

/// Whether it may go well another time: the connection broke, or the server could not and does not say that the rows are wrong.
fn may_pass(error: &questdb::Error) -> bool {
    match error.code() {
        ErrorCode::SocketError | ErrorCode::CouldNotResolveAddr => true,
        ErrorCode::ServerFlushError => !error.msg().contains("code: invalid"),
        _ => false,
    }
}

/// Makes requests of rows.
struct Encoder<'a> {
    slice: &'a Slice,
    /// Texts before numbers, as the protocol wants it.
    columns: Vec<(ColumnName<'a>, Values<'a>)>,
    stamps: Option<&'a [i64]>,
    hashes: Vec<u64>,
    variant: bool,
    day: Option<ColumnName<'a>>,
    day_micros: i64,
}

impl<'a> Encoder<'a> {
    fn new(slice: &'a Slice, rows: &'a RecordBatch, columns: &'a [Column]) -> Result<Self> {
        let wrong = |error: questdb::Error| Error::Column { slice: Box::new(slice.clone()), what: error.to_string() };
        let mut named = Vec::with_capacity(columns.len());
        for (column, array) in columns.iter().zip(rows.columns()) {
            if column.name != "symbol" {
                let name = ColumnName::new(&column.name).map_err(wrong)?;
                named.push((name, Values::of(array, column.of)));
            }
        }
        named.sort_by_key(|(_, values)| !matches!(values, Values::Text(_)));
        let day = slice.table.day_column();
        let own = columns.iter().all(|column| column.name != day);
        Ok(Self {
            slice,
            columns: named,
            stamps: crate::rows::stamps(rows),
            hashes: hashes(&slice.symbol, rows)?,
            variant: slice.table.has_variant(),
            day: own.then(|| ColumnName::new(day)).transpose().map_err(wrong)?,
            day_micros: i64::from(slice.day.0) * DAY_MICROS,
        })
    }

    fn encode(&self, buffer: &mut Buffer, rows: std::ops::Range<usize>) -> questdb::Result<()> {
        let table = TableName::new(self.slice.table.name())?;
        let [symbol, lake, version, market, variant, row_hash] =
            ["symbol", "ticks_lake", "lake_version", "market", "variant", "row_hash"].map(ColumnName::new_unchecked);
        for row in rows {
            buffer.table(table)?.symbol(symbol, &self.slice.symbol)?.symbol(lake, self.slice.table.lake())?;
            buffer.symbol(version, LAKE_VERSION)?.symbol(market, &self.slice.market)?;
            if self.variant {
                buffer.symbol(variant, &self.slice.variant)?;
            }
            for (name, values) in &self.columns {
                match values.at(row) {
                    Value::None => continue,
                    Value::Text(text) => buffer.symbol(*name, text),
                    Value::Bool(yes) => buffer.column_bool(*name, yes),
                    Value::Whole(number) => buffer.column_i64(*name, number),
                    Value::Float(number) => buffer.column_f64(*name, number),
                    Value::Day(day) => buffer.column_ts(*name, TimestampMicros::new(i64::from(day) * DAY_MICROS)),
                }?;
            }
            if let Some(day) = self.day {
                buffer.column_ts(day, TimestampMicros::new(self.day_micros))?;
            }
            let hash = self.hashes.get(row).copied().unwrap_or_default();
            buffer.column_i64(row_hash, to_number(hash))?;
            let micros =
                self.stamps.and_then(|stamps| stamps.get(row)).map_or(self.day_micros, |ns| ns.div_euclid(1_000));
            buffer.at(TimestampMicros::new(micros))?;
        }
        Ok(())
    }
}
