//! `ghtrader run FLOW [TASK…]`: bring a flow up to date, or say what that would do (`--dry-run`).

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::project::user;
use super::{CliError, Exit, FlowArgs, Format, Project, completions, plan, watch};
use crate::cache::Cache;
use crate::diagnostic::Diagnostic;
use crate::execute;
use crate::flow::{Flow, Params, units};
use crate::graph::Selector;
use crate::locks::Locks;
use crate::plan::{Context, Wish};
use crate::provenance::{Commit, RunEnd, RunFolder, RunStart, commit};
use crate::refs::Refs;
use crate::report::{Call, Event, Human, Json, Reporter, Style, TaskState};
use crate::resources::Pool;
use crate::run::{Ended, Mailbox, Means, Options, RunError};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) flow: FlowArgs,
    /// A task, or instances of it (`build[day=2022-*]`); `TASK+` also what depends on it
    #[arg(value_name = "TASK", add = completions::tasks())]
    pub(super) tasks: Vec<String>,
    /// Show the plan and the reason for every task; write nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Run again whenever the flow or an input changes
    #[arg(long)]
    watch: bool,
    /// On a failure, finish what does not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// Run it although a result is recorded
    #[arg(long, value_name = "TASK", add = completions::tasks())]
    pub(super) force: Vec<String>,
    /// At most N tasks at once [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// What the machine is taken to have [default: what it has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// What the machine is taken to have, e.g. `16GiB` [default: what it has]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Devices: how many, or their indices (`2,5`) [default: none]
    #[arg(long, value_name = "N or LIST")]
    gpus: Option<String>,
    /// How long to wait for a lock held elsewhere [default: for ever]
    #[arg(long, value_name = "DURATION")]
    wait_locks: Option<String>,
    /// Do not wait for locks
    #[arg(long, conflicts_with = "wait_locks")]
    no_wait: bool,
    /// Where tasks run
    #[arg(long, value_enum, default_value_t = ExecutorName::Local)]
    executor: ExecutorName,
    /// People, or one JSON event a line
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExecutorName {
    Local,
}

pub(super) fn run(project: &Project, args: &RunArgs) -> Result<Exit, CliError> {
    if args.watch { watch::watch(project, args) } else { once(project, args) }
}

/// Runs, or shows the plan.
pub(super) fn once(project: &Project, args: &RunArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    let wish = Wish { force: selectors(&args.force)?, targets: selectors(&args.tasks)? };
    graph.check_selectors(wish.force.iter().chain(&wish.targets)).map_err(CliError::Invalid)?;
    let machine = machine(args)?;
    let cache = if args.dry_run { project.look()? } else { project.open()? };
    cache.reach()?;
    let refs = Refs::open(&cache).snapshot()?;
    let context = loaded.context(project, &graph, &cache, &refs);
    if args.dry_run {
        return plan::dry_run(project, args, context, wish, &machine);
    }
    execute(project, args, &loaded.flow, context, wish, machine)
}

fn execute(
    project: &Project,
    args: &RunArgs,
    flow: &Flow,
    context: Context<'_>,
    wish: Wish,
    machine: Pool,
) -> Result<Exit, CliError> {
    let cache = context.cache;
    let swept = execute::sweep(cache)?;
    let start = start(project, args, flow, context.params);
    let folder = RunFolder::create(&cache.runs(), &start)?;
    let log = |task: &str| crate::provenance::log(&run_folder(cache, &start.run), task);
    let options = Options {
        run: start.run.clone(),
        keep_going: args.keep_going,
        jobs: args.jobs.map_or_else(cores, |jobs| jobs as usize),
        machine,
        wait_locks: wait(args)?,
        log: &log,
        commit: Commit { hash: start.commit.clone(), dirty: start.dirty },
        host: start.host.clone(),
        user: start.user.clone(),
    };
    let mailbox = Mailbox::new();
    let executor = execute::local(cache, mailbox.of_executor())?;
    let (mut interrupts, mut _heard) = (Some(mailbox.of_interrupts()), None);
    // Until then Ctrl-C just ends it: nothing runs, and planning may take a while.
    let mut before_first = || {
        _heard = interrupts.take().map(Interrupts::hear).transpose()?;
        Ok(())
    };
    let (refs, locks) = (Refs::open(cache), Locks::open(cache));
    let mut reporter = Both { shown: reporter(project, args), kept: folder };
    for pid in swept {
        let text = format!("ended process {pid}, which a killed run had left behind");
        reporter.event(&Event::Notice { text });
    }
    notices(cache, &mut reporter);
    let means = Means {
        refs: &refs,
        locks: &locks,
        executor: &executor,
        mailbox,
        reporter: &mut reporter,
        before_first: &mut before_first,
    };
    let ended = crate::run::run(context, wish, &options, means);
    notices(cache, &mut reporter);
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            reporter.kept.discard()?;
            return Err(not_started(error));
        }
    };
    let exit = exit(&ended);
    if !ended.interrupted {
        for event in &ended.prints {
            reporter.event(event);
        }
    }
    reporter.event(&Event::Finished(ended.summary.clone()));
    reporter.kept.end(&end(ended, exit))?;
    Ok(exit)
}

/// Why nothing was started.
pub(super) fn not_started(error: RunError) -> CliError {
    match error {
        RunError::Invalid(errors) => CliError::Invalid(errors),
        RunError::Cache(error) => error.into(),
        RunError::NotBegun(error) => CliError::Io(error),
    }
}

