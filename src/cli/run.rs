//! `ghtrader run FLOW [TASK…]`: bring a flow up to date, or say what that would do (`--dry-run`).

use std::path::PathBuf;

use serde_json::Value;

use super::interrupts::Interrupts;
use super::plan::Where;
use super::project::user;
use super::run_args::{ExecutorName, RunArgs, reporter, wait};
use super::{CliError, Exit, Project, plan};
use crate::cache::Cache;
use crate::execute::{self, ExecEvent, Executor};
use crate::flow::{Flow, Params};
use crate::leases::Leases;
use crate::locks::Locks;
use crate::machine::cores;
use crate::plan::{Context, Wish};
use crate::provenance::{Commit, RunEnd, RunFolder, RunStart, commit};
use crate::refs::Refs;
use crate::report::{Event, Reporter, TaskState};
use crate::run::{Ended, Mailbox, Means, Options, RunError};

/// Runs, or shows the plan.
pub(super) fn run(project: &Project, args: &RunArgs) -> Result<Exit, CliError> {
    plan::with_plan(project, args, args.dry_run, |flow, context, wish, place| match args.dry_run {
        true => plan::dry_run(project, args, context, wish, place),
        false => execute(project, args, flow, context, wish, place),
    })
}

fn execute(
    project: &Project,
    args: &RunArgs,
    flow: &Flow,
    context: Context<'_>,
    wish: Wish,
    Where { nodes, doubt }: Where,
) -> Result<Exit, CliError> {
    let cache = context.cache;
    end_at_a_panic();
    let swept = execute::sweep(cache)?;
    // What a cluster has, it shares out itself.
    let leases = nodes.is_empty().then(|| Leases::open(&crate::leases::folder())).transpose()?;
    let start = start(project, args, flow, context.params);
    let folder = RunFolder::create(&cache.runs(), &start)?;
    let log = |task: &str| crate::provenance::log(&run_folder(cache, &start.run), task);
    let options = Options {
        run: start.run.clone(),
        keep_going: args.keep_going,
        jobs: args.jobs.map_or_else(|| if nodes.is_empty() { cores() } else { SUBMITTED }, |jobs| jobs as usize),
        machine: context.machine.clone(),
        nodes,
        wait_locks: wait(args)?,
        log: &log,
        commit: Commit { hash: start.commit.clone(), dirty: start.dirty },
        host: start.host.clone(),
        user: start.user.clone(),
    };
    let mailbox = Mailbox::new();
    let executor = executor(args.executor, cache, mailbox.of_executor())?;
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
    doubt.into_iter().for_each(|text| reporter.event(&Event::Notice { text }));
    notices(cache, &mut reporter);
    let means = Means {
        refs: &refs,
        locks: &locks,
        leases,
        executor: &*executor,
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

/// Whichever thread panics, the run ends, and its supervisor ends what it had started: the others would wait for that thread for
/// ever.
fn end_at_a_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

/// So many tasks are with a cluster at once, where nothing else is said: they wait there and not here.
const SUBMITTED: usize = 1000;

fn executor(
    name: ExecutorName,
    cache: &Cache,
    sink: impl Fn(ExecEvent) + Send + Sync + 'static,
) -> Result<Box<dyn Executor>, CliError> {
    Ok(match name {
        ExecutorName::Local => Box::new(execute::local(cache, sink)),
        ExecutorName::Slurm => Box::new(execute::slurm(cache, sink)?),
        ExecutorName::Ray => Box::new(execute::ray(cache, sink)?),
    })
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

    fn pause(&mut self) {
        self.kept.pause();
        self.shown.pause();
    }
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

/// The machine's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where the files of a run lie.
pub(super) fn run_folder(cache: &Cache, run: &str) -> PathBuf {
    cache.runs().join(run)
}
