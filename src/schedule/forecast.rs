//! What tasks are expected to take, learned from history: the time until the end of the longest path, and memory.
//!
//! The last executions that count are those of the same kind (or command) with the same parameters and axes; else those of the
//! same task of the flow; else those of the kind; else one default. Nothing is asked before something has to run, and of
//! a fan not each instance: after a few of a task, all of it is read at once. A forecast decides only what goes first
//! and what is kept free: where the index cannot be asked, there is none.

use std::collections::HashMap;

use crate::cache::{Cache, LAST, Past, PastTask, Work};
use crate::graph::Graph;
use crate::key::Part;
use crate::resources::{Pool, Request};

/// What a task takes of which nothing is known, in seconds: all alike, so that the longer path counts more tasks.
const UNKNOWN: f64 = 1.0;
/// So many instances of a task are asked for one by one.
const ONE_BY_ONE: usize = 16;
/// What is kept free beyond the peak of earlier runs.
const SPARE: f64 = 1.2;

/// What an execution is expected to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// How long it runs.
    pub seconds: f64,
    /// What memory it needs, in bytes: the peak of earlier runs and some more; `None` where there was none.
    pub memory: Option<u64>,
    /// Whether it follows from history.
    pub known: bool,
}

impl Expected {
    /// How long it runs, in microseconds.
    pub fn micros(&self) -> u64 {
        micros(self.seconds)
    }

    /// What an instance asks of a machine, which declares `memory` or none: then as much as it is expected to need, but not
    /// more than there is, so that it is not refused for it.
    pub fn request(&self, asked: Request, memory: Option<u64>, machine: &Pool) -> Request {
        let asked = machine.settle(asked);
        match self.memory.filter(|_| memory.is_none()) {
            Some(learned) => asked.memory(learned.min(machine.memory())),
            None => asked,
        }
    }
}

/// The forecast of one flow.
pub struct Forecast<'a> {
    cache: &'a Cache,
    graph: &'a Graph<'a>,
    flow: &'a str,
    /// By task; empty before the first question.
    tasks: Vec<OfTask>,
    /// By task: the longest path behind it, in microseconds.
    behind: Vec<u64>,
}

/// What is known of a task.
struct OfTask {
    /// Under which numbers it is known, and other tasks of its kind; its own first.
    ids: Vec<i64>,
    /// Of any instance.
    expected: Expected,
    /// How many instances were asked for.
    asked: usize,
    /// All that instances did, once it was read.
    by_work: Option<HashMap<Work, Expected>>,
}

impl<'a> Forecast<'a> {
    /// Nothing is asked yet.
    pub fn new(cache: &'a Cache, graph: &'a Graph<'a>, flow: &'a str) -> Self {
        Self { cache, graph, flow, tasks: Vec::new(), behind: Vec::new() }
    }

    /// What an instance of a task is expected to take, by the parts of its key and its name.
    pub fn of(&mut self, task: usize, parts: &[Part], name: impl FnOnce() -> String) -> Expected {
        self.learn();
        let cache = self.cache;
        let Some(known) = self.tasks.get_mut(task) else { return expected(Vec::new()) };
        if known.ids.is_empty() {
            return known.expected;
        }
        let work = Work::of(parts, &name());
        known.asked += 1;
        if known.asked > ONE_BY_ONE {
            let ids = &known.ids;
            let all = known.by_work.get_or_insert_with(|| by_work(cache, ids));
            return all.get(&work).copied().unwrap_or(known.expected);
        }
        let past = known.ids.iter().flat_map(|id| cache.past_of_work(*id, work).unwrap_or_default());
        let past: Vec<Past> = past.collect();
        if past.is_empty() { known.expected } else { expected(past) }
    }

    /// What an instance of a task of which no more is known is expected to take.
    pub fn of_task(&mut self, task: usize) -> Expected {
        self.learn();
        self.tasks.get(task).map_or_else(|| expected(Vec::new()), |known| known.expected)
    }

    /// The longest path from an instance of a task on, in microseconds.
    pub fn remaining(&mut self, task: usize, own: Expected) -> u64 {
        self.learn();
        micros(own.seconds).saturating_add(self.behind.get(task).copied().unwrap_or_default())
    }

