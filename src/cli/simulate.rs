//! `ghtrader plan FLOW --simulate`: the run that is expected, in simulated time, with durations from history. It executes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::error::print;
use super::run_args::RunArgs;
use super::{CliError, Exit, Format};
use crate::machine::cores;
use crate::plan::{Context, InstanceId, Outcome, Planner, Resolved, Wish, text_of};
use crate::report::{Bar, Lane, Timeline, duration};
use crate::resources::{Pool, Request};
use crate::schedule::{Attempt, Bound, Expected, Forecast, Job, LockKeys, Simulated, bound};

pub(super) fn simulate(args: &RunArgs, context: Context<'_>, wish: Wish) -> Result<Exit, CliError> {
    let machine = context.machine;
    let mut planner = Planner::new(context, wish);
    let mut errors = planner.too_much(machine);
    planner.keep_edges();
    let ready = planner.to_the_end();
    errors.extend(planner.take_errors()?);
    if !errors.is_empty() {
        return Err(CliError::Invalid(crate::diagnostic::in_order(errors)));
    }
    let forecast = Forecast::new(context.cache, context.graph, context.flow);
    let mut draft = Draft { planner: &mut planner, forecast, machine, work: Work::default() };
    draft.instances(&ready);
    draft.parts_of_axes();
    let work = draft.work;
    let slots = args.jobs.map_or_else(|| cores().max(args.cpus.unwrap_or(1) as usize), |jobs| jobs as usize);
    let mut attempts = Vec::with_capacity(work.jobs.len());
    let simulated =
        crate::schedule::simulate(machine.clone(), slots, &work.jobs, &work.edges, |attempt| attempts.push(attempt));
    let bounds = bound(std::slice::from_ref(machine), slots, &work.jobs, &simulated);
    match args.format {
        Format::Json => print(&as_json(&work, &attempts, &simulated, &bounds).to_string()),
        Format::Human => show(&work, &attempts, &simulated, &bounds, machine),
    }
    Ok(Exit::Done)
}

/// What is to be done, as far as it is known.
#[derive(Default)]
struct Work {
    names: Vec<String>,
    /// The task of each, by its place in the flow.
    tasks: Vec<usize>,
    jobs: Vec<Job>,
    edges: Vec<(usize, usize)>,
    /// How many may run, and how many stand for a part of an axis that is not known.
    may_run: usize,
    unknown: usize,
    /// How many have no history.
    without_history: usize,
}

/// A simulation in the making.
struct Draft<'d, 'a> {
    planner: &'d mut Planner<'a>,
    forecast: Forecast<'a>,
    machine: &'d Pool,
    work: Work,
}

impl Draft<'_, '_> {
    /// The instances that run or may run, and who waits for whom among them.
    fn instances(&mut self, ready: &[(InstanceId, Box<Resolved>)]) {
        let resolved: HashMap<InstanceId, &Resolved> = ready.iter().map(|(id, resolved)| (*id, &**resolved)).collect();
        let mut places: HashMap<InstanceId, usize> = HashMap::new();
        for id in self.planner.take_settled() {
            let task = self.planner.task(id);
            let name = self.planner.name(id);
            let (request, parts, locks) = match (self.planner.outcome(id), resolved.get(&id)) {
                (Some(Outcome::WillRun(_)), Some(resolved)) => {
                    (resolved.request.clone(), Some(resolved.parts.clone()), resolved.locks.clone())
                }
                (Some(Outcome::MayRun(_)), _) => {
                    self.work.may_run += 1;
                    (self.planner.asks(task), self.planner.parts_before_inputs(id), self.locks(id))
                }
                _ => continue,
            };
            let expected = match parts {
                Some(parts) => self.forecast.of(task, &parts, || name.clone()),
                None => self.forecast.of_task(task),
            };
            places.insert(id, self.work.jobs.len());
            self.add(name, task, self.planner.decl(id).priority, request, locks, expected);
        }
        let (_, edges) = self.planner.drawing();
        let known = edges.iter().filter_map(|(from, to)| Some((*places.get(from)?, *places.get(to)?)));
        self.work.edges.extend(known);
    }

