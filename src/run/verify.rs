//! Recorded tasks, executed again in a scratch folder, to see whether they write the same bytes: which tasks are not
//! deterministic. Nothing that is recorded changes, and nothing is published.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::RunError;
use super::folder::{Folders, WORK};
use super::start::LOOK;
use super::task::{Spec, lay_out};
use crate::cache::files::remove_tree;
use crate::cache::{Cache, CacheError, Outputs};
use crate::diagnostic::Diagnostic;
use crate::execute::{ExecEvent, Executor, Exit, Job};
use crate::hash::Hash;
use crate::leases::{Lease, LeaseError, Leases, Terms};
use crate::locks::{Attempt, Busy, Held, Holder, LockRequest, Locks};
use crate::plan::{Context, Done, InstanceId, Outcome, Planner, Reason, Resolved, Wish};
use crate::resources::{Pool, Request};

/// A task whose result is recorded and whole.
pub struct Recorded {
    /// Its place in the plan.
    id: InstanceId,
    /// The instance.
    pub task: String,
    resolved: Box<Resolved>,
    outputs: Outputs,
}

/// The recorded tasks of a flow.
pub struct Survey<'a> {
    planner: Planner<'a>,
    /// Those whose results are recorded.
    pub recorded: Vec<Recorded>,
    /// The others, each with why it is not.
    pub others: Vec<(String, String)>,
}

/// What came of executing a task again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same bytes.
    Same,
    /// These outputs differ; the folder with what it wrote now stays for a look.
    Differs {
        /// Each with what is recorded, and what it wrote now (`None`: nothing).
        outputs: Vec<(String, Hash, Option<Hash>)>,
        /// Where they lie.
        folder: PathBuf,
    },
    /// It did not come to its end, and why. Its log stays.
    Failed {
        /// Why.
        why: String,
        /// Its log.
        log: PathBuf,
    },
}

/// What it is done with.
pub struct Means<'a> {
    /// The locks of the cache: those that the flow asks for are held.
    pub locks: &'a Locks,
    /// The leases of the machine.
    pub leases: Leases,
    /// Where tasks run.
    pub executor: &'a dyn Executor,
    /// What is heard of them.
    pub events: Receiver<ExecEvent>,
    /// What the machine has.
    pub machine: Pool,
    /// At most this many at once.
    pub jobs: usize,
    /// Who does it; the name of the run is that of the scratch folder.
    pub holder: Holder,
    /// Told of a task that waits for a lock.
    pub waiting: fn(&str, &Busy),
}

/// Finds the tasks whose results are recorded, as the flow is now.
///
/// # Errors
/// Those of the flow, and of the cache.
pub fn survey(context: Context<'_>) -> Result<Survey<'_>, RunError> {
    let all = "*".parse().map_err(|error: Diagnostic| RunError::Invalid(vec![error]))?;
    let mut planner = Planner::new(context, Wish { force: vec![all], targets: Vec::new() });
    let mut recorded = Vec::new();
    loop {
        planner.advance();
        let ready = planner.take_ready();
        if ready.is_empty() {
            break;
        }
        for (id, resolved) in ready {
            match whole_result(context.cache, &resolved.key)? {
                Some(outputs) => {
                    planner.finish(id, Outcome::Cached(Done { key: resolved.key, outputs: outputs.clone() }.into()));
                    recorded.push(Recorded { id, task: planner.name(id), resolved, outputs });
                }
                None => planner.finish(id, Outcome::WillRun(Reason::NeverRan)),
            }
        }
    }
    planner.check();
    let errors = planner.take_errors()?;
    if !errors.is_empty() {
        return Err(RunError::Invalid(errors));
    }
    let mut others = Vec::new();
    for id in planner.take_settled() {
        others.extend(planner.outcome(id).and_then(why_not).map(|why| (planner.name(id), why)));
    }
    others.extend(planner.unknown().into_iter().filter_map(|(name, outcome)| Some((name, why_not(&outcome)?))));
    Ok(Survey { planner, recorded, others })
}

/// Why a task is not executed again.
fn why_not(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::WillRun(_) | Outcome::WillShare(_) => Some("has no recorded result".to_owned()),
        Outcome::MayRun(task) => Some(format!("waits for {task}, which has no recorded result")),
        Outcome::Skipped { why, .. } => Some(format!("skipped: {why}")),
        Outcome::Cached(_) | Outcome::Ran(_) | Outcome::Failed => None,
    }
}

