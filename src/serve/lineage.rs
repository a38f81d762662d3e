//! Where an artifact came from, and what came of it.

use maud::{Markup, html};

use super::html::{Page, link, task_link};
use super::{PageError, View};
use crate::cache::Cache;
use crate::hash::Hash;
use crate::provenance::{Found, Line, Lineage, LineageNode, descendants, find, lineage as walk, parts};
use crate::text::visible;

/// So many lines stand on a page.
const LINES: usize = 2_000;
/// Deeper ones are not moved further to the right.
const DEEP: usize = 20;
/// As much of a content is shown.
const SHOWN: u64 = 64 << 10;

/// `of` names it as for `ghtrader lineage`, but for files; with `down`, what came of it. Without it there is a form to fill in.
pub(super) fn lineage(view: &View) -> Result<Page, PageError> {
    let cache = &view.cache;
    let Some(of) = view.query.get("of").map(str::trim) else { return Ok(Page::new("Lineage", form())) };
    let down = view.query.get("down").is_some();
    let found = find(cache, None, of)?;
    let hashes: Vec<Hash> = found.hash.into_iter().collect();
    let graph = match (down, found.hash.filter(|_| found.keys.is_empty())) {
        (true, _) => descendants(cache, &found.keys, &hashes)?,
        (false, Some(hash)) => walk(cache, &parts(cache, &hash)?)?,
        (false, None) => walk(cache, &found.keys)?,
    };
    let body = html! {
        @if let Some(hash) = found.hash { p { "content " code { (hash) } } }
        p {
            @if down { (link("/lineage", &[("of", of)], "where it came from")) }
            @else { (link("/lineage", &[("of", of), ("down", "1")], "what came of it")) }
        }
        @if graph.nodes.is_empty() { p { "No task in this cache wrote it: it is a source." } }
        @else { (tree(cache, &graph)) }
        (preview(cache, &found))
    };
    let title = if down { format!("What came of {of}") } else { format!("Where {of} came from") };
    Ok(Page::new(title, body))
}

fn form() -> Markup {
    html! {
        form action="/lineage" {
            p { "A ref, a hash (8 digits are enough), or " code { "flow:task[axis=value].output" } ":" }
            p { input name="of" required size="60" aria-label="artifact"; " " button { "where it came from" } }
        }
    }
}

fn tree(cache: &Cache, graph: &Lineage) -> Markup {
    let lines: Vec<Line<'_>> = graph.lines().take(LINES + 1).collect();
    html! {
        div.lineage {
            @for Line { depth, via, node, again } in lines.iter().take(LINES) {
                div style=(format!("margin-left:{}em", 2 * depth.min(&DEEP))) class=[again.then_some("again")] {
                    @let name = html! {
                        @if !via.is_empty() { span.faint { (visible(via)) ": " } }
                        (named(cache, node))
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
fn named(cache: &Cache, node: &LineageNode) -> Markup {
    let text = node.to_string();
    match node {
        LineageNode::Task { task, run, .. } => task_link(cache, run, task, &text),
        LineageNode::Source { hash, .. } | LineageNode::Part { hash, .. } => {
            link("/lineage", &[("of", &hash.to_string()), ("down", "1")], &text)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_lineage_the_beginning_is_shown_and_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open_read_only(root.path()).unwrap();
        let node = |n: usize| LineageNode::Source { path: format!("file-{n}."), hash: Hash::of(b"") };
        let of = |nodes: usize| Lineage {
            roots: vec![0],
            nodes: (0..nodes).map(node).collect(),
            edges: (1..nodes).map(|n| (n - 1, n, String::new())).collect(),
        };
        let html = tree(&cache, &of(LINES + 1)).into_string();
        assert!(html.contains("There is more") && html.contains(&format!("file-{}.", LINES - 1)));
        assert!(!html.contains(&format!("file-{LINES}.")) && !html.contains("margin-left:42em"));
        assert!(!tree(&cache, &of(LINES)).into_string().contains("There is more"));
    }
}