fn exit(ended: &Ended) -> Exit {
    if ended.interrupted {
        Exit::Interrupted
    } else if ended.cache_failed {
        Exit::Damaged
    } else if ended.lock_missed {
        Exit::Locked
    } else if ended.summary.failed > 0 {
        Exit::Failed
    } else {
        Exit::Done
    }
}

/// What is shown and what is kept.
struct Both {
    shown: Box<dyn Reporter>,
    kept: RunFolder,
}

impl Reporter for Both {
    fn shows(&self, state: TaskState) -> bool {
        self.kept.shows(state) || self.shown.shows(state)
    }

    fn event(&mut self, event: &Event) {
        self.kept.event(event);
        self.shown.event(event);
    }
}

pub(super) fn reporter(project: &Project, args: &RunArgs) -> Box<dyn Reporter> {
    match args.format {
        Format::Json => Box::new(Json),
        Format::Human => Box::new(Human::new(Style { call: call(project, args), ..project.style.clone() })),
    }
}

/// What has to be said again to run one of the tasks again as they were run.
fn call(project: &Project, args: &RunArgs) -> Call {
    let mut flow = vec![args.flow.flow.clone()];
    let mut add =
        |name: &str, value: Option<String>| flow.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    args.flow.params.iter().for_each(|param| add("-p", Some(param.clone())));
    add("--params", args.flow.params_file.as_ref().map(|path| path.display().to_string()));
    add("--cpus", args.cpus.map(|cpus| cpus.to_string()));
    add("--memory", args.memory.clone());
    add("--gpus", args.gpus.clone());
    Call { global: project.given.clone(), flow }
}

fn notices(cache: &Cache, reporter: &mut dyn Reporter) {
    for notice in cache.take_notices() {
        reporter.event(&Event::Notice { text: notice.to_string() });
    }
}

fn start(project: &Project, args: &RunArgs, flow: &Flow, params: &Params) -> RunStart {
    let Commit { hash, dirty } = commit(&project.root);
    RunStart {
        run: ulid::Ulid::generate().to_string(),
        flow: flow.name.clone(),
        file: flow.source.name.clone(),
        params: params.iter().map(|(name, value): (&String, &Value)| (name.clone(), value.clone())).collect(),
        targets: args.tasks.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: hash,
        dirty,
        host: host(),
        user: user(),
        started: jiff::Timestamp::now().to_string(),
    }
}

fn end(ended: Ended, exit: Exit) -> RunEnd {
    RunEnd {
        finished: jiff::Timestamp::now().to_string(),
        seconds: ended.summary.seconds,
        exit: exit as u8,
        ran: ended.summary.ran,
        cached: ended.summary.cached,
        failed: ended.summary.failed,
        skipped: ended.summary.skipped,
        tasks: ended.tasks,
    }
}

pub(super) fn selectors(texts: &[String]) -> Result<Vec<Selector>, CliError> {
    texts.iter().map(|text| text.parse().map_err(|error: Diagnostic| CliError::Invalid(vec![error]))).collect()
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn machine(args: &RunArgs) -> Result<Pool, CliError> {
    let memory = match &args.memory {
        // As in a flow.
        Some(text) if text.parse::<u64>().is_ok() => text.parse().unwrap_or_default(),
        Some(text) => {
            units::size(text).map_err(|what| CliError::usage(format!("`--memory {text}` {what}"), "e.g. `16GiB`"))?
        }
        None => total_memory(),
    };
    let cpus = args.cpus.map_or_else(|| cores() as f64, f64::from);
    Ok(Pool::new(cpus, memory, &devices(args.gpus.as_deref())?))
}

/// `4` declares devices 0–3, `2,5` those two, `2,` the one.
pub(super) fn devices(text: Option<&str>) -> Result<Vec<u32>, CliError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let wrong = || {
        CliError::usage(
            format!("`--gpus {text}` is neither a number nor a list of indices"),
            "e.g. `--gpus 4` or `--gpus 2,5`",
        )
    };
    if let Ok(count) = text.parse::<u32>() {
        return if count <= 1024 { Ok((0..count).collect()) } else { Err(wrong()) };
    }
    let mut devices = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        devices.push(part.parse().map_err(|_| wrong())?);
    }
    devices.sort_unstable();
    devices.dedup();
    Ok(devices)
}

/// The machine's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// All memory of the machine, in bytes.
pub(super) fn total_memory() -> u64 {
    rustix::system::sysinfo().totalram as u64
}

fn wait(args: &RunArgs) -> Result<Option<Duration>, CliError> {
    match &args.wait_locks {
        _ if args.no_wait => Ok(Some(Duration::ZERO)),
        None => Ok(None),
        Some(text) => units::duration(text)
            .map(Some)
            .map_err(|what| CliError::usage(format!("`--wait-locks {text}` {what}"), "e.g. `10m`")),
    }
}

/// Hears Ctrl-C and requests to end, until it is dropped.
pub(super) struct Interrupts {
    handle: signal_hook::iterator::Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Calls `told` at each, until it says that nobody listens any more.
    pub(super) fn hear(told: impl Fn() -> bool + Send + 'static) -> std::io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let thread = std::thread::spawn(move || {
            for signal in signals.forever() {
                // A request to end is not asked twice.
                let times = if signal == SIGTERM { 2 } else { 1 };
                if !(0..times).all(|_| told()) {
                    return;
                }
            }
        });
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Where the files of a run lie.
pub(super) fn run_folder(cache: &Cache, run: &str) -> PathBuf {
    cache.runs().join(run)
}
