//! The group commit: finished tasks are collected, and recorded together.
//!
//! While one batch is being synced, the next one gathers. The locks on the keys are held until their results are
//! recorded, so that whoever waits for one then finds it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crate::cache::{self, CacheError};
use crate::locks::Held;
use crate::manifest::Manifest;
use crate::plan::InstanceId;
use crate::sync::lock;

/// How long a finished task waits for others while more are running, at the least and at the most.
const GATHER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// In between it is so many times what the batch before took: a commit that goes on keeps the tasks from the disk.
const REST: u32 = 4;
/// So many are not kept waiting.
const MOST: usize = 500;

/// A finished task whose outputs are in their place, on its way to a recorded result.
pub(super) struct Finished {
    pub(super) id: InstanceId,
    pub(super) manifest: Manifest,
    /// The lock on its key.
    pub(super) held: Option<Held>,
}

/// What became of a batch.
pub(super) type Committed = (Vec<InstanceId>, Result<(), CacheError>);

/// The way to the thread that records. It ends when its [`Committer`] is dropped and nothing is left to record.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Shared>);

/// The thread that records.
pub(super) struct Committer(Outbox);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batch: Vec<Finished>,
    hurried: bool,
    closed: bool,
}

impl Committer {
    /// Starts the thread: `record` makes results last, the first ones where it cannot be all; `recorded` is given each that
    /// does, with its claim; `tell` hears of each batch.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        record: impl Fn(&[Manifest]) -> (usize, Result<(), CacheError>) + Send + 'scope,
        recorded: impl Fn(Manifest, Option<cache::Claim>) + Send + 'scope,
        tell: impl Fn(Committed) + Send + 'scope,
    ) -> Self {
        let outbox = Outbox(Arc::default());
        let inbox = outbox.clone();
        scope.spawn(move || {
            let mut gather = GATHER.0;
            while let Some(batch) = inbox.0.next(gather) {
                let (mut ids, mut manifests, mut locks) = (Vec::new(), Vec::new(), Vec::new());
                for Finished { id, manifest, held } in batch {
                    ids.push(id);
                    manifests.push(manifest);
                    locks.push(held);
                }
                let begun = Instant::now();
                let (count, result) = record(&manifests);
                gather = (begun.elapsed() * REST).clamp(GATHER.0, GATHER.1);
                // The locks on this machine are free now, the claims among machines when others can have the results.
                let claims = locks.into_iter().map(|held| held.and_then(Held::into_claim)).collect::<Vec<_>>();
                let rest = ids.split_off(count.min(ids.len()));
                if !ids.is_empty() {
                    // Before those who may go on because of it: the run knows how many are handed on.
                    tell((ids, Ok(())));
                }
                let pairs = manifests.into_iter().zip(claims).take(count);
                pairs.for_each(|(manifest, claim)| recorded(manifest, claim));
                if result.is_err() {
                    tell((rest, result));
                }
            }
        });
        Self(outbox)
    }

    pub(super) fn outbox(&self) -> Outbox {
        self.0.clone()
    }

    /// Whether nothing else is going on, so that there is nothing to wait for.
    pub(super) fn hurry(&self, hurried: bool) {
        let mut state = self.0.0.lock();
        if state.hurried != hurried {
            state.hurried = hurried;
            self.0.0.changed.notify_one();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.0.0.lock().closed = true;
        self.0.0.changed.notify_one();
    }
}

impl Outbox {
    pub(super) fn push(&self, finished: Finished) {
        let mut state = self.0.lock();
        state.batch.push(finished);
        // In between it sleeps: a batch costs two wakes and not one for each task.
        if state.batch.len() == 1 || state.batch.len() == MOST {
            self.0.changed.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The next batch, after so long; `None` when there will be none.
    fn next(&self, gather: Duration) -> Option<Vec<Finished>> {
        let mut state = self.lock();
        while state.batch.is_empty() {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let begun = Instant::now();
        while !state.hurried && !state.closed && state.batch.len() < MOST {
            let Some(left) = gather.checked_sub(begun.elapsed()) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(std::mem::take(&mut state.batch))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::hash::Hash;
    use crate::manifest::Execution;

    fn finished(id: InstanceId) -> Finished {
        let manifest = Manifest {
            schema: 1,
            key: Hash::of(&id.to_le_bytes()),
            parts: Vec::new(),
            flow: String::new(),
            task: String::new(),
            run: String::new(),
            inputs: Default::default(),
            outputs: Default::default(),
            execution: Execution::default(),
        };
        Finished { id, manifest, held: None }
    }

    /// What is told of tasks 0 to 19, the commits of which end as `record` says.
    fn told(record: impl Fn(&[Manifest]) -> (usize, Result<(), CacheError>) + Send) -> Vec<Committed> {
        let told = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let committer = Committer::start(scope, record, |_, _| {}, |batch| told.lock().unwrap().push(batch));
            (0..20).for_each(|id| committer.outbox().push(finished(id)));
        });
        told.into_inner().unwrap()
    }

    #[test]
    fn what_gathers_is_recorded_together_and_each_is_told_once() {
        let commits = AtomicUsize::new(0);
        let told = told(|manifests| {
            commits.fetch_add(1, Ordering::Relaxed);
            (manifests.len(), Ok(()))
        });
        let ids: Vec<InstanceId> = told.into_iter().flat_map(|(ids, _)| ids).collect();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
        assert!(commits.into_inner() < 10, "twenty pushes take less than the time that is waited for more");
    }

    #[test]
    fn of_a_batch_that_could_not_be_recorded_as_a_whole_it_is_told_what_was() {
        let gone = || Err(CacheError::NotSynced("the disk is gone".into()));
        let nothing = told(|_| (0, gone()));
        assert!(!nothing.is_empty() && nothing.iter().all(|(_, recorded)| recorded.is_err()));
        let some = told(|manifests| (manifests.len() - 1, gone()));
        let of = |good: bool| -> usize {
            some.iter().filter(|(_, recorded)| recorded.is_ok() == good).map(|(ids, _)| ids.len()).sum()
        };
        let failed = some.iter().filter(|(_, recorded)| recorded.is_err());
        assert!(failed.clone().count() > 0 && failed.clone().all(|(ids, _)| ids.len() == 1), "{some:?}");
        assert_eq!(of(true) + of(false), 20);
    }

    #[test]
    fn nothing_waits_when_nothing_else_goes_on() {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let committer = Committer::start(
                scope,
                |manifests| (manifests.len(), Ok(())),
                |_, _| {},
                |(ids, _)| sender.send(ids).unwrap(),
            );
            committer.hurry(true);
            for id in 0..3 {
                committer.outbox().push(finished(id));
                assert_eq!(receiver.recv().unwrap(), [id]);
            }
        });
    }
}
