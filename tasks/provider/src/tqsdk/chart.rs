//! Charts: windows of a tick series, from which history is read page by page, and which follow it live.
//!
//! A chart is asked for with `set_chart`: `view_width` rows of `ins_list` with `duration` 0 (ticks), which begin at the
//! tick of a moment (`focus_datetime`, `focus_position` 0) or at an id (`left_kline_id`), or, with neither, are the last
//! ones and follow the series. The answer is in the tree: `charts.ID.state` repeats the request, `ready` says that all is
//! there, `left_id` and `right_id` are its ends; `ticks.SYMBOL` has `last_id` (−1: no tick at all) and `data` by id.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::session::Session;
use super::tick::tick;
use super::tree::integer;
use crate::{Event, Follow, LiveSink, Result, Sink, Window};

/// Rows of a page, as the public client asks for them.
const PAGE: i64 = 2_000;
/// The newest tick of a series is handed over when nothing has been added to it for so long: its values may come in parts.
const SETTLED: Duration = Duration::from_millis(500);
/// A tick that is not there while later ones are is waited for so long.
const LACKING: Duration = Duration::from_secs(10);
/// Of a series that is followed live, so many rows stay in memory behind those that were handed over.
const KEPT: i64 = 16;

/// Where a window begins.
#[derive(Clone, Copy)]
enum Begin {
    /// At the tick of a moment, or next to it: which side differs.
    Moment(i64),
    /// At an id.
    Id(i64),
    /// So that it ends with the last tick, and follows.
    Live,
}

/// A chart that is there.
#[derive(Clone, Copy)]
struct Chart {
    left: i64,
    right: i64,
    /// −1: the series has no tick.
    last: i64,
}

fn request(id: &str, contract: &str, begin: Begin) -> Value {
    let mut request =
        json!({ "aid": "set_chart", "chart_id": id, "ins_list": contract, "duration": 0, "view_width": PAGE });
    match begin {
        Begin::Moment(ns) => {
            request["focus_datetime"] = ns.into();
            request["focus_position"] = 0.into();
        }
        Begin::Id(id) => request["left_kline_id"] = id.into(),
        Begin::Live => {}
    }
    request
}

fn release(session: &mut Session, id: &str) -> Result<()> {
    session.send(&json!({ "aid": "set_chart", "chart_id": id, "ins_list": "", "duration": 0, "view_width": PAGE }))
}

/// The rows of a series: `ticks.SYMBOL`.
fn series<'a>(tree: &'a Value, contract: &str) -> &'a Value {
    tree.get("ticks").and_then(|ticks| ticks.get(contract)).unwrap_or(&Value::Null)
}

fn row<'a>(tree: &'a Value, contract: &str, id: i64) -> Option<&'a Value> {
    series(tree, contract).get("data")?.get(id.to_string())
}

fn last_id(tree: &Value, contract: &str) -> i64 {
    series(tree, contract).get("last_id").and_then(integer).unwrap_or(-1)
}

/// The chart that answers a request, once it is ready; `complete`: and all its rows are there.
fn answer(tree: &Value, request: &Value, complete: bool) -> Option<Chart> {
    let chart = tree.get("charts")?.get(request.get("chart_id")?.as_str()?)?;
    let state = chart.get("state")?;
    let answered = request.as_object()?.iter().all(|(name, value)| state.get(name) == Some(value));
    if !answered || chart.get("ready") != Some(&Value::Bool(true)) {
        return None;
    }
    let contract = request.get("ins_list")?.as_str()?;
    let edge = |name: &str| chart.get(name).and_then(integer).unwrap_or(-1);
    let found = Chart { left: edge("left_id"), right: edge("right_id"), last: last_id(tree, contract) };
    let mut rows = found.left.max(0)..=found.right.min(found.last);
    let there = |id| row(tree, contract, id).is_some_and(|row| row.get("datetime").is_some());
    (!complete || found.last < 0 || rows.all(there)).then_some(found)
}

/// Hands over the ticks of a window.
pub(super) fn history(session: &mut Session, window: &Window, sink: Sink<'_>) -> Result<()> {
    let begin = window.after.map_or(Begin::Moment(window.from_ns), |after| Begin::Id(after.saturating_add(1)));
    let ended = pages(session, &window.contract, begin, None, &mut |event| {
        let Event::Tick(tick) = event else { return Ok(ControlFlow::Continue(())) };
        if tick.datetime_ns >= window.to_ns {
            return Ok(ControlFlow::Break(()));
        }
        if tick.datetime_ns >= window.from_ns {
            sink(tick)?;
        }
        Ok(ControlFlow::Continue(()))
    });
    ended.map(|_| ())
}

