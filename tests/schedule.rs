//! The scheduler on a simulated cluster: decisions per second, the makespan beside the bound, memory. A measurement, not a test of
//! the suite; that what it measures is right is tested beside the scheduler (`src/schedule`).
//!
//!     ./x bench schedule        cargo test --release -p ghtrader --test schedule -- --ignored --nocapture

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may fail anywhere")]

use std::sync::Arc;

use ghtrader::resources::{Pool, Request};
use ghtrader::schedule::{Cluster, Job, bound, simulate};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// The seed of all that is drawn.
const SEED: [u8; 32] = [5; 32];
/// How many of a thousand attempts fail.
const FAILS: u32 = 20;
/// Attempts of a task.
const ATTEMPTS: usize = 3;

/// What the tasks of a cell ask for, one after the other: read, prepare, train, judge; and the median of their time in seconds.
fn stages(rng: &mut TestRng, requests: &[Arc<Request>]) -> [(Arc<Request>, f64); 4] {
    // Of twenty trainings, ten share a device, seven have one, two have two, one has all four.
    let train = match rng.random_range(0..20) {
        0..10 => 2,
        10..17 => 3,
        17..19 => 4,
        _ => 5,
    };
    let of = |index: usize| Arc::clone(&requests[index]);
    [(of(0), 20.0), (of(1), 120.0), (of(train), 400.0), (of(6), 30.0)]
}

fn requests() -> Vec<Arc<Request>> {
    let gib = |request: Request, gib: u64| request.memory(gib << 30);
    vec![
        gib(Request::new(1.0, 0.0), 2),
        gib(Request::new(4.0, 0.0), 16),
        gib(Request::new(2.0, 0.5), 8),
        gib(Request::new(4.0, 1.0), 16),
        gib(Request::new(8.0, 2.0), 32),
        gib(Request::new(16.0, 4.0), 64),
        gib(Request::new(1.0, 0.0), 4),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

/// Times between a quarter of the median and four times it; attempts that fail end earlier.
fn attempts(rng: &mut TestRng, median: f64) -> (Vec<u64>, bool) {
    let time = (median * rng.random_range(-2.0..2.0_f64).exp2() * 1e6) as u64;
    let mut attempts = Vec::new();
    while attempts.len() < ATTEMPTS && rng.random_range(0..1000_u32) < FAILS {
        attempts.push((time as f64 * rng.random_range(0.0..1.0_f64)) as u64);
    }
    let fails = attempts.len() == ATTEMPTS;
    if !fails {
        attempts.push(time);
    }
    (attempts, fails)
}

/// Cells of four tasks, each after the one before it.
fn workload(tasks: usize) -> (Vec<Job>, Vec<(usize, usize)>) {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let requests = requests();
    let (mut jobs, mut edges) = (Vec::with_capacity(tasks), Vec::with_capacity(tasks));
    while jobs.len() < tasks {
        let first = jobs.len();
        for (stage, (request, median)) in stages(&mut rng, &requests).into_iter().enumerate() {
            let (attempts, fails) = attempts(&mut rng, median);
            edges.extend((stage > 0).then(|| (jobs.len() - 1, jobs.len())));
            jobs.push(Job { priority: 0, remaining: 0, request, locks: Vec::new(), attempts, fails });
        }
        let mut remaining = 0;
        for job in jobs[first..].iter_mut().rev() {
            // What is known beforehand: how long it takes if it does not fail.
            remaining += job.attempts.iter().max().unwrap();
            job.remaining = remaining;
        }
    }
    (jobs, edges)
}

/// Nanoseconds that this thread has had a core: others use the machine, too.
fn on_core() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
#[ignore = "a measurement"]
fn a_thousand_machines() {
    let machines: Vec<Pool> = (0..1000).map(|_| Pool::new(64.0, 256 << 30, &[0, 1, 2, 3])).collect();
    println!("1,000 machines with 64 cores, 256 GiB and 4 devices each; {FAILS} of 1,000 attempts fail");
    println!(
        "{:>9} {:>9} {:>6} {:>8} {:>10} {:>9} {:>9} {:>14} {:>6} {:>8}",
        "tasks", "decisions", "failed", "seconds", "a second", "makespan", "bound", "by", "ratio", "peak MiB"
    );
    for tasks in [10_000, 100_000, 200_000, 500_000, 1_000_000] {
        let (jobs, edges) = workload(tasks);
        let begun = on_core();
        let simulated = simulate(Cluster::new(machines.clone()), usize::MAX, &jobs, &edges, drop);
        let seconds = (on_core() - begun) as f64 / 1e9;
        let executed = simulated.executed.iter().filter(|executed| **executed).count();
        assert_eq!(executed + simulated.skipped, jobs.len());
        let best = bound(&machines, usize::MAX, &jobs, &simulated).remove(0);
        println!(
            "{:>9} {:>9} {:>6} {:>8.2} {:>10.0} {:>8.0}s {:>8.0}s {:>14} {:>6.3} {:>8}",
            jobs.len(),
            simulated.decisions,
            simulated.failed,
            seconds,
            simulated.decisions as f64 / seconds,
            simulated.makespan as f64 / 1e6,
            best.micros as f64 / 1e6,
            best.name,
            simulated.makespan as f64 / best.micros as f64,
            peak(),
        );
    }
}
