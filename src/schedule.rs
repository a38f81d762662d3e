//! What starts next: a pure function of the tasks that are ready and of what is free.
//!
//! A list scheduler: higher priority first, then the longer remaining path, then the order of the flow. What does not
//! fit keeps its place: what comes after it may only use what it leaves, so that large requests do not starve. It
//! knows no clock, no process and no file.

use std::collections::BTreeMap;

use crate::resources::{Pool, Request};

/// A task that is ready.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its place in the planner's list, which follows the flow.
    pub id: usize,
    /// `priority` of the flow.
    pub priority: i64,
    /// How long the path behind it is.
    pub remaining: u64,
    /// What it asks for.
    pub request: Request,
    /// Lock keys that it holds while it runs, and whether it shares each.
    pub locks: Vec<(String, bool)>,
}

/// A task to start now, and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its place in the planner's list.
    pub id: usize,
    /// The devices it gets.
    pub devices: Vec<u32>,
}

/// Lock keys held by running tasks: how many share each, or `None` for one exclusive holder.
pub type Held = BTreeMap<String, Option<usize>>;

/// The tasks to start now, at most `slots`. Takes what they need out of `free` and `held`.
pub fn schedule(ready: &[Candidate], free: &mut Pool, held: &mut Held, slots: usize) -> Vec<Start> {
    let mut order: Vec<&Candidate> = ready.iter().collect();
    order.sort_by(|a, b| (b.priority, b.remaining, a.id).cmp(&(a.priority, a.remaining, b.id)));
    let mut starts = Vec::new();
    // What is left once the tasks that did not fit have their share.
    let mut rest = free.clone();
    for candidate in order {
        if starts.len() == slots {
            break;
        }
        if !lockable(held, &candidate.locks) {
            continue;
        }
        let Some(devices) = rest.take(&candidate.request) else {
            rest.reserve(&candidate.request);
            continue;
        };
        // `rest` is a part of `free`, so what fits there fits here; the devices have to be the same.
        free.take_devices(&candidate.request, &devices);
        lock(held, &candidate.locks);
        starts.push(Start { id: candidate.id, devices });
    }
    starts
}

fn lockable(held: &Held, locks: &[(String, bool)]) -> bool {
    locks.iter().all(|(key, shared)| match held.get(key) {
        None => true,
        Some(Some(_)) => *shared,
        Some(None) => false,
    })
}

fn lock(held: &mut Held, locks: &[(String, bool)]) {
    for (key, shared) in locks {
        let entry = held.entry(key.clone()).or_insert(if *shared { Some(0) } else { None });
        if let Some(count) = entry {
            *count += 1;
        }
    }
}

/// Gives back the lock keys of a task that has ended.
pub fn unlock(held: &mut Held, locks: &[(String, bool)]) {
    for (key, _) in locks {
        match held.get_mut(key) {
            Some(Some(count)) if *count > 1 => *count -= 1,
            _ => {
                held.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: usize, cpu: f64, remaining: u64) -> Candidate {
        Candidate { id, priority: 0, remaining, request: Request::new(cpu, 0.0), locks: Vec::new() }
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
        let starts = schedule(&ready, &mut machine(2.0), &mut Held::new(), 8);
        assert_eq!(ids(&starts), [0, 1]);
    }

    #[test]
    fn a_large_request_is_not_starved_by_small_ones() {
        let ready = vec![task(0, 4.0, 9), task(1, 1.0, 1), task(2, 1.0, 1)];
        let mut free = machine(3.0);
        assert!(schedule(&ready, &mut free, &mut Held::new(), 8).is_empty(), "three free cores are kept for task 0");
        free = machine(4.0);
        assert_eq!(ids(&schedule(&ready, &mut free, &mut Held::new(), 8)), [0]);
    }

    #[test]
    fn two_tasks_with_one_exclusive_lock_do_not_run_together() {
        let mut ready = vec![task(0, 0.0, 0), task(1, 0.0, 0), task(2, 0.0, 0)];
        ready[0].locks = vec![("summary".into(), false)];
        ready[1].locks = vec![("summary".into(), false)];
        let mut held = Held::new();
        assert_eq!(ids(&schedule(&ready, &mut machine(1.0), &mut held, 8)), [0, 2]);
        unlock(&mut held, &ready[0].locks);
        assert_eq!(ids(&schedule(&ready[1..2], &mut machine(1.0), &mut held, 8)), [1]);
    }

    #[test]
    fn readers_share_a_lock() {
        let mut ready = vec![task(0, 0.0, 0), task(1, 0.0, 0), task(2, 0.0, 0)];
        ready[0].locks = vec![("table".into(), true)];
        ready[1].locks = vec![("table".into(), true)];
        ready[2].locks = vec![("table".into(), false)];
        let mut held = Held::new();
        assert_eq!(ids(&schedule(&ready, &mut machine(1.0), &mut held, 8)), [0, 1]);
        unlock(&mut held, &ready[0].locks);
        assert!(!lockable(&held, &ready[2].locks));
        unlock(&mut held, &ready[1].locks);
        assert!(lockable(&held, &ready[2].locks));
    }

    #[test]
    fn no_more_than_the_slots() {
        let ready = vec![task(0, 0.0, 0), task(1, 0.0, 0)];
        assert_eq!(ids(&schedule(&ready, &mut machine(1.0), &mut Held::new(), 1)), [0]);
    }
}
