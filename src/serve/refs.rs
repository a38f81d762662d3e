//! Refs, and the moves of one.

use maud::{Markup, html};

use super::html::{Page, head, link, task_link, time};
use super::{PageError, View};
use crate::cache::Cache;
use crate::refs::{Change, Move, Refs};
use crate::text::visible;

/// All refs as this machine knows them; with `name`, every move of one, the newest first.
pub(super) fn refs(view: &View) -> Result<Page, PageError> {
    let refs = Refs::here(&view.cache);
    let Some(name) = view.query.get("name") else {
        let names = refs.names()?;
        let row = |name: &str| match refs.get(name) {
            Ok(Some(Move { change, .. })) => moved(&view.cache, &change, name),
            Ok(None) => html! {},
            // One damaged ref must not hide the others.
            Err(error) => html! { td.failed colspan="3" { (visible(&error.to_string())) } },
        };
        let body = html! {
            @if names.is_empty() { p { "no refs yet" } }
            @else {
                table {
                    (head(&["ref", "artifact", "moved", "by"]))
                    @for name in &names { tr { td { (link("/refs", &[("name", name)], name)) } (row(name)) } }
                }
            }
        };
        return Ok(Page::new("Refs", body));
    };
    let log = refs.log(name)?;
    if log.is_empty() {
        return Err(PageError::missing(format!("the ref `{name}` was never set")));
    }
    let body = html! {
        p { (link("/lineage", &[("of", name)], "where it came from")) }
        table {
            (head(&["n", "artifact", "moved", "by", "decision", "why"]))
            @for Move { n, restores, change } in log.iter().rev() {
                tr {
                    td { (n) }
                    (moved(&view.cache, change, &change.artifact.hash.to_string()))
                    td {
                        @if let Some(decision) = &change.decision {
                            (link("/lineage", &[("of", &decision.hash.to_string())], &decision.hash.short()))
                        }
                    }
                    td { (visible(&change.reason)) @if let Some(n) = restores { ", back to " (n) } }
                }
            }
        }
    };
    Ok(Page::new(format!("Ref {name}"), body))
}

/// What it was moved to, when, and by whom; `of` names that.
fn moved(cache: &Cache, change: &Change, of: &str) -> Markup {
    html! {
        td { (link("/lineage", &[("of", of)], &change.artifact.hash.short())) }
        td { (visible(&time(&change.at))) }
        td {
            @match (&change.task, &change.flow, &change.run) {
                (Some(task), Some(flow), Some(run)) => { (task_link(cache, run, task, &format!("{flow}:{task}"))) }
                _ => { (visible(&change.who)) }
            }
        }
    }
}
