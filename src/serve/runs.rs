//! Runs, their tasks, and what those wrote into their logs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use tokio_util::io::ReaderStream;

use super::html::{Page, address, head, link};
use super::{PageError, Query, Site, flows, read};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::provenance::{
    Tail, events, executed, find_run, instance, is_going_on, is_log_kept, list, load, load_counts, log as log_path,
    run_page, tail, unfinished,
};
use crate::report::{Row, content, duration, size};
use crate::text::visible;

/// So many runs stand on one page.
const RUNS: usize = 100;
/// … and on the first one.
const LAST: usize = 15;
/// As much of a log stands on a page.
const LOG: u64 = 64 << 10;

/// The flows, and the last runs.
pub(super) fn overview(site: &Site, _query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let (table, going_on) = rows(&cache, list(&cache.runs())?.into_iter().rev().take(LAST));
    let body = html! {
        p.faint { (visible(&site.root.display().to_string())) }
        h2 { "Flows" }
        (flows::table(site)?)
        h2 { "Last runs" }
        (table)
    };
    Ok(Page::new("Overview", body).live(going_on))
}

/// All runs, the newest first; `before`: only those.
pub(super) fn runs(site: &Site, query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let mut runs = list(&cache.runs())?;
    if let Some(before) = query.get("before") {
        runs.retain(|run| run.as_str() < before);
    }
    let older = runs.len().checked_sub(RUNS + 1).and_then(|_| runs.get(runs.len() - RUNS).cloned());
    let (table, going_on) = rows(&cache, runs.into_iter().rev().take(RUNS));
    let body = html! {
        (table)
        @if let Some(older) = older { p { (link("/runs", &[("before", &older)], "older")) } }
    };
    Ok(Page::new("Runs", body).live(going_on))
}

/// A table of runs, and whether one of them goes on.
pub(super) fn rows(cache: &Cache, runs: impl Iterator<Item = String>) -> (Markup, bool) {
    let folder = cache.runs();
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
                td { (link("/flow", &[("name", &start.flow)], &start.flow)) }
                td { (start.started) }
                td.n { (end.as_ref().map(|end| duration(end.seconds)).unwrap_or_default()) }
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
pub(super) fn run(site: &Site, query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let run = find_run(&cache, query.demand("run")?)?;
    let page = run_page(&cache, &run)?;
    let to_task = |row: &Row| Some(address("/task", &[("run", &run), ("task", &row.task)]));
    Ok(Page::new(format!("Run {run}"), content(&page, &to_task)).live(is_going_on(&cache.runs(), &run)))
}

/// One task in a run: its log, and what it read and wrote.
pub(super) fn task(site: &Site, query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let run = find_run(&cache, query.demand("run")?)?;
    let task = instance(query.demand("task")?);
    let (start, end) = load(&cache.runs(), &run)?;
    let told = end.and_then(|mut end| end.tasks.remove(&task));
    // Of one that has just begun, the run's events tell.
    let events = if told.is_none() { events(&cache.runs(), &run)? } else { Vec::new() };
    if told.is_none() && !events.iter().any(|event| event["task"].as_str() == Some(task.as_str())) {
        return Err(PageError::NotFound(format!("run {run} has no task `{task}`"), None));
    }
    let of_events = events.iter().rev().find_map(|event| {
        (event["task"].as_str() == Some(task.as_str())).then(|| event["key"].as_str()?.parse().ok())?
    });
    let key = told.as_ref().and_then(|told| told.key).or(of_events);
    let manifest = key.map(|key: Hash| cache.manifest(&key)).transpose()?.flatten();
    let going_on = told.is_none() && is_going_on(&cache.runs(), &run);
    let body = html! {
        dl {
            dt { "run" } dd { (link("/run", &[("run", &run)], &run)) }
            dt { "flow" } dd { (link("/flow", &[("name", &start.flow)], &start.flow)) }
            @if let Some(told) = &told {
                dt { "state" } dd class=(told.state) { (told.state) }
                @if let Some(reason) = &told.reason { dt { "why" } dd { (visible(reason)) } }
            }
            @if let Some(key) = key {
                dt { "key" }
                // Of a task that failed nothing came.
                dd { @if manifest.is_some() { (link("/lineage", &[("of", &key.to_string())], &key.to_string())) } @else { (key) } }
            }
        }
        @if let Some(manifest) = &manifest { (described(manifest, &run)) }
        h2 { "Log" }
        (tail_of(&cache, &run, &task, manifest.as_ref())?)
    };
    Ok(Page::new(task, body).live(going_on))
}

/// What is recorded of an execution.
fn described(manifest: &Manifest, run: &str) -> Markup {
    let execution = &manifest.execution;
    let of = |hash: &Hash| link("/lineage", &[("of", &hash.to_string())], &hash.short());
    html! {
        dl {
            @if manifest.run != run {
                dt { "executed in" } dd { (link("/task", &[("run", &manifest.run), ("task", &manifest.task)], &manifest.run)) }
            }
            dt { "from, to" } dd { (execution.started) ", " (execution.finished) }
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

fn tail_of(cache: &Cache, run: &str, task: &str, manifest: Option<&Manifest>) -> Result<Markup, PageError> {
    let runs = cache.runs();
    let path = log_path(&runs.join(run), task);
    if path.is_file() {
        let Tail { text, cut } = tail(&path, LOG)?;
        let whole = address("/log", &[("run", run), ("task", task)]);
        return Ok(html! {
            p { a href=(whole) { "all of it" } @if cut { ", of which this is the end" } }
            pre { (visible(&text)) }
        });
    }
    let why = if let Some(other) = manifest.filter(|manifest| manifest.run != run) {
        return Ok(html! {
            p { "This run did not execute it; run " (link("/task", &[("run", &other.run), ("task", &other.task)], &other.run)) " did." }
        });
    } else if executed(&events(&runs, run)?).contains(task) {
        "It wrote nothing."
    } else if is_log_kept(&runs, run) {
        "This run did not execute it."
    } else {
        "It was removed by `cache gc`."
    };
    Ok(html! { p { (why) } })
}

/// All of a log, as it lies there.
pub(super) async fn log(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, PageError> {
    let path = read(move || {
        let query = Query::of(&uri);
        let cache = site.cache()?;
        let run = find_run(&cache, query.demand("run")?)?;
        Ok(log_path(&cache.runs().join(run), &instance(query.demand("task")?)))
    })
    .await?;
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(PageError::NotFound("there is no such log".to_owned(), None));
        }
        Err(error) => return Err(error.into()),
    };
    let body = Body::from_stream(ReaderStream::new(file));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}
