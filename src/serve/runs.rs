//! Runs, their tasks, and what those wrote into their logs.

use std::io::ErrorKind;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use tokio_util::io::ReaderStream;

use super::error::part;
use super::html::{Page, address, flow_link, head, link, task_link, time};
use super::{PageError, Site, View, read};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::provenance::{
    Tail, events, executed, find_run, instance, is_going_on, is_log_kept, list, load_counts, load_start,
    log as log_path, open_log, run_page, tail, task_row, unfinished,
};
use crate::report::{Row, content, duration, size};
use crate::text::{shell_word, visible};

/// So many runs stand on one page.
const RUNS: usize = 100;
/// As much of a log stands on a page.
const LOG: u64 = 64 << 10;

/// All runs, the newest first; `before`: only those.
pub(super) fn runs(view: &View) -> Result<Page, PageError> {
    let mut runs = list(&view.cache.runs())?;
    let before = view.query.get("before");
    if let Some(before) = before {
        runs.retain(|run| run.as_str() < before);
    }
    let left = runs.len().saturating_sub(RUNS);
    let older = runs.get(left).filter(|_| left > 0).cloned();
    let (table, going_on) = table(view, runs.into_iter().rev().take(RUNS));
    let body = html! {
        (table)
        p {
            @if before.is_some() { a href="/runs" { "the newest" } " " }
            @if let Some(older) = older { (link("/runs", &[("before", &older)], "older")) }
        }
    };
    Ok(Page::new("Runs", body).live(going_on))
}

/// A table of runs, and whether one of them goes on.
pub(super) fn table(view: &View, runs: impl Iterator<Item = String>) -> (Markup, bool) {
    let folder = view.cache.runs();
    let mut going_on = false;
    let mut row = |run: &str| match load_counts(&folder, run) {
        Ok((start, end)) => {
            let state = end.as_ref().map_or_else(|| unfinished(&folder, run).to_owned(), ToString::to_string);
            going_on |= state == "running";
            let class = match &end {
                Some(end) if end.exit == 0 => "ran",
                Some(_) => "failed",
                None => state.as_str(),
            };
            html! {
                td { (flow_link(&view.site.root, &start.flow, &start.file)) }
                td { (visible(&time(&start.started))) }
                td { (end.as_ref().map(|end| duration(end.seconds)).unwrap_or_default()) }
                td class=(class) { (state) }
            }
        }
        // One damaged record must not hide the others.
        Err(error) => html! { td {} td {} td {} td.failed { (visible(&error.to_string())) } },
    };
    let rows: Vec<(String, Markup)> = runs.map(|run| (run.clone(), row(&run))).collect();
    let table = html! {
        @if rows.is_empty() { p { "no runs yet" } }
        @else {
            table {
                (head(&["run", "flow", "started", "took", ""]))
                @for (run, row) in &rows { tr { td { (link("/run", &[("run", run)], run)) } (row) } }
            }
        }
    };
    (table, going_on)
}

/// One run.
pub(super) fn run(view: &View) -> Result<Page, PageError> {
    let (cache, runs) = (&view.cache, view.cache.runs());
    let run = find_run(cache, view.query.demand("run")?)?;
    let start = load_start(&runs, &run)?;
    let page = run_page(cache, &run)?;
    let to_task = |row: &Row| Some(address("/task", &[("run", &run), ("task", &row.task)]));
    let body = html! {
        p { "of flow " (flow_link(&view.site.root, &start.flow, &start.file)) }
        (content(&page, &to_task))
    };
    Ok(Page::new(format!("Run {run}"), body).live(is_going_on(&runs, &run)))
}