fn whole_result(cache: &Cache, key: &Hash) -> Result<Option<Outputs>, CacheError> {
    let Some(recorded) = cache.find_result(key)? else { return Ok(None) };
    for output in recorded.outputs.values() {
        if !cache.state(output)?.is_usable() {
            return Ok(None);
        }
    }
    Ok(Some(recorded.outputs))
}

/// A task that runs.
struct Flight<'r> {
    task: &'r Recorded,
    spec: Spec,
    devices: Vec<u32>,
    lease: Lease,
    _locks: Option<Held>,
}

/// Executes tasks again; `tell` hears of each when it has ended.
///
/// # Errors
/// Where a lock or the scratch folder cannot be used.
pub fn verify<'r>(
    survey: &'r Survey<'_>,
    tasks: impl IntoIterator<Item = &'r Recorded>,
    cache: &Cache,
    means: Means<'_>,
    mut tell: impl FnMut(&str, Verdict),
) -> Result<(), Box<dyn std::error::Error>> {
    let folder = cache.scratch().join(&means.holder.run);
    fs_err::create_dir_all(&folder)?;
    let mut waiting: VecDeque<&Recorded> = tasks.into_iter().collect();
    let free = means.machine.clone();
    let folders = Folders::default();
    let mut round = Round { survey, cache, folder, folders, free, means, flying: BTreeMap::new(), blocked: Vec::new() };
    while !waiting.is_empty() || !round.flying.is_empty() {
        for _ in 0..waiting.len() {
            if round.flying.len() >= round.means.jobs {
                break;
            }
            let Some(task) = waiting.pop_front() else { break };
            match round.start(task)? {
                Started::Yes => {}
                Started::Later => waiting.push_back(task),
                Started::Never(verdict) => tell(&task.task, verdict),
            }
        }
        if round.flying.is_empty() {
            // Others use what is needed.
            std::thread::sleep(LOOK);
            continue;
        }
        let Ok(event) = round.means.events.recv() else { break };
        if let ExecEvent::Exited { id, exit, alone, .. } = event
            && let Some(flight) = round.flying.remove(&id)
        {
            tell(&flight.task.task, round.judge(&flight, &exit));
            round.give_back(&flight.task.resolved.request, &flight.devices, flight.lease, alone);
        }
    }
    // Empty, unless something is left for a look.
    let _ = std::fs::remove_dir(&round.folder);
    Ok(())
}

enum Started {
    Yes,
    Later,
    Never(Verdict),
}

struct Round<'r, 'a, 'm> {
    survey: &'r Survey<'a>,
    cache: &'r Cache,
    folder: PathBuf,
    folders: Folders,
    free: Pool,
    means: Means<'m>,
    flying: BTreeMap<u64, Flight<'r>>,
    /// The first of each request that others are in the way of.
    blocked: Vec<Terms>,
}

impl<'r> Round<'r, '_, '_> {
    fn start(&mut self, task: &'r Recorded) -> Result<Started, Box<dyn std::error::Error>> {
        let planner = &self.survey.planner;
        let name = crate::provenance::file_name(&task.task);
        let log = self.folder.join(format!("{name}.log"));
        let request = self.means.machine.settle(task.resolved.request.clone());
        if let Err(error) = self.means.machine.admits(&request) {
            return Ok(Started::Never(Verdict::Failed { why: error.to_string(), log }));
        }
        let Some((devices, lease)) = self.take(task, &request)? else { return Ok(Started::Later) };
        let Some(locks) = self.lock(task)? else {
            self.give_back(&request, &devices, lease, true);
            return Ok(Started::Later);
        };
        let spec = Spec::of(planner, task.id, self.folder.join(name), devices.clone(), self.means.machine.memory());
        let command = match lay_out(self.cache, &self.folders, &spec, &task.resolved) {
            Ok(command) => command,
            Err(error) => {
                self.give_back(&request, &devices, lease, true);
                return Ok(Started::Never(Verdict::Failed { why: error.to_string(), log }));
            }
        };
        let mut shared = locks.share()?;
        shared.push(lease.share()?);
        self.means.executor.start(Job {
            id: task.id as u64,
            wanted: None,
            argv: command.argv,
            env: command.env,
            secrets: command.secrets,
            cwd: command.cwd,
            log,
            locks: shared,
            timeout: planner.decl(task.id).timeout,
            memory: spec.limit,
            apart: false,
        });
        self.flying.insert(task.id as u64, Flight { task, spec, devices, lease, _locks: Some(locks) });
        Ok(Started::Yes)
    }

