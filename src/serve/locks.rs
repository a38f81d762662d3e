//! Who holds and who waits for what, since when: locks of this cache, and what is shared out of the machine.

use maud::html;

use super::html::{Page, head, link};
use super::{PageError, Query, Site};
use crate::leases::{Leases, Terms};
use crate::locks::{Holder, Locks};
use crate::text::visible;

/// All that is held or waited for.
pub(super) fn locks(site: &Site, _query: &Query) -> Result<Page, PageError> {
    let mut rows: Vec<(String, &str, Holder)> = Vec::new();
    for lock in Locks::open(&site.cache()?).list()? {
        let held = if lock.shared { "shared by" } else { "held by" };
        rows.extend(lock.holders.into_iter().map(|holder| (lock.name.clone(), held, holder)));
        rows.extend(lock.waiters.into_iter().map(|holder| (lock.name.clone(), "waited for by", holder)));
    }
    let (used, waiting) = Leases::list(&site.leases)?;
    for (how, terms) in [("used by", used), ("waited for by", waiting)] {
        rows.extend(terms.into_iter().map(|terms: Terms| (terms.to_string(), how, terms.holder)));
    }
    let body = html! {
        @if rows.is_empty() { p { "no lock is held" } }
        @else {
            table {
                (head(&["what", "", "task", "run", "who", "since"]))
                @for (what, how, Holder { task, run, who, host, pid, since }) in &rows {
                    tr {
                        td { (visible(what)) }
                        td.faint { (how) }
                        td { (visible(task)) }
                        td { (link("/run", &[("run", run)], run)) }
                        td { (visible(who)) " on " (visible(host)) " (process " (pid) ")" }
                        td { (visible(since)) }
                    }
                }
            }
        }
    };
    // What is held changes without a sign.
    Ok(Page::new("Locks", body).live(true))
}
