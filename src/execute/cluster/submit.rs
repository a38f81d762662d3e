//! Submitting: jobs that come together and ask for the same are one batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::desk::{ASK, Desk, LULL};
use super::entry::{Out, Stage};
use super::spool::{Place, Ticket};
use super::{Batch, Cluster, Refused, Size};
use crate::execute::{Exit, GRACE};

/// … or the first of the jobs that come one after the other has waited for this long ([`LULL`]).
const LONGEST: Duration = Duration::from_millis(500);
/// The longest pause before a batch that was not taken is submitted again.
const PAUSE: Duration = Duration::from_secs(30);

impl<C: Cluster> Desk<C> {
    pub(super) fn is_due(&mut self) {
        let now = Instant::now();
        self.due = Some((self.due.map_or(now, |(first, _)| first), now));
    }

    pub(super) fn is_time_to_submit(&self) -> bool {
        let paused = self.again.is_some_and(|(again, _)| Instant::now() < again);
        let gathered = self.due.is_some_and(|(first, last)| last.elapsed() >= LULL || first.elapsed() >= LONGEST);
        gathered && !paused
    }

    pub(super) fn submit_due(&mut self) {
        self.due = None;
        let mut sizes: BTreeMap<Size, Vec<u64>> = BTreeMap::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| matches!(entry.stage, Stage::Due)) {
            sizes.entry(entry.size.clone()).or_default().push(*id);
        }
        for (size, ids) in sizes {
            for part in ids.chunks(self.cluster.most().max(1)) {
                self.submit(&size, part);
            }
        }
    }

    fn submit(&mut self, size: &Size, ids: &[u64]) {
        let batch = format!("ghtrader-{}", ulid::Ulid::generate());
        let mut placed = Vec::new();
        for id in ids {
            let index = u32::try_from(placed.len()).unwrap_or(u32::MAX);
            match self.put(*id, Place { batch: batch.clone(), index }) {
                Ok(true) => placed.push(*id),
                Ok(false) => {
                    self.notice_once("a key that is to be executed is executed already; that is waited for".to_owned());
                    self.later(ASK);
                }
                Err(error) => self.finish(*id, Exit::NotStarted(error.to_string())),
            }
        }
        if placed.is_empty() {
            return;
        }
        let keys: Vec<_> = placed.iter().filter_map(|id| self.entries.get(id)).map(|entry| entry.key).collect();
        if let Err(error) = self.spool.make_batch(&batch, &keys) {
            return placed.into_iter().for_each(|id| self.finish(id, Exit::NotStarted(error.to_string())));
        }
        let folder = self.spool.batch(&batch);
        let (count, program, jobs) = (placed.len(), self.program.as_path(), self.spool.folder());
        let answer = self.cluster.submit(&Batch { name: &batch, count, size, program, jobs, folder: &folder });
        self.submitted(&batch, placed, answer);
    }

    /// Writes down what is to be executed; `false` where somebody executes the key.
    fn put(&self, id: u64, place: Place) -> std::io::Result<bool> {
        let Some(entry) = self.entries.get(&id) else { return Ok(false) };
        entry.folder.make()?;
        let Some(_claim) = entry.folder.claim(Duration::ZERO)? else { return Ok(false) };
        // The cluster's SIGKILL is not to come before the record of how it ended.
        let grace = GRACE.min(self.cluster.grace().saturating_sub(Duration::from_secs(2))).max(Duration::from_secs(1));
        let (devices, memory) = (entry.size.devices > 0, entry.size.memory);
        entry.folder.put(&Ticket { place, start: entry.start.clone(), devices, memory, grace })?;
        Ok(true)
    }

    fn submitted(&mut self, batch: &str, placed: Vec<u64>, answer: Result<(), Refused>) {
        match answer {
            Ok(()) => {
                self.again = None;
                self.batches.insert(batch.to_owned(), placed.len());
                for (index, id) in (0..).zip(placed) {
                    let place = Place { batch: batch.to_owned(), index };
                    if let Some(entry) = self.entries.get_mut(&id) {
                        entry.stage = Stage::Out(Out::new(place));
                    }
                }
            }
            // What was taken all the same finds other tickets, and does nothing.
            Err(Refused::Later(why)) => {
                let pause = self.again.map_or(ASK, |(_, pause)| (pause * 2).min(PAUSE));
                self.later(pause);
                let name = self.cluster.name();
                self.notice_once(format!("{name} takes no jobs now: {why}; they are submitted again until it does"));
                self.remove_batch(batch);
            }
            Err(Refused::Never(why)) => {
                let why = format!("{} refuses it: {why}", self.cluster.name());
                placed.into_iter().for_each(|id| self.finish(id, Exit::NotStarted(why.clone())));
                self.remove_batch(batch);
            }
        }
    }

    fn later(&mut self, pause: Duration) {
        self.again = Some((Instant::now() + pause, pause));
        self.is_due();
    }
}
