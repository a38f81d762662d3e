//! `ghtrader run --watch`: run, and run again when the flow or one of its inputs has other content.
//!
//! A change is a change of the plan: the system says that something happened in a folder, and the flow is planned again. So
//! a touched file runs nothing, and an edit made while the flow runs is seen when it has ended. Where the system cannot
//! watch (its limit is reached), the plan is looked at every two seconds.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::interrupts::Interrupts;
use super::project::refs_of;
use super::run::run;
use super::run_args::{RunArgs, declared, selectors};
use super::{CliError, Exit, Project};
use crate::diagnostic::render;
use crate::hash::Hash;
use crate::plan::{Outcome, Planner, Wish};
use crate::provenance::{list, load};
use crate::settings;

/// Editors write a file in several steps: it is looked at when nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(150);
/// … but not later than this.
const LATEST: Duration = Duration::from_secs(2);
/// How often the plan is looked at where the system cannot watch.
const POLL: Duration = Duration::from_secs(2);

pub(super) fn watch(project: &Project, args: &RunArgs) -> Result<Exit, CliError> {
    let mut watcher = Watcher::new()?;
    loop {
        watcher.watch(&Seen::of(project, args).paths);
        match run(project, args) {
            Ok(Exit::Interrupted) => return Ok(Exit::Interrupted),
            Ok(_) => {}
            // What is wrong with a flow can be mended while it is watched.
            Err(error @ CliError::Invalid(_)) => drop(error.show(project.style.color)),
            Err(error) => return Err(error),
        }
        let seen = Seen::of(project, args);
        watcher.watch(&seen.paths);
        if !args.dry_run && seen.has_more_than_the_last_run(project) {
            continue;
        }
        if !project.quiet {
            let _ = writeln!(std::io::stderr().lock(), "watching for changes; Ctrl-C ends");
        }
        if watcher.wait(|| Seen::of(project, args).state != seen.state)? == Wake::Interrupt {
            return Ok(Exit::Interrupted);
        }
    }
}

/// A plan, as far as it can be told from another.
#[derive(Debug)]
struct Seen {
    /// What it was made from.
    paths: BTreeSet<PathBuf>,
    /// All that it says.
    state: Hash,
    /// The tasks that would run, with their keys.
    runs: Vec<(String, Hash)>,
}

impl Seen {
    /// As things are now; as much as can be found out where the flow is wrong.
    fn of(project: &Project, args: &RunArgs) -> Self {
        let mut seen = Self { paths: BTreeSet::new(), state: Hash::of(b""), runs: Vec::new() };
        seen.paths.insert(project.root.join("flows"));
        seen.paths.insert(project.root.join(settings::FILE));
        let flow = project.flow_path(&args.flow.flow).ok();
        seen.paths.extend(args.flow.params_file.clone());
        // Which folders `files()` looks into is known to its tasks only.
        if flow.as_ref().is_some_and(|flow| std::fs::read(flow).is_ok_and(|text| contains(&text, b"files("))) {
            seen.paths.extend(folders(project));
        }
        seen.paths.extend(flow);
        let said = match seen.plan(project, args) {
            Ok(said) => said,
            Err(CliError::Invalid(errors)) => render(&errors, false),
            Err(error) => error.to_string(),
        };
        seen.state = Hash::of(said.as_bytes());
        seen
    }

    /// Plans, and says all of it in a text.
    fn plan(&mut self, project: &Project, args: &RunArgs) -> Result<String, CliError> {
        let loaded = project.load(&args.flow)?;
        let graph = loaded.graph()?;
        let cache = project.look()?;
        let refs = refs_of(&graph, &cache)?;
        let wish = Wish { targets: selectors(&args.tasks)?, force: Vec::new() };
        let machine = project.machine(&graph, declared(args)?)?;
        let mut planner = Planner::new(loaded.context(project, &graph, &cache, &refs, &machine), wish);
        for (id, resolved) in planner.to_the_end() {
            self.runs.push((planner.name(id), resolved.key));
        }
        self.paths.extend(planner.sources());
        let mut said = render(&planner.take_errors()?, false);
        said.push_str(&format!("{:?}\n", project.settings()?));
        for id in planner.take_settled() {
            let outcome = match planner.outcome(id) {
                Some(Outcome::Cached(done)) => done.key.to_string(),
                outcome => format!("{outcome:?}"),
            };
            said.push_str(&format!("{} {outcome}\n", planner.name(id)));
        }
        self.runs.iter().for_each(|(task, key)| said.push_str(&format!("{task} {key}\n")));
        Ok(said)
    }

