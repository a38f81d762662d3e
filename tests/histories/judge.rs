//! The second half of the reference: an instance whose inputs are known, and whether it runs.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::program::Seen;
use crate::project::{Project, Source, Task};
use crate::reference::{Call, Incident, Inputs, Mode, Outcome};
use crate::value::{self, Value};
use crate::world::{Key, Move, Outputs, Usable};

/// What an instance comes to when it is executed.
struct Execution {
    outputs: Outputs,
    fails: bool,
}

impl Call<'_> {
    pub(crate) fn judge(&mut self, task: usize, values: &[String], inputs: &Inputs) -> Outcome {
        let decl = &self.project.tasks[task];
        let name = self.project.instance(task, values);
        let present = key(self.project, decl, values, inputs);
        let (key, inputs) = match self.standing(task, values, inputs) {
            Some(standing) => standing,
            None => (present, inputs.clone()),
        };
        let inputs = &inputs;
        let observed = self.observed.states.get(&name).map(String::as_str);
        let restored = observed == Some("cached") && self.observed.states.values().any(|state| state == "ran");
        let usable = match self.usable(&key) {
            // What is executed beside it may make what was lost again before it is looked at; its bytes are compared.
            Usable::No if self.mode == Mode::Run && restored && self.world.is_sure(&key) => Usable::Perhaps,
            usable => usable,
        };
        let must = self.ask.force.contains(&task) || decl.never_cached || usable == Usable::No;
        let execution = execute(self.project, decl, values, inputs);
        let allowed = self.allowed(task, values, &execution, must, usable);
        let state = match observed {
            Some(state) if allowed.contains(&state) => state,
            _ => allowed[0],
        };
        let executed = matches!(state, "ran" | "failed");
        // What fails since its input was edited before it began was not executed.
        let seldom = state == "failed" && (allowed.len() > 1 || self.is_overtaken(task, values));
        let expected = self.expected.entry(name).or_default();
        expected.state = state.to_owned();
        expected.executions = (usize::from(executed && !seldom), usize::from(executed));
        if self.mode == Mode::Killed {
            return self.killed(&key, &execution, inputs, observed, must);
        }
        if usable == Usable::Perhaps && matches!(state, "cached" | "runs") {
            self.world.settle(&key, state == "cached");
        }
        match state {
            "cached" => {
                let outputs = self.world.results.get(&key).map(|record| Rc::new(record.outputs.clone()));
                self.done(task, values, &key, outputs.unwrap_or_default())
            }
            "ran" => {
                self.world.record(&key, &execution.outputs, true);
                self.kept(inputs, true);
                self.done(task, values, &key, Rc::new(execution.outputs))
            }
            "runs" => Outcome::Unknown,
            _ => {
                self.kept(inputs, false);
                Outcome::Blocked
            }
        }
    }

    /// An instance that made the move that set a ref which it reads is judged as it was before that move, if that gives the
    /// key that made it: what has just promoted its model is up to date.
    fn standing(&self, task: usize, values: &[String], inputs: &Inputs) -> Option<(Key, Inputs)> {
        let decl = &self.project.tasks[task];
        let name = self.project.instance(task, values);
        let made = |input: &'_ crate::project::Input| match &input.source {
            Source::Ref(pointer) => match self.refs.get(pointer)?.as_slice() {
                [earlier @ .., last] if last.instance == name => Some((input.name.clone(), earlier, last)),
                _ => None,
            },
            _ => None,
        };
        let (input, earlier, last) = decl.inputs.iter().find_map(made)?;
        let value = earlier.last().map(|before| before.value.clone());
        let before = |(other, now): &(String, Option<Value>)| {
            (other.clone(), if *other == input { value.clone() } else { now.clone() })
        };
        let inputs: Inputs = inputs.iter().map(before).collect();
        let then = key(self.project, decl, values, &inputs);
        (then == last.key).then_some((then, inputs))
    }

    /// Whether a result can be used; one that was made again in this very call perhaps, it depends on what was looked at first.
    fn usable(&self, key: &Key) -> Usable {
        let now = self.world.usable(key);
        let before = self.before.get(key).copied().unwrap_or(Usable::No);
        if self.mode != Mode::Dry && before != now { Usable::Perhaps } else { now }
    }

    /// The states that the rules allow, the likeliest first.
    fn allowed(
        &self,
        task: usize,
        values: &[String],
        execution: &Execution,
        must: bool,
        usable: Usable,
    ) -> Vec<&'static str> {
        if self.mode == Mode::Dry {
            return match usable {
                _ if must => vec!["runs"],
                Usable::Perhaps => vec!["cached", "runs"],
                _ => vec!["cached"],
            };
        }
        let mut allowed = Vec::new();
        if !must {
            allowed.push("cached");
        }
        if must || usable == Usable::Perhaps {
            allowed.extend(self.ends(task, values, execution));
            let failed = self.observed.states.values().any(|state| state == "failed");
            if failed && !self.ask.keep_going {
                allowed.push("skipped");
            }
        }
        allowed
    }

    /// How an execution may end.
    fn ends(&self, task: usize, values: &[String], execution: &Execution) -> Vec<&'static str> {
        let logged = self.project.logged(task, values);
        match self.incidents.get(&logged) {
            _ if execution.fails => vec!["failed"],
            Some(Incident::Fails | Incident::Edits(_)) => vec!["failed"],
            None if self.is_overtaken(task, values) => vec!["ran", "failed"],
            None => vec!["ran"],
        }
    }

    /// Whether another task edits what this one reads, which may be quicker than the edit, or not.
    fn is_overtaken(&self, task: usize, values: &[String]) -> bool {
        let logged = self.project.logged(task, values);
        self.incidents.iter().any(|(other, incident)| match incident {
            Incident::Edits(path) if *other != logged => {
                self.observed.executed.contains_key(other) && self.project.reads(task, values, path)
            }
            _ => false,
        })
    }

    /// What a run that was killed may have recorded.
    fn killed(
        &mut self,
        key: &Key,
        execution: &Execution,
        inputs: &Inputs,
        observed: Option<&str>,
        must: bool,
    ) -> Outcome {
        if observed == Some("ran") {
            self.world.record(key, &execution.outputs, true);
        } else if execution.fails {
            return Outcome::Blocked;
        } else if must || observed.is_none() && self.world.usable(key) == Usable::Perhaps {
            self.world.record(key, &execution.outputs, false);
        }
        self.kept(inputs, false);
        Outcome::Done(Rc::new(execution.outputs.clone()))
    }

    /// Gathers and entries are stored when a task that reads them is laid out, or recorded.
    fn kept(&mut self, inputs: &Inputs, _sure: bool) {
        for value in inputs.iter().filter_map(|(_, value)| value.as_ref()) {
            self.world.stored(value, false);
        }
    }

    fn done(&mut self, task: usize, values: &[String], key: &Key, outputs: Rc<Outputs>) -> Outcome {
        let decl = &self.project.tasks[task];
        let name = self.project.instance(task, values);
        if self.mode == Mode::Run && self.observed.states.contains_key(&name) {
            for output in decl.outputs.iter().filter(|output| output.publish) {
                let axis = |name: &str| axis(decl, values, name);
                let place = decl.place(output).eval(axis, |name| self.project.param(name).to_owned());
                self.world.published.insert(place, outputs[&output.name].clone());
            }
            if let (Some(pointer), Some(output)) = (&decl.moves, decl.outputs.first()) {
                let value = outputs[&output.name].clone();
                self.world.point(pointer, Move { value, key: key.clone(), instance: name.clone() });
            }
        }
        self.expected.entry(name).or_default().outputs = Some(Rc::clone(&outputs));
        Outcome::Done(outputs)
    }
}

