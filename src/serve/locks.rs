//! Who holds and who waits for what, since when: locks of this cache, and what is shared out of the machine.

use maud::{Markup, html};

use super::error::part;
use super::html::{Page, head, run_link, time};
use super::{PageError, View};
use crate::leases::Leases;
use crate::locks::{Holder, Locks};
use crate::text::visible;

/// What, how, and by whom.
type Row = (String, &'static str, Holder);

/// All that is held or waited for.
pub(super) fn locks(view: &View) -> Result<Page, PageError> {
    let body = html! {
        h2 { "Locks of this cache" }
        (part(of_cache(view).map(|rows| table(view, &rows))))
        h2 { "Leases of this machine" }
        (part(of_machine(view).map(|rows| table(view, &rows))))
    };
    // What is held changes without a sign.
    Ok(Page::new("Locks", body).live(true))
}

fn of_cache(view: &View) -> Result<Vec<Row>, PageError> {
    let mut rows = Vec::new();
    for lock in Locks::open(&view.cache).list()? {
        let held = if lock.shared { "shared by" } else { "held by" };
        rows.extend(lock.holders.into_iter().map(|holder| (lock.name.clone(), held, holder)));
        rows.extend(lock.waiters.into_iter().map(|holder| (lock.name.clone(), "waited for by", holder)));
    }
    Ok(rows)
}

fn of_machine(view: &View) -> Result<Vec<Row>, PageError> {
    let (used, waiting) = Leases::list(&view.site.leases)?;
    let mut rows = Vec::new();
    for (how, all) in [("used by", used), ("waited for by", waiting)] {
        rows.extend(all.into_iter().map(|terms| (terms.to_string(), how, terms.holder)));
    }
    Ok(rows)
}

fn table(view: &View, rows: &[Row]) -> Markup {
    html! {
        @if rows.is_empty() { p { "none is held" } }
        @else {
            table {
                (head(&["what", "", "task", "run", "who", "since"]))
                @for (what, how, Holder { task, run, who, host, pid, since }) in rows {
                    tr {
                        td { (visible(what)) }
                        td.faint { (how) }
                        td { (visible(task)) }
                        td { (run_link(&view.cache, run)) }
                        td { (visible(who)) " on " (visible(host)) " (process " (pid) ")" }
                        td { (visible(&time(since))) }
                    }
                }
            }
        }
    }
}
