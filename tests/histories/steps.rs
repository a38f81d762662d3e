//! What happens to a drawn project, step by step.

use std::fmt::{self, Display, Write};

use crate::project::Project;
use crate::reference::{Ask, Incident, Target};
use crate::space::Way;
use crate::value::File;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A source is written, edited or new.
    Write {
        path: String,
        file: File,
        how: How,
    },
    Remove {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// An empty folder.
    Folder {
        path: String,
    },
    /// Only its time.
    Touch {
        path: String,
    },
    /// All sources as they were at the start.
    Revert,
    Give {
        param: String,
        value: Option<String>,
    },
    Env {
        name: String,
        value: Option<String>,
    },
    /// Cosmetics of the YAML.
    Look(u32),
    /// Another command.
    Salt {
        task: usize,
        salt: u32,
    },
    RenameTask {
        task: usize,
        name: String,
    },
    Weather(String),
    /// What lies at a published path is removed, or changed.
    Spoil {
        pick: usize,
        remove: bool,
    },
    /// An object is removed, or damaged.
    Lose {
        pick: usize,
        remove: bool,
    },
    Index(Harm),
    /// A run; with a dry run before it, and one after.
    Run {
        ask: Ask,
        before: bool,
        after: bool,
    },
    /// A run that is killed after so many microseconds.
    Kill {
        ask: Ask,
        after: u64,
    },
    /// Two runs at once.
    Two {
        ask: Ask,
    },
    /// A run in which something happens in the midst of an instance, picked from those that execute.
    Incident {
        ask: Ask,
        task: usize,
        values: Vec<String>,
        incident: Incident,
    },
}

/// How a file is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    /// In place, and the time is as it was.
    SameTime,
    /// With a time long ago.
    Older,
    /// By a new file that takes the old one's place.
    Replace,
}

/// What is done to the index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Remove,
    Truncate,
    Garbage,
}

/// A project and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) project: Project,
    pub(crate) steps: Vec<Step>,
}

impl Target {
    pub(crate) fn text(&self, project: &Project) -> String {
        let axes: Vec<String> = self.axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        let axes = if axes.is_empty() { String::new() } else { format!("[{}]", axes.join(",")) };
        format!("{}{axes}{}", project.tasks[self.task].name, if self.dependents { "+" } else { "" })
    }
}

impl Ask {
    /// The arguments of the call.
    pub(crate) fn args(&self, project: &Project) -> Vec<String> {
        let mut args: Vec<String> = self.targets.iter().map(|target| target.text(project)).collect();
        for task in &self.force {
            args.extend(["--force".to_owned(), project.tasks[*task].name.clone()]);
        }
        if self.keep_going {
            args.push("-k".to_owned());
        }
        args
    }
}

impl Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}sources, below src/:", self.project.yaml())?;
        for (path, entry) in &self.project.sources {
            match entry {
                Some(file) => {
                    writeln!(f, "  {path:?}: {:?}{}", file.text, if file.executable { " executable" } else { "" })
                }
                None => writeln!(f, "  {path:?}: an empty folder"),
            }?;
        }
        writeln!(f, "given: {:?}, variables: {:?}\nsteps:", self.project.given, self.project.env)?;
        let mut project = self.project.clone();
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {}. {}", number + 1, step.text(&project))?;
            step.tell(&mut project);
        }
        Ok(())
    }
}

impl Step {
    fn text(&self, project: &Project) -> String {
        let mut text = String::new();
        let args = |ask: &Ask| ask.args(project).join(" ");
        let _ = match self {
            Self::Write { path, file, how } => {
                write!(text, "write {path:?}: {:?} {how:?} {}", file.text, file.executable)
            }
            Self::Run { ask, before, after } => {
                write!(text, "run {} (dry run before: {before}, after: {after})", args(ask))
            }
            Self::Kill { ask, after } => write!(text, "run {}, killed after {after} µs", args(ask)),
            Self::Two { ask } => write!(text, "two runs at once {}", args(ask)),
            Self::Incident { ask, task, values, incident } => {
                write!(text, "run {}; in {}: {incident:?}", args(ask), project.instance(*task, values))
            }
            other => write!(text, "{other:?}"),
        };
        text
    }

    /// The step as it can be done: this process cannot be killed, nor can its variables be set.
    pub(crate) fn possible(&self, way: Way) -> Option<Step> {
        match self {
            Self::Env { .. } if way == Way::Inside => None,
            Self::Kill { ask, .. } if way == Way::Inside => {
                Some(Self::Run { ask: ask.clone(), before: true, after: false })
            }
            step => Some(step.clone()),
        }
    }

    /// What the step changes in the flow itself and in what its caller sets; not the sources.
    pub(crate) fn tell(&self, project: &mut Project) {
        match self {
            Self::Give { param, value } => {
                project.given.remove(param);
                project.given.extend(value.clone().map(|value| (param.clone(), value)));
            }
            Self::Env { name, value } => {
                project.env.remove(name);
                project.env.extend(value.clone().map(|value| (name.clone(), value)));
            }
            Self::Look(look) => project.look = *look,
            Self::Salt { task, salt } => project.tasks[*task].salt = *salt,
            Self::RenameTask { task, name } => project.tasks[*task].name.clone_from(name),
            Self::Weather(text) => project.weather.clone_from(text),
            _ => {}
        }
    }
}
