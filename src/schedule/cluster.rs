//! Many machines as one place for tasks to run. A request never spans machines.
//!
//! Machines are tried in their order, so that the first ones are filled first. Not all of them are looked at: for each request
//! there is a set of those in which there may be room. One in which there was none leaves it, and comes back when a task on
//! it ends; so each end of a task costs at most one look for each request. What does not fit keeps one machine, the one
//! on which the fewest tasks run: what comes after it may only use what it leaves there.

use std::sync::Arc;

use super::Room;
use crate::resources::{Pool, Request};

/// Machines, and what is free on each.
#[derive(Clone, Debug)]
pub struct Cluster {
    whole: Vec<Pool>,
    free: Vec<Pool>,
    /// How many tasks run on each.
    running: Vec<usize>,
    /// The machines on which so many run, by how many.
    calm: Vec<Bits>,
    by_request: Vec<Fits>,
}

/// What is known of a request.
#[derive(Clone, Debug)]
struct Fits {
    request: Arc<Request>,
    /// Where there may be room: nowhere else is.
    open: Bits,
    /// The machine that it keeps while it waits.
    keeps: Option<usize>,
}

/// What a task was given: one machine, and devices on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The machine, by its number.
    pub machine: usize,
    /// The devices there.
    pub devices: Vec<u32>,
}

/// The machines that are kept, and what is left on each.
pub type Left = Vec<(usize, Pool)>;

impl Cluster {
    /// All of these machines are free.
    pub fn new(machines: Vec<Pool>) -> Self {
        Self {
            free: machines.clone(),
            running: vec![0; machines.len()],
            calm: vec![Bits::all(machines.len())],
            by_request: Vec::new(),
            whole: machines,
        }
    }

    /// What there is, machine by machine.
    pub fn machines(&self) -> &[Pool] {
        &self.whole
    }

    fn count(&mut self, machine: usize, count: impl FnOnce(usize) -> usize) {
        let Some(running) = self.running.get_mut(machine) else { return };
        self.calm.get_mut(*running).into_iter().for_each(|calm| calm.remove(machine));
        *running = count(*running);
        if self.calm.len() <= *running {
            self.calm.resize(*running + 1, Bits::none(self.whole.len()));
        }
        self.calm.get_mut(*running).into_iter().for_each(|calm| calm.insert(machine));
    }

    /// The place of a request among those that are known. Who waits asks with the same pointer, mostly.
    fn known(&mut self, request: &Arc<Request>) -> usize {
        if let Some(place) = self.by_request.iter().position(|fits| Arc::ptr_eq(&fits.request, request)) {
            return place;
        }
        if let Some(place) = self.by_request.iter().position(|fits| fits.request == *request) {
            self.by_request.get_mut(place).into_iter().for_each(|fits| fits.request = Arc::clone(request));
            return place;
        }
        let request = Arc::clone(request);
        self.by_request.push(Fits { request, open: Bits::all(self.whole.len()), keeps: None });
        self.by_request.len() - 1
    }
}

impl Room for Cluster {
    type Given = Place;
    type Rest = Left;
    type Others = ();
    const BACKFILLS: bool = false;

    fn rest(&self, (): &()) -> Left {
        Vec::new()
    }

    fn take(&mut self, rest: &mut Left, request: &Arc<Request>, (): &(), _: bool) -> Option<Place> {
        let known = self.known(request);
        let fits = self.by_request.get_mut(known)?;
        let mut next = 0;
        let place = loop {
            let machine = fits.open.next(next)?;
            next = machine + 1;
            let free = self.free.get_mut(machine)?;
            match rest.iter_mut().find(|(kept, _)| *kept == machine) {
                Some((_, left)) => {
                    if let Some(devices) = left.take(request) {
                        free.take_devices(request, &devices);
                        break Place { machine, devices };
                    }
                }
                None => match free.take(request) {
                    Some(devices) => break Place { machine, devices },
                    None => fits.open.remove(machine),
                },
            }
        };
        fits.keeps = None;
        self.count(place.machine, |running| running + 1);
        Some(place)
    }

    fn reserve(&mut self, rest: &mut Left, request: &Arc<Request>) {
        let known = self.known(request);
        let kept = |machine: usize| rest.iter().any(|(kept, _)| *kept == machine);
        let whole = &self.whole;
        let fit = |machine: &usize| whole.get(*machine).is_some_and(|whole| whole.admits(request).is_ok());
        let Some(fits) = self.by_request.get_mut(known) else { return };
        if fits.keeps.is_none() {
            let calm = || self.calm.iter().flat_map(Bits::iter);
            // Where all are kept, it shares one.
            fits.keeps = calm().filter(|machine| !kept(*machine)).find(fit).or_else(|| calm().find(fit));
        }
        let Some(machine) = fits.keeps else { return };
        if !kept(machine) {
            rest.extend(self.free.get(machine).map(|free| (machine, free.clone())));
        }
        let left = rest.iter_mut().find(|(kept, _)| *kept == machine);
        left.into_iter().for_each(|(_, left)| left.reserve(request));
    }

    fn give_back(&mut self, request: &Request, place: &Place) {
        if let Some(free) = self.free.get_mut(place.machine) {
            free.give_back(request, &place.devices);
        }
        self.count(place.machine, |running| running.saturating_sub(1));
        self.by_request.iter_mut().for_each(|fits| fits.open.insert(place.machine));
    }
}

/// A set of small numbers.
#[derive(Clone, Debug)]
struct Bits(Vec<u64>);

