//! A run without processes: the library's own loop, with an executor that computes here what `lib.sh` does in bash.
//!
//! What this leaves out: the command line, the run's record, the supervisor, bash, and kills.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ghtrader::cache::Cache;
use ghtrader::diagnostic::{Diagnostic, render};
use ghtrader::execute::{ExecEvent, Executor, Exit, Job, Usage};
use ghtrader::flow::Flow;
use ghtrader::graph::{Graph, Selector, load};
use ghtrader::kinds::Kinds;
use ghtrader::leases::Leases;
use ghtrader::locks::Locks;
use ghtrader::plan::{Context, Outcome, Planner, Wish};
use ghtrader::provenance::Commit;
use ghtrader::refs::{Refs, Snapshot};
use ghtrader::report::{Event, Reporter};
use ghtrader::resources::Pool;
use ghtrader::run::{Mailbox, Means, Options};

use crate::program::{Make, Seen};
use crate::project::Project;
use crate::reference::Ask;
use crate::space::Answer;
use crate::value::{self, Value};

/// The folders of a project and of what its tasks use.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) root: &'p Path,
    pub(crate) home: &'p Path,
}

/// Runs a project's flow, or foretells it.
pub(crate) fn call(place: Place<'_>, project: &Project, ask: &Ask, dry: bool) -> Answer {
    try_call(place, project, ask, dry).unwrap_or_else(|errors| Answer {
        code: Some(2),
        text: render(&errors, false),
        ..Answer::default()
    })
}

fn try_call(place: Place<'_>, project: &Project, ask: &Ask, dry: bool) -> Result<Answer, Vec<Diagnostic>> {
    let kinds = Kinds::of([]);
    let flow = load(place.root, &place.root.join("flows/test.yaml"), "flows/test.yaml", &kinds)?;
    let given: Vec<(String, String)> = project.given.clone().into_iter().collect();
    let params = flow.bind(&given, None)?;
    let graph = Graph::new(&flow, &kinds)?;
    let selectors = |texts: Vec<String>| -> Vec<Selector> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let wish = Wish {
        force: selectors(ask.force.iter().map(|task| project.tasks[*task].name.clone()).collect()),
        targets: selectors(ask.targets.iter().map(|target| target.text(project)).collect()),
    };
    graph.check_selectors(wish.force.iter().chain(&wish.targets))?;
    let folder = place.root.join("cache");
    let cache = if dry { Cache::open_read_only(&folder) } else { Cache::open(&folder) }.unwrap();
    let refs = Refs::open(&cache).snapshot().unwrap();
    let context = Context {
        graph: &graph,
        params: &params,
        kinds: &kinds,
        cache: &cache,
        refs: &refs,
        machine: &Pool::new(1.0, 0, &[]),
        root: place.root,
        flow: name(&flow),
    };
    if dry { foretell(context, wish) } else { run(place, context, wish, ask.keep_going, &refs) }
}

fn name(flow: &Flow) -> &str {
    &flow.name
}

fn foretell(context: Context<'_>, wish: Wish) -> Result<Answer, Vec<Diagnostic>> {
    let mut planner = Planner::new(context, wish);
    planner.to_the_end();
    let errors = planner.take_errors().map_err(|error| vec![Diagnostic::new(error.to_string())])?;
    if !errors.is_empty() {
        return Err(errors);
    }
    let known: Vec<(String, Option<Outcome>)> =
        planner.take_settled().into_iter().map(|id| (planner.name(id), planner.outcome(id).cloned())).collect();
    let unknown = planner.unknown().into_iter().map(|(name, outcome)| (name, Some(outcome)));
    let mut answer = Answer { code: Some(0), ..Answer::default() };
    for (name, outcome) in known.into_iter().chain(unknown) {
        let state = match outcome {
            Some(Outcome::Cached(_)) => "cached",
            Some(Outcome::WillRun(_)) => "runs",
            Some(Outcome::MayRun(_)) => "may-run",
            Some(Outcome::Skipped { .. }) => "skipped",
            other => panic!("{name} in a dry run: {other:?}"),
        };
        answer.states.insert(name, state.to_owned());
    }
    let count =
        |wanted: &[&str]| answer.states.values().filter(|state| wanted.contains(&state.as_str())).count() as u64;
    answer.counts = Some([count(&["runs", "may-run"]), count(&["cached"]), 0, count(&["skipped"])]);
    Ok(answer)
}

