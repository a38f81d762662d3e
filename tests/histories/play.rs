//! Plays a history: every step on the disk and in the reference, and what differs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::compare;
use crate::harm;
use crate::project::Project;
use crate::reference::{Ask, Call, Expected, Incident, Mode, Observed};
use crate::space::{Answer, Snapshot, Space, Way};
use crate::steps::{History, How, Step};
use crate::value::{self, File};
use crate::world::{Outputs, World};

/// What differs, in words.
pub(crate) type Difference = String;

/// A history that is being played.
pub(crate) struct Play {
    pub(crate) project: Project,
    pub(crate) world: World,
    pub(crate) space: Space,
    start: value::Folder,
    /// Tasks of a killed run may write into the log a little later.
    late: bool,
    /// Whether a dry run was looked at for what it writes.
    watched: bool,
}

/// Plays a history to its end, or to the first difference.
pub(crate) fn play(history: &History, way: Way) -> Result<(), Difference> {
    let project = history.project.clone();
    let space = Space::new(&project, way);
    let start = project.sources.clone();
    let mut play = Play { project, world: World::default(), space, start, late: false, watched: false };
    for (number, step) in history.steps.iter().enumerate() {
        let Some(step) = step.possible(way) else { continue };
        play.step(&step).map_err(|difference| format!("at step {}: {difference}", number + 1))?;
    }
    compare::no_secret(&play.space.path("p/cache"), &play.project)
}

impl Play {
    fn step(&mut self, step: &Step) -> Result<(), Difference> {
        step.tell(&mut self.project);
        match step {
            Step::Run { ask, before, after } => {
                let foretold = if *before { Some(self.dry(ask)?) } else { None };
                let (answer, _) = self.run(ask, &BTreeMap::new())?;
                if let Some(foretold) = foretold {
                    compare::foretold(&foretold, &answer, ask)?;
                }
                if *after {
                    self.dry(ask)?;
                }
                Ok(())
            }
            Step::Kill { ask, after } => self.kill(ask, Duration::from_micros(*after)),
            Step::Two { ask } => self.two(ask),
            Step::Incident { ask, task, values, incident } => self.incident(ask, *task, values, incident),
            Step::Spoil { pick, remove } => {
                harm::spoil(self, *pick, *remove);
                Ok(())
            }
            Step::Lose { pick, remove } => {
                harm::lose(self, *pick, *remove);
                Ok(())
            }
            Step::Index(harm) => {
                harm::index(&self.space.path("p/cache/v1/index.db"), *harm);
                Ok(())
            }
            Step::Look(_) | Step::Salt { .. } | Step::RenameTask { .. } | Step::Weather(_) => {
                self.space.flow(&self.project);
                Ok(())
            }
            Step::Give { .. } | Step::Env { .. } => Ok(()),
            _ => {
                self.edit(step);
                Ok(())
            }
        }
    }

    /// A step on the sources; one that does not apply any more does nothing.
    fn edit(&mut self, step: &Step) {
        let sources = &mut self.project.sources;
        match step {
            Step::Write { path, file, how } => {
                let clash = matches!(value::at(sources, path), Some(value::Value::Folder(_)))
                    || path.match_indices('/').any(|(end, _)| matches!(sources.get(&path[..end]), Some(Some(_))));
                if !clash {
                    self.space.edit(path, file, *how);
                    sources.retain(|other, entry| entry.is_some() || !path.starts_with(&format!("{other}/")));
                    sources.insert(path.clone(), Some(file.clone()));
                }
                return;
            }
            Step::Touch { path } => {
                if let Some(Some(file)) = sources.get(path) {
                    self.space.edit(path, &file.clone(), How::Older);
                }
                return;
            }
            Step::Remove { path } => value::cut(sources, path),
            Step::Folder { path } if value::at(sources, path).is_none() => {
                sources.retain(|other, entry| entry.is_some() || !path.starts_with(&format!("{other}/")));
                sources.insert(path.clone(), None);
            }
            Step::Rename { from, to } => {
                if let (Some(moved), None) = (value::at(sources, from), value::at(sources, to)) {
                    value::cut(sources, from);
                    sources.retain(|other, entry| entry.is_some() || !to.starts_with(&format!("{other}/")));
                    value::graft(sources, to, &moved);
                }
            }
            Step::Revert => sources.clone_from(&self.start),
            _ => {}
        }
        self.space.sources(&self.project);
    }