    /// Asks what is known of each task.
    fn learn(&mut self) {
        if self.tasks.len() == self.graph.tasks().len() {
            return;
        }
        let past = self.cache.past_tasks().unwrap_or_default();
        let mut known = Known { cache: self.cache, of_flow: HashMap::new(), of_kind: HashMap::new() };
        for task in &past {
            if task.flow == self.flow {
                known.of_flow.entry(&task.name).or_default().push(task);
            }
            known.of_kind.entry(&task.kind).or_default().push(task.id);
        }
        let graph = self.graph;
        self.tasks = graph
            .tasks()
            .iter()
            .enumerate()
            .map(|(index, task)| known.task(&task.name.value, graph.kind_name(index)))
            .collect();
        let of_task: Vec<u64> = self.tasks.iter().map(|task| micros(task.expected.seconds)).collect();
        let own = |task: usize| of_task.get(task).copied().unwrap_or_default();
        let longest = graph.longest(own);
        self.behind = longest.iter().enumerate().map(|(task, path)| path - own(task)).collect();
    }
}

/// The tasks of the index, to be found by name.
struct Known<'k> {
    cache: &'k Cache,
    of_flow: HashMap<&'k str, Vec<&'k PastTask>>,
    of_kind: HashMap<&'k str, Vec<i64>>,
}

impl Known<'_> {
    fn task(&self, name: &str, kind: Option<&str>) -> OfTask {
        let same = self.of_flow.get(name).into_iter().flatten();
        let own: Vec<i64> = same.filter(|task| task.kind == kind.unwrap_or_default()).map(|task| task.id).collect();
        // A command has no name but that of its task.
        let others = kind.and_then(|kind| self.of_kind.get(kind)).into_iter().flatten().copied();
        let others: Vec<i64> = others.filter(|id| !own.contains(id)).collect();
        let past = |ids: &[i64]| -> Vec<Past> {
            ids.iter().flat_map(|id| self.cache.past_of_task(*id).unwrap_or_default()).collect()
        };
        let mut last = past(&own);
        if last.is_empty() {
            last = past(&others);
        }
        OfTask { ids: [own, others].concat(), expected: expected(last), asked: 0, by_work: None }
    }
}

fn by_work(cache: &Cache, ids: &[i64]) -> HashMap<Work, Expected> {
    let mut all: HashMap<Work, Vec<Past>> = HashMap::new();
    for id in ids {
        for (work, past) in cache.past_by_work(*id).unwrap_or_default() {
            all.entry(work).or_default().extend(past);
        }
    }
    all.into_iter().map(|(work, past)| (work, expected(past))).collect()
}

/// The median time of the last executions, and the most memory that one of them took.
fn expected(mut past: Vec<Past>) -> Expected {
    past.sort_by_key(|past| std::cmp::Reverse(past.finished));
    past.truncate(LAST as usize);
    let mut seconds: Vec<f64> = past.iter().map(|past| past.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len().saturating_sub(1) / 2).zip(seconds.get(seconds.len() / 2));
    Expected {
        seconds: middle.map_or(UNKNOWN, |(low, high)| f64::midpoint(*low, *high)),
        memory: past.iter().map(|past| past.memory).max().filter(|peak| *peak > 0).map(with_spare),
        known: !past.is_empty(),
    }
}

