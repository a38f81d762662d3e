//! Threads for what may take long: laying out folders, storing outputs, publishing. They know nothing of what they do.

use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

type Work<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// A fixed number of threads that take work from one queue. They end when this is dropped and the queue is empty.
pub(super) struct Workers<'scope>(Arc<Shared<'scope>>);

struct Shared<'scope> {
    queue: Mutex<Queue<'scope>>,
    more: Condvar,
}

#[derive(Default)]
struct Queue<'scope> {
    work: VecDeque<Work<'scope>>,
    closed: bool,
}

impl<'scope> Workers<'scope> {
    pub(super) fn start(scope: &'scope Scope<'scope, '_>, count: usize) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), more: Condvar::new() });
        for _ in 0..count {
            let shared = Arc::clone(&shared);
            scope.spawn(move || {
                while let Some(work) = shared.next() {
                    work();
                }
            });
        }
        Self(shared)
    }

    pub(super) fn run(&self, work: impl FnOnce() + Send + 'scope) {
        self.0.lock().work.push_back(Box::new(work));
        self.0.more.notify_one();
    }
}

impl Drop for Workers<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.more.notify_all();
    }
}

impl<'scope> Shared<'scope> {
    fn lock(&self) -> MutexGuard<'_, Queue<'scope>> {
        // Work is done without the lock, so nothing half-done is behind it.
        lock(&self.queue)
    }

    /// The next piece of work; `None` when there will be none.
    fn next(&self) -> Option<Work<'scope>> {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.work.pop_front() {
                return Some(work);
            }
            if queue.closed {
                return None;
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_work_is_done_before_the_threads_end() {
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let workers = Workers::start(scope, 3);
            for _ in 0..100 {
                workers.run(|| {
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(done.into_inner(), 100);
    }
}