    fn interpret(
        &mut self,
        mode: Mode,
        ask: &Ask,
        observed: &Observed,
        incidents: &BTreeMap<String, Incident>,
    ) -> Expectation {
        let call = Call::interpret(&self.project, &mut self.world, (mode, ask), observed, incidents);
        let (expected, error, perhaps_error) = (call.expected, call.error, call.perhaps_error);
        Expectation { expected, error, perhaps_error, soft: !ask.targets.is_empty() }
    }

    /// A dry run: it writes nothing, and says what the reference says.
    pub(crate) fn dry(&mut self, ask: &Ask) -> Result<Answer, Difference> {
        // To look at every file is a third of the time of a history without processes: there at its first dry run only.
        let watch = self.space.way == Way::Processes || !std::mem::replace(&mut self.watched, true);
        let mut before = if watch { self.space.snapshot() } else { Snapshot::new() };
        let answer = self.space.call(&self.project, ask, true);
        let mut after = if watch { self.space.snapshot() } else { Snapshot::new() };
        // Where a killed run left SQLite's log, a reader recovers it. Making one would still show.
        for file in ["index.db-wal", "index.db-shm"] {
            let is_other = |path: &std::path::Path| !path.ends_with(file);
            if before.keys().any(|path| !is_other(path)) {
                before.retain(|path, _| is_other(path));
                after.retain(|path, _| is_other(path));
            }
        }
        if !self.late && before != after {
            return Err(format!("a dry run wrote: {}", compare::changed(&before, &after)));
        }
        let expectation = self.interpret(Mode::Dry, ask, &answer.observed(BTreeMap::new()), &BTreeMap::new());
        compare::dry(&expectation, &answer).map_err(|difference| format!("dry run: {difference}\n{}", answer.text))?;
        Ok(answer)
    }

    fn run(&mut self, ask: &Ask, incidents: &BTreeMap<String, Incident>) -> Result<(Answer, Observed), Difference> {
        let (errs, may_err) = self.errors(ask);
        let answer = self.space.call(&self.project, ask, false);
        let observed = answer.observed(self.space.executed());
        // Where a killed run may have left what makes more of the flow known, the error may be seen at the start or later.
        let seen = answer.code == Some(2) && answer.states.is_empty();
        if errs && (seen || self.world.results.values().all(|record| record.sure)) {
            return compare::nothing_started(&answer, &observed, self.late).map(|()| (answer, observed));
        }
        if seen && may_err {
            return compare::nothing_started(&answer, &observed, self.late).map(|()| (answer, observed));
        }
        if let (2, true) = (answer.code.unwrap_or_default(), answer.states.is_empty()) {
            return Err(format!("nothing was started:\n{}", answer.text));
        }
        let expectation = self.interpret(Mode::Run, ask, &observed, incidents);
        let late = std::mem::take(&mut self.late);
        let differences = compare::run(&expectation, &answer, &observed, late)
            .and_then(|()| compare::outputs(&self.space.path("p/cache/v1"), &expectation, &answer))
            .and_then(|()| compare::published(&self.space.path("p"), &self.world.published));
        differences.map_err(|difference| format!("run: {difference}\n{}", answer.text))?;
        Ok((answer, observed))
    }

    /// Whether a call starts nothing because a source is not there.
    fn errs(&mut self, ask: &Ask) -> bool {
        self.errors(ask).0
    }

