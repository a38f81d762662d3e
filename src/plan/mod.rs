//! DAG + cache + refs → for each task: cached, runs because …, or may run.
//!
//! The planner is driven from outside and starts nothing. It expands axes and resolves inputs as far as they are known,
//! hands out the tasks that have to run ([`Planner::take_ready`]), and goes on when it is told how one ended
//! ([`Planner::finish`]). A dry run tells it that each of them ended in an unknown way, a real one what came out: so the
//! two cannot disagree. Everything waits in one queue; nothing recurses, and nothing is looked at again before all that
//! it waited for is there.

mod batch;
mod cycle;
mod early;
mod expand;
mod fits;
mod identity;
mod include;
mod input;
mod lacks;
mod places;
mod prepare;
mod read;
mod reason;
mod resolve;
mod secrets;
mod targets;
mod tree;
mod view;
mod with;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;
use serde_json::Value;

pub(crate) use fits::fits;
pub use input::{Data, Resolved, ResolvedInput};
pub use lacks::lacks;
pub use reason::{Reason, differences};
pub use tree::{AxisValue, InstanceId, text_of};

use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError, Outputs};
use crate::diagnostic::Diagnostic;
use crate::flow::{Params, Target};
use crate::graph::{Graph, Selector};
use crate::hash::Hash;
use crate::kinds::Kinds;
use crate::refs::Snapshot;
use crate::resources::Pool;
use early::{AxisEdge, Early};
use places::Places;
use prepare::TaskPlan;
use secrets::Secrets;
use targets::Targets;
use tree::{NodeId, ROOT, Tree};

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The flow's DAG.
    pub graph: &'a Graph<'a>,
    /// Values of the flow's parameters.
    pub params: &'a IndexMap<String, Value>,
    /// The kinds that the flow uses.
    pub kinds: &'a Kinds,
    /// Objects and results.
    pub cache: &'a Cache,
    /// Named pointers, as they stood when the run started.
    pub refs: &'a Snapshot,
    /// What the machine has: a kind may say that its bytes depend on whether there is a device.
    pub machine: &'a Pool,
    /// The project root.
    pub root: &'a Path,
    /// The flow's name, under which the last run of an instance is found.
    pub flow: &'a str,
}

/// What the caller asks for beside the flow.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Instances to run although a result is recorded; matched by name, `task` or `task[axis=value]`.
    pub force: Vec<Selector>,
    /// Tasks to bring up to date, with what they need; empty for all.
    pub targets: Vec<Selector>,
}

/// How a task's part in the plan ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A result was recorded already.
    Cached(Arc<Done>),
    /// It was executed.
    Ran(Arc<Done>),
    /// In a dry run: it would be executed, so what comes out is not known.
    WillRun(Reason),
    /// In a dry run: the named instance, which has the same key, would be executed, and this one would have its result.
    WillShare(String),
    /// In a dry run: whether it would be executed depends on a task (named) that would.
    MayRun(String),
    /// It failed.
    Failed,
    /// It is skipped, with the reason; `blocked` where that is a failure upstream and not its own `when`.
    Skipped {
        /// Why.
        why: String,
        /// Whether something upstream failed.
        blocked: bool,
    },
}

/// A recorded result, as far as the plan needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The task's key.
    pub key: Hash,
    /// Its outputs.
    pub outputs: Outputs,
}

/// Why a part of a task's instances will never be known in this plan.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// A dry run: the named task would run first.
    Unknown(String),
    /// What it waits for failed or is skipped.
    Skipped { why: String, blocked: bool },
}

/// Something that waits, or is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Item {
    Node(usize, NodeId),
    Instance(InstanceId),
}

/// An instance of a task.
pub(crate) struct Instance {
    pub(crate) task: usize,
    pub(crate) axes: Box<[AxisValue]>,
    pub(crate) outcome: Option<Outcome>,
    demanded: bool,
    /// Whether it is in the queue, so that nothing is in it twice.
    queued: bool,
}

/// A flow in the flow, and the values of the axes around it.
type Around = (Option<usize>, Vec<Arc<str>>);

/// Who waits for an item, and how much an item still waits for.
#[derive(Default)]
struct Waits {
    /// How many of the things it waits for have not ended.
    pending: usize,
    /// How often it began to wait: a wake for an earlier wait is none.
    round: u32,
    /// What it waits for, kept for finding cycles.
    on: Vec<Item>,
    /// What waits for it, and since which of its rounds.
    waiters: Vec<(Item, u32)>,
}

/// From as many instances in the queue on, the index of the cache is read at once.
const AHEAD: usize = 512;

