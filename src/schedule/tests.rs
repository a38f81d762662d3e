//! The scheduler beside the simple rule that it comes to, and what that rule is for.

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
    going: Vec<(u64, Arc<Request>, Vec<u32>)>,
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
        let (mut rest, mut blocked, mut starts) = (self.free.clone(), Vec::<Arc<Request>>::new(), Vec::new());
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
            let devices = rest.clone().take(request).or_else(|| self.free.clone().take(request).filter(|_| in_time));
            if let Some(devices) = devices {
                rest.take_devices(request, &devices);
                self.free.take_devices(request, &devices);
                hold(&mut self.held, locks);
                before.pop();
                self.going.push((self.now + takes, Arc::clone(request), devices.clone()));
                starts.push(Start { id: *id, devices });
            } else {
                rest.reserve(request);
                blocked.push(Arc::clone(request));
            }
        }
        self.ready.retain(|candidate| starts.iter().all(|start| start.id != candidate.id));
        starts
    }

    fn give_back(&mut self, request: &Request, devices: &[u32], locks: &LockKeys) {
        self.free.give_back(request, devices);
        let same = |(_, going): &(usize, &(u64, Arc<Request>, Vec<u32>))| *going.1 == *request && going.2 == *devices;
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
                    let request = Arc::new(requests()[request].clone());
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
    Candidate { id, priority: 0, remaining, takes: 1, request: Arc::new(Request::new(cpu, 0.0)), locks: Vec::new() }
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
    let gang = |id, gpus| Candidate { request: Arc::new(Request::new(1.0, gpus)), ..task(id, 1.0, 5) };
    let ready = [gang(0, 0.5), gang(1, 2.0), task(2, 2.0, 5), gang(3, 2.0), task(4, 1.0, 6)];
    assert_eq!(ids(&with(Pool::new(9.0, 0, &[0, 1, 2, 3, 4]), &ready).start(8)), [4, 1, 3, 0, 2]);
}

#[test]
fn a_gang_that_waits_for_devices_keeps_no_cores_meanwhile() {
    let gang = |id, gpus| Candidate { request: Arc::new(Request::new(2.0, gpus)), ..task(id, 2.0, 9) };
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
    let gang = Arc::new(Request::new(1.0, 2.0));
    (0..2).for_each(|id| scheduler.add(Candidate { request: gang.clone(), ..task(id, 1.0, 0) }));
    let others = Others { used: vec![(Request::new(1.0, 1.0), vec![1])], ..Others::default() };
    assert_eq!(scheduler.start_among(8, &others), [Start { id: 0, devices: vec![2, 3] }]);
    assert_eq!(scheduler.blocked().collect::<Vec<_>>(), [(1, &*gang)]);
    assert_eq!(scheduler.start_among(8, &Others::default()), [Start { id: 1, devices: vec![0, 1] }]);
    assert_eq!(scheduler.blocked().count(), 0);
}

#[test]
fn who_has_waited_longer_elsewhere_comes_first() {
    let all = Request::new(0.0, 4.0);
    let half = |id| Candidate { request: Arc::new(Request::new(0.0, 0.5)), ..task(id, 0.0, 0) };
    let mut scheduler = with(Pool::new(4.0, 0, &[0, 1, 2, 3]), &[half(0), half(1)]);
    let mut gang = Others { waits: vec![(all, Vec::new())], ..Others::default() };
    assert_eq!(scheduler.start_among(8, &gang), []);
    // Now it has waited too, and the next gang is a later one.
    gang.before.insert(Request::new(0.0, 0.5), 0);
    assert_eq!(ids(&scheduler.start_among(8, &gang)), [0], "the one behind it has not waited");
}

#[test]
fn of_two_that_wait_elsewhere_and_here_one_goes_on() {
    let (one, all) = (Request::new(0.0, 1.0), Request::new(0.0, 4.0));
    let free = Pool::new(4.0, 0, &[0, 1, 2, 3]);
    let others = |waits: &Request, own: &Request, before| Others {
        waits: vec![(waits.clone(), Vec::new())],
        before: BTreeMap::from([(own.clone(), before)]),
        ..Others::default()
    };
    assert!(others(&all, &one, 0).room(&free, &one).fit(&one).is_some(), "it has waited longer");
    assert!(others(&one, &all, 1).room(&free, &all).fit(&all).is_none(), "the other one has");
}

#[test]
fn what_waits_for_other_devices_is_in_nobodys_way() {
    let pair = Request::new(0.0, 2.0);
    let here = Candidate { request: Arc::new(pair.clone()), ..task(0, 0.0, 0) };
    let mut scheduler = with(Pool::new(4.0, 0, &[0, 1]), &[here]);
    let of = |devices: &[u32]| Others { waits: vec![(pair.clone(), devices.to_vec())], ..Others::default() };
    assert_eq!(scheduler.start_among(8, &of(&[1, 2])), []);
    assert_eq!(ids(&scheduler.start_among(8, &of(&[2, 3]))), [0]);
}

#[test]
fn all_that_waits_keeps_its_place_where_the_slots_are_used() {
    let gang = Arc::new(Request::new(0.0, 4.0));
    let tasks = [Candidate { request: gang, ..task(9, 0.0, 5) }, task(1, 1.0, 9), task(2, 1.0, 1)];
    let mut scheduler = with(Pool::new(8.0, 0, &[0, 1, 2, 3]), &tasks);
    let used = Others { used: vec![(Request::new(0.0, 1.0), vec![1])], ..Others::default() };
    let waits = |scheduler: &Scheduler| scheduler.blocked().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(&scheduler.start_among(2, &used)), [1, 2]);
    assert_eq!(waits(&scheduler), [9]);
    scheduler.add(task(3, 1.0, 9));
    assert_eq!(ids(&scheduler.start_among(0, &used)), [] as [usize; 0]);
    assert_eq!(ids(&scheduler.start_among(1, &used)), [3]);
    assert_eq!(waits(&scheduler), [9], "it was not looked at");
}

#[test]
fn each_request_that_does_not_fit_waits() {
    let token = Arc::new(Request::new(0.0, 0.0).token("tqsdk", 1.0));
    let tasks = [
        Candidate { request: Arc::clone(&token), ..task(0, 0.0, 9) },
        Candidate { request: token, ..task(1, 0.0, 8) },
        Candidate { request: Arc::new(Request::new(0.0, 2.0)), ..task(2, 0.0, 1) },
    ];
    let mut scheduler = with(Pool::new(8.0, 0, &[0, 1]).token("tqsdk", 0.0), &tasks);
    let used = Others { used: vec![(Request::new(0.0, 0.5), vec![1])], ..Others::default() };
    assert_eq!(scheduler.start_among(8, &used), []);
    assert_eq!(scheduler.blocked().map(|(id, _)| id).collect::<Vec<_>>(), [0, 2]);
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
