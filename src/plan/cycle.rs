//! A cycle among things that wait for each other.

use std::collections::{HashMap, HashSet};

use super::{Item, Waits};

/// The first cycle, from its start back to it; `None` where nothing waits.
pub(super) fn find(waits: &HashMap<Item, Waits>) -> Option<Vec<Item>> {
    let mut starts: Vec<Item> = waits.iter().filter(|(_, waits)| waits.pending > 0).map(|(item, _)| *item).collect();
    starts.sort_unstable();
    let start = starts.first()?;
    // Once nothing runs, what an item waits for waits too: following any of them ends in a cycle.
    let mut path = vec![*start];
    let mut seen: HashSet<Item> = path.iter().copied().collect();
    loop {
        let last = path.last()?;
        let next = waits.get(last)?.on.iter().find(|item| waits.get(item).is_some_and(|waits| waits.pending > 0))?;
        if !seen.insert(*next) {
            let begin = path.iter().position(|item| item == next)?;
            path.drain(..begin);
            path.push(*next);
            return Some(path);
        }
        path.push(*next);
    }
}