/// Rounded up to three bits that count: tasks that ask for the same are looked at together.
fn with_spare(peak: u64) -> u64 {
    let wanted = (peak as f64 * SPARE) as u64;
    let step = 1 << wanted.ilog2().saturating_sub(2).max(20);
    wanted.div_ceil(step).saturating_mul(step)
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::flow::Flow;
    use crate::hash::Hash;
    use crate::key::Group;
    use crate::kinds::Kinds;
    use crate::manifest::{Execution, Manifest, SCHEMA};

    fn parts(command: &str) -> Vec<Part> {
        vec![Part { group: Group::Command, name: String::new(), value: command.into() }]
    }

    /// An execution of an instance of the flow `test`, and how many seconds and MiB it took.
    fn executed(task: &str, command: &str, seconds: u32, memory: u64, n: usize) -> Manifest {
        let execution = Execution {
            started: "2026-01-01T00:00:00Z".into(),
            finished: format!("2026-01-01T00:00:{seconds:02}.{n:06}Z"),
            peak_memory: memory << 20,
            ..Execution::default()
        };
        Manifest {
            schema: SCHEMA,
            key: Hash::of(format!("{task} {command} {n}").as_bytes()),
            parts: parts(command),
            flow: "test".into(),
            task: task.into(),
            run: "01X".into(),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            execution,
        }
    }

    /// `a` and `c` have nothing before them; `b` reads `a`, and `end` the others.
    const FLOW: &str = "tasks:
  a: { run: echo, matrix: { n: [1, 2] } }
  b: { run: echo, needs: [a] }
  c: { run: echo }
  end: { run: echo, needs: [b, c] }
";

    fn forecast(past: &[Manifest], look: impl FnOnce(&mut Forecast<'_>)) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        cache.record_all(past).unwrap();
        let flow = Flow::parse(Path::new("flows/test.yaml"), "flows/test.yaml", FLOW.to_owned()).unwrap();
        let kinds = Kinds::of([]);
        let graph = Graph::new(&flow, &kinds).unwrap();
        look(&mut Forecast::new(&cache, &graph, "test"));
    }

    fn instance(forecast: &mut Forecast<'_>, task: usize, command: &str, name: &str) -> (f64, Option<u64>) {
        let expected = forecast.of(task, &parts(command), || name.to_owned());
        (expected.seconds.round(), expected.memory.map(|memory| memory >> 20))
    }

    #[test]
    fn without_history_the_longer_path_counts_more_tasks() {
        forecast(&[], |forecast| {
            let own = forecast.of_task(0);
            assert_eq!(
                (own, instance(forecast, 0, "x", "a[n=1]")),
                (Expected { seconds: UNKNOWN, memory: None, known: false }, (1.0, None))
            );
            let remaining: Vec<u64> = (0..4).map(|task| forecast.remaining(task, own) / 1_000_000).collect();
            assert_eq!(remaining, [3, 2, 2, 1]);
        });
    }

    #[test]
    fn what_is_known_of_the_same_work_goes_before_what_is_known_of_the_task() {
        let mut past: Vec<Manifest> = (0..3).map(|n| executed("a[n=1]", "x", 10, 100, n)).collect();
        past.push(executed("a[n=1]", "x", 30, 300, 3));
        past.extend((4..20).map(|n| executed("a[n=2]", "x", 40, 50, n)));
        forecast(&past, |forecast| {
            assert_eq!(instance(forecast, 0, "x", "a[n=1]"), (10.0, Some(384)), "the median; the peak and a fifth");
            assert_eq!(instance(forecast, 0, "x", "a[n=2]"), (40.0, Some(64)));
            assert_eq!(instance(forecast, 0, "x", "a[n=3]"), (40.0, Some(64)), "as the last of the task");
            assert_eq!(instance(forecast, 0, "y", "a[n=1]"), (40.0, Some(64)), "another command is other work");
            for _ in 0..2 * ONE_BY_ONE {
                assert_eq!(
                    instance(forecast, 0, "x", "a[n=1]"),
                    (10.0, Some(384)),
                    "the same where all is read at once"
                );
            }
        });
    }

    #[test]
    fn the_longest_path_is_one_of_time() {
        forecast(&[executed("c", "x", 50, 0, 0), executed("a[n=1]", "x", 2, 0, 0)], |forecast| {
            let (a, c) = (forecast.of_task(0), forecast.of_task(2));
            let (a, c) = (forecast.remaining(0, a), forecast.remaining(2, c));
            assert_eq!((a / 1_000_000, c / 1_000_000), (4, 51), "two tasks behind `a` are not known, one behind `c`");
        });
    }

    #[test]
    fn learned_memory_is_kept_where_none_is_declared_and_never_refused() {
        let machine = Pool::new(4.0, 1 << 30, &[]);
        let learned = |memory| Expected { seconds: 1.0, memory, known: true };
        let asked = Request::new(1.0, 0.0);
        assert_eq!(learned(Some(64 << 20)).request(asked.clone(), None, &machine), asked.clone().memory(64 << 20));
        assert_eq!(learned(Some(2 << 30)).request(asked.clone(), None, &machine), asked.clone().memory(1 << 30));
        assert_eq!(learned(None).request(asked.clone(), None, &machine), asked);
        let declared = asked.memory(5);
        assert_eq!(learned(Some(64 << 20)).request(declared.clone(), Some(5), &machine), declared);
    }

    #[test]
    fn what_is_kept_free_takes_few_values() {
        let values: std::collections::BTreeSet<u64> = (1..2_000).map(|mib| with_spare(mib << 20)).collect();
        assert!(values.len() < 50, "{}", values.len());
        assert!((1..2_000_u64).all(|mib| with_spare(mib << 20) >= (mib << 20) * 6 / 5));
        assert!((64..2_000_u64).all(|mib| with_spare(mib << 20) <= (mib << 20) * 3 / 2));
    }
}