/// Page after page from `begin` to the end of the series, or to the id `end` (not included), or until the sink breaks.
fn pages(
    session: &mut Session,
    contract: &Arc<str>,
    mut begin: Begin,
    end: Option<i64>,
    sink: LiveSink<'_>,
) -> Result<ControlFlow<()>> {
    let chart_id = format!("GHTRADER_history_{contract}");
    loop {
        let request = request(&chart_id, contract, begin);
        session.send(&request)?;
        let what = format!("a page of ticks of {contract}");
        let answered = session.until(&what, sink, |tree| answer(tree, &request, true))?;
        let ControlFlow::Continue(chart) = answered else { return Ok(ControlFlow::Break(())) };
        let first = match begin {
            Begin::Id(id) => id,
            Begin::Moment(_) | Begin::Live => chart.left.max(0),
        };
        let stop = chart.right.min(chart.last).min(end.map_or(i64::MAX, |end| end - 1));
        for id in first..=stop {
            let found = row(&session.tree, contract, id).and_then(|row| tick(contract, id, row));
            let Some(tick) = found else {
                return Err(session.nonsense(format!("{contract} lacks the tick {id} of a window that is ready")));
            };
            if sink(Event::Tick(tick))?.is_break() {
                return release(session, &chart_id).map(ControlFlow::Break);
            }
        }
        if chart.last < 0 || stop >= chart.last || end.is_some_and(|end| stop + 1 >= end) {
            return release(session, &chart_id).map(ControlFlow::Continue);
        }
        if stop < first {
            return Err(session.nonsense(format!(
                "{contract}: asked for ticks from {first} on, the window ends at {}, the series at {}",
                chart.right, chart.last
            )));
        }
        forget(&mut session.tree, contract, stop + 1);
        begin = Begin::Id(stop + 1);
    }
}

/// Drops rows before an id: they were handed over.
fn forget(tree: &mut Value, contract: &str, before: i64) {
    let data =
        tree.get_mut("ticks").and_then(|ticks| ticks.get_mut(contract)).and_then(|series| series.get_mut("data"));
    if let Some(Value::Object(data)) = data {
        data.retain(|id, _| id.parse().is_ok_and(|id: i64| id >= before));
    }
}

/// A series that is followed.
struct Followed {
    contract: Arc<str>,
    /// The next id to hand over.
    next: i64,
    /// The newest tick as it was, and since when.
    newest: Option<(Value, Instant)>,
    /// Since when a tick is not there although later ones are.
    lacking: Option<Instant>,
}

/// Hands over the ticks of series as they come, until the sink breaks.
pub(super) fn live(session: &mut Session, follow: &[Follow], sink: LiveSink<'_>) -> Result<()> {
    let mut requests = BTreeMap::new();
    for follow in follow {
        let request = request(&format!("GHTRADER_live_{}", follow.contract), &follow.contract, Begin::Live);
        session.send(&request)?;
        requests.insert(Arc::clone(&follow.contract), request);
    }
    let mut all: Vec<Followed> = Vec::new();
    for follow in follow {
        let Some(request) = requests.get(&follow.contract) else { continue };
        let what = format!("the live ticks of {}", follow.contract);
        let answered = session.until(&what, sink, |tree| answer(tree, request, false))?;
        let ControlFlow::Continue(chart) = answered else { return Ok(()) };
        let contract = Arc::clone(&follow.contract);
        let left = chart.left.max(0);
        // What came while nobody listened, further back than the live window reaches; of a contract that is followed for
        // the first time, all since its moment.
        let begin = follow.after.map_or(Begin::Moment(follow.from_ns), |after| Begin::Id(after.saturating_add(1)));
        let further = !matches!(begin, Begin::Id(id) if id >= left);
        if further && pages(session, &contract, begin, Some(left), &mut since(follow, sink))?.is_break() {
            return Ok(());
        }
        let next = follow.after.map_or(left, |after| after.saturating_add(1).max(left));
        all.push(Followed { contract, next, newest: None, lacking: None });
    }
    loop {
        for followed in &mut all {
            if hand_over(session, followed, sink)? {
                return Ok(());
            }
        }
        if sink(Event::Idle)?.is_break() {
            return Ok(());
        }
        session.pump()?;
    }
}

/// Leaves out what a page has before the moment of a contract that is followed for the first time.
fn since<'a>(follow: &Follow, sink: LiveSink<'a>) -> impl FnMut(Event) -> anyhow::Result<ControlFlow<()>> + use<'a> {
    let from_ns = if follow.after.is_some() { i64::MIN } else { follow.from_ns };
    move |event| match event {
        Event::Tick(tick) if tick.datetime_ns < from_ns => Ok(ControlFlow::Continue(())),
        event => sink(event),
    }
}

/// Hands over what is there of a series: whether the sink breaks.
fn hand_over(session: &mut Session, followed: &mut Followed, sink: LiveSink<'_>) -> Result<bool> {
    let contract = &followed.contract;
    let last = last_id(&session.tree, contract);
    let begin = followed.next;
    while followed.next <= last {
        let row = row(&session.tree, contract, followed.next);
        if followed.next == last && row.is_some_and(|row| !is_settled(&mut followed.newest, row)) {
            break;
        }
        let Some(tick) = row.and_then(|row| tick(contract, followed.next, row)) else {
            if followed.lacking.get_or_insert_with(Instant::now).elapsed() > LACKING {
                return Err(session.nonsense(format!("{contract} lacks the tick {} of {last}", followed.next)));
            }
            break;
        };
        followed.next += 1;
        followed.lacking = None;
        if sink(Event::Tick(tick))?.is_break() {
            return Ok(true);
        }
    }
    if followed.next > begin {
        forget(&mut session.tree, contract, followed.next - KEPT);
    }
    Ok(false)
}

/// Whether nothing has been added to the newest row for a while.
fn is_settled(newest: &mut Option<(Value, Instant)>, row: &Value) -> bool {
    match newest {
        Some((seen, since)) if seen == row => since.elapsed() >= SETTLED,
        _ => {
            *newest = Some((row.clone(), Instant::now()));
            false
        }
    }
}
