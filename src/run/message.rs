//! What the threads and the executor of a run tell the thread that decides.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::commit::Committed;
use super::publish::PublishError;
use super::task::TaskError;
use crate::cache::CacheError;
use crate::execute::ExecEvent;
use crate::locks::{Held, LockError};
use crate::plan::{Done, InstanceId};
use crate::report::Event;

/// Where a run hears of what happens.
#[derive(Debug)]
pub struct Mailbox {
    pub(super) sender: Sender<Message>,
    pub(super) inbox: Receiver<Message>,
}

impl Mailbox {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it is a channel and not a value")]
    pub fn new() -> Self {
        let (sender, inbox) = channel();
        Self { sender, inbox }
    }

    /// For an executor: takes what it tells of its jobs.
    pub fn of_executor(&self) -> impl Fn(ExecEvent) + Send + Sync + 'static {
        let sender = self.sender.clone();
        // A run that is over does not listen.
        move |event| drop(sender.send(Message::Exec(event)))
    }

    /// To be called at each interrupt (Ctrl-C); false when the run has ended.
    pub fn of_interrupts(&self) -> impl Fn() -> bool + Send + 'static {
        let sender = self.sender.clone();
        move || sender.send(Message::Interrupt).is_ok()
    }
}

/// What the threads and the executor report.
#[derive(Debug)]
pub(super) enum Message {
    Exec(ExecEvent),
    /// It has to wait for a lock or for its next attempt, and needs nothing else meanwhile.
    Waits(InstanceId),
    Prepared(InstanceId, Result<Prepared, NotStarted>),
    /// What a task wrote is in the cache, and may be used; or it cannot be kept. The locks come back for another attempt.
    Kept(InstanceId, Result<Done, (TaskError, Option<Held>)>),
    Committed(Committed),
    Shared(Result<(), CacheError>),
    Waiting(InstanceId, String, String),
    Published(String, Result<(), PublishError>),
    Told(Event),
    Interrupt,
}

/// A task that is being started, or that somebody else has finished meanwhile.
#[derive(Debug)]
pub(super) enum Prepared {
    Started(Held),
    /// What it waited for is there: it may start as soon as there is room.
    Free(Held),
    Cached(Done),
}

/// Why a task was not started.
#[derive(Debug)]
pub(super) enum NotStarted {
    Task(TaskError),
    Lock(LockError),
    /// The run was interrupted before it started.
    Interrupted,
}
