//! Instances that are looked at together: none of them can depend on another, so the look at each is made in parallel, and
//! what came out is taken over in the order of the queue. A plan does not depend on how many threads made it.

use rayon::prelude::*;

use super::resolve::{Step, Verdict};
use super::{InstanceId, Item, Planner};

/// At most so many at once: what is known of each is held until all of them are looked at.
const BATCH: usize = 8192;
/// Fewer than that mostly cost less than it takes to wake another thread; more may have large sources to be hashed.
const PARALLEL: usize = 4;

impl Planner<'_> {
    /// Looks at an instance, and with it at those behind it in the queue that cannot depend on each other.
    pub(super) fn advance_batch(&mut self, first: InstanceId) {
        let mut batch = self.batch(first);
        batch.iter().for_each(|id| self.instances[*id].queued = false);
        batch.retain(|id| self.instances[*id].outcome.is_none());
        let verdicts: Vec<Step<Verdict>> = if batch.len() < PARALLEL {
            batch.iter().map(|id| self.resolve(*id)).collect()
        } else {
            batch.par_iter().map(|id| self.resolve(*id)).collect()
        };
        for (id, verdict) in batch.into_iter().zip(verdicts) {
            self.apply(id, verdict);
        }
    }

    /// Takes instances off the queue up to the first whose task reads a task of the batch.
    fn batch(&mut self, first: InstanceId) -> Vec<InstanceId> {
        let mut batch = vec![first];
        let mut tasks = vec![self.instances[first].task];
        while let Some(Item::Instance(id)) = self.queue.front().copied().filter(|_| batch.len() < BATCH) {
            let task = self.instances[id].task;
            if self.tasks[task].reads.iter().any(|read| tasks.binary_search(read).is_ok()) {
                break;
            }
            if let Err(place) = tasks.binary_search(&task) {
                tasks.insert(place, task);
            }
            self.queue.pop_front();
            batch.push(id);
        }
        batch
    }
}