    /// What a task asks for, if it is free now.
    fn take(&mut self, task: &Recorded, request: &Request) -> Result<Option<(Vec<u32>, Lease)>, LeaseError> {
        let Some(mut turn) = self.means.leases.turn()? else { return Ok(None) };
        let devices = turn.others().room(&self.free, request).fit(request);
        let since = jiff::Timestamp::now().to_string();
        let holder = Holder { task: task.task.clone(), since, ..self.means.holder.clone() };
        let terms = |devices| Terms { holder, request: request.clone(), devices, scratch: self.cache.scratch() };
        let Some(devices) = devices else {
            let terms = terms(self.means.machine.device_indices().collect());
            if !self.blocked.iter().any(|known| known.request == *request) {
                self.blocked.push(terms);
            }
            turn.wait_for(&self.blocked)?;
            return Ok(None);
        };
        let lease = turn.lease(&terms(devices.clone()))?;
        self.blocked.retain(|known| known.request != *request);
        turn.wait_for(&self.blocked)?;
        self.free.take_devices(request, &devices);
        Ok(Some((devices, lease)))
    }

    fn give_back(&mut self, request: &Request, devices: &[u32], lease: Lease, alone: bool) {
        self.free.give_back(request, devices);
        self.means.leases.give_back(lease, alone);
    }

    /// The locks that the flow asks for; `None` where one is held and there is something else to wait for.
    fn lock(&self, task: &Recorded) -> Result<Option<Held>, crate::locks::LockError> {
        let requests = task.resolved.locks.iter().map(|(name, shared)| LockRequest::named(name, *shared));
        let holder = Holder { task: task.task.clone(), ..self.means.holder.clone() };
        let mut waiter = self.means.locks.waiter(&requests.collect::<Vec<_>>(), holder);
        match waiter.attempt()? {
            Attempt::Got(held) => Ok(Some(held)),
            Attempt::Busy(_) if !self.flying.is_empty() => Ok(None),
            Attempt::Busy(_) => waiter.wait(None, |busy| (self.means.waiting)(&task.task, busy), || false).map(Some),
        }
    }

    fn judge(&self, flight: &Flight<'_>, exit: &Exit) -> Verdict {
        let folder = &flight.spec.folder;
        let log = folder.with_file_name(format!("{}.log", crate::provenance::file_name(&flight.task.task)));
        if *exit != Exit::Code(0) {
            return Verdict::Failed { why: exit.to_string(), log };
        }
        let work = folder.join(WORK);
        let mut differing = Vec::new();
        // What is measured may differ from run to run.
        for output in flight.spec.outputs.iter().filter(|output| !output.measured) {
            let Some(recorded) = flight.task.outputs.get(&output.name) else { continue };
            match written(&work.join(&output.path)) {
                Ok(now) if now == Some(recorded.hash) => {}
                Ok(now) => differing.push((output.name.clone(), recorded.hash, now)),
                Err(error) => return Verdict::Failed { why: error.to_string(), log },
            }
        }
        if !differing.is_empty() {
            return Verdict::Differs { outputs: differing, folder: work };
        }
        // What cannot be removed goes with the next `cache gc`.
        let _ = remove_tree(folder).and_then(|()| crate::cache::files::remove(&log));
        Verdict::Same
    }
}

/// The hash of an output, if it was written.
fn written(path: &Path) -> Result<Option<Hash>, CacheError> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    Ok(Some(Cache::hash_anew(path)?.hash))
}
