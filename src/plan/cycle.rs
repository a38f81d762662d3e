//! A cycle among things that wait for each other.

use std::collections::{HashMap, HashSet};

use super::{Item, Waits};

/// A cycle, from its start back to it; `None` where everything waits for something that does not wait itself.
pub(super) fn find(waits: &HashMap<Item, Waits>) -> Option<Vec<Item>> {
    let waiting = |item: &Item| waits.get(item).filter(|waits| waits.pending > 0);
    let mut starts: Vec<Item> = waits.keys().copied().filter(|item| waiting(item).is_some()).collect();
    starts.sort_unstable();
    let mut finished: HashSet<Item> = HashSet::new();
    for start in starts {
        // The path from the start, each with how many of the things it waits for were followed.
        let mut path: Vec<(Item, usize)> = vec![(start, 0)];
        let mut on_path: HashSet<Item> = HashSet::from([start]);
        while let Some((item, followed)) = path.last_mut() {
            let next = waiting(item).and_then(|waits| waits.on.get(*followed)).copied();
            *followed += 1;
            match next {
                Some(next) if on_path.contains(&next) => {
                    let begin = path.iter().position(|(item, _)| *item == next)?;
                    let mut cycle: Vec<Item> = path.drain(begin..).map(|(item, _)| item).collect();
                    cycle.push(next);
                    return Some(cycle);
                }
                Some(next) if finished.contains(&next) || waiting(&next).is_none() => {}
                Some(next) => {
                    on_path.insert(next);
                    path.push((next, 0));
                }
                None => {
                    on_path.remove(item);
                    finished.insert(*item);
                    path.pop();
                }
            }
        }
    }
    None
}
