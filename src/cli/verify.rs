//! `ghtrader verify FLOW`: runs recorded tasks again and compares what they write, to find those that are not deterministic.

use std::sync::mpsc::channel;

use clap::Args;

use super::error::print;
use super::project::{refs_of, user};
use super::run::{host, not_started};
use super::run_args::devices;
use super::{CliError, Exit, FlowArgs, Project};
use crate::execute;
use crate::hash::Hash;
use crate::leases::{Leases, folder};
use crate::locks::{Busy, Holder, Locks};
use crate::machine::{Declared, cores};
use crate::run::verify::{Means, Verdict, survey};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    flow: FlowArgs,
    /// Only N of the recorded tasks, drawn at random
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Draw the sample of an earlier call again
    #[arg(long, requires = "sample")]
    seed: Option<u64>,
    /// Devices: how many, or their indices (`2,5`) [default: those that are there]
    #[arg(long, value_name = "N or LIST")]
    gpus: Option<String>,
}

pub(super) fn verify(project: &Project, args: &VerifyArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    let declared = Declared { devices: devices(args.gpus.as_deref())?, ..Declared::default() };
    let machine = project.machine(&graph, declared)?;
    let cache = project.open()?;
    let refs = refs_of(&graph, &cache)?;
    let survey = survey(loaded.context(project, &graph, &cache, &refs, &machine)).map_err(not_started)?;
    for (task, why) in &survey.others {
        print(&format!("not run  {task} ({why})"));
    }
    let mut chosen: Vec<_> = survey.recorded.iter().collect();
    if let Some(count) = args.sample {
        let seed = args.seed.unwrap_or_else(|| ulid::Ulid::generate().random() as u64);
        chosen.sort_by_key(|task| Hash::of(format!("{seed} {}", task.task).as_bytes()));
        chosen.truncate(count);
        print(&format!("{} of {} recorded tasks, drawn with --seed {seed}", chosen.len(), survey.recorded.len()));
    }
    execute::sweep(&cache)?;
    let (sender, events) = channel();
    let executor = execute::local(&cache, move |event| drop(sender.send(event)));
    let locks = Locks::open(&cache);
    let run = ulid::Ulid::generate().to_string();
    let (host, who, since) = (host(), user(), String::new());
    let holder = Holder { pid: std::process::id(), host, who, run, task: String::new(), since };
    let leases = Leases::open(&folder())?;
    let machine = machine.clone();
    let means = Means { locks: &locks, leases, executor: &executor, events, machine, jobs: cores(), holder, waiting };
    let (mut same, mut differ, mut failed) = (0, 0, 0);
    let ended = crate::run::verify::verify(&survey, chosen, &cache, means, |task, verdict| {
        match &verdict {
            Verdict::Same => same += 1,
            Verdict::Differs { .. } => differ += 1,
            Verdict::Failed { .. } => failed += 1,
        }
        tell(task, &verdict, project.style.verbose);
    });
    ended.map_err(|error| CliError::Io(std::io::Error::other(error.to_string())))?;
    print(&format!("{same} same, {differ} differ, {failed} failed, {} not recorded", survey.others.len()));
    Ok(if differ + failed == 0 { Exit::Done } else { Exit::Failed })
}

fn waiting(task: &str, busy: &Busy) {
    let by =
        busy.holder.as_ref().map_or_else(String::new, |holder| format!(", held by {} of {}", holder.task, holder.who));
    print(&format!("waits    {task} for lock {}{by}", busy.lock));
}

fn tell(task: &str, verdict: &Verdict, all: bool) {
    match verdict {
        Verdict::Same if all => print(&format!("same     {task}")),
        Verdict::Same => {}
        Verdict::Differs { outputs, folder } => {
            for (output, recorded, now) in outputs {
                let now = now.map_or_else(|| "nothing".to_owned(), |now| now.to_string());
                print(&format!("differs  {task}.{output}\n    recorded {recorded}\n    now      {now}"));
            }
            print(&format!("    what it wrote now is in {}", folder.display()));
        }
        Verdict::Failed { why, log } => print(&format!("failed   {task}: {why}\n    log {}", log.display())),
    }
}
