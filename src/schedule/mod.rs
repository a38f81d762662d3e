//! What starts next: a pure function of the tasks that are ready, of what is free, and of the lock keys in use.
//!
//! A list scheduler, for one machine or for many ([`Room`]): higher priority first, then the longer remaining path, then
//! the wider request, then the order of the flow. The first of each request that does not fit keeps its place: what comes
//! after it may only use what it leaves, so that large requests do not starve; or what is kept for the first of them,
//! where it is expected to have ended before that one can start (backfilling). Nor does who wants a lock alone starve:
//! those behind it do not join the ones that share it now. It knows no clock, no process and no file.
//!
//! Tasks that ask for the same wait in one class, and in it those with the same lock keys in one line, so a decision
//! looks at the heads of lines and not at all that waits. A line whose keys are in use is parked until they are given
//! back. The simple rule that all of this comes to is in the tests, which compare the two.

mod cluster;
mod forecast;
mod room;
mod simulate;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use cluster::{Cluster, Left, Place};
pub use forecast::{Expected, Forecast};
pub use room::{Rest, Room};
pub use simulate::{Attempt, Bound, Job, Simulated, bound, simulate};

use crate::resources::{Pool, Request};

/// Lock keys, and whether each is shared.
pub type LockKeys = Vec<(String, bool)>;

/// A task that is ready.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its place in the planner's list, which follows the flow.
    pub id: usize,
    /// `priority` of the flow.
    pub priority: i64,
    /// How long the longest path from it on is.
    pub remaining: u64,
    /// How long it is expected to run, in microseconds.
    pub takes: u64,
    /// What it asks for.
    pub request: Arc<Request>,
    /// Lock keys that it holds while it runs, and whether it shares each.
    pub locks: LockKeys,
}

/// A task to start now, and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<Given = Vec<u32>> {
    /// Its place in the planner's list.
    pub id: usize,
    /// The devices it gets; of many machines, also which one.
    pub devices: Given,
}

/// What others on the same machine use and wait for.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// What they use, each with its devices.
    pub used: Vec<(Request, Vec<u32>)>,
    /// What they wait for, who has waited longest first: each with the devices of which it could use some.
    pub waits: Vec<(Request, Vec<u32>)>,
    /// How many of these have waited longer than what this scheduler waits for.
    pub before: BTreeMap<Request, usize>,
}

impl Others {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty() && self.waits.is_empty()
    }

    /// What they leave of `free` to a task that asks for this.
    pub fn room(&self, free: &Pool, request: &Request) -> Pool {
        let mut rest = free.clone();
        self.used.iter().for_each(|(request, devices)| rest.take_devices(request, devices));
        self.leave(&rest, request, true).into_owned()
    }

    /// What they leave of `rest` to a task that asks for this. `waited`: it is the one that has its place among those that wait,
    /// and not one that came after it.
    fn leave<'r>(&self, rest: &'r Pool, request: &Request, waited: bool) -> Cow<'r, Pool> {
        let mut left = Cow::Borrowed(rest);
        let before = self.before.get(request).filter(|_| waited).copied().unwrap_or(self.waits.len());
        self.waits.iter().take(before).for_each(|(request, devices)| left.to_mut().reserve_of(request, devices));
        left
    }
}

/// The place of a task in the order of starts: priority, then path and width, then its place in the flow. How long it takes
/// comes with it, and decides nothing here.
type Rank = (Reverse<i64>, (Reverse<u64>, Reverse<u64>), usize, u64);

/// A task that was started: when it is expected to end, and what it was given.
#[derive(Clone, Debug)]
struct Going<Given> {
    end: u64,
    request: Arc<Request>,
    given: Given,
}

impl Candidate {
    fn rank(&self) -> Rank {
        let path = (Reverse(self.remaining), Reverse(self.request.width()));
        (Reverse(self.priority), path, self.id, self.takes)
    }
}

/// Tasks with the same request.
#[derive(Debug, Default)]
struct Class {
    /// By lock keys.
    lines: BTreeMap<LockKeys, BTreeSet<Rank>>,
    /// The heads of the lines that are not parked.
    heads: BTreeMap<Rank, LockKeys>,
    /// The other lines, each with the key that it waits for.
    parked: BTreeMap<LockKeys, String>,
}

/// What is ready, what is free, and which lock keys are in use.
#[derive(Debug)]
pub struct Scheduler<R: Room = Pool> {
    free: R,
    now: u64,
    /// What runs, where that tells when there is room again.
    going: Vec<Going<R::Given>>,
    /// How many share each key in use, or `None` for one exclusive holder.
    held: BTreeMap<String, Option<usize>>,
    classes: BTreeMap<Arc<Request>, Class>,
    /// Who is ready and wants a key alone.
    writers: BTreeMap<String, BTreeSet<Rank>>,
    /// Lines that wait for a key.
    parked: BTreeMap<String, BTreeSet<(Arc<Request>, LockKeys)>>,
    waiting: usize,
    /// The first of each request that did not fit when it was last looked at, in their order.
    blocked: Vec<(usize, Arc<Request>)>,
    /// How many candidates were looked at so far: what the work of scheduling is measured by.
    #[cfg(test)]
    looks: usize,
}