    /// What stands for instances that are not known yet: one for each such part of an axis. It waits for all that its task
    /// may read, and all that may read it wait for it.
    fn parts_of_axes(&mut self) {
        let known = self.work.jobs.len();
        for (name, outcome) in self.planner.unknown() {
            let (true, Some(task)) = (
                matches!(outcome, Outcome::MayRun(_)),
                self.planner.context.graph.index(name.split_once('[').map_or(&name, |(task, _)| task)),
            ) else {
                continue;
            };
            let priority = self.planner.context.graph.tasks().get(task).map_or(0, |task| task.priority);
            let expected = self.forecast.of_task(task);
            self.work.unknown += 1;
            self.add(name, task, priority, self.planner.asks(task), Vec::new(), expected);
        }
        let mut of_task: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, task) in self.work.tasks.iter().enumerate() {
            of_task.entry(*task).or_default().push(place);
        }
        let places = |task: &usize| of_task.get(task).into_iter().flatten().copied();
        for (from, to) in self.planner.context.graph.edges() {
            for before in places(from) {
                let after = places(to).filter(|after| before >= known || *after >= known);
                self.work.edges.extend(after.map(|after| (before, after)));
            }
        }
    }

    fn add(&mut self, name: String, task: usize, priority: i64, request: Request, locks: LockKeys, expected: Expected) {
        let declared = self.planner.context.graph.tasks().get(task).and_then(|task| task.resources.memory);
        let request = expected.request(request, declared, self.machine);
        self.work.without_history += usize::from(!expected.known);
        self.work.names.push(name);
        self.work.tasks.push(task);
        self.work.jobs.push(Job {
            priority,
            remaining: self.forecast.remaining(task, expected),
            request: Arc::new(request),
            locks,
            attempts: vec![(expected.seconds * 1e6) as u64],
            fails: false,
        });
    }

    /// The locks of an instance, as far as they are known before its inputs are.
    fn locks(&self, id: InstanceId) -> LockKeys {
        let locks = self.planner.decl(id).locks.iter();
        locks.filter_map(|lock| Some((text_of(&self.planner.evaluate(id, &lock.key).ok()?), lock.shared))).collect()
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn as_json(work: &Work, attempts: &[Attempt<Vec<u32>>], simulated: &Simulated, bounds: &[Bound]) -> serde_json::Value {
    let task = |attempt: &Attempt<Vec<u32>>| {
        json!({
            "task": work.names.get(attempt.job),
            "start": seconds(attempt.start),
            "end": seconds(attempt.end),
            "devices": attempt.given,
        })
    };
    let bounds: serde_json::Map<String, serde_json::Value> =
        bounds.iter().map(|bound| (bound.name.clone(), json!(seconds(bound.micros)))).collect();
    json!({
        "event": "simulated",
        "seconds": seconds(simulated.makespan),
        "bounds": bounds,
        "tasks": attempts.iter().map(task).collect::<Vec<_>>(),
        "may_run": work.may_run,
        "unknown": work.unknown,
        "without_history": work.without_history,
    })
}

fn show(work: &Work, attempts: &[Attempt<Vec<u32>>], simulated: &Simulated, bounds: &[Bound], machine: &Pool) {
    if attempts.is_empty() {
        return print("nothing has to run");
    }
    let tasks = if attempts.len() == 1 { "task" } else { "tasks" };
    let takes = duration(seconds(simulated.makespan));
    print(&format!("{} {tasks}, expected to take {takes}", attempts.len()));
    if let Some(best) = bounds.first() {
        let why = match best.name.as_str() {
            "path" => "the longest path".to_owned(),
            "jobs" => "tasks at once (`--jobs`)".to_owned(),
            resource => format!("work / what there is of {resource}"),
        };
        print(&format!("no schedule takes less than {}: {why}", duration(seconds(best.micros))));
    }
    let counted = |count: usize, one: &str, many: &str| match count {
        0 => {}
        1 => print(&format!("1 {one}")),
        count => print(&format!("{count} {many}")),
    };
    let which = "what comes out before decides";
    counted(work.may_run, &format!("of them may run: {which}"), &format!("of them may run: {which}"));
    let axis = "for a part of an axis that is not known yet";
    counted(work.unknown, &format!("stands {axis}"), &format!("stand {axis}, each for one instance or many"));
    let never = "never ran before and is taken to run 1 s";
    counted(work.without_history, never, "never ran before and are taken to run 1 s each");
    print("");
    timeline(work, attempts, simulated, machine).lines().iter().for_each(|line| print(line));
}

fn timeline(work: &Work, attempts: &[Attempt<Vec<u32>>], simulated: &Simulated, machine: &Pool) -> Timeline {
    let time = |attempt: &Attempt<Vec<u32>>| (seconds(attempt.start), seconds(attempt.end));
    let bar = |attempt: &Attempt<Vec<u32>>| Bar {
        task: work.names.get(attempt.job).cloned().unwrap_or_default(),
        time: time(attempt),
        devices: attempt.given.clone(),
    };
    let mut lanes = Vec::new();
    for device in machine.device_indices() {
        let on = attempts.iter().filter(|attempt| attempt.given.contains(&device));
        let share = |attempt: &Attempt<Vec<u32>>| (amount(work, attempt, "gpu") as f64 / 1000.0).min(1.0);
        lanes.push(Lane { name: format!("gpu {device}"), used: used(on, share) });
    }
    for (name, has) in machine.amounts().filter(|(name, has)| *name != "gpu" && *has > 0) {
        let share = |attempt: &Attempt<Vec<u32>>| amount(work, attempt, name) as f64 / has as f64;
        let used = used(attempts.iter(), share);
        if !used.is_empty() {
            lanes.push(Lane { name: name.to_owned(), used });
        }
    }
    Timeline { seconds: seconds(simulated.makespan), bars: attempts.iter().map(bar).collect(), lanes }
}

/// When which share of something is used.
fn used<'a>(
    attempts: impl Iterator<Item = &'a Attempt<Vec<u32>>>,
    share: impl Fn(&Attempt<Vec<u32>>) -> f64,
) -> Vec<(f64, f64, f64)> {
    let used = attempts.map(|attempt| (seconds(attempt.start), seconds(attempt.end), share(attempt)));
    used.filter(|(_, _, share)| *share > 0.0).collect()
}

fn amount(work: &Work, attempt: &Attempt<Vec<u32>>, name: &str) -> u64 {
    let request = work.jobs.get(attempt.job).map(|job| &job.request);
    request.and_then(|request| request.amounts().find(|(of, _)| *of == name)).map_or(0, |(_, amount)| amount)
}