/// All that identifies what is computed: not the task's name, nor where its inputs come from.
fn key(project: &Project, decl: &Task, values: &[String], inputs: &Inputs) -> Key {
    let command = decl.command(|name| project.param(name).to_owned());
    let with: BTreeMap<&str, String> = with(project, decl, values).into_iter().collect();
    let matrix: BTreeMap<&String, &String> = decl.axes.iter().zip(values).collect();
    let inputs: BTreeMap<&String, &Value> =
        inputs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let env: BTreeMap<&String, (bool, Option<&String>)> =
        decl.env.iter().map(|(name, secret)| (name, (*secret, project.env.get(name)))).collect();
    let outputs: BTreeMap<&String, &String> = decl.outputs.iter().map(|output| (&output.name, &output.path)).collect();
    format!("{command}\n{with:?}\n{matrix:?}\n{inputs:?}\n{env:?}\n{outputs:?}")
}

fn with<'p>(project: &Project, decl: &'p Task, values: &[String]) -> Vec<(&'p str, String)> {
    let axis = |name: &str| axis(decl, values, name);
    let value = |(name, text): &'p (String, crate::project::Text)| {
        (name.as_str(), text.eval(axis, |name| project.param(name).to_owned()))
    };
    decl.with.iter().map(value).collect()
}