impl Scheduler {
    /// Sets a device aside, or uses it again: [`Pool::set_aside`].
    pub fn set_aside(&mut self, device: u32, aside: bool) {
        self.free.set_aside(device, aside);
    }
}

impl<R: Room> Scheduler<R> {
    /// Nothing is ready, and all of `machine` is free.
    pub fn new(machine: R) -> Self {
        Self {
            free: machine,
            now: 0,
            going: Vec::new(),
            held: BTreeMap::new(),
            classes: BTreeMap::new(),
            writers: BTreeMap::new(),
            parked: BTreeMap::new(),
            waiting: 0,
            blocked: Vec::new(),
            #[cfg(test)]
            looks: 0,
        }
    }

    /// What time it is, in microseconds since any moment that stays the same.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// One more is ready.
    pub fn add(&mut self, candidate: Candidate) {
        self.waiting += 1;
        let rank = candidate.rank();
        let Candidate { request, locks, .. } = candidate;
        for (key, _) in locks.iter().filter(|(_, shared)| !shared) {
            self.writers.entry(key.clone()).or_default().insert(rank);
        }
        let class = self.classes.entry(Arc::clone(&request)).or_default();
        let line = class.lines.entry(locks.clone()).or_default();
        let before = line.first().copied();
        line.insert(rank);
        if before.is_none_or(|before| rank < before) {
            before.and_then(|before| class.heads.remove(&before));
            // What held up the head before need not be in the way of this one.
            if let Some(key) = class.parked.remove(&locks)
                && let Some(lines) = self.parked.get_mut(&key)
            {
                lines.remove(&(request, locks.clone()));
            }
            class.heads.insert(rank, locks);
        }
    }

    /// Those that start now, at most `slots`, in the order in which they do. They have what they asked for.
    pub fn start(&mut self, slots: usize) -> Vec<Start<R::Given>> {
        self.start_among(slots, &R::Others::default())
    }

    /// The same on a machine that others use too. Nobody takes what somebody else has waited for longer.
    pub fn start_among(&mut self, slots: usize, others: &R::Others) -> Vec<Start<R::Given>> {
        let mut starts = Vec::new();
        if slots == 0 {
            return starts;
        }
        let before = std::mem::take(&mut self.blocked);
        if self.waiting == 0 {
            return starts;
        }
        // What is left once the tasks that did not fit have their share; and when the first of those can start.
        let mut rest = self.free.rest(others);
        let mut opens: Option<u64> = None;
        let mut started: BTreeSet<Arc<Request>> = BTreeSet::new();
        let mut next: BTreeMap<Rank, Arc<Request>> = BTreeMap::new();
        for (request, class) in &self.classes {
            next.extend(class.heads.keys().next().map(|rank| (*rank, Arc::clone(request))));
        }
        while starts.len() < slots
            && let Some((rank, request)) = next.pop_first()
        {
            #[cfg(test)]
            (self.looks += 1);
            let Some(class) = self.classes.get_mut(&request) else { continue };
            let Some(locks) = class.heads.get(&rank).cloned() else { continue };
            if let Some(key) = in_the_way(&self.held, &self.writers, rank, &locks) {
                class.heads.remove(&rank);
                class.parked.insert(locks.clone(), key.clone());
                self.parked.entry(key).or_default().insert((Arc::clone(&request), locks));
            } else if let Some(devices) = {
                // The next one like it came later.
                let waits = !started.contains(&request);
                self.free.take(&mut rest, &request, others, waits).or_else(|| {
                    let (_, first) = self.blocked.first()?;
                    let opens = *opens.get_or_insert_with(|| opens_at::<R>(&self.going, self.now, &rest, first));
                    let in_time = self.now.saturating_add(rank.3) <= opens;
                    in_time.then(|| self.free.take_kept(&mut rest, &request, others, waits)).flatten()
                })
            } {
                if R::BACKFILLS {
                    let end = self.now.saturating_add(rank.3);
                    self.going.push(Going { end, request: Arc::clone(&request), given: devices.clone() });
                }
                started.insert(Arc::clone(&request));
                hold(&mut self.held, &locks);
                for (key, _) in &locks {
                    self.writers.get_mut(key).map(|ranks| ranks.remove(&rank));
                }
                class.advance(rank, locks);
                self.waiting -= 1;
                starts.push(Start { id: rank.2, devices });
            } else {
                // Nor do those behind it that ask for the same.
                self.free.reserve(&mut rest, &request);
                self.blocked.push((rank.2, request));
                continue;
            }
            next.extend(class.heads.keys().next().map(|rank| (*rank, Arc::clone(&request))));
            if class.lines.is_empty() {
                self.classes.remove(&request);
            }
        }
        // What was not looked at, as there were no slots any more, still waits.
        let left = next.into_iter().filter(|(_, request)| before.iter().any(|(_, known)| known == request));
        self.blocked.extend(left.map(|(rank, request)| (rank.2, request)));
        starts
    }

