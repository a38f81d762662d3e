//! Several runners on the devices of one machine: nothing overlaps, nothing starves, nothing leaks, little is idle.
//!
//! The devices are declared. Each task takes them once more by locks of its own, which know nothing of the runner's
//! leases, and says so where they are not free.

#![allow(clippy::unwrap_used, reason = "in a test, what fails is to fail it")]

mod bench;
mod ideal;

use std::time::{Duration, Instant};

use bench::{Bench, Runner, Share};
use ghtrader::leases::Leases;

/// 200 tasks in three projects: shares of devices, single ones, pairs, and all four.
const TASKS: [usize; 3] = [68, 68, 64];

#[test]
fn three_runners_share_four_devices_and_leave_little_idle() {
    let bench = Bench::new(200..800);
    let mut runners: Vec<Runner<'_>> = (0..3).map(|number| bench.runner(number, TASKS[number])).collect();
    runners.iter_mut().for_each(Runner::start);
    for runner in &mut runners {
        assert_eq!(runner.wait(Duration::from_secs(200)), Some(0), "{}", runner.said());
    }
    bench.assert_in_order();
    let done = bench.executions();
    assert_eq!(done.len(), TASKS.iter().sum::<usize>());
    let first = done.iter().map(|task| task.begin).fold(f64::INFINITY, f64::min);
    let last = done.iter().map(|task| task.end).fold(0.0, f64::max);
    let durations: Vec<(Share, f64)> = done.iter().map(|task| (task.share, task.end - task.begin)).collect();
    let (makespan, ideal) = (last - first, ideal::list_schedule(&durations, 4));
    println!(
        "makespan {makespan:.1} s, list scheduling {ideal:.1} s (ratio {:.3}), work on four devices {:.1} s",
        makespan / ideal,
        ideal::work(&durations) / 4.0
    );
    assert!(makespan <= 1.15 * ideal, "{makespan} s, and a list scheduler {ideal} s");
}

#[test]
fn whatever_is_killed_every_task_comes_to_its_end() {
    let bench = Bench::new(100..300);
    let mut runners: Vec<Runner<'_>> = (0..3).map(|number| bench.runner(number, TASKS[number])).collect();
    runners.iter_mut().for_each(Runner::start);
    let begun = Instant::now();
    let mut next = begun + Duration::from_secs(1);
    let mut kills = 0;
    while runners.iter_mut().any(|runner| !runner.is_up_to_date()) {
        assert!(begun.elapsed() < Duration::from_secs(200), "it does not come to an end");
        if Instant::now() >= next {
            next += Duration::from_secs(1);
            kills += usize::from(bench.kill_something(&mut runners, kills));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{kills} kills in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(kills >= 8, "there was nothing to be killed");
    bench.assert_in_order();
    let mut names: Vec<String> = bench.executions().into_iter().map(|task| task.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TASKS.iter().sum::<usize>());
    let (used, waiting) = Leases::list(&bench.leases()).unwrap();
    assert!(used.is_empty() && waiting.is_empty(), "{used:?} {waiting:?}");
    assert_eq!(bench.survivors(), [0; 0]);
}

#[test]
fn who_wants_all_devices_is_not_starved_by_shares() {
    let bench = Bench::new(100..200);
    let (mut many, mut gang) = (bench.runner_of(0, 120, &[Share::Half]), bench.runner_of(1, 1, &[Share::Four]));
    many.start();
    bench.wait_for_executions(8);
    gang.start();
    assert_eq!(gang.wait(Duration::from_secs(60)), Some(0), "{}", gang.said());
    let done = bench.executions();
    assert!(done.iter().any(|task| task.share == Share::Four));
    assert!(done.len() < 80, "it had to wait for {} others", done.len());
    assert_eq!(many.wait(Duration::from_secs(60)), Some(0), "{}", many.said());
    bench.assert_in_order();
}

#[test]
fn devices_are_shown_with_who_has_them_and_who_waits() {
    let bench = Bench::new(5000..5001);
    let (mut one, mut two) = (bench.runner_of(0, 1, &[Share::Four]), bench.runner_of(1, 1, &[Share::One]));
    one.start();
    bench.wait_until(|| two.call(&["locks"]).contains("gpu 4 (devices 0, 1, 2, 3)  used by four0["));
    two.start();
    bench.wait_until(|| one.call(&["locks"]).contains("gpu 1  waited for by one0["));
    bench.wait_until(|| two.said().contains("waits for gpu 1: in use by four0[i=0-5000] of run"));
    one.stop();
    assert_eq!(two.wait(Duration::from_secs(60)), Some(0), "{}", two.said());
}
