//! Refs, and the moves of one.

use maud::html;

use super::html::{Page, head, link};
use super::{PageError, Query, Site};
use crate::refs::{Change, Move, Refs};
use crate::text::visible;

/// All refs as this machine knows them; with `name`, every move of one, the newest first.
pub(super) fn refs(site: &Site, query: &Query) -> Result<Page, PageError> {
    let cache = site.cache()?;
    let refs = Refs::here(&cache);
    let Some(name) = query.get("name") else {
        let all = refs.list()?;
        let body = html! {
            @if all.is_empty() { p { "no refs yet" } }
            @else {
                table {
                    (head(&["ref", "artifact", "moved", "by"]))
                    @for (name, Move { change, .. }) in &all {
                        tr { td { (link("/refs", &[("name", name)], name)) } (moved(change, name)) }
                    }
                }
            }
        };
        return Ok(Page::new("Refs", body));
    };
    let log = refs.log(name)?;
    if log.is_empty() {
        return Err(PageError::NotFound(format!("the ref `{name}` was never set"), None));
    }
    let body = html! {
        p { (link("/lineage", &[("of", name)], "where it came from")) }
        table {
            (head(&["n", "artifact", "moved", "by", "decision", "why"]))
            @for Move { n, restores, change } in log.iter().rev() {
                tr {
                    td { (n) }
                    (moved(change, &change.artifact.hash.to_string()))
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
fn moved(change: &Change, of: &str) -> maud::Markup {
    html! {
        td { (link("/lineage", &[("of", of)], &change.artifact.hash.short())) }
        td { (visible(&change.at)) }
        td {
            @match (&change.task, &change.flow, &change.run) {
                (Some(task), Some(flow), Some(run)) => {
                    (link("/task", &[("run", run), ("task", task)], &format!("{flow}:{task}")))
                }
                _ => { (visible(&change.who)) }
            }
        }
    }
}