impl Bits {
    /// Empty, with room for those below `count`.
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// All below `count`.
    fn all(count: usize) -> Self {
        let mut bits = Self::none(count);
        (0..count).for_each(|bit| bits.insert(bit));
        bits
    }

    fn insert(&mut self, bit: usize) {
        self.0.get_mut(bit / 64).into_iter().for_each(|word| *word |= 1 << (bit % 64));
    }

    fn remove(&mut self, bit: usize) {
        self.0.get_mut(bit / 64).into_iter().for_each(|word| *word &= !(1 << (bit % 64)));
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next(0), |bit| self.next(bit + 1))
    }

    /// The first from `start` on.
    fn next(&self, start: usize) -> Option<usize> {
        let mut words = self.0.iter().enumerate().skip(start / 64);
        let (index, first) = words.next()?;
        let first = first & (u64::MAX << (start % 64));
        let found = |(index, word): (usize, u64)| (word != 0).then(|| index * 64 + word.trailing_zeros() as usize);
        found((index, first)).or_else(|| words.find_map(|(index, word)| found((index, *word))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::tests::{Step, requests, steps};
    use crate::schedule::{Candidate, Others, Rest, Scheduler, Start};

    /// One machine on which nothing uses what is kept.
    struct Plain(Pool);

    impl Room for Plain {
        type Given = Vec<u32>;
        type Rest = Rest;
        type Others = Others;
        const BACKFILLS: bool = false;

        fn rest(&self, others: &Others) -> Rest {
            self.0.rest(others)
        }

        fn take(&mut self, rest: &mut Rest, request: &Arc<Request>, others: &Others, _: bool) -> Option<Vec<u32>> {
            Room::take(&mut self.0, rest, request, others, false)
        }

        fn reserve(&mut self, rest: &mut Rest, request: &Arc<Request>) {
            Room::reserve(&mut self.0, rest, request);
        }

        fn give_back(&mut self, request: &Request, devices: &Vec<u32>) {
            self.0.give_back(request, devices);
        }
    }

    #[test]
    fn a_request_that_waits_keeps_one_machine_and_the_others_go_on() {
        let machines = vec![Pool::new(2.0, 0, &[]), Pool::new(2.0, 0, &[])];
        let mut scheduler = Scheduler::new(Cluster::new(machines));
        let task = |id, cpu, remaining| Candidate {
            id,
            priority: 0,
            remaining,
            takes: 1,
            request: Arc::new(Request::new(cpu, 0.0)),
            locks: Vec::new(),
        };
        let on = |starts: &[Start<Place>]| -> Vec<(usize, usize)> {
            starts.iter().map(|start| (start.id, start.devices.machine)).collect()
        };
        (0..3).for_each(|id| scheduler.add(task(id, 1.0, 99)));
        assert_eq!(on(&scheduler.start(8)), [(0, 0), (1, 0), (2, 1)]);
        [task(3, 2.0, 9), task(4, 1.0, 1), task(5, 1.0, 1)].into_iter().for_each(|task| scheduler.add(task));
        assert!(scheduler.start(8).is_empty(), "machine 1 is kept for task 3");
        let one = Request::new(1.0, 0.0);
        let at = |machine| Place { machine, devices: Vec::new() };
        scheduler.give_back(&one, &at(0), &Vec::new());
        assert_eq!(on(&scheduler.start(8)), [(4, 0)], "a core of machine 0 is for whoever comes");
        scheduler.give_back(&one, &at(1), &Vec::new());
        assert_eq!(on(&scheduler.start(8)), [(3, 1)]);
    }

    proptest! {
        #[test]
        fn a_cluster_of_one_machine_is_that_machine(steps in steps()) {
            let machine = Pool::new(4.0, 4 << 30, &[0, 1, 2]).token("seat", 2.0);
            let mut plain = Scheduler::new(Plain(machine.clone()));
            let mut cluster = Scheduler::new(Cluster::new(vec![machine]));
            let (mut all, mut running) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Add { priority, remaining, takes, request, locks } => {
                        let request = Arc::new(requests()[request].clone());
                        let candidate = Candidate { id: all.len(), priority, remaining, takes, request, locks };
                        plain.add(candidate.clone());
                        cluster.add(candidate.clone());
                        all.push(candidate);
                    }
                    Step::Start { slots, .. } => {
                        let starts = plain.start(slots);
                        let on_one: Vec<Start<Place>> = cluster.start(slots);
                        let on_one = on_one.iter().map(|start| (start.id, start.devices.devices.clone()));
                        let expected: Vec<_> = starts.iter().map(|start| (start.id, start.devices.clone())).collect();
                        prop_assert_eq!(expected, on_one.collect::<Vec<_>>());
                        running.extend(starts);
                    }
                    Step::End { which } if !running.is_empty() => {
                        let Start { id, devices } = running.remove(which.index(running.len()));
                        plain.give_back(&all[id].request, &devices, &all[id].locks);
                        cluster.give_back(&all[id].request, &Place { machine: 0, devices }, &all[id].locks);
                    }
                    Step::End { .. } => {}
                }
            }
        }

        #[test]
        fn bits_are_a_set(bits in prop::collection::btree_set(0..200_usize, 0..40), start in 0..200_usize) {
            let mut set = Bits::all(200);
            (0..200).filter(|bit| !bits.contains(bit)).for_each(|bit| set.remove(bit));
            prop_assert_eq!(set.next(start), bits.range(start..).next().copied());
        }
    }
}
