//! What starts now: the scheduler's decision among all runners of this machine, and the leases that come of it.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::flight::Holds;
use super::{Message, Run};
use crate::execute::{GRACE, sweep_holders, sweep_within};
use crate::leases::{Lease, LeaseError, Terms};
use crate::locks::{Held, Holder};
use crate::plan::InstanceId;
use crate::report::Event;
use crate::resources::Request;
use crate::schedule::{Others, Start};

/// How often it is looked whether others have given something back.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// For so long others may be in the way before that is told.
const SOON: Duration = Duration::from_secs(1);
/// At most so many tasks wait for locks, each in a thread of its own, beside those that run.
const ASIDE: usize = 64;

/// A task to start, and its lease.
type Leased = (Start, Result<Option<Lease>, LeaseError>);

/// Others are in the way of what could start.
pub(super) struct Contended {
    since: Instant,
    told: bool,
}

impl Default for Contended {
    fn default() -> Self {
        Self { since: Instant::now(), told: false }
    }
}

impl Contended {
    /// Once, when it has lasted for a while.
    fn is_to_be_told(&mut self) -> bool {
        !self.told && self.since.elapsed() >= SOON && !std::mem::replace(&mut self.told, true)
    }
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    pub(super) fn start_what_fits(&mut self) {
        if self.halted.is_some() || self.interrupts > 0 {
            return self.want_nothing();
        }
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let running = self.flying.values().filter(|flight| flight.holds.is_some()).count();
        let slots = self.options.jobs.saturating_sub(running);
        if self.waiting.is_empty() || self.flying.len() - running >= ASIDE {
            return self.want_nothing();
        }
        if slots == 0 {
            return self.keep_places();
        }
        match self.decide(slots) {
            Ok(starts) => starts.into_iter().for_each(|(start, lease)| self.start(start, lease)),
            Err(error) => self.without_leases(&error),
        }
    }

    /// Nobody is asked to wait for what this run will not start now.
    fn want_nothing(&mut self) {
        self.contended = None;
        self.leases.iter_mut().for_each(super::Leases::wait_no_more);
    }

    /// What waits for others keeps its place among them while this run may start nothing.
    fn keep_places(&mut self) {
        if let Some(Err(error)) = self.leases.as_mut().map(super::Leases::wait_on) {
            self.without_leases(&error);
        }
    }

    /// What starts, with its leases.
    fn decide(&mut self, slots: usize) -> Result<Vec<Leased>, LeaseError> {
        let Some(leases) = &mut self.leases else {
            let starts = self.scheduler.start_among(slots, &Others::default());
            return Ok(starts.into_iter().map(|start| (start, Ok(None))).collect());
        };
        let contended = self.contended.take();
        let Some(mut turn) = leases.turn()? else {
            self.wait_for_the_turn(contended.unwrap_or_default());
            return Ok(Vec::new());
        };
        let scratch = self.context.cache.scratch();
        let terms = |id: InstanceId, request: &Request, devices: Vec<u32>| Terms {
            holder: self.options.holder(self.planner.name(id)),
            request: request.clone(),
            devices,
            scratch: scratch.clone(),
        };
        let mut starts: Vec<Leased> = Vec::new();
        for start in self.scheduler.start_among(slots, turn.others()) {
            let Some(flight) = self.waiting.get(&start.id) else { continue };
            let request = &flight.resolved.request;
            let lease = if request.is_empty() {
                Ok(None)
            } else {
                turn.lease(&terms(start.id, request, start.devices.clone())).map(Some)
            };
            starts.push((start, lease));
        }
        // Who is alone waits for its own tasks only.
        let blocked = self.scheduler.blocked().filter(|_| !turn.others().is_empty());
        let devices = || self.options.machine.device_indices().collect();
        let blocked: Vec<Terms> = blocked.map(|(id, request)| terms(id, request, devices())).collect();
        if let Err(error) = turn.wait_for(&blocked)
            && starts.is_empty()
        {
            return Err(error);
        }
        let left_behind = std::mem::take(&mut turn.left_behind);
        if let Some(first) = blocked.first() {
            // What has just started is a beginning.
            let mut contended = contended.filter(|_| starts.is_empty()).unwrap_or_default();
            if contended.is_to_be_told() {
                self.reporter.event(&Event::Notice { text: waits_for(first, turn.in_the_way(&first.request)) });
            }
            self.contended = Some(contended);
        }
        drop(turn);
        for (terms, lease) in left_behind {
            if self.swept.insert(lease.clone()) {
                end_survivors(terms.scratch, lease, self.messages.clone());
            }
        }
        Ok(starts)
    }

