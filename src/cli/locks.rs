//! `ghtrader locks`: who holds and who waits for what, since when.

use super::error::print;
use super::{CliError, Exit, Project};
use crate::locks::{Holder, Locks};

pub(super) fn locks(project: &Project) -> Result<Exit, CliError> {
    let all = Locks::open(&project.look()?).list()?;
    if all.is_empty() && !project.quiet {
        print("no lock is held");
    }
    for lock in all {
        let mode = if lock.shared { "shared" } else { "held" };
        lock.holders.iter().for_each(|holder| print(&format!("{}  {mode} by {}", lock.name, who(holder))));
        lock.waiters.iter().for_each(|waiter| print(&format!("{}  waited for by {}", lock.name, who(waiter))));
    }
    Ok(Exit::Done)
}

fn who(holder: &Holder) -> String {
    let Holder { task, run, who, host, pid, since } = holder;
    format!("{task} in run {run} of {who} on {host} (process {pid}) since {since}")
}
