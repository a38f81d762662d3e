//! Sharing results once they are recorded, in threads of its own: a large one keeps no other task from being recorded, and
//! what depends on it here does not wait for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use super::{Message, Run};
use crate::cache::{self, Cache, CacheError};
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::provenance::RunTaskState;
use crate::report::Event;
use crate::sync::lock;

/// So many results are on their way at once; of each, many objects are.
const AT_ONCE: usize = 4;

/// A result to be shared.
enum Item {
    /// It was just recorded. Until it is shared, nobody else executes it.
    New(Box<Manifest>, #[expect(dead_code, reason = "it is held, and let go with the item")] Option<cache::Claim>),
    /// The newest one of a key.
    Of(Hash),
}

/// The way to the threads that share. They end when it is dropped and nothing is left to be shared.
#[derive(Clone)]
pub(super) struct Sharer {
    items: Sender<Item>,
    given_up: Arc<AtomicBool>,
}

/// What became of what was to be shared.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// How many are on their way.
    pub(super) left: usize,
    /// How many could not be shared, and why the first one could not.
    failed: Option<(usize, CacheError)>,
    /// Whether what was recorded earlier was looked through.
    looked: bool,
}

impl Sharer {
    /// Starts the threads; `None` where the cache is not shared.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        cache: &'scope Cache,
        messages: &Sender<Message>,
    ) -> Option<Self> {
        cache.remote()?;
        let (items, inbox) = channel();
        let (inbox, given_up) = (Arc::new(Mutex::new(inbox)), Arc::<AtomicBool>::default());
        for _ in 0..AT_ONCE {
            let (inbox, given_up, messages) = (Arc::clone(&inbox), Arc::clone(&given_up), messages.clone());
            scope.spawn(move || {
                while let Some(item) = next(&inbox) {
                    // What is not shared now is shared by the next run, or by `ghtrader cache push`.
                    let shared = match &item {
                        _ if given_up.load(Ordering::Relaxed) => Ok(()),
                        Item::New(manifest, _) => cache.share(manifest),
                        Item::Of(key) => cache.share_key(key).map(drop),
                    };
                    drop(item);
                    // A run that is over does not listen.
                    let _ = messages.send(Message::Shared(shared));
                }
            });
        }
        Some(Self { items, given_up })
    }

    /// Shares a result that was just recorded.
    pub(super) fn push(&self, manifest: Manifest, claim: Option<cache::Claim>) {
        self.send(Item::New(Box::new(manifest), claim));
    }

    fn send(&self, item: Item) {
        // The threads listen as long as this is here.
        let _ = self.items.send(item);
    }
}

fn next(inbox: &Mutex<Receiver<Item>>) -> Option<Item> {
    lock(inbox).recv().ok()
}

impl Run<'_, '_> {
    pub(super) fn shared(&mut self, shared: Result<(), CacheError>) {
        self.sharing.left = self.sharing.left.saturating_sub(1);
        let Err(error) = shared else { return };
        self.cache_failed = true;
        match &mut self.sharing.failed {
            Some((count, _)) => *count += 1,
            none => *none = Some((1, error)),
        }
    }

    /// Shares what was recorded before and never shared, such as by a run that was killed. Whether there is anything.
    pub(super) fn share_rest(&mut self) -> bool {
        let Some(sharer) = self.sharer.as_ref().filter(|_| !self.sharing.looked && self.interrupts == 0) else {
            return false;
        };
        self.sharing.looked = true;
        let done = |state| matches!(state, RunTaskState::Ran | RunTaskState::Cached);
        let keys: HashSet<Hash> =
            self.tasks.values().filter(|task| done(task.state)).filter_map(|task| task.key).collect();
        match self.context.cache.unshared(|key| keys.contains(key)) {
            // Where nothing could be shared, it would be tried in vain once more.
            Ok(keys) if self.sharing.failed.is_none() => {
                self.sharing.left += keys.len();
                let any = !keys.is_empty();
                keys.into_iter().for_each(|key| sharer.send(Item::Of(key)));
                any
            }
            Ok(_) => false,
            Err(error) => {
                self.sharing.failed.get_or_insert((1, error));
                self.cache_failed = true;
                false
            }
        }
    }

    /// Says what could not be shared.
    pub(super) fn report_unshared(&mut self) {
        if let Some((count, error)) = self.sharing.failed.take() {
            let results = if count == 1 { "1 result is".to_owned() } else { format!("{count} results are") };
            let text =
                format!("{results} recorded here and not shared: {error}; then `ghtrader cache push` shares them");
            self.reporter.event(&Event::Notice { text });
        }
    }

    /// Nothing more is begun to be shared.
    pub(super) fn share_no_more(&mut self) {
        if let Some(sharer) = &self.sharer {
            sharer.given_up.store(true, Ordering::Relaxed);
        }
    }
}
