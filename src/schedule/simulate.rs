//! A run in simulated time: the scheduler decides as ever, and an attempt of a task ends when its time is over. It knows neither
//! where the times come from (history, or drawn) nor who looks at what comes out.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::{Candidate, LockKeys, Room, Scheduler};
use crate::resources::{Pool, Request};

/// A task to be simulated.
#[derive(Clone, Debug)]
pub struct Job {
    /// Higher first.
    pub priority: i64,
    /// How long the longest path from it on is: the longer first.
    pub remaining: u64,
    /// What it asks for.
    pub request: Arc<Request>,
    /// Lock keys that it holds while it runs, and whether it shares each.
    pub locks: LockKeys,
    /// How long each of its attempts takes, in microseconds; all but the last fail.
    pub attempts: Vec<u64>,
    /// Whether the last one fails, too. What depends on it is skipped then.
    pub fails: bool,
}

/// One attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<Given> {
    /// The task, by its place among the jobs.
    pub job: usize,
    /// When it began, in microseconds.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What it was given.
    pub given: Given,
}

/// What came of a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulated {
    /// When the last task ended, in microseconds.
    pub makespan: u64,
    /// How often an attempt was started.
    pub decisions: u64,
    /// For each job, whether it was executed.
    pub executed: Vec<bool>,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs that were skipped, since one before them failed.
    pub skipped: usize,
    /// The longest path through what was executed, in microseconds.
    pub path: u64,
}

/// No schedule can end earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What it follows from: `path`, `jobs`, or a resource.
    pub name: String,
    /// In microseconds.
    pub micros: u64,
}

/// Runs all `jobs`, at most `slots` at once; an edge leads from a job to one that has to wait for it. `see` is told of each
/// attempt when it ends. A job that can never start is left: neither executed nor skipped.
pub fn simulate<R: Room>(
    room: R,
    slots: usize,
    jobs: &[Job],
    edges: &[(usize, usize)],
    mut see: impl FnMut(Attempt<R::Given>),
) -> Simulated {
    let mut simulation = Simulation::new(room, jobs, edges);
    loop {
        let free = slots.saturating_sub(simulation.ends.len());
        simulation.scheduler.set_time(simulation.now);
        for start in simulation.scheduler.start(free) {
            simulation.begin(start.id, start.devices);
        }
        let Some(now) = simulation.ends.peek().map(|running| running.0.end) else { break };
        simulation.now = now;
        // All that ends at a time ends before anything starts.
        while simulation.ends.peek().is_some_and(|running| running.0.end == now) {
            simulation.ends.pop().into_iter().for_each(|running| simulation.end(running.0, &mut see));
        }
    }
    Simulated { makespan: simulation.now, ..simulation.so_far }
}

struct Simulation<'j, R: Room> {
    jobs: &'j [Job],
    readers: Readers,
    scheduler: Scheduler<R>,
    now: u64,
    /// What runs; first what ends first.
    ends: BinaryHeap<Running<R::Given>>,
    /// By job: how many it still waits for, how often it was tried, whether something before it failed, and how long the
    /// longest path up to its start is.
    waits: Vec<u32>,
    tried: Vec<u32>,
    blocked: Vec<bool>,
    path: Vec<u64>,
    so_far: Simulated,
}

/// An attempt that goes on; the greatest is the one that ends first.
struct Running<Given>(Attempt<Given>);

impl<Given> Running<Given> {
    fn order(&self) -> Reverse<(u64, usize)> {
        Reverse((self.0.end, self.0.job))
    }
}

impl<Given> Ord for Running<Given> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl<Given> PartialOrd for Running<Given> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Given> PartialEq for Running<Given> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<Given> Eq for Running<Given> {}