/// One task in a run: its log, and what it read and wrote.
pub(super) fn task(view: &View) -> Result<Page, PageError> {
    let (cache, runs) = (&view.cache, view.cache.runs());
    let run = find_run(cache, view.query.demand("run")?)?;
    let task = instance(view.query.demand("task")?);
    let start = load_start(&runs, &run)?;
    // Before it is looked at: what ends meanwhile is then looked at once more.
    let going_on = is_going_on(&runs, &run);
    let row = match task_row(cache, &run, &task)? {
        Some(row) => row,
        None if going_on => {
            let state = "nothing told yet: it is cached, or has not begun".to_owned();
            Row { task: task.clone(), state, ..Row::default() }
        }
        None => return Err(PageError::missing(format!("run {run} has no task `{task}`"))),
    };
    let key = row.key;
    let manifest = key.map(|key| cache.manifest(&key)).transpose()?.flatten();
    let body = html! {
        dl {
            dt { "run" } dd { (link("/run", &[("run", &run)], &run)) " of flow " (flow_link(&view.site.root, &start.flow, &start.file)) }
            dt { "state" } dd class=(row.state) { (row.state) }
            @if !row.reason.is_empty() { dt { "why" } dd { (visible(&row.reason)) } }
            @if let Some(seconds) = row.seconds { dt { "took" } dd { (duration(seconds)) } }
            @if let Some(key) = key {
                dt { "key" }
                // Of a task that failed nothing came.
                dd { @if manifest.is_some() { (link("/lineage", &[("of", &key.to_string())], &key.to_string())) } @else { (key) } }
            }
            @if row.state == "failed" {
                dt { "again" }
                dd { code { (visible(&format!("ghtrader run {} {}", shell_word(&start.flow), shell_word(&task)))) } }
            }
        }
        @if let Some(manifest) = &manifest { (described(cache, manifest, &run)) }
        h2 { "Log" }
        (part(tail_of(cache, &run, &row, manifest.as_ref())))
    };
    let live = going_on && !["ran", "failed", "skipped"].contains(&row.state.as_str());
    Ok(Page::new(task, body).live(live))
}

/// What is recorded of an execution.
fn described(cache: &Cache, manifest: &Manifest, run: &str) -> Markup {
    let execution = &manifest.execution;
    let of = |hash: &Hash| link("/lineage", &[("of", &hash.to_string())], &hash.short());
    html! {
        dl {
            @if manifest.run != run {
                dt { "executed in" } dd { (task_link(cache, &manifest.run, &manifest.task, &manifest.run)) }
            }
            dt { "from, to" } dd { (time(&execution.started)) ", " (time(&execution.finished)) }
            dt { "on" } dd { (visible(&execution.host)) }
            dt { "CPU, peak memory" } dd { (duration(execution.cpu)) ", " (size(execution.peak_memory)) }
            @for (name, value) in &execution.metrics { dt { "metric " (visible(name)) } dd { (value) } }
        }
        table {
            (head(&["", "name", "content", "size"]))
            @for (name, input) in &manifest.inputs {
                tr { td.faint { "read" } td { (visible(name)) } td { (of(&input.artifact.hash)) } td.n { (size(input.artifact.size)) } }
            }
            @for (name, artifact) in &manifest.outputs {
                tr { td.faint { "wrote" } td { (visible(name)) } td { (of(&artifact.hash)) } td.n { (size(artifact.size)) } }
            }
        }
    }
}

fn tail_of(cache: &Cache, run: &str, row: &Row, manifest: Option<&Manifest>) -> Result<Markup, PageError> {
    let (runs, task) = (cache.runs(), &row.task);
    match tail(&log_path(&runs.join(run), task), LOG) {
        Ok(Tail { text, cut }) => {
            let whole = address("/log", &[("run", run), ("task", task)]);
            return Ok(html! {
                p { a href=(whole) { "all of it" } @if cut { ", of which this is the end" } }
                pre { (visible(&text)) }
            });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let why = if row.state == "running" {
        "It has written nothing yet."
    } else if let Some(other) = manifest.filter(|manifest| manifest.run != run) {
        let other = task_link(cache, &other.run, &other.task, &other.run);
        return Ok(html! { p { "This run did not execute it; run " (other) " did." } });
    } else if !is_log_kept(&runs, run) {
        "It was removed by `cache gc`."
    } else if executed(&events(&runs, run)?).contains(task) {
        "It wrote nothing."
    } else {
        "This run did not execute it."
    };
    Ok(html! { p { (why) } })
}

/// All of a log, as far as it goes now.
pub(super) async fn log(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, PageError> {
    let log = read(site, uri, |view| {
        let run = find_run(&view.cache, view.query.demand("run")?)?;
        let task = instance(view.query.demand("task")?);
        open_log(&log_path(&view.cache.runs().join(run), &task)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => PageError::missing("there is no such log"),
            _ => error.into(),
        })
    });
    let file = tokio::fs::File::from_std(log.await?.into_file());
    let body = Body::from_stream(ReaderStream::new(file));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}
