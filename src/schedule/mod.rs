//! What starts next: a pure function of the tasks that are ready, of what is free, and of the lock keys in use.
//!
//! A list scheduler, for one machine or for many ([`Room`]): higher priority first, then the longer remaining path, then
//! the wider request, then the order of the flow. The first of each request that does not fit keeps its place: what comes
//! after it may only use what it leaves, so that large requests do not starve; or what is kept for the first of them, where it
//! is expected to have ended before that one can start (backfilling). Nor does who wants a lock alone starve: those behind it do not join the ones that share it now. It knows no clock,
//! no process and no file.
//!
//! Tasks that ask for the same wait in one class, and in it those with the same lock keys in one line, so a decision
//! looks at the heads of lines and not at all that waits. A line whose keys are in use is parked until they are given
//! back. The simple rule that all of this comes to is in the tests, which compare the two.

mod cluster;
mod forecast;
mod room;
mod simulate;

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
    pub request: Request,
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
    /// What has waited since before this scheduler's [`Scheduler::blocked`] did.
    pub earlier: Vec<Request>,
    /// What has waited since then.
    pub later: Vec<Request>,
}

impl Others {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty() && self.earlier.is_empty() && self.later.is_empty()
    }

    /// What they leave of `free` to a task that came last.
    pub fn room(&self, free: &Pool) -> Pool {
        let mut rest = free.clone();
        self.used.iter().for_each(|(request, devices)| rest.take_devices(request, devices));
        self.leave(&rest, false).into_owned()
    }

    /// What they leave of `rest` to a task; `waited`: that it has waited longer than those that came later.
    fn leave<'r>(&self, rest: &'r Pool, waited: bool) -> Cow<'r, Pool> {
        let mut left = Cow::Borrowed(rest);
        let later = self.later.iter().filter(|_| !waited);
        self.earlier.iter().chain(later).for_each(|request| left.to_mut().reserve(request));
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
    /// The first that did not fit when it was last looked.
    blocked: Option<(usize, Arc<Request>)>,
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
            blocked: None,
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
        let request = Arc::new(request);
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
        let mut waited = self.blocked.take().map(|(_, request)| request);
        if slots == 0 || self.waiting == 0 {
            return starts;
        }
        // What is left once the tasks that did not fit have their share; and when the first of those can start.
        let mut rest = self.free.rest(others);
        let mut opens: Option<u64> = None;
        let mut next: BTreeMap<Rank, Arc<Request>> = BTreeMap::new();
        for (request, class) in &self.classes {
            next.extend(class.heads.keys().next().map(|rank| (*rank, Arc::clone(request))));
        }
        while let Some((rank, request)) = next.pop_first().filter(|_| starts.len() < slots) {
            #[cfg(test)]
            (self.looks += 1);
            let Some(class) = self.classes.get_mut(&request) else { continue };
            let Some(locks) = class.heads.get(&rank).cloned() else { continue };
            if let Some(key) = in_the_way(&self.held, &self.writers, rank, &locks) {
                class.heads.remove(&rank);
                class.parked.insert(locks.clone(), key.clone());
                self.parked.entry(key).or_default().insert((Arc::clone(&request), locks));
            } else if let Some(devices) = {
                let waits = waited.as_ref() == Some(&request);
                self.free.take(&mut rest, &request, others, waits).or_else(|| {
                    let (_, first) = self.blocked.as_ref()?;
                    let opens = *opens.get_or_insert_with(|| opens_at::<R>(&self.going, self.now, &rest, first));
                    let in_time = self.now.saturating_add(rank.3) <= opens;
                    in_time.then(|| self.free.take_kept(&mut rest, &request, others, waits)).flatten()
                })
            } {
                if R::BACKFILLS {
                    let end = self.now.saturating_add(rank.3);
                    self.going.push(Going { end, request: Arc::clone(&request), given: devices.clone() });
                }
                // The next one like it has waited since now.
                waited.take_if(|waited| *waited == request);
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
                self.blocked.get_or_insert((rank.2, request));
                continue;
            }
            next.extend(class.heads.keys().next().map(|rank| (*rank, Arc::clone(&request))));
            if class.lines.is_empty() {
                self.classes.remove(&request);
            }
        }
        starts
    }

    /// The first that did not fit at the last decision, and what it asks for.
    pub fn blocked(&self) -> Option<(usize, &Request)> {
        self.blocked.as_ref().map(|(id, request)| (*id, &**request))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule: in order, what fits starts; the first of each request that does not keeps its place. What has ended by then
    /// may use what the first of those keeps.
    #[derive(Debug)]
    struct Simple {
        free: Pool,
        now: u64,
        held: BTreeMap<String, Option<usize>>,
        ready: Vec<Candidate>,
        /// When what runs is expected to end.
        going: Vec<(u64, Request, Vec<u32>)>,
    }

    impl Simple {
        fn opens(&self, request: &Request) -> u64 {
            let (mut going, mut free) = (self.going.clone(), self.free.clone());
            going.sort_by_key(|(end, ..)| *end);
            for (end, ended, devices) in going {
                free.give_back(&ended, &devices);
                if free.clone().take(request).is_some() {
                    return end.max(self.now);
                }
            }
            self.now
        }

        fn start(&mut self, slots: usize) -> Vec<Start> {
            self.ready.sort_by_key(Candidate::rank);
            let (mut rest, mut blocked, mut starts) = (self.free.clone(), Vec::<Request>::new(), Vec::new());
            let mut before: Vec<Candidate> = Vec::new();
            for candidate in &self.ready.clone() {
                let Candidate { id, request, locks, takes, .. } = candidate;
                let shut = |(key, shared): &(String, bool)| match self.held.get(key) {
                    None => false,
                    Some(None) => true,
                    // Shared now: not with one that comes before and wants it alone.
                    Some(Some(_)) => !shared || before.iter().any(|ready| ready.locks.contains(&(key.clone(), false))),
                };
                let locked = locks.iter().any(shut);
                before.push(candidate.clone());
                if starts.len() == slots || blocked.contains(request) || locked {
                    continue;
                }
                let in_time = blocked.first().is_some_and(|first| self.now + takes <= self.opens(first));
                let devices =
                    rest.clone().take(request).or_else(|| self.free.clone().take(request).filter(|_| in_time));
                if let Some(devices) = devices {
                    rest.take_devices(request, &devices);
                    self.free.take_devices(request, &devices);
                    hold(&mut self.held, locks);
                    before.pop();
                    self.going.push((self.now + takes, request.clone(), devices.clone()));
                    starts.push(Start { id: *id, devices });
                } else {
                    rest.reserve(request);
                    blocked.push(request.clone());
                }
            }
            self.ready.retain(|candidate| starts.iter().all(|start| start.id != candidate.id));
            starts
        }

        fn give_back(&mut self, request: &Request, devices: &[u32], locks: &LockKeys) {
            self.free.give_back(request, devices);
            let same = |(_, going): &(usize, &(u64, Request, Vec<u32>))| going.1 == *request && going.2 == *devices;
            let ended = self.going.iter().enumerate().filter(same).min_by_key(|(_, going)| going.0).unwrap().0;
            self.going.remove(ended);
            for (key, _) in locks {
                match self.held.get_mut(key) {
                    Some(Some(count)) if *count > 1 => *count -= 1,
                    _ => drop(self.held.remove(key)),
                }
            }
        }
    }

    #[derive(Clone, Debug)]
    pub(super) enum Step {
        Add { priority: i64, remaining: u64, takes: u64, request: usize, locks: LockKeys },
        Start { slots: usize, later: u64 },
        End { which: prop::sample::Index },
    }

    pub(super) fn requests() -> [Request; 5] {
        [
            Request::new(1.0, 0.0),
            Request::new(3.0, 0.0).memory(2 << 30),
            Request::new(2.0, 2.0),
            Request::new(0.0, 0.5).token("seat", 1.0),
            Request::new(0.0, 0.0),
        ]
    }

    pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
        let locks = prop::collection::btree_map("[abc]", any::<bool>(), 0..3);
        let add = (0..2_i64, 0..3_u64, 0..9_u64, 0..requests().len(), locks);
        let add = add.prop_map(|(priority, remaining, takes, request, locks)| Step::Add {
            priority,
            remaining,
            takes,
            request,
            locks: locks.into_iter().collect(),
        });
        let start = (0..5_usize, 0..3_u64).prop_map(|(slots, later)| Step::Start { slots, later });
        let end = any::<prop::sample::Index>().prop_map(|which| Step::End { which });
        prop::collection::vec(prop_oneof![3 => add, 2 => start, 2 => end], 0..60)
    }

    proptest! {
        #[test]
        fn it_starts_what_the_simple_rule_starts(steps in steps()) {
            let machine = Pool::new(4.0, 4 << 30, &[0, 1, 2]).token("seat", 2.0);
            let mut scheduler = Scheduler::new(machine.clone());
            let (free, held) = (machine.clone(), BTreeMap::new());
            let mut simple = Simple { free, now: 0, held, ready: Vec::new(), going: Vec::new() };
            let (mut all, mut running) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Add { priority, remaining, takes, request, locks } => {
                        let request = requests()[request].clone();
                        let candidate = Candidate { id: all.len(), priority, remaining, takes, request, locks };
                        all.push(candidate.clone());
                        scheduler.add(candidate.clone());
                        simple.ready.push(candidate);
                    }
                    Step::Start { slots, later } => {
                        simple.now += later;
                        scheduler.set_time(simple.now);
                        let starts = scheduler.start(slots);
                        prop_assert_eq!(&starts, &simple.start(slots));
                        running.extend(starts);
                    }
                    Step::End { which } if !running.is_empty() => {
                        let Start { id, devices } = running.remove(which.index(running.len()));
                        scheduler.give_back(&all[id].request, &devices, &all[id].locks);
                        simple.give_back(&all[id].request, &devices, &all[id].locks);
                    }
                    Step::End { .. } => {}
                }
                prop_assert_eq!(scheduler.waiting, simple.ready.len());
                prop_assert_eq!(&scheduler.free, &simple.free);
            }
            let mut left: Vec<usize> = simple.ready.iter().map(|candidate| candidate.id).collect();
            left.sort_unstable();
            prop_assert_eq!(scheduler.clear(), left);
        }
    }

    fn task(id: usize, cpu: f64, remaining: u64) -> Candidate {
        Candidate { id, priority: 0, remaining, takes: 1, request: Request::new(cpu, 0.0), locks: Vec::new() }
    }

    fn with(machine: Pool, ready: &[Candidate]) -> Scheduler {
        let mut scheduler = Scheduler::new(machine);
        ready.iter().for_each(|candidate| scheduler.add(candidate.clone()));
        scheduler
    }

    fn ids(starts: &[Start]) -> Vec<usize> {
        starts.iter().map(|start| start.id).collect()
    }

    fn machine(cpus: f64) -> Pool {
        Pool::new(cpus, 0, &[])
    }

    #[test]
    fn the_longest_path_goes_first_and_priority_before_it() {
        let mut ready = vec![task(0, 1.0, 1), task(1, 1.0, 5), task(2, 1.0, 3)];
        ready[0].priority = 1;
        assert_eq!(ids(&with(machine(2.0), &ready).start(8)), [0, 1]);
    }

    #[test]
    fn a_large_request_is_not_starved_by_small_ones() {
        let small = |id| Candidate { takes: 2, ..task(id, 1.0, 1) };
        let ready = [task(0, 4.0, 9), small(1), small(2)];
        let mut scheduler = with(machine(4.0), &[task(9, 1.0, 99)]);
        assert_eq!(ids(&scheduler.start(8)), [9]);
        ready.iter().for_each(|candidate| scheduler.add(candidate.clone()));
        assert!(scheduler.start(8).is_empty(), "three free cores are kept for task 0");
        scheduler.give_back(&Request::new(1.0, 0.0), &vec![], &Vec::new());
        assert_eq!(ids(&scheduler.start(8)), [0]);
    }

    #[test]
    fn what_will_have_ended_by_then_uses_what_is_kept() {
        let mut scheduler = with(machine(4.0), &[]);
        let for_long = |id, cpu, takes, remaining| Candidate { takes, ..task(id, cpu, remaining) };
        scheduler.add(for_long(0, 1.0, 100, 99));
        assert_eq!(ids(&scheduler.start(8)), [0]);
        scheduler.set_time(40);
        let large = for_long(1, 4.0, 10, 9);
        [large, for_long(2, 1.0, 61, 3), for_long(3, 2.0, 60, 1), for_long(4, 2.0, 1, 1)]
            .into_iter()
            .for_each(|candidate| scheduler.add(candidate));
        assert_eq!(ids(&scheduler.start(8)), [3], "task 1 can start at 100; task 2 would still run");
        scheduler.set_time(101);
        assert!(scheduler.start(8).is_empty(), "task 0 should have ended: now nothing passes task 1");
        scheduler.give_back(&Request::new(2.0, 0.0), &vec![], &Vec::new());
        assert!(scheduler.start(8).is_empty());
        scheduler.give_back(&Request::new(1.0, 0.0), &vec![], &Vec::new());
        assert_eq!(ids(&scheduler.start(8)), [1]);
    }

    #[test]
    fn of_equal_paths_the_wider_goes_first() {
        let gang = |id, gpus| Candidate { request: Request::new(1.0, gpus), ..task(id, 1.0, 5) };
        let ready = [gang(0, 0.5), gang(1, 2.0), task(2, 2.0, 5), gang(3, 2.0), task(4, 1.0, 6)];
        assert_eq!(ids(&with(Pool::new(9.0, 0, &[0, 1, 2, 3, 4]), &ready).start(8)), [4, 1, 3, 0, 2]);
    }

    #[test]
    fn a_gang_that_waits_for_devices_keeps_no_cores_meanwhile() {
        let gang = |id, gpus| Candidate { request: Request::new(2.0, gpus), ..task(id, 2.0, 9) };
        let mut scheduler = with(Pool::new(4.0, 0, &[0, 1]), &[gang(0, 1.0)]);
        assert_eq!(ids(&scheduler.start(8)), [0]);
        let late = |candidate: Candidate| Candidate { takes: 9, ..candidate };
        [gang(1, 2.0), late(gang(2, 1.0)), late(task(3, 2.0, 1))]
            .into_iter()
            .for_each(|candidate| scheduler.add(candidate));
        assert_eq!(ids(&scheduler.start(8)), [3], "device 1 is kept for task 1, the two cores are not");
        scheduler.give_back(&Request::new(2.0, 1.0), &vec![0], &Vec::new());
        scheduler.add(task(4, 1.0, 99));
        scheduler.add(Candidate { takes: 10, ..task(5, 1.0, 0) });
        assert_eq!(ids(&scheduler.start(8)), [4], "now it waits for cores only, and nothing behind it gets any");
    }

    #[test]
    fn two_tasks_with_one_exclusive_lock_do_not_run_together() {
        let mut ready = vec![task(0, 0.0, 0), task(1, 0.0, 0), task(2, 0.0, 0)];
        ready[0].locks = vec![("summary".into(), false)];
        ready[1].locks = vec![("summary".into(), false)];
        let mut scheduler = with(machine(1.0), &ready);
        assert_eq!(ids(&scheduler.start(8)), [0, 2]);
        scheduler.give_back(&ready[0].request, &vec![], &ready[0].locks);
        assert_eq!(ids(&scheduler.start(8)), [1]);
    }

    #[test]
    fn readers_share_a_lock() {
        let mut ready = vec![task(0, 0.0, 0), task(1, 0.0, 0), task(2, 0.0, 0)];
        ready[0].locks = vec![("table".into(), true)];
        ready[1].locks = vec![("table".into(), true)];
        ready[2].locks = vec![("table".into(), false)];
        let mut scheduler = with(machine(1.0), &ready);
        assert_eq!(ids(&scheduler.start(8)), [0, 1]);
        scheduler.give_back(&ready[0].request, &vec![], &ready[0].locks);
        assert!(scheduler.start(8).is_empty());
        scheduler.give_back(&ready[1].request, &vec![], &ready[1].locks);
        assert_eq!(ids(&scheduler.start(8)), [2]);
    }

    #[test]
    fn readers_do_not_pass_a_writer_that_comes_before_them() {
        let reader = |id| Candidate { locks: vec![("table".into(), true)], ..task(id, 0.0, 0) };
        let writer = Candidate { priority: 1, locks: vec![("table".into(), false)], ..task(2, 0.0, 0) };
        let mut scheduler = with(machine(1.0), &[reader(0)]);
        assert_eq!(ids(&scheduler.start(8)), [0]);
        [reader(1), writer.clone()].into_iter().for_each(|candidate| scheduler.add(candidate));
        assert!(scheduler.start(8).is_empty(), "task 1 would keep the writer waiting");
        scheduler.add(Candidate { priority: 2, ..reader(3) });
        assert_eq!(ids(&scheduler.start(8)), [3], "it comes before the writer");
        scheduler.give_back(&writer.request, &vec![], &reader(0).locks);
        scheduler.give_back(&writer.request, &vec![], &reader(3).locks);
        assert_eq!(ids(&scheduler.start(8)), [2]);
        scheduler.give_back(&writer.request, &vec![], &writer.locks);
        assert_eq!(ids(&scheduler.start(8)), [1]);
    }

    #[test]
    fn what_others_use_is_not_there() {
        let mut scheduler = with(Pool::new(4.0, 0, &[0, 1, 2, 3]), &[]);
        let gang = Request::new(1.0, 2.0);
        (0..2).for_each(|id| scheduler.add(Candidate { request: gang.clone(), ..task(id, 1.0, 0) }));
        let others = Others { used: vec![(Request::new(1.0, 1.0), vec![1])], ..Others::default() };
        assert_eq!(scheduler.start_among(8, &others), [Start { id: 0, devices: vec![2, 3] }]);
        assert_eq!(scheduler.blocked(), Some((1, &gang)));
        assert_eq!(scheduler.start_among(8, &Others::default()), [Start { id: 1, devices: vec![0, 1] }]);
        assert_eq!(scheduler.blocked(), None);
    }

    #[test]
    fn who_has_waited_longer_elsewhere_comes_first() {
        let all = Request::new(0.0, 4.0);
        let half = |id| Candidate { request: Request::new(0.0, 0.5), ..task(id, 0.0, 0) };
        let mut scheduler = with(Pool::new(4.0, 0, &[0, 1, 2, 3]), &[half(0), half(1)]);
        let gang = Others { earlier: vec![all.clone()], ..Others::default() };
        assert_eq!(scheduler.start_among(8, &gang), []);
        // Now it has waited too, and the next gang is a later one.
        let gang = Others { later: vec![all], ..Others::default() };
        assert_eq!(ids(&scheduler.start_among(8, &gang)), [0], "the one behind it has not waited");
    }

    #[test]
    fn no_more_than_the_slots() {
        assert_eq!(ids(&with(machine(1.0), &[task(0, 0.0, 0), task(1, 0.0, 0)]).start(1)), [0]);
    }

    /// Runs all, two at a time; gives how many candidates were looked at.
    fn looks(tasks: Vec<Candidate>) -> usize {
        let mut scheduler = with(machine(2.0), &tasks);
        let mut running = scheduler.start(2);
        while let Some(start) = running.pop() {
            let ended = &tasks[start.id];
            scheduler.give_back(&ended.request, &start.devices, &ended.locks);
            running.extend(scheduler.start(2 - running.len()));
        }
        assert_eq!(scheduler.waiting, 0);
        scheduler.looks
    }

    #[test]
    fn the_work_grows_with_the_tasks_and_not_with_its_square() {
        let count = 5000;
        let named = |id: usize, key: String| Candidate { locks: vec![(key, false)], ..task(id, 1.0, 0) };
        let alike: Vec<Candidate> = (0..count).map(|id| task(id, 1.0, 0)).collect();
        let one_key = (0..count).map(|id| named(id, "table".into())).collect();
        let own_keys = (0..count).map(|id| named(id, format!("day {id}"))).collect();
        let large = (0..count).map(|id| task(id, if id % 2 == 0 { 2.0 } else { 1.0 }, 0)).collect();
        for tasks in [alike, one_key, own_keys, large] {
            let looks = looks(tasks);
            assert!(looks <= 5 * count, "{looks} looks for {count} tasks");
        }
    }
}