    /// The first of each request that did not fit at the last decision, and what it asks for, in their order.
    pub fn blocked(&self) -> impl Iterator<Item = (usize, &Request)> {
        self.blocked.iter().map(|(id, request)| (*id, &**request))
    }

    /// Takes back what [`Scheduler::start`] gave to a task.
    pub fn give_back(&mut self, request: &Request, devices: &R::Given, locks: &LockKeys) {
        self.free(request, devices);
        self.unlock(locks);
    }

    /// Takes back cores, memory, devices and tokens of a task that keeps its lock keys.
    pub fn free(&mut self, request: &Request, devices: &R::Given) {
        self.free.give_back(request, devices);
        self.forget(request, devices);
    }

    /// Something of what was given like this has ended: the one that was expected to end first.
    fn forget(&mut self, request: &Request, devices: &R::Given) {
        let same = |(_, going): &(usize, &Going<_>)| *going.request == *request && going.given == *devices;
        let ended = self.going.iter().enumerate().filter(same).min_by_key(|(_, going)| going.end);
        if let Some((place, _)) = ended {
            self.going.swap_remove(place);
        }
    }

    /// Takes back the lock keys of a task.
    pub fn unlock(&mut self, locks: &LockKeys) {
        for (key, _) in locks {
            match self.held.get_mut(key) {
                Some(Some(count)) if *count > 1 => *count -= 1,
                _ => {
                    self.held.remove(key);
                    self.unpark(key);
                }
            }
        }
    }

    fn unpark(&mut self, key: &str) {
        for (request, locks) in self.parked.remove(key).unwrap_or_default() {
            let Some(class) = self.classes.get_mut(&request) else { continue };
            class.parked.remove(&locks);
            if let Some(rank) = class.lines.get(&locks).and_then(BTreeSet::first) {
                class.heads.insert(*rank, locks);
            }
        }
    }

    /// All that is ready and not started, in the order of the flow; nothing waits any more.
    pub fn clear(&mut self) -> Vec<usize> {
        self.waiting = 0;
        self.parked.clear();
        self.writers.clear();
        let classes = std::mem::take(&mut self.classes).into_values();
        let ids: BTreeSet<usize> =
            classes.flat_map(|class| class.lines).flat_map(|(_, line)| line).map(|rank| rank.2).collect();
        ids.into_iter().collect()
    }
}

impl Class {
    /// The head of a line has started.
    fn advance(&mut self, rank: Rank, locks: LockKeys) {
        self.heads.remove(&rank);
        let Some(line) = self.lines.get_mut(&locks) else { return };
        line.remove(&rank);
        match line.first() {
            Some(head) => drop(self.heads.insert(*head, locks)),
            None => drop(self.lines.remove(&locks)),
        }
    }
}

/// When there is room for a request, if what runs ends as expected: now where that cannot be told, and where it should be.
fn opens_at<R: Room>(going: &[Going<R::Given>], now: u64, rest: &R::Rest, request: &Request) -> u64 {
    let mut ends: Vec<&Going<R::Given>> = going.iter().collect();
    ends.sort_by_key(|going| going.end);
    let given = ends.iter().map(|going| (&*going.request, &going.given));
    R::opens(rest, given, request).and_then(|place| ends.get(place)).map_or(now, |going| going.end.max(now))
}

/// The first of `locks` that cannot be had by who has this rank.
fn in_the_way(
    held: &BTreeMap<String, Option<usize>>,
    writers: &BTreeMap<String, BTreeSet<Rank>>,
    rank: Rank,
    locks: &LockKeys,
) -> Option<String> {
    let wanted = |key: &str| writers.get(key).and_then(BTreeSet::first).is_some_and(|first| *first < rank);
    let blocks = |(key, shared): &&(String, bool)| match held.get(key) {
        None => false,
        Some(Some(_)) => !*shared || wanted(key),
        Some(None) => true,
    };
    locks.iter().find(blocks).map(|(key, _)| key.clone())
}

fn hold(held: &mut BTreeMap<String, Option<usize>>, locks: &LockKeys) {
    for (key, shared) in locks {
        let entry = held.entry(key.clone()).or_insert(if *shared { Some(0) } else { None });
        if let Some(count) = entry {
            *count += 1;
        }
    }
}
