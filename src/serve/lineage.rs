//! Where an artifact came from, and what came of it.

use maud::{Markup, html};

use super::html::{Page, link};
use super::{PageError, Query, Site};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::provenance::{Found, Line, Lineage, LineageNode, descendants, find, lineage as walk};
use crate::text::visible;

/// So many lines stand on a page.
const LINES: usize = 2_000;
/// As much of a content is shown.
const SHOWN: u64 = 64 << 10;

/// `of` names it as for `ghtrader lineage`, but for files; with `down`, what came of it.
pub(super) fn lineage(site: &Site, query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let of = query.demand("of")?;
    let down = query.get("down").is_some();
    let found = find(&cache, None, of)?;
    let hashes: Vec<Hash> = found.hash.into_iter().collect();
    let graph = if down { descendants(&cache, &found.keys, &hashes)? } else { walk(&cache, &found.keys)? };
    let body = html! {
        @if let Some(hash) = found.hash { p { "content " code { (hash) } } }
        p {
            @if down { (link("/lineage", &[("of", of)], "where it came from")) }
            @else { (link("/lineage", &[("of", of), ("down", "1")], "what came of it")) }
        }
        @if graph.nodes.is_empty() { p { "No task in this cache wrote it: it is a source." } }
        @else { (tree(&graph)) }
        @for notice in cache.take_notices() { p.failed { (visible(&notice.to_string())) } }
        (preview(&cache, &found))
    };
    let title = if down { format!("What came of {of}") } else { format!("Where {of} came from") };
    Ok(Page::new(title, body))
}

fn tree(graph: &Lineage) -> Markup {
    let lines: Vec<Line<'_>> = graph.lines().take(LINES + 1).collect();
    html! {
        div.lineage {
            @for Line { depth, via, node, again } in lines.iter().take(LINES) {
                div style=(format!("margin-left:{}em", 2 * depth)) class=[again.then_some("again")] {
                    @let name = html! {
                        @if !via.is_empty() { span.faint { (visible(via)) ": " } }
                        (named(node))
                        @if *again { " (see above)" }
                    };
                    @let more = if *again { Vec::new() } else { node.details() };
                    @if more.is_empty() { p { (name) } }
                    @else { details { summary { (name) } @for line in more { p.faint { (visible(&line)) } } } }
                }
            }
        }
        @if lines.len() > LINES { p { "There is more; `ghtrader lineage` shows all of it." } }
    }
}

/// A node, as a link where there is more to see.
fn named(node: &LineageNode) -> Markup {
    let text = node.to_string();
    match node {
        LineageNode::Task { task, run, .. } => link("/task", &[("run", run), ("task", task)], &text),
        LineageNode::Source { hash, .. } => link("/lineage", &[("of", &hash.to_string()), ("down", "1")], &text),
        LineageNode::Ref { name, .. } => link("/refs", &[("name", name)], &text),
        LineageNode::Unknown { .. } | LineageNode::Damaged { .. } => html! { (visible(&text)) },
    }
}

/// What it holds, where that is a short text.
fn preview(cache: &Cache, found: &Found) -> Markup {
    let small = found.artifact.as_ref().filter(|artifact| !artifact.folder && artifact.size <= SHOWN);
    let text = small.and_then(|artifact| String::from_utf8(cache.read(&artifact.hash).ok()?).ok());
    html! {
        @if let Some(text) = text { h2 { "Content" } pre { (visible(&text)) } }
        @else if let Some(hash) = found.hash { p.faint { "Its content: " code { "ghtrader get " (hash.short()) " -o PATH" } } }
    }
}