fn run(
    place: Place<'_>,
    context: Context<'_>,
    wish: Wish,
    keep_going: bool,
    _refs: &Snapshot,
) -> Result<Answer, Vec<Diagnostic>> {
    let log = |_: &str| PathBuf::from("/dev/null");
    let options = Options {
        run: ulid::Ulid::generate().to_string(),
        keep_going,
        jobs: 2,
        machine: Pool::new(2.0, 1 << 30, &[]),
        nodes: Vec::new(),
        wait_locks: Some(Duration::from_secs(60)),
        log: &log,
        commit: Commit::default(),
        host: "host".to_owned(),
        user: "user".to_owned(),
    };
    let mailbox = Mailbox::new();
    let executor = Inside { home: place.home.to_owned(), tell: Arc::new(mailbox.of_executor()) };
    let mut heard = Heard::default();
    let means = Means {
        refs: &Refs::open(context.cache),
        locks: &Locks::open(context.cache),
        leases: Some(Leases::open(&place.home.join(".leases")).unwrap()),
        executor: &executor,
        mailbox,
        reporter: &mut heard,
        before_first: &mut || Ok(()),
    };
    let ended = ghtrader::run::run(context, wish, &options, means).map_err(|error| match error {
        ghtrader::run::RunError::Invalid(errors) => errors,
        other => panic!("{other}"),
    })?;
    let summary = &ended.summary;
    let counts = [summary.ran, summary.cached, summary.failed, summary.skipped].map(|count| count as u64);
    heard.0.code = Some(i32::from(summary.failed > 0));
    heard.0.counts = Some(counts);
    Ok(heard.0)
}

/// Keeps the last state of each instance.
#[derive(Default)]
struct Heard(Answer);

impl Reporter for Heard {
    fn event(&mut self, event: &Event) {
        self.0.hear(&serde_json::to_value(event).unwrap());
        self.0.text.push_str(&format!("{}\n", serde_json::to_string(event).unwrap()));
    }
}

/// Computes what tasks do, each in a thread of its own.
struct Inside {
    home: PathBuf,
    tell: Arc<dyn Fn(ExecEvent) + Send + Sync>,
}

impl Executor for Inside {
    fn start(&self, job: Job) {
        let (home, tell) = (self.home.clone(), Arc::clone(&self.tell));
        std::thread::spawn(move || {
            tell(ExecEvent::Started { id: job.id, pid: 0 });
            let code = Work::new(&job, &home).all(&job.argv[4].to_string_lossy());
            // What waits for a lock of this task must find its result.
            let id = job.id;
            drop(job);
            tell(ExecEvent::Exited { id, exit: Exit::Code(code), usage: Usage::default(), alone: true });
        });
    }

    fn stop(&self, _: u64) {}
}

/// One task at work.
struct Work<'w> {
    env: BTreeMap<String, String>,
    home: &'w Path,
    seen: Seen,
}

impl<'w> Work<'w> {
    fn new(job: &Job, home: &'w Path) -> Self {
        let text = |text: &std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            env: job.env.iter().map(|(name, value)| (text(name), text(value))).collect(),
            home,
            seen: Seen::default(),
        }
    }

    /// Does what a command says; its exit status.
    fn all(&mut self, command: &str) -> i32 {
        for line in command.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let code = match word {
                "begin" => self.begin(&self.expanded(rest)),
                "take" => self.take(rest),
                "mix" => rest.split_once(' ').map_or(0, |(name, value)| self.mix(name, &self.expanded(value))),
                "weather" => self.mix("weather", &std::fs::read_to_string(self.home.join("weather")).unwrap()),
                "put" => rest.split_once(' ').map_or(0, |(name, make)| self.put(name, make)),
                "fail_if_marked" => i32::from(self.seen.marked()),
                _ => 0,
            };
            if code != 0 {
                return code;
            }
        }
        0
    }

    fn mix(&mut self, name: &str, value: &str) -> i32 {
        self.seen.mix(name, value);
        0
    }

    fn begin(&self, label: &str) -> i32 {
        let mut log = std::fs::File::options().create(true).append(true).open(self.home.join("log")).unwrap();
        std::io::Write::write_all(&mut log, format!("{label}\n").as_bytes()).unwrap();
        let Ok(hook) = std::fs::read_to_string(self.home.join("hooks").join(label)) else { return 0 };
        if hook == "exit 3\n" {
            return 3;
        }
        let edit = hook.strip_prefix("printf '%s' '").and_then(|rest| rest.strip_suffix("'\n")).unwrap();
        let (text, path) = edit.split_once("' >'").unwrap();
        std::fs::write(path, text).unwrap();
        0
    }

    fn take(&mut self, name: &str) -> i32 {
        let path = self.env.get(&format!("INPUT_{}", name.to_uppercase()));
        let value = path.map(|path| value::read(Path::new(path)).unwrap());
        self.seen.take(name, value.as_ref());
        0
    }

    fn put(&mut self, name: &str, make: &str) -> i32 {
        let path = PathBuf::from(&self.env[&format!("OUTPUT_{}", name.to_uppercase())]);
        let makes = [Make::Concat, Make::First, Make::Count, Make::List, Make::Object, Make::Split];
        match self.seen.make(*makes.iter().find(|other| other.word() == make).unwrap()) {
            Value::File(file) => value::write_file(&path, &file),
            Value::Folder(folder) => value::write_folder(&path, &folder),
        }
        0
    }

    /// The few expansions of bash that commands use.
    fn expanded(&self, text: &str) -> String {
        let text = text.trim_matches(['"', '\'']);
        match text {
            _ if text.ends_with("-unset}") => return "unset".to_owned(),
            _ if text.contains(":+") => return String::new(),
            _ => {}
        }
        let names = self.env.keys().filter(|name| name.starts_with("MATRIX_") || name.starts_with("PARAM_"));
        names.fold(text.to_owned(), |text, name| text.replace(&format!("${name}"), &self.env[name]))
    }
}
