//! `ghtrader locks`: who holds and who waits for what, since when.

use super::error::print;
use super::{CliError, Exit, Project};
use crate::leases::{Leases, folder};
use crate::locks::Locks;

pub(super) fn locks(project: &Project) -> Result<Exit, CliError> {
    let all = Locks::open(&project.look()?).list()?;
    let (used, waiting) = Leases::list(&folder())?;
    if all.is_empty() && used.is_empty() && waiting.is_empty() && !project.quiet {
        print("no lock is held");
    }
    for lock in all {
        let mode = if lock.shared { "shared" } else { "held" };
        lock.holders.iter().for_each(|holder| print(&format!("{}  {mode} by {}", lock.name, holder.full())));
        lock.waiters.iter().for_each(|waiter| print(&format!("{}  waited for by {}", lock.name, waiter.full())));
    }
    used.iter().for_each(|terms| print(&format!("{}  used by {}", terms, terms.holder.full())));
    waiting.iter().for_each(|terms| print(&format!("{}  waited for by {}", terms.request, terms.holder.full())));
    Ok(Exit::Done)
}