impl<'j, R: Room> Simulation<'j, R> {
    fn new(room: R, jobs: &'j [Job], edges: &[(usize, usize)]) -> Self {
        let mut waits = vec![0; jobs.len()];
        for (_, to) in edges {
            waits.get_mut(*to).into_iter().for_each(|waits| *waits += 1);
        }
        let ready: Vec<usize> = (0..jobs.len()).filter(|job| waits.get(*job) == Some(&0)).collect();
        let mut simulation = Self {
            jobs,
            readers: Readers::of(jobs.len(), edges),
            scheduler: Scheduler::new(room),
            now: 0,
            ends: BinaryHeap::new(),
            waits,
            tried: vec![0; jobs.len()],
            blocked: vec![false; jobs.len()],
            path: vec![0; jobs.len()],
            so_far: Simulated { executed: vec![false; jobs.len()], ..Simulated::default() },
        };
        ready.into_iter().for_each(|job| simulation.add(job));
        simulation
    }

    fn add(&mut self, id: usize) {
        let Some(Job { priority, remaining, request, locks, .. }) = self.jobs.get(id) else { return };
        let (request, locks) = (Arc::clone(request), locks.clone());
        let takes = self.takes(id);
        self.scheduler.add(Candidate { id, priority: *priority, remaining: *remaining, takes, request, locks });
    }

    /// How long the next attempt of a job takes: what is expected of it, too.
    fn takes(&self, id: usize) -> u64 {
        let attempt = self.tried.get(id).map_or(0, |tried| *tried as usize);
        self.jobs.get(id).and_then(|job| job.attempts.get(attempt)).copied().unwrap_or_default()
    }

    fn begin(&mut self, id: usize, given: R::Given) {
        self.so_far.decisions += 1;
        let end = self.now + self.takes(id);
        self.ends.push(Running(Attempt { job: id, start: self.now, end, given }));
    }

    fn end(&mut self, attempt: Attempt<R::Given>, see: &mut impl FnMut(Attempt<R::Given>)) {
        let id = attempt.job;
        let Some(job) = self.jobs.get(id) else { return };
        self.scheduler.give_back(&job.request, &attempt.given, &job.locks);
        see(attempt);
        let tried = self.tried.get_mut(id).map_or(0, |tried| {
            *tried += 1;
            *tried as usize
        });
        if tried < job.attempts.len() {
            return self.add(id);
        }
        self.so_far.executed.get_mut(id).into_iter().for_each(|executed| *executed = true);
        self.so_far.failed += usize::from(job.fails);
        let path = self.path.get(id).copied().unwrap_or_default() + job.attempts.iter().sum::<u64>();
        self.so_far.path = self.so_far.path.max(path);
        self.settle(id, job.fails, path);
    }