    /// Whether an error is known beforehand, and whether one may be: beside a skip, whichever is looked at first counts.
    fn errors(&mut self, ask: &Ask) -> (bool, bool) {
        let mut world = self.world.clone();
        let nothing = (Observed::default(), BTreeMap::new());
        let call = Call::interpret(&self.project, &mut world, (Mode::Dry, ask), &nothing.0, &nothing.1);
        (call.error, call.perhaps_error)
    }

    fn kill(&mut self, ask: &Ask, after: Duration) -> Result<(), Difference> {
        let errs = self.errs(ask);
        let answer = self.space.call_and_kill(&self.project, ask, after);
        let observed = answer.observed(self.space.executed());
        if errs {
            return Ok(());
        }
        self.world.published.clear();
        self.late = true;
        self.interpret(Mode::Killed, ask, &observed, &BTreeMap::new());
        Ok(())
    }

    fn two(&mut self, ask: &Ask) -> Result<(), Difference> {
        if self.errs(ask) {
            return Ok(());
        }
        let ask = Ask { keep_going: true, ..ask.clone() };
        let mut answers = self.space.call_twice(&self.project, &ask);
        compare::late_refusal(&mut answers);
        let observed = compare::merged(&answers, self.space.executed());
        let expectation = self.interpret(Mode::Run, &ask, &observed, &BTreeMap::new());
        let late = std::mem::take(&mut self.late);
        let both = compare::two(&expectation, &answers, &observed, (late, &self.project), &ask)
            .and_then(|()| compare::published(&self.space.path("p"), &self.world.published));
        both.map_err(|difference| format!("two runs: {difference}\n{}\nand\n{}", answers[0].text, answers[1].text))
    }

    /// Something happens in the midst of an instance: what, lies in a file that it looks for.
    fn incident(&mut self, ask: &Ask, task: usize, values: &[String], what: &Incident) -> Result<(), Difference> {
        let logged = self.project.logged(task, values);
        let hook = self.space.path("home/hooks").join(&logged);
        let mut edited = None;
        let text = match what {
            Incident::Fails => "exit 3\n".to_owned(),
            Incident::Edits(path) => {
                let Some(file) = self.editable(task, values, path) else { return Ok(()) };
                let text = format!("printf '%s' '{}' >'{}'\n", file.text, self.space.path("p").join(path).display());
                edited = Some((path.strip_prefix("src/").unwrap_or(path).to_owned(), file));
                text
            }
        };
        std::fs::write(&hook, text).unwrap();
        let incidents = BTreeMap::from([(logged.clone(), what.clone())]);
        let (_, observed) = self.run(ask, &incidents)?;
        std::fs::remove_file(hook).unwrap();
        if let (Some((path, file)), true) = (edited, observed.executed.contains_key(&logged)) {
            self.project.sources.insert(path, Some(file));
        }
        Ok(())
    }

    /// What a source is edited to in the midst of an instance, where all that read it read it at the same path: then it is
    /// known which of them saw it as it was.
    fn editable(&self, task: usize, values: &[String], path: &str) -> Option<File> {
        let below = path.strip_prefix("src/").unwrap_or(path);
        let file = self.project.sources.get(below)?.clone()?;
        let fits = self.project.reads(task, values, path) && self.project.read_alike(path) && !path.contains('\'');
        fits.then(|| File { text: format!("{}b", file.text), ..file })
    }
}

/// What the reference says of a call.
pub(crate) struct Expectation {
    pub(crate) expected: BTreeMap<String, Expected>,
    pub(crate) error: bool,
    pub(crate) perhaps_error: bool,
    /// What only serves an instance that is skipped may be left out of a call with targets.
    pub(crate) soft: bool,
}

impl Expectation {
    /// The outputs of an instance.
    pub(crate) fn outputs(&self, name: &str) -> Option<&Outputs> {
        self.expected.get(name)?.outputs.as_deref()
    }
}
