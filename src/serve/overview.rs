//! The first page: the flows, and the last runs.

use maud::html;

use super::error::part;
use super::html::Page;
use super::{PageError, View, flows, runs};
use crate::provenance::list;
use crate::text::visible;

/// So many runs stand on it.
const LAST: usize = 15;

/// The flows, and the last runs.
pub(super) fn overview(view: &View) -> Result<Page, PageError> {
    let last = list(&view.cache.runs()).map(|runs| runs::table(view, runs.into_iter().rev().take(LAST)));
    let (last, going_on) = last.unwrap_or_else(|error| (part(Err(error.into())), false));
    let body = html! {
        p.faint { (visible(&view.site.root.display().to_string())) }
        h2 { "Flows" }
        (part(flows::table(&view.site)))
        h2 { "Last runs" }
        (last)
    };
    Ok(Page::new("Overview", body).live(going_on))
}