    /// Tells those that wait for a job that it has ended.
    fn settle(&mut self, id: usize, failed: bool, path: u64) {
        let mut settled = vec![(id, failed)];
        while let Some((id, failed)) = settled.pop() {
            for reader in self.readers.range(id) {
                let Some(reader) = self.readers.of.get(reader).map(|reader| *reader as usize) else { continue };
                let (Some(waits), Some(blocked), Some(before)) =
                    (self.waits.get_mut(reader), self.blocked.get_mut(reader), self.path.get_mut(reader))
                else {
                    continue;
                };
                *waits -= 1;
                *blocked |= failed;
                *before = path.max(*before);
                match (*waits, *blocked) {
                    (0, false) => self.add(reader),
                    (0, true) => {
                        self.so_far.skipped += 1;
                        settled.push((reader, true));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Who waits for whom, in two lists.
struct Readers {
    starts: Vec<usize>,
    of: Vec<u32>,
}

impl Readers {
    fn of(jobs: usize, edges: &[(usize, usize)]) -> Self {
        let mut edges: Vec<(u32, u32)> = edges.iter().map(|(from, to)| (*from as u32, *to as u32)).collect();
        edges.sort_unstable();
        let mut starts = Vec::with_capacity(jobs + 1);
        let mut next = 0;
        for job in 0..=jobs {
            while edges.get(next).is_some_and(|(from, _)| (*from as usize) < job) {
                next += 1;
            }
            starts.push(next);
        }
        Self { starts, of: edges.into_iter().map(|(_, to)| to).collect() }
    }

    fn range(&self, job: usize) -> std::ops::Range<usize> {
        let at = |index: usize| self.starts.get(index).copied().unwrap_or_default();
        at(job)..at(job + 1)
    }
}

/// What no schedule of what was executed can do better than: the longest path, the work for each resource shared by all that
/// there is of it, and the work for each of the `slots`. The highest first.
pub fn bound(machines: &[Pool], slots: usize, jobs: &[Job], simulated: &Simulated) -> Vec<Bound> {
    let mut time: BTreeMap<&Request, u64> = BTreeMap::new();
    for (job, _) in jobs.iter().zip(&simulated.executed).filter(|(_, executed)| **executed) {
        *time.entry(&job.request).or_default() += job.attempts.iter().sum::<u64>();
    }
    let mut work: BTreeMap<&str, f64> = BTreeMap::new();
    for (request, time) in &time {
        for (name, amount) in request.amounts() {
            *work.entry(name).or_default() += amount as f64 * *time as f64;
        }
    }
    let mut bounds = vec![
        Bound { name: "path".into(), micros: simulated.path },
        Bound { name: "jobs".into(), micros: time.values().sum::<u64>().div_ceil(slots.max(1) as u64) },
    ];
    for (name, work) in work.iter().filter(|(_, work)| **work > 0.0) {
        let has = |machine: &Pool| machine.amounts().find(|(has, _)| has == name).map_or(0, |(_, amount)| amount);
        let has: u64 = machines.iter().map(has).sum();
        bounds.push(Bound { name: (*name).to_owned(), micros: (work / has.max(1) as f64).ceil() as u64 });
    }
    bounds.sort_by_key(|bound| Reverse(bound.micros));
    bounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;
    use crate::schedule::{Cluster, Place};

    /// A drawn job: what it asks for, its attempts, whether it fails, and the jobs before it that it waits for.
    type Drawn = (usize, Vec<u64>, bool, Vec<prop::sample::Index>);

    fn requests() -> [Request; 6] {
        let gpu = |gpu| Request::new(1.0, gpu);
        [Request::new(1.0, 0.0), Request::new(3.0, 0.0).memory(2 << 30), gpu(0.5), gpu(1.0), gpu(2.0), gpu(4.0)]
    }

    fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
        let attempts = prop::collection::vec(1..100_u64, 1..3);
        let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
        let fails = prop::bool::weighted(0.05);
        prop::collection::vec((0..requests().len(), attempts, fails, needs), 1..120)
    }

    fn jobs(drawn: &[Drawn]) -> (Vec<Job>, Vec<(usize, usize)>) {
        let requests = requests().map(Arc::new);
        let job = |(request, attempts, fails, _): &Drawn| Job {
            priority: 0,
            remaining: attempts.iter().sum(),
            request: Arc::clone(&requests[*request]),
            locks: Vec::new(),
            attempts: attempts.clone(),
            fails: *fails,
        };
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (to, (.., needs)) in drawn.iter().enumerate().skip(1) {
            edges.extend(needs.iter().map(|need| (need.index(to), to)));
        }
        edges.sort_unstable();
        edges.dedup();
        (drawn.iter().map(job).collect(), edges)
    }

    fn machines(count: usize) -> Vec<Pool> {
        (0..count).map(|_| Pool::new(8.0, 8 << 30, &[0, 1, 2, 3])).collect()
    }

    fn run(machines: &[Pool], jobs: &[Job], edges: &[(usize, usize)]) -> (Simulated, Vec<Attempt<Place>>) {
        let mut attempts = Vec::new();
        let cluster = Cluster::new(machines.to_vec());
        let simulated = simulate(cluster, usize::MAX, jobs, edges, |attempt| attempts.push(attempt));
        (simulated, attempts)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_run_once_in_their_order_and_nothing_is_given_twice(drawn in drawn(), count in 1..4_usize) {
            let ((jobs, edges), machines) = (jobs(&drawn), machines(count));
            let (simulated, attempts) = run(&machines, &jobs, &edges);
            prop_assert_eq!(&(simulated.clone(), attempts.clone()), &run(&machines, &jobs, &edges), "not the same again");
            let of = |id: usize| attempts.iter().filter(move |attempt| attempt.job == id);
            for (id, job) in jobs.iter().enumerate() {
                let before = edges.iter().filter(|(_, to)| *to == id).map(|(from, _)| *from);
                let skipped = before.clone().any(|from| jobs[from].fails || !simulated.executed[from]);
                prop_assert_eq!(simulated.executed[id], !skipped);
                let times: Vec<u64> = of(id).map(|attempt| attempt.end - attempt.start).collect();
                prop_assert_eq!(&times, if skipped { &[][..] } else { &job.attempts[..] });
                let ready = before.flat_map(of).map(|attempt| attempt.end).max().unwrap_or(0);
                prop_assert!(of(id).all(|attempt| attempt.start >= ready));
            }
            let executed = simulated.executed.iter().filter(|executed| **executed).count();
            prop_assert_eq!(executed + simulated.skipped, jobs.len());
            prop_assert_eq!(simulated.decisions as usize, attempts.len());
            // At each start: what runs then on a machine is no more than it has, in all and of each device.
            for at in &attempts {
                let together = attempts.iter().filter(|one| {
                    one.given.machine == at.given.machine && one.start <= at.start && at.start < one.end
                });
                let mut used: BTreeMap<String, u64> = BTreeMap::new();
                for one in together {
                    let request = &jobs[one.job].request;
                    let gpu = request.amounts().find(|(name, _)| *name == "gpu").unwrap().1;
                    prop_assert_eq!(one.given.devices.len() as u64, gpu.div_ceil(1000));
                    let devices = one.given.devices.iter().map(|device| (format!("device {device}"), gpu.min(1000)));
                    let amounts = request.amounts().map(|(name, amount)| (name.to_owned(), amount));
                    amounts.chain(devices).for_each(|(name, amount)| *used.entry(name).or_default() += amount);
                }
                let has: BTreeMap<&str, u64> = machines[at.given.machine].amounts().collect();
                for (name, used) in used {
                    prop_assert!(used <= has.get(name.as_str()).copied().unwrap_or(1000), "{used} of {name}");
                }
            }
            let bounds = bound(&machines, usize::MAX, &jobs, &simulated);
            prop_assert!(bounds.iter().all(|bound| bound.micros <= simulated.makespan), "{:?} {:?}", bounds, simulated);
        }
    }

    /// Two hundred tasks that ask for 0.5, 1, 2 or 4 of four devices, drawn with a seed: makespan and bound.
    fn four_devices(seed: u8, known: bool) -> (u64, u64) {
        let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let requests: Vec<Arc<Request>> = [0.5, 1.0, 2.0, 4.0].map(|gpu| Arc::new(Request::new(0.0, gpu))).into();
        let jobs: Vec<Job> = (0..200)
            .map(|_| {
                let time = rng.random_range(10..100_u64);
                Job {
                    priority: 0,
                    remaining: if known { time } else { 1 },
                    request: Arc::clone(&requests[rng.random_range(0..requests.len())]),
                    locks: Vec::new(),
                    attempts: vec![time],
                    fails: false,
                }
            })
            .collect();
        let machine = Pool::new(8.0, 0, &[0, 1, 2, 3]);
        let simulated = simulate(machine.clone(), usize::MAX, &jobs, &[], drop);
        (simulated.makespan, bound(&[machine], usize::MAX, &jobs, &simulated)[0].micros)
    }

    #[test]
    fn gangs_leave_few_devices_idle() {
        for seed in 0..20 {
            // In the order of their times, and in no order that follows from them.
            for known in [true, false] {
                let (makespan, bound) = four_devices(seed, known);
                assert!(makespan as f64 <= 1.15 * bound as f64, "seed {seed}: {makespan} of {bound}");
            }
        }
    }
}