/// What the command does, in the order in which it does it.
fn execute(project: &Project, decl: &Task, values: &[String], inputs: &Inputs) -> Execution {
    let mut seen = Seen::default();
    for (name, value) in inputs {
        seen.take(name, value.as_ref());
    }
    for (axis, value) in decl.axes.iter().zip(values) {
        seen.mix(axis, value);
    }
    for (name, value) in with(project, decl, values) {
        seen.mix(name, &value);
    }
    for (name, secret) in &decl.env {
        let value = project.env.get(name);
        let text = match value {
            Some(value) if *secret && !value.is_empty() => value.len().to_string(),
            _ if *secret => String::new(),
            Some(value) => value.clone(),
            None => "unset".to_owned(),
        };
        seen.mix(name, &text);
    }
    if let Some(name) = &decl.inline {
        seen.mix("inline", project.param(name));
    }
    if decl.never_cached {
        seen.mix("weather", &project.weather);
    }
    let outputs = decl.outputs.iter().map(|output| (output.name.clone(), seen.make(output.make))).collect();
    Execution { outputs, fails: decl.fails && seen.marked() }
}

/// The value of an axis of an instance.
pub(crate) fn axis(decl: &Task, values: &[String], name: &str) -> String {
    decl.axes.iter().position(|own| own == name).map(|place| values[place].clone()).unwrap_or_default()
}

/// The number that a JSON entry is.
pub(crate) fn entry(inputs: &Inputs, name: &str) -> u64 {
    match inputs.iter().find(|(other, _)| other == name) {
        Some((_, Some(Value::File(file)))) => file.text.parse().unwrap(),
        other => panic!("{name} is no number: {other:?}"),
    }
}

/// The items of a JSON list, or the keys of an object.
pub(crate) fn keys(value: &Value) -> Vec<String> {
    let Value::File(file) = value else { panic!("an axis needs JSON: {value:?}") };
    match serde_json::from_str(&file.text).unwrap() {
        serde_json::Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        serde_json::Value::Object(map) => map.into_iter().map(|(key, _)| key).collect(),
        other => panic!("an axis needs JSON: {other}"),
    }
}

impl Project {
    /// `task[axis=value,…]`; `*` where an axis is not known.
    pub(crate) fn instance(&self, task: usize, values: &[String]) -> String {
        name(&self.tasks[task].name, &self.tasks[task].axes, values)
    }

    /// What an instance calls itself in the log.
    pub(crate) fn logged(&self, task: usize, values: &[String]) -> String {
        name(&self.tasks[task].label, &self.tasks[task].axes, values)
    }

    /// What lies at a path of the project.
    pub(crate) fn source(&self, path: &str) -> Option<Value> {
        value::at(&self.sources, path.strip_prefix("src/").unwrap_or(path))
    }

    /// Whether an instance reads a source, or a folder that it lies in.
    pub(crate) fn reads(&self, task: usize, values: &[String], path: &str) -> bool {
        let decl = &self.tasks[task];
        decl.inputs.iter().any(|input| match &input.source {
            Source::Path(text) => {
                let own = text.eval(|name| axis(decl, values, name), |name| self.param(name).to_owned());
                path == own || path.starts_with(&format!("{own}/"))
            }
            _ => false,
        })
    }

    /// Whether all inputs that see a source name the same path.
    pub(crate) fn read_alike(&self, path: &str) -> bool {
        let mut seen = std::collections::BTreeSet::new();
        for input in self.tasks.iter().flat_map(|task| &task.inputs) {
            if let Source::Path(text) = &input.source {
                let own = text.eval(|_| "*".to_owned(), |name| self.param(name).to_owned());
                let start = own.split('*').next().unwrap_or_default();
                if path.starts_with(start) {
                    seen.insert(own);
                }
            }
        }
        seen.len() == 1
    }

    /// The tasks that a task reads, needs, or has an axis from.
    pub(crate) fn upstream(&self, task: usize) -> Vec<usize> {
        let decl = &self.tasks[task];
        let inputs = decl.inputs.iter().filter_map(|input| match &input.source {
            Source::From { task, .. } => Some(*task),
            _ => None,
        });
        let axes = decl.axes.iter().filter_map(|axis| match &self.axes[axis] {
            crate::project::Values::From(task, _) => Some(*task),
            _ => None,
        });
        inputs.chain(axes).chain(decl.needs.iter().copied()).collect()
    }

    pub(crate) fn depends(&self, task: usize, on: usize) -> bool {
        self.upstream(task).into_iter().any(|up| up == on || self.depends(up, on))
    }
}

fn name(task: &str, axes: &[String], values: &[String]) -> String {
    if axes.is_empty() {
        return task.to_owned();
    }
    let pair = |(place, axis): (usize, &String)| format!("{axis}={}", values.get(place).map_or("*", String::as_str));
    format!("{task}[{}]", axes.iter().enumerate().map(pair).collect::<Vec<_>>().join(","))
}
