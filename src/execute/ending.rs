//! Ends processes, step by step: who waits for them has other things to do meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::processes::{ProcessId, signal};

/// The shortest and the longest time between two looks at what is being ended.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Processes that are being ended.
#[derive(Debug)]
pub(super) struct Ending {
    told: BTreeSet<ProcessId>,
    begun: Instant,
    look_at: Instant,
    kill_at: Instant,
}

impl Ending {
    pub(super) fn new(grace: Duration) -> Self {
        let now = Instant::now();
        Self { told: BTreeSet::new(), begun: now, look_at: now, kill_at: now.checked_add(grace).unwrap_or(now) }
    }

    /// When to look again at what there is to end: all processes of the machine have to be looked at for that.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Something has changed: looks at once, and often.
    pub(super) fn hurry(&mut self) {
        self.begun = Instant::now();
        self.look_at = self.begun;
    }

    /// SIGTERM once to each, SIGKILL to all when the time is up. Those that were started meanwhile are told next time.
    pub(super) fn advance(&mut self, processes: &BTreeSet<ProcessId>) {
        let now = Instant::now();
        let kill = now >= self.kill_at;
        let since = if kill { self.kill_at } else { self.begun };
        let next = now + pause(now.saturating_duration_since(since));
        self.look_at = if kill { next } else { next.min(self.kill_at) };
        for pid in processes {
            if kill {
                signal(*pid, Signal::KILL);
            } else if self.told.insert(*pid) {
                signal(*pid, Signal::TERM);
                // One that is stopped would not hear it.
                signal(*pid, Signal::CONT);
            }
        }
    }
}

/// What ends at once is noticed at once, and what takes its time costs little meanwhile.
fn pause(since: Duration) -> Duration {
    (since / 20).clamp(PAUSES.0, PAUSES.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_slowly_is_looked_at_less_and_less() {
        let (mut since, mut looks) = (Duration::ZERO, Vec::new());
        while since < Duration::from_secs(10) {
            since += pause(since);
            looks.push(since);
        }
        assert!(looks.iter().filter(|look| **look <= Duration::from_millis(100)).count() >= 20);
        assert!(looks.len() < 200, "{}", looks.len());

        let mut ending = Ending::new(Duration::from_secs(10));
        assert!(ending.look_at() <= Instant::now());
        ending.advance(&BTreeSet::new());
        assert!(ending.look_at() > ending.begun);
        ending.hurry();
        assert!(ending.look_at() <= Instant::now());
        let mut killing = Ending::new(Duration::from_millis(1));
        killing.advance(&BTreeSet::new());
        assert!(killing.look_at() <= killing.kill_at, "SIGKILL comes in time");
    }
}
