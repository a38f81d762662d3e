//! `ghtrader locks`: who holds and who waits for what, since when.

use super::error::print;
use super::run_args::leases_folder;
use super::{CliError, Exit, Project};
use crate::leases::{Leases, Terms};
use crate::locks::{Holder, Locks};

pub(super) fn locks(project: &Project) -> Result<Exit, CliError> {
    let all = Locks::open(&project.look()?).list()?;
    let (used, waiting) = Leases::list(&leases_folder())?;
    if all.is_empty() && used.is_empty() && waiting.is_empty() && !project.quiet {
        print("no lock is held");
    }
    for lock in all {
        let mode = if lock.shared { "shared" } else { "held" };
        lock.holders.iter().for_each(|holder| print(&format!("{}  {mode} by {}", lock.name, who(holder))));
        lock.waiters.iter().for_each(|waiter| print(&format!("{}  waited for by {}", lock.name, who(waiter))));
    }
    used.iter().for_each(|terms| print(&format!("{}  used by {}", what(terms), who(&terms.holder))));
    waiting.iter().for_each(|terms| print(&format!("{}  waited for by {}", what(terms), who(&terms.holder))));
    Ok(Exit::Done)
}

/// What of the machine, such as `cpu 1, gpu 2 (devices 0, 1)`.
fn what(terms: &Terms) -> String {
    let devices: Vec<String> = terms.devices.iter().map(u32::to_string).collect();
    match devices.as_slice() {
        [] => terms.request.to_string(),
        [one] => format!("{} (device {one})", terms.request),
        several => format!("{} (devices {})", terms.request, several.join(", ")),
    }
}

fn who(holder: &Holder) -> String {
    let Holder { task, run, who, host, pid, since } = holder;
    format!("{task} in run {run} of {who} on {host} (process {pid}) since {since}")
}
