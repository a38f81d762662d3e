//! The reference interpreter: by the rules of the reference alone, what becomes of each instance of a project.
//!
//! It evaluates instances one by one, from what they read. Where the rules leave something open (a killed run may or may
//! not have got so far, after a failure nothing new is started), it takes what was observed if that is one of the
//! possibilities. It shares nothing with the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::judge::{axis, entry, keys};
use crate::project::{Filter, Input, Project, Source, Values, When};
use crate::value::{self, Folder, Value, file};
use crate::world::{Key, Outputs, Refs, Usable, World};

/// What a call asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) targets: Vec<Target>,
    pub(crate) force: Vec<usize>,
    pub(crate) keep_going: bool,
}

/// `task[axis=value]+`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) task: usize,
    pub(crate) axes: Vec<(String, String)>,
    pub(crate) dependents: bool,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Dry,
    Run,
    /// A run that was killed.
    Killed,
}

/// What happens in the midst of a task, once.
#[derive(Clone, Debug)]
pub(crate) enum Incident {
    /// It fails, for no reason that its key knows.
    Fails,
    /// It edits the source at this path, which it reads.
    Edits(String),
}

/// What was seen from outside: states by instance, and how often each was executed, by what it calls itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) states: BTreeMap<String, String>,
    pub(crate) executed: BTreeMap<String, usize>,
}

/// What becomes of an instance, as far as those see it that read it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done(Rc<Outputs>),
    Skipped,
    Blocked,
    Unknown,
}

type Instance = (usize, Vec<String>);

/// What is expected of an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) state: String,
    /// What it calls itself.
    pub(crate) logged: String,
    /// How often it may be executed.
    pub(crate) executions: (usize, usize),
    pub(crate) outputs: Option<Rc<Outputs>>,
}

/// One call, interpreted.
pub(crate) struct Call<'a> {
    pub(crate) project: &'a Project,
    pub(crate) world: &'a mut World,
    pub(crate) mode: Mode,
    pub(crate) ask: &'a Ask,
    pub(crate) observed: &'a Observed,
    pub(crate) incidents: &'a BTreeMap<String, Incident>,
    /// How results stood when the call began.
    pub(crate) before: BTreeMap<Key, Usable>,
    /// Refs are read when a run starts.
    pub(crate) refs: Refs,
    nodes: BTreeMap<Instance, Result<Vec<String>, Outcome>>,
    outcomes: BTreeMap<Instance, Outcome>,
    /// Every instance that takes part, by name.
    pub(crate) expected: BTreeMap<String, Expected>,
    /// A required source is not there: nothing is started.
    pub(crate) error: bool,
    /// Whether some instance with such an error is skipped anyway, so that it may not be seen.
    pub(crate) perhaps_error: bool,
}

/// The values of inputs: `None` where an optional one is absent.
pub(crate) type Inputs = Vec<(String, Option<Value>)>;