    /// Somebody else decides, and takes long.
    fn wait_for_the_turn(&mut self, mut contended: Contended) {
        if let Some(leases) = self.leases.as_ref().filter(|_| contended.is_to_be_told()) {
            let turn = leases.folder().join("turn");
            let text = format!("nothing starts as long as another process has {} locked", turn.display());
            self.reporter.event(&Event::Notice { text });
        }
        self.contended = Some(contended);
    }

    fn start(&mut self, Start { id, devices }: Start, lease: Result<Option<Lease>, LeaseError>) {
        let Some(mut flight) = self.waiting.remove(&id) else { return };
        let (lease, error) = match lease {
            Ok(lease) => (lease, None),
            Err(error) => (None, Some(error)),
        };
        flight.holds = Some(Holds { devices, lease, alone: false });
        self.flying.insert(id, flight);
        match error {
            Some(error) => {
                self.cache_failed = true;
                self.fail(id, error.to_string());
            }
            None => self.prepare(id, Duration::ZERO),
        }
    }

    /// Nothing can be started any more: nobody would know of it.
    fn without_leases(&mut self, error: &LeaseError) {
        self.cache_failed = true;
        self.halted.get_or_insert_with(|| "taking a lease".to_owned());
        self.reporter.event(&Event::Notice { text: format!("error: {error}") });
    }

    /// What waits for a lock, perhaps for hours, keeps no core and no device meanwhile.
    pub(super) fn step_aside(&mut self, id: InstanceId) {
        if let Some(holds) = self.flying.get_mut(&id).and_then(|flight| flight.holds.take()) {
            self.give_back(id, holds);
        }
    }

    /// Gives back what a task in flight had.
    pub(super) fn give_back(&mut self, id: InstanceId, holds: Holds) {
        self.changed = true;
        if let Some(flight) = self.flying.get(&id) {
            self.scheduler.free(&self.shared_out(&flight.resolved.request), &holds.devices);
        }
        if let (Some(leases), Some(lease)) = (&mut self.leases, holds.lease) {
            leases.give_back(lease, holds.alone);
        }
    }

    /// It has its locks now, and may start as soon as there is room again.
    pub(super) fn queue_again(&mut self, id: InstanceId, locks: Held) {
        let Some(mut flight) = self.flying.remove(&id) else { return };
        flight.locks = Some(locks);
        // In this run, nobody else was given its lock keys.
        self.queue(id, flight, Vec::new());
    }

    /// Waits until something happens; where others are in the way, at most until it is time to look again.
    pub(super) fn next_message(&mut self, inbox: &Receiver<Message>) -> Option<Message> {
        if self.contended.is_none() {
            // The run holds a sender itself.
            return inbox.recv().ok();
        }
        let message = inbox.recv_timeout(LOOK);
        self.changed |= matches!(message, Err(RecvTimeoutError::Timeout));
        message.ok()
    }
}

fn waits_for(Terms { holder, request, .. }: &Terms, in_the_way: Option<&Holder>) -> String {
    let by = in_the_way.map_or_else(|| "somebody who was first".to_owned(), Holder::short);
    format!("{} waits for {request}: in use by {by}", holder.task)
}

/// Ends what survived a runner and its supervisor, which may take a while: those that are known by their environment, then
/// those that have wiped it and hold the lease.
fn end_survivors(scratch: PathBuf, lease: PathBuf, messages: Sender<Message>) {
    std::thread::spawn(move || {
        // Where nothing can be found out, they keep what they have.
        let marked = sweep_within(&scratch, GRACE).unwrap_or_default();
        let unmarked = sweep_holders(&lease, GRACE).unwrap_or_default();
        for pid in marked.into_iter().chain(unmarked) {
            let text = format!("ended process {pid}, which a killed run had left behind");
            let _ = messages.send(Message::Told(Event::Notice { text }));
        }
    });
}
