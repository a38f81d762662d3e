//! One WebSocket connection: what the client wants to see, and the patches that it has not got yet.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tungstenite::{Message, WebSocket};

use super::Shared;
use super::market::Row;

/// Rows of one patch.
const PATCH: i64 = 500;

/// A window that the client wants to see.
struct Chart {
    contract: String,
    width: i64,
    /// Follows the series.
    live: bool,
    /// The last id of which the client was told.
    told: i64,
}

/// How a connection ends before its time.
#[derive(Clone, Copy)]
enum Fate {
    Breaks,
    Stalls,
}

struct Connection<'a> {
    shared: &'a Shared,
    charts: BTreeMap<String, Chart>,
    quotes: String,
    /// Last ids of the quotes that were sent.
    quoted: BTreeMap<String, i64>,
    /// What the client has of each series.
    known: BTreeMap<String, BTreeSet<i64>>,
    pending: Vec<Value>,
    peeked: bool,
    /// What becomes of it after so many rows.
    doomed: Option<(Fate, usize)>,
    sent: usize,
}

/// Serves a client until one of the two has enough.
pub(super) fn serve(stream: &TcpStream, shared: &Shared) -> anyhow::Result<()> {
    let mut socket = tungstenite::accept(stream.try_clone()?).map_err(|error| anyhow::anyhow!("{error}"))?;
    stream.set_read_timeout(Some(Duration::from_millis(5)))?;
    let doomed = {
        let mut faults = shared.faults();
        let fate = match (faults.drops, faults.stalls) {
            (0, 0) => None,
            (0, _) => Some(Fate::Stalls),
            _ => Some(Fate::Breaks),
        };
        match fate {
            Some(Fate::Breaks) => faults.drops -= 1,
            Some(Fate::Stalls) => faults.stalls -= 1,
            None => {}
        }
        fate.map(|fate| (fate, faults.drop_after))
    };
    let mut connection = Connection {
        shared,
        charts: BTreeMap::new(),
        quotes: String::new(),
        quoted: BTreeMap::new(),
        known: BTreeMap::new(),
        pending: vec![json!({ "mdhis_more_data": false })],
        peeked: false,
        doomed,
        sent: 0,
    };
    while !shared.stopped() {
        match socket.read() {
            Ok(Message::Text(text)) => connection.request(&serde_json::from_str(&text)?),
            Ok(Message::Close(_)) => return Ok(()),
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {}
            Err(error) => return Err(error.into()),
        }
        connection.follow();
        match connection.send(&mut socket)? {
            None => {}
            Some(Fate::Breaks) => return Ok(stream.shutdown(Shutdown::Both)?),
            Some(Fate::Stalls) => {
                while !shared.stopped() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
    Ok(())
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

impl Connection<'_> {
    fn request(&mut self, request: &Value) {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match request.get("aid").and_then(Value::as_str) {
            Some("peek_message") => self.peeked = true,
            Some("subscribe_quote") => {
                self.quotes = text("ins_list");
                self.pending.push(json!({ "ins_list": self.quotes }));
            }
            Some("set_chart") => self.chart(&text("chart_id"), &text("ins_list"), request),
            _ => {}
        }
    }

    /// The id of the last tick of a series that is there now; `None` where there is no such series.
    fn last(&self, contract: &str) -> Option<i64> {
        let rows = self.shared.market.series.get(contract)?;
        Some(self.shared.market.first_id + self.shared.visible(rows.len()) as i64 - 1)
    }

    fn chart(&mut self, id: &str, contract: &str, request: &Value) {
        if contract.is_empty() {
            self.charts.remove(id);
            self.pending.push(json!({ "charts": { id: null } }));
            return;
        }
        self.shared.seen().charts += 1;
        let number = |name: &str| request.get(name).and_then(Value::as_i64);
        let width = number("view_width").unwrap_or(1).clamp(1, 10_000);
        let faults = self.shared.faults().clone();
        self.pending.push(json!({ "charts": { id: { "state": null, "ready": false, "more_data": true } } }));
        let answer = |left: i64, right: i64| {
            json!({ "charts": { id: { "state": request, "left_id": left, "right_id": right, "ready": true, "more_data": false } },
                "mdhis_more_data": false })
        };
        let first = self.shared.market.first_id;
        let Some(last) = self.last(contract).filter(|last| *last >= first) else {
            // Of a contract that it does not know, the service says that there is no tick.
            self.pending.push(json!({ "ticks": { contract: { "last_id": -1, "data": {} } } }));
            self.pending.push(answer(-1, -1));
            return;
        };
        let moment = number("focus_datetime").map(|ns| {
            let focus = self.focus(contract, ns, faults.after_moment);
            focus - number("focus_position").unwrap_or(0)
        });
        let begin = moment.or(number("left_kline_id"));
        let left = begin.unwrap_or(last - width + 1).max(first);
        let right = if faults.open_end { left + width - 1 } else { (left + width - 1).min(last) };
        self.pending.push(json!({ "ticks": { contract: { "last_id": last } } }));
        let mut patches = self.rows(contract, left, right.min(last));
        if faults.shuffled {
            patches.reverse();
        }
        if faults.twice {
            patches = patches.iter().flat_map(|patch| [patch.clone(), patch.clone()]).collect();
        }
        self.pending.extend(patches);
        self.pending.push(answer(left, right));
        let chart = Chart { contract: contract.to_owned(), width, live: begin.is_none(), told: last };
        self.charts.insert(id.to_owned(), chart);
    }

    /// The id of the tick of a moment: the last one that is not after it, or the first one that is not before.
    fn focus(&self, contract: &str, ns: i64, after: bool) -> i64 {
        let rows = self.shared.market.series.get(contract).map_or(&[][..], Vec::as_slice);
        let rows = &rows[..self.shared.visible(rows.len())];
        let before = rows.partition_point(|row| row.datetime_ns < ns) as i64;
        let exact = rows.get(before as usize).is_some_and(|row| row.datetime_ns == ns);
        let index = if after || exact { before } else { (before - 1).max(0) };
        self.shared.market.first_id + index
    }

    /// Patches with the rows of these ids that the client has not got yet.
    fn rows(&mut self, contract: &str, left: i64, right: i64) -> Vec<Value> {
        let faults = self.shared.faults().clone();
        let Some(rows) = self.shared.market.series.get(contract) else { return Vec::new() };
        let known = self.known.entry(contract.to_owned()).or_default();
        let ids: Vec<i64> = (left..=right).filter(|id| known.insert(*id)).collect();
        let patch = |ids: &[i64], part: fn(usize) -> bool| {
            let row = |id: &i64| {
                let row: &Row = &rows[(*id - self.shared.market.first_id) as usize];
                let fields: Map<String, Value> = row
                    .json(faults.texts)
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| part(*at))
                    .map(|(_, pair)| pair)
                    .collect();
                (id.to_string(), Value::Object(fields))
            };
            let data: Map<String, Value> = ids.iter().map(row).collect();
            json!({ "ticks": { contract: { "data": data } } })
        };
        ids.chunks(PATCH as usize)
            .flat_map(|ids| {
                if faults.partial {
                    vec![patch(ids, |at| at % 3 == 0), patch(ids, |at| at % 3 != 0)]
                } else {
                    vec![patch(ids, |_| true)]
                }
            })
            .collect()
    }

    /// What has become visible since the last look.
    fn follow(&mut self) {
        let moved: Vec<(String, String, i64, i64, i64)> = self
            .charts
            .iter()
            .filter(|(_, chart)| chart.live)
            .filter_map(|(id, chart)| {
                let last = self.last(&chart.contract).filter(|last| *last > chart.told)?;
                Some((id.clone(), chart.contract.clone(), chart.told, last, chart.width))
            })
            .collect();
        for (id, contract, told, last, width) in moved {
            let patches = self.rows(&contract, told + 1, last);
            self.pending.extend(patches);
            let left = (last - width + 1).max(self.shared.market.first_id);
            let edges = json!({ "left_id": left, "right_id": last });
            self.pending.push(json!({ "ticks": { contract: { "last_id": last } }, "charts": { id.as_str(): edges } }));
            if let Some(chart) = self.charts.get_mut(&id) {
                chart.told = last;
            }
        }
        let names: Vec<String> = self.quotes.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for name in names {
            let Some(last) = self.last(&name).filter(|last| self.quoted.get(&name) != Some(last)) else { continue };
            let index = (last - self.shared.market.first_id) as usize;
            let Some(row) = self.shared.market.series.get(&name).and_then(|rows| rows.get(index)) else { continue };
            let mut quote = row.json(self.shared.faults().texts);
            quote.insert("datetime".to_owned(), local_text(row.datetime_ns).into());
            quote.insert("instrument_id".to_owned(), name.clone().into());
            self.pending.push(json!({ "quotes": { name.as_str(): quote } }));
            self.quoted.insert(name, last);
        }
    }

    /// Answers a peek, if there is something to say; what becomes of the connection where that is its end.
    fn send(&mut self, socket: &mut WebSocket<TcpStream>) -> anyhow::Result<Option<Fate>> {
        if !self.peeked || self.pending.is_empty() {
            return Ok(None);
        }
        self.peeked = false;
        std::thread::sleep(self.shared.faults().delay);
        let mut patches = std::mem::take(&mut self.pending);
        // As a service may: in two messages, the second at the next peek.
        if patches.len() > 3 {
            self.pending = patches.split_off(patches.len() / 2);
        }
        let rows: usize = patches.iter().map(count).sum();
        self.sent += rows;
        self.shared.seen().rows += rows as u64;
        let text = json!({ "aid": "rtn_data", "data": patches }).to_string();
        if let Some((fate, _)) = self.doomed.filter(|(_, after)| self.sent >= *after) {
            // The head of a frame that is longer than what comes of it (RFC 6455, section 5.2).
            let mut half = vec![0x81, 127];
            half.extend((text.len() as u64).to_be_bytes());
            half.extend(&text.as_bytes()[..text.len() / 2]);
            socket.get_mut().write_all(&half)?;
            return Ok(Some(fate));
        }
        socket.send(Message::text(text))?;
        Ok(None)
    }
}

/// Rows in a patch.
fn count(patch: &Value) -> usize {
    let series = patch.get("ticks").and_then(Value::as_object).into_iter().flat_map(Map::values);
    series.filter_map(|series| series.get("data")?.as_object()).map(Map::len).sum()
}

/// `2024-01-29 09:00:00.500000` in UTC+8, as quotes have it.
fn local_text(ns: i64) -> String {
    let zone = jiff::tz::Offset::constant(8).to_time_zone();
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    stamp.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}