/// A plan in the making.
pub struct Planner<'a> {
    pub(crate) context: Context<'a>,
    force: Vec<Selector>,
    targets: Targets,
    pub(crate) tasks: Vec<TaskPlan<'a>>,
    trees: Vec<Tree<Lost>>,
    pub(crate) instances: Vec<Instance>,
    waits: HashMap<Item, Waits>,
    /// Instances for which some of the axes that they wait for are known, and others are not; only in the first pass.
    partly: Option<BTreeSet<InstanceId>>,
    /// How many instances are demanded.
    expected: usize,
    /// Their tasks, of those since the last call.
    demanded: Vec<usize>,
    queue: VecDeque<Item>,
    /// The nodes that are in the queue.
    queued: HashSet<(usize, NodeId)>,
    ready: Vec<(InstanceId, Box<Resolved>)>,
    settled: Vec<InstanceId>,
    errors: Vec<Diagnostic>,
    /// The first error of the cache since it was last asked for.
    cache_error: Option<CacheError>,
    /// JSON outputs that were read, by content: a schedule is read once, not once for each day.
    json: Mutex<HashMap<Hash, Arc<Value>>>,
    /// Parameters of the flows in the flow, by flow and the axes around it.
    params: Mutex<HashMap<Around, Arc<Params>>>,
    /// Files outside the cache that were hashed in this plan.
    sources: Mutex<HashMap<String, Artifact>>,
    /// Those that are not there.
    absent: Mutex<BTreeSet<PathBuf>>,
    /// Which instance publishes to which place.
    published: BTreeMap<PathBuf, InstanceId>,
    /// Where instances read files outside the cache, as places; only in a flow that publishes.
    read_places: Mutex<BTreeMap<PathBuf, (usize, String)>>,
    publishes: bool,
    places: Places,
    /// Which instance moves which ref.
    moved: BTreeMap<String, InstanceId>,
    /// Who reads whom, for drawings.
    edges: Mutex<BTreeSet<(InstanceId, InstanceId)>>,
    /// The same for axes.
    axis_edges: Mutex<Vec<AxisEdge>>,
    draws: bool,
    /// What readers before a mover read.
    early: Early,
    secrets: Secrets,
    /// Parts of a task's axes that could not be expanded, since the last call.
    unexpanded: Vec<String>,
}

impl<'a> Planner<'a> {
    /// A plan in which nothing has been looked at yet.
    pub fn new(context: Context<'a>, wish: Wish) -> Self {
        Self::begin(context, wish, Early::find(context))
    }

    fn begin(context: Context<'a>, wish: Wish, early: Early) -> Self {
        let tasks = prepare::tasks(context.graph, context.kinds);
        let mut published = context.graph.tasks().iter().flat_map(|task| &task.publish);
        let publishes = published.any(|publish| matches!(publish.target, Target::Path(_)));
        let mut planner = Self {
            context,
            targets: Targets::new(context.graph, wish.targets),
            force: wish.force,
            trees: tasks.iter().map(|_| Tree::new()).collect(),
            tasks,
            instances: Vec::new(),
            waits: HashMap::new(),
            expected: 0,
            demanded: Vec::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            ready: Vec::new(),
            settled: Vec::new(),
            errors: Vec::new(),
            cache_error: None,
            json: Mutex::default(),
            params: Mutex::default(),
            sources: Mutex::default(),
            absent: Mutex::default(),
            published: BTreeMap::new(),
            read_places: Mutex::default(),
            publishes,
            places: Places::default(),
            moved: BTreeMap::new(),
            edges: Mutex::default(),
            axis_edges: Mutex::default(),
            draws: false,
            early,
            partly: Some(BTreeSet::new()),
            secrets: Secrets::default(),
            unexpanded: Vec::new(),
        };
        for task in 0..planner.tasks.len() {
            if planner.targets.has_task(task, &planner.tasks[task].decl.name.value) {
                planner.enqueue(Item::Node(task, ROOT));
            }
        }
        planner
    }

    /// Also notes who reads whom.
    pub fn keep_edges(&mut self) {
        self.draws = true;
    }

    /// Carries the plan on until everything waits for tasks that were handed out.
    pub fn advance(&mut self) {
        self.advance_queue();
        // All that can be known before the first task starts is looked at before it does, so that a dry run and a run see the
        // same. Later on it would be looked at again for each axis that comes to be known.
        while let Some(partly) = self.partly.take().filter(|partly| !partly.is_empty()) {
            self.partly = Some(BTreeSet::new());
            let still = |id: &InstanceId| self.waits.get(&Item::Instance(*id)).is_some_and(|waits| waits.pending > 0);
            for id in partly.into_iter().filter(still).collect::<Vec<_>>() {
                self.enqueue(Item::Instance(id));
            }
            self.advance_queue();
        }
    }

    fn advance_queue(&mut self) {
        // The longest queue that the index was read ahead for.
        let mut ahead = AHEAD / 2;
        while let Some(item) = self.queue.pop_front() {
            match item {
                Item::Node(task, node) => {
                    self.queued.remove(&(task, node));
                    self.advance_node(task, node);
                }
                Item::Instance(id) => {
                    if self.queue.len() >= 2 * ahead {
                        ahead = self.queue.len();
                        self.context.cache.read_ahead(ahead);
                    }
                    self.advance_batch(id);
                }
            }
        }
        self.context.cache.forget_ahead();
    }