    /// Whether a task would run with other content than the last run saw: something was edited while it went on.
    fn has_more_than_the_last_run(&self, project: &Project) -> bool {
        let last = || {
            let runs = project.look().ok()?.runs();
            load(&runs, list(&runs).ok()?.last()?).ok()?.1
        };
        let Some(last) = last() else { return false };
        let seen = |task: &String| last.tasks.get(task).and_then(|task| task.key);
        self.runs.iter().any(|(task, key)| seen(task).is_some_and(|seen| seen != *key))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The project's folders, but for the cache, what is built, and hidden ones.
fn folders(project: &Project) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&project.root).into_iter().flatten().flatten();
    let paths =
        entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.'])).map(|entry| entry.path());
    let left_out = |path: &PathBuf| project.cache.starts_with(path) || path.ends_with("target");
    paths.filter(|path| path.is_dir() && !left_out(path)).collect()
}

/// What ends the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Change,
    Interrupt,
}

/// The system's eyes on folders.
struct Watcher {
    /// `None` where the system cannot watch.
    system: Option<RecommendedWatcher>,
    folders: BTreeSet<(PathBuf, bool)>,
    wakes: Receiver<Wake>,
    polls: bool,
    _interrupts: Interrupts,
}

impl Watcher {
    fn new() -> Result<Self, CliError> {
        let (sender, wakes) = channel();
        let ends = sender.clone();
        let interrupts = Interrupts::hear(move || ends.send(Wake::Interrupt).is_ok())?;
        let heard = move |event: notify::Result<notify::Event>| {
            // Reading is no change, and we read ourselves.
            if event.map_or(true, |event| !event.kind.is_access()) {
                let _ = sender.send(Wake::Change);
            }
        };
        let system = notify::recommended_watcher(heard).ok();
        Ok(Self { polls: system.is_none(), system, folders: BTreeSet::new(), wakes, _interrupts: interrupts })
    }

    /// Watches all that was seen. A file is watched by its folder: most editors put a new one in its place.
    fn watch(&mut self, paths: &BTreeSet<PathBuf>) {
        for path in paths {
            let deep = path.is_dir();
            let folder =
                if deep { Some(path.as_path()) } else { path.ancestors().skip(1).find(|above| above.is_dir()) };
            let Some(folder) = folder.filter(|folder| !self.folders.contains(&(folder.to_path_buf(), deep))) else {
                continue;
            };
            let mode = if deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match self.system.as_mut().map(|system| system.watch(folder, mode)) {
                Some(Ok(())) => drop(self.folders.insert((folder.to_owned(), deep))),
                _ => self.polls = true,
            }
        }
    }

    /// Waits until something has changed, or for the end.
    fn wait(&self, is_stale: impl Fn() -> bool) -> Result<Wake, CliError> {
        loop {
            let wake = match self.polls {
                true => self.wakes.recv_timeout(POLL),
                false => self.wakes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match wake {
                Ok(Wake::Interrupt) => return Ok(Wake::Interrupt),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(std::io::Error::other("nothing can be watched").into());
                }
                Ok(Wake::Change) => {
                    if self.settle() == Wake::Interrupt {
                        return Ok(Wake::Interrupt);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if is_stale() {
                return Ok(Wake::Change);
            }
        }
    }

    /// Lets whoever writes come to an end.
    fn settle(&self) -> Wake {
        let begun = Instant::now();
        while begun.elapsed() < LATEST {
            match self.wakes.recv_timeout(QUIET) {
                Ok(Wake::Change) => {}
                Ok(Wake::Interrupt) => return Wake::Interrupt,
                Err(_) => break,
            }
        }
        Wake::Change
    }
}