impl<'a> Call<'a> {
    pub(crate) fn interpret(
        project: &'a Project,
        world: &'a mut World,
        (mode, ask): (Mode, &'a Ask),
        observed: &'a Observed,
        incidents: &'a BTreeMap<String, Incident>,
    ) -> Self {
        let before = world.results.keys().map(|key| (key.clone(), world.usable(key))).collect();
        let refs = world.refs.clone();
        let (nodes, outcomes, expected) = Default::default();
        let mut call = Self {
            project,
            world,
            mode,
            ask,
            observed,
            incidents,
            before,
            refs,
            nodes,
            outcomes,
            expected,
            error: false,
            perhaps_error: false,
        };
        call.all();
        call
    }

    fn all(&mut self) {
        for task in 0..self.project.tasks.len() {
            let asking: Vec<Target> =
                self.ask.targets.iter().filter(|target| self.concerns(target, task)).cloned().collect();
            if asking.is_empty() && !self.ask.targets.is_empty() {
                continue;
            }
            let axes = &self.project.tasks[task].axes;
            let is_own = |name: &String| axes.contains(name);
            let mut leaves = BTreeSet::new();
            if self.ask.targets.is_empty() {
                leaves.extend(self.find(task, &vec![None; axes.len()]).0);
            }
            for target in
                asking.iter().filter(|target| target.task != task || target.axes.iter().all(|(axis, _)| is_own(axis)))
            {
                // What is not asked for is not looked at: its axes may come from a task that nobody needs.
                let wanted = |axis: &String| {
                    target.axes.iter().find(|(own, _)| own == axis).map(|(_, value)| vec![value.clone()])
                };
                leaves.extend(self.find(task, &axes.iter().map(wanted).collect::<Vec<_>>()).0);
            }
            for values in leaves {
                self.outcome(task, &values);
            }
        }
        self.unknown();
    }

    /// Whether a target is a task or, with `+`, something that the task depends on.
    fn concerns(&self, target: &Target, task: usize) -> bool {
        target.task == task || target.dependents && self.project.depends(task, target.task)
    }

    /// Parts of an axis that never come to be known have a line of their own.
    fn unknown(&mut self) {
        for ((task, values), node) in &self.nodes {
            let Err(outcome) = node else { continue };
            let state = match outcome {
                Outcome::Unknown => "may-run",
                _ => "skipped",
            };
            let name = self.project.instance(*task, values);
            self.expected.insert(name, Expected { state: state.to_owned(), ..Expected::default() });
        }
    }

    /// The values of the axis after `before`.
    fn node(&mut self, task: usize, before: &[String]) -> Result<Vec<String>, Outcome> {
        let place = (task, before.to_vec());
        if let Some(node) = self.nodes.get(&place) {
            return node.clone();
        }
        let axes = &self.project.tasks[task].axes;
        let node = match &self.project.axes[&axes[before.len()]] {
            Values::List(list) => Ok(list.clone()),
            Values::Param(name) => Ok(self.project.list(name)),
            Values::From(producer, output) => {
                let of = |axis: &String| before[axes.iter().position(|own| own == axis).unwrap()].clone();
                let values: Vec<String> = self.project.tasks[*producer].axes.iter().map(of).collect();
                match self.outcome(*producer, &values) {
                    Outcome::Done(outputs) => Ok(keys(&outputs[output])),
                    other => Err(other),
                }
            }
        };
        self.nodes.insert(place, node.clone());
        node
    }

    /// The instances of a task whose axes have one of the given values, and what became of those that are not known.
    fn find(&mut self, task: usize, filter: &[Option<Vec<String>>]) -> (Vec<Vec<String>>, Vec<Outcome>) {
        let mut found = vec![Vec::new()];
        let mut lost = Vec::new();
        for wanted in filter {
            let mut next = Vec::new();
            for before in found {
                match self.node(task, &before) {
                    Err(outcome) => lost.push(outcome),
                    Ok(values) => {
                        for value in values {
                            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&value)) {
                                next.push([before.clone(), vec![value]].concat());
                            }
                        }
                    }
                }
            }
            found = next;
        }
        (found, lost)
    }

    fn outcome(&mut self, task: usize, values: &[String]) -> Outcome {
        let place = (task, values.to_vec());
        if let Some(outcome) = self.outcomes.get(&place) {
            return outcome.clone();
        }
        let name = self.project.instance(task, values);
        let logged = self.project.logged(task, values);
        self.expected.insert(name.clone(), Expected { logged, ..Expected::default() });
        let outcome = match self.resolve(task, values) {
            Ok(inputs) => self.judge(task, values, &inputs),
            Err(outcome) => outcome,
        };
        let state = match outcome {
            Outcome::Skipped | Outcome::Blocked => "skipped",
            Outcome::Unknown => "may-run",
            Outcome::Done(_) => "",
        };
        let expected = self.expected.entry(name).or_default();
        if expected.state.is_empty() {
            expected.state = state.to_owned();
        }
        self.outcomes.insert(place, outcome.clone());
        outcome
    }

    /// The inputs of an instance; a skip counts more than a failure, and that more than what is not known yet.
    fn resolve(&mut self, task: usize, values: &[String]) -> Result<Inputs, Outcome> {
        let decl = &self.project.tasks[task];
        let axis = |name: &str| axis(decl, values, name);
        match &decl.when {
            Some(When::Param(name, value)) if self.project.param(name) == value => return Err(Outcome::Skipped),
            Some(When::AxisIsNot(name, value)) if axis(name) == *value => return Err(Outcome::Skipped),
            _ => {}
        }
        let param = |name: &str| self.project.param(name).to_owned();
        let missing = decl.inputs.iter().any(|input| match &input.source {
            Source::Path(path) => !input.optional && self.project.source(&path.eval(axis, param)).is_none(),
            _ => false,
        });
        let name = self.project.instance(task, values);
        let failed = self.observed.states.get(&name).is_some_and(|state| state == "failed");
        if missing && failed && self.mode == Mode::Run {
            // Of an instance that was not known before it is seen only now. What it reads is not needed for its sake.
            self.perhaps_error = true;
            self.expected.entry(name).or_default().state = "failed".to_owned();
            return Err(Outcome::Blocked);
        }
        let mut inputs = Inputs::new();
        let mut stops = Vec::new();
        // What a skip makes needless is looked at last, and then not for its sake.
        let skipped = self.observed.states.get(&name).is_some_and(|state| state == "skipped");
        let needless: Vec<bool> =
            decl.inputs.iter().map(|input| skipped && self.is_unseen(task, values, input)).collect();
        let (last, first): (Vec<_>, Vec<_>) = decl.inputs.iter().zip(needless).partition(|(_, needless)| *needless);
        for (input, needless) in first.into_iter().chain(last) {
            if needless && stops.iter().any(|stop| matches!(stop, Outcome::Skipped)) {
                return Err(Outcome::Skipped);
            }
            match &input.source {
                Source::Path(path) => {
                    let path = path.eval(axis, |name| self.project.param(name).to_owned());
                    let there = self.project.source(&path);
                    inputs.push((input.name.clone(), there));
                }
                Source::Ref(name) => {
                    let last = self.refs.get(name).and_then(|moves| moves.last());
                    inputs.push((input.name.clone(), last.map(|last| last.value.clone())));
                }
                Source::From { .. } => match self.read(task, values, input) {
                    Ok(value) => inputs.push((input.name.clone(), value)),
                    Err(outcome) => stops.push(outcome),
                },
            }
        }
        let place = |name: &String| decl.inputs.iter().position(|input| input.name == *name);
        inputs.sort_by_key(|(name, _)| place(name));
        for need in &decl.needs {
            let skip = skipped && stops.iter().any(|stop| matches!(stop, Outcome::Skipped));
            if skip && self.is_order_unseen(task, values, *need) {
                return Err(Outcome::Skipped);
            }
            stops.extend(self.order(task, values, *need));
        }
        let stop = stops.into_iter().min_by_key(|outcome| match outcome {
            Outcome::Skipped => 0,
            Outcome::Blocked => 1,
            _ => 2,
        });
        if missing {
            let skipped = matches!(stop, Some(Outcome::Skipped | Outcome::Blocked));
            *(if skipped { &mut self.perhaps_error } else { &mut self.error }) = true;
            // With a skip, whatever is looked at first counts.
            if self.mode == Mode::Run && !skipped {
                self.expected.entry(name).or_default().state = "failed".to_owned();
                return Err(Outcome::Blocked);
            }
        }
        if let Some(stop) = stop {
            return Err(stop);
        }
        match &decl.when {
            Some(When::AtLeast(name, least)) if entry(&inputs, name) < *least => Err(Outcome::Skipped),
            _ => Ok(inputs),
        }
    }

    /// For each axis of a producer, the values that are read; and whether several instances are gathered.
    fn filter(
        &self,
        task: usize,
        values: &[String],
        producer: usize,
        filters: &[(String, Filter)],
    ) -> (Vec<Option<Vec<String>>>, Vec<bool>) {
        let decl = &self.project.tasks[task];
        let param = |name: &str| self.project.param(name).to_owned();
        let one = |own: &String| match filters.iter().find(|(axis, _)| axis == own) {
            Some((_, Filter::One(text))) => (Some(vec![text.eval(|name| axis(decl, values, name), param)]), false),
            Some((_, Filter::Many(list))) => (Some(list.clone()), true),
            None if decl.axes.contains(own) => (Some(vec![axis(decl, values, own)]), false),
            None => (None, true),
        };
        self.project.tasks[producer].axes.iter().map(one).unzip()
    }

    /// Whether an input comes from a task of which the runner told nothing.
    fn is_unseen(&mut self, task: usize, values: &[String], input: &Input) -> bool {
        let Source::From { task: producer, filter, .. } = &input.source else { return false };
        let (filter, _) = self.filter(task, values, *producer, filter);
        self.are_unseen(*producer, &filter)
    }

    /// The same of a task that is named in `needs`.
    fn is_order_unseen(&mut self, task: usize, values: &[String], producer: usize) -> bool {
        let (filter, _) = self.filter(task, values, producer, &[]);
        self.are_unseen(producer, &filter)
    }

    fn are_unseen(&mut self, producer: usize, filter: &[Option<Vec<String>>]) -> bool {
        let (leaves, _) = self.find(producer, filter);
        leaves.iter().all(|leaf| !self.observed.states.contains_key(&self.project.instance(producer, leaf)))
    }

    fn read(&mut self, task: usize, values: &[String], input: &Input) -> Result<Option<Value>, Outcome> {
        let Source::From { task: producer, output, filter, at } = &input.source else { return Ok(None) };
        let (filter, gathered) = self.filter(task, values, *producer, filter);
        let (leaves, lost) = self.find(*producer, &filter);
        if gathered.contains(&true) {
            return self.gather(*producer, output, &leaves, lost, &gathered).map(Some);
        }
        if let Some(lost) = lost.into_iter().next() {
            return Err(lost);
        }
        let outputs = match self.outcome(*producer, &leaves[0]) {
            Outcome::Done(outputs) => outputs,
            Outcome::Skipped if input.optional => return Ok(None),
            other => return Err(other),
        };
        let Some(at) = at else { return Ok(Some(outputs[output].clone())) };
        let decl = &self.project.tasks[task];
        let at = at.eval(|name| axis(decl, values, name), |name| self.project.param(name).to_owned());
        let part = match &outputs[output] {
            Value::Folder(folder) => value::at(folder, &at),
            Value::File(json) => {
                let json: serde_json::Value = serde_json::from_str(&json.text).unwrap();
                json.get(&at).map(|entry| file(entry.to_string()))
            }
        };
        if part.is_none() && !input.optional {
            self.error = true;
        }
        Ok(part)
    }

    /// A folder of the outputs of several instances; those that are skipped are left out.
    fn gather(
        &mut self,
        producer: usize,
        output: &str,
        leaves: &[Vec<String>],
        lost: Vec<Outcome>,
        over: &[bool],
    ) -> Result<Value, Outcome> {
        let decl = &self.project.tasks[producer];
        let path = &decl.outputs.iter().find(|declared| declared.name == output).unwrap().path;
        let last = path.rsplit('/').next().unwrap();
        let mut folder = Folder::new();
        let mut stops = lost;
        for values in leaves {
            let mut place = String::new();
            for ((axis, value), _) in decl.axes.iter().zip(values).zip(over).filter(|(_, over)| **over) {
                place.push_str(&format!("{axis}={}/", value.replace(' ', "%20").replace('/', "%2F")));
            }
            match self.outcome(producer, values) {
                Outcome::Done(outputs) => value::graft(&mut folder, &format!("{place}{last}"), &outputs[output]),
                other => stops.push(other),
            }
        }
        match stops.into_iter().filter(|stop| !matches!(stop, Outcome::Skipped)).min_by_key(|stop| match stop {
            Outcome::Blocked => 0,
            _ => 1,
        }) {
            Some(stop) => Err(stop),
            None => Ok(Value::Folder(folder)),
        }
    }

    /// What `needs` of a task waits for: a skip is none of its business.
    fn order(&mut self, task: usize, values: &[String], producer: usize) -> Option<Outcome> {
        let (filter, _) = self.filter(task, values, producer, &[]);
        let (leaves, mut stops) = self.find(producer, &filter);
        for leaf in leaves {
            stops.push(self.outcome(producer, &leaf));
        }
        stops.retain(|stop| !matches!(stop, Outcome::Done(_) | Outcome::Skipped));
        stops.into_iter().min_by_key(|stop| u8::from(matches!(stop, Outcome::Unknown)))
    }
}