    /// The tasks that have to run and whose inputs are all there; each is handed out once.
    pub fn take_ready(&mut self) -> Vec<(InstanceId, Box<Resolved>)> {
        std::mem::take(&mut self.ready)
    }

    /// The instances whose part has ended since the last call, in that order.
    pub fn take_settled(&mut self) -> Vec<InstanceId> {
        std::mem::take(&mut self.settled)
    }

    /// How many instances are known to be part of the plan.
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// By task, how many of them were not known at the last call.
    pub fn take_demanded(&mut self) -> Vec<(&'a str, usize)> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for task in std::mem::take(&mut self.demanded) {
            *counts.entry(task).or_default() += 1;
        }
        let tasks = self.context.graph.tasks();
        counts.into_iter().filter_map(|(task, count)| Some((tasks.get(task)?.name.value.as_str(), count))).collect()
    }

    /// The errors of the flow that were found since the last call.
    ///
    /// # Errors
    /// Where the cache could not be used, the first time that it could not: the flow may be well. The next call gives the rest.
    pub fn take_errors(&mut self) -> Result<Vec<Diagnostic>, CacheError> {
        match self.cache_error.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut self.errors)),
        }
    }

    /// The parts of axes whose values were found to be wrong since the last call: `day[day=*]`.
    pub fn take_unexpanded(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unexpanded)
    }

    /// Tells how a task that was handed out ended.
    pub fn finish(&mut self, id: InstanceId, outcome: Outcome) {
        self.settle(id, outcome);
    }

    /// Looks for what waits for itself, and for what was asked for and does not exist, as far as that is known now.
    pub fn check(&mut self) {
        self.check_targets();
        if let Some(cycle) = cycle::find(&self.waits) {
            let names: Vec<String> = cycle.iter().map(|item| format!("`{}`", self.item_name(*item))).collect();
            self.errors.push(Diagnostic::new(format!("tasks form a cycle: {}", names.join(" → "))));
        }
    }

    fn item_name(&self, item: Item) -> String {
        match item {
            Item::Node(task, node) => self.name_of(task, &self.trees[task].node(node).values),
            Item::Instance(id) => self.name(id),
        }
    }

    /// Ends an instance's part, and wakes what waited for nothing else.
    fn settle(&mut self, id: InstanceId, outcome: Outcome) {
        self.instances[id].outcome = Some(outcome);
        self.settled.push(id);
        self.wake(Item::Instance(id));
    }

    fn wake(&mut self, item: Item) {
        if self.waits.is_empty() {
            return;
        }
        let Some(waits) = self.waits.remove(&item) else { return };
        for (waiter, round) in waits.waiters {
            let Some(waiting) = self.waits.get_mut(&waiter).filter(|waiting| waiting.round == round) else { continue };
            waiting.pending -= 1;
            if waiting.pending == 0 {
                waiting.on.clear();
                self.enqueue(waiter);
            } else if let (Some(partly), Item::Instance(id)) = (&mut self.partly, waiter) {
                partly.insert(id);
            }
        }
    }

    fn enqueue(&mut self, item: Item) {
        let new = match item {
            Item::Node(task, node) => self.queued.insert((task, node)),
            Item::Instance(id) => !std::mem::replace(&mut self.instances[id].queued, true),
        };
        if new {
            self.queue.push_back(item);
        }
    }

    /// Lets `item` wait for all of `on`, which are brought up to date for it. First it waits for the axes alone: once they are
    /// known, more of what it reads can be asked for.
    fn wait(&mut self, item: Item, mut on: BTreeSet<Item>) {
        for other in &on {
            match *other {
                Item::Node(task, node) => self.demand_node(task, node),
                Item::Instance(id) => self.demand(id),
            }
        }
        let is_node = |item: &Item| matches!(item, Item::Node(..));
        if on.iter().any(is_node) {
            on.retain(is_node);
        }
        let waits = self.waits.entry(item).or_default();
        waits.round += 1;
        let round = waits.round;
        waits.pending = on.len();
        waits.on = on.iter().copied().collect();
        for other in on {
            self.waits.entry(other).or_default().waiters.push((item, round));
        }
    }

    /// Sees to it that a node will be expanded.
    fn demand_node(&mut self, task: usize, node: NodeId) {
        let item = Item::Node(task, node);
        if self.waits.get(&item).is_none_or(|waits| waits.pending == 0) {
            self.enqueue(item);
        }
    }

    /// Sees to it that an instance will be brought up to date.
    fn demand(&mut self, id: InstanceId) {
        let instance = &mut self.instances[id];
        if !instance.demanded {
            instance.demanded = true;
            self.expected += 1;
            self.demanded.push(instance.task);
            self.enqueue(Item::Instance(id));
        }
    }
}
