//! Makes a history that shows a difference smaller, as long as it still shows one.

use crate::project::{Source, Values};
use crate::reference::Ask;
use crate::steps::{History, Step};

/// The smallest history found, and its difference. `fails` plays a history.
pub(crate) fn shrink(
    mut history: History,
    mut difference: String,
    fails: impl Fn(&History) -> Option<String>,
) -> (History, String) {
    // Each pass costs many plays; few are enough.
    for _ in 0..4 {
        let before = history.to_string();
        let mut place = 0;
        while let Some(smaller) = candidate(&history, place) {
            match smaller.as_ref().and_then(&fails) {
                Some(still) => {
                    difference = still;
                    history = smaller.unwrap_or(history);
                }
                None => place += 1,
            }
        }
        if history.to_string() == before {
            break;
        }
    }
    (history, difference)
}

/// The history without its part number `place`; nothing inside where that part cannot go, nothing where there is none.
fn candidate(history: &History, place: usize) -> Option<Option<History>> {
    let mut smaller = history.clone();
    let steps = history.steps.len();
    if place < steps {
        smaller.steps.remove(place);
        return Some(Some(smaller));
    }
    let place = place - steps;
    if place < steps {
        return Some(plainer(&history.steps[place]).map(|step| {
            smaller.steps[place] = step;
            smaller
        }));
    }
    let place = place - steps;
    let tasks = history.project.tasks.len();
    if place < tasks {
        return Some(without_task(smaller, place));
    }
    part(smaller, place - tasks)
}

/// A plainer step of the same kind.
fn plainer(step: &Step) -> Option<Step> {
    match step {
        Step::Run { ask, before, after } if *before || *after || !ask.targets.is_empty() || !ask.force.is_empty() => {
            let ask = Ask { keep_going: ask.keep_going, ..Ask::default() };
            Some(Step::Run { ask, before: false, after: false })
        }
        Step::Two { ask } | Step::Kill { ask, .. } => Some(Step::Run { ask: ask.clone(), before: false, after: false }),
        _ => None,
    }
}

/// The history without a task that no other task and no step names.
fn without_task(mut history: History, task: usize) -> Option<History> {
    let project = &history.project;
    let read = (0..project.tasks.len()).any(|other| project.upstream(other).contains(&task));
    let source = project.axes.values().any(|values| matches!(values, Values::From(from, _) if *from == task));
    if read || source && (0..project.tasks.len()).any(|other| project.tasks[other].axes.contains(&"y".into())) {
        return None;
    }
    history.project.axes.retain(|_, values| !matches!(values, Values::From(from, _) if *from == task));
    history.project.tasks.remove(task);
    let down = |other: &mut usize| *other -= usize::from(*other > task);
    history.project.axes.values_mut().for_each(|values| {
        if let Values::From(from, _) = values {
            down(from);
        }
    });
    for other in &mut history.project.tasks {
        other.needs.iter_mut().for_each(down);
        for input in &mut other.inputs {
            if let Source::From { task, .. } = &mut input.source {
                down(task);
            }
        }
    }
    history.steps.retain(|step| !names(step, task));
    history.steps.iter_mut().for_each(|step| match step {
        Step::Salt { task, .. } | Step::RenameTask { task, .. } => down(task),
        Step::Run { ask, .. } | Step::Kill { ask, .. } | Step::Two { ask } => lower(ask, down),
        Step::Incident { ask, task, .. } => {
            lower(ask, down);
            down(task);
        }
        _ => {}
    });
    (!history.project.tasks.is_empty()).then_some(history)
}

fn lower(ask: &mut Ask, down: impl Fn(&mut usize)) {
    ask.force.iter_mut().for_each(&down);
    ask.targets.iter_mut().for_each(|target| down(&mut target.task));
}

fn names(step: &Step, wanted: usize) -> bool {
    let asks = |ask: &Ask| ask.force.contains(&wanted) || ask.targets.iter().any(|target| target.task == wanted);
    match step {
        Step::Salt { task, .. } | Step::RenameTask { task, .. } => *task == wanted,
        Step::Run { ask, .. } | Step::Kill { ask, .. } | Step::Two { ask } => asks(ask),
        Step::Incident { ask, task, .. } => *task == wanted || asks(ask),
        _ => false,
    }
}

/// The history without a part of a task, or a source.
fn part(mut history: History, mut place: usize) -> Option<Option<History>> {
    for task in &mut history.project.tasks {
        let parts = [task.inputs.len(), task.needs.len(), task.env.len(), task.with.len(), 6];
        for (kind, count) in parts.into_iter().enumerate() {
            if place >= count {
                place -= count;
                continue;
            }
            match (kind, place) {
                (0, place) => drop(task.inputs.remove(place)),
                (1, place) => drop(task.needs.remove(place)),
                (2, place) => drop(task.env.remove(place)),
                (3, place) => drop(task.with.remove(place)),
                (_, 0) if task.when.is_some() => task.when = None,
                (_, 1) if task.fails => task.fails = false,
                (_, 2) if task.never_cached => task.never_cached = false,
                (_, 3) if task.inline.is_some() => task.inline = None,
                (_, 4) if task.outputs.iter().any(|output| output.publish) => {
                    task.outputs.iter_mut().for_each(|output| output.publish = false);
                }
                (_, 5) if task.moves.is_some() => task.moves = None,
                _ => return Some(None),
            }
            return Some(Some(history));
        }
    }
    let path = history.project.sources.keys().nth(place)?.clone();
    history.project.sources.remove(&path);
    Some(Some(history))
}
