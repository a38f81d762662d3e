//! Slurm, by its own commands: `sbatch` with an array for each batch, one `squeue` for all jobs, `scancel` for many, `sinfo`
//! and `scontrol` once for what there is. Where a job is to go (partition, account, quality of service) is said by Slurm's own
//! variables: `SBATCH_PARTITION`, `SBATCH_ACCOUNT` and their like.
//!
//! It knows no task: a job is what [`super::cluster`] makes of one.

mod command;
mod nodes;
mod pilots;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::ExecuteError;
use super::cluster::{Batch, Cluster, End, JOB, JobState, PILOT, Refused, Size, quoted};
use command::{Failed, call};
pub(super) use nodes::nodes;
use pilots::{Pilots, is_short};

/// The Slurm that this machine's commands speak to.
#[derive(Debug)]
pub(super) struct Slurm {
    /// What it allows in one array.
    most: usize,
    /// Between its SIGTERM and its SIGKILL.
    grace: Duration,
    /// The number that it gave each batch.
    numbers: HashMap<String, String>,
    pilots: Pilots,
}

/// So much more time than its timeout a job gets, to begin and to end.
const MARGIN: Duration = Duration::from_secs(60);
/// So many jobs are named in one call: a command line has room for them.
const NAMED: usize = 1000;

impl Slurm {
    /// Asks for its configuration. `jobs`: the folder of all jobs.
    pub(super) fn reach(jobs: PathBuf) -> Result<Self, ExecuteError> {
        let text = call("scontrol", &["show", "config"], "").map_err(|failed| failed.at_the_start())?;
        let number = |name: &str| -> Option<u64> {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
            line.split_once('=')?.1.split_whitespace().next()?.parse().ok()
        };
        // An array of that size would have an index that is too large by one.
        let most = number("MaxArraySize").unwrap_or(1001).saturating_sub(1).max(1);
        let grace = Duration::from_secs(number("KillWait").unwrap_or(30));
        let pilots = Pilots::new(jobs, nodes()?);
        Ok(Self { most: usize::try_from(most).unwrap_or(1), grace, numbers: HashMap::new(), pilots })
    }

    fn sbatch(&mut self, name: &str, args: &[String], script: &str) -> Result<(), Refused> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let answer = call("sbatch", &args, script).map_err(|failed| refused(&failed))?;
        // `<number>`, or `<number>;<cluster>`.
        let number = answer.trim().split(';').next().unwrap_or_default();
        self.numbers.insert(name.to_owned(), number.to_owned());
        Ok(())
    }

    /// Submits a pilot that executes a batch, and others after it.
    fn submit_pilot(&mut self, batch: &Batch<'_>) -> Result<(), Refused> {
        let prepared = self.pilots.prepare(batch).map_err(|error| Refused::Never(error.to_string()));
        let (pilot, size) = prepared?;
        let folder = self.pilots.folder(&pilot);
        let job = Batch { name: &pilot, count: 1, size: &size, folder: &folder, ..*batch };
        // What it says goes where its folder is, which it takes away at its end.
        let answer = self.sbatch(&pilot, &arguments(&job), &script(&job.command(PILOT)));
        match &answer {
            Ok(()) => self.pilots.flies(&pilot, &size),
            Err(_) => drop(crate::cache::files::remove(&folder)),
        }
        answer
    }

    /// The names of jobs as `scancel` takes them.
    fn names(&self, jobs: &[(&str, u32)]) -> Vec<String> {
        let numbered = |(batch, index): &(&str, u32)| Some(format!("{}_{index}", self.numbers.get(*batch)?));
        jobs.iter().filter_map(numbered).collect()
    }
}

impl Cluster for Slurm {
    fn name(&self) -> &'static str {
        "Slurm"
    }

    fn most(&self) -> usize {
        self.most
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn rounds(&self, size: &Size) -> Option<String> {
        let text = "Slurm gives whole devices only: tasks that ask for a part of one get all of it";
        // In a pilot they share one.
        (!is_short(size) && !size.devices.is_multiple_of(1000)).then(|| text.to_owned())
    }

    fn submit(&mut self, batch: &Batch<'_>) -> Result<(), Refused> {
        match is_short(batch.size) {
            true if self.pilots.hand_over(batch) => Ok(()),
            true => self.submit_pilot(batch),
            false => self.sbatch(batch.name, &arguments(batch), &script(&batch.command(JOB))),
        }
    }

    fn ask(&mut self, batches: &BTreeSet<&str>) -> Result<BTreeMap<(String, u32), JobState>, String> {
        let mut named: BTreeSet<String> =
            batches.iter().map(|batch| self.pilots.of(batch).unwrap_or_else(|| (*batch).to_owned())).collect();
        named.extend(self.pilots.names());
        let names = format!("--name={}", named.into_iter().collect::<Vec<_>>().join(","));
        let args = ["--noheader", "--array", "--states=all", "--format=%F|%K|%j|%T|%r", &names];
        let text = call("squeue", &args, "").map_err(|failed| failed.to_string())?;
        let mut states = BTreeMap::new();
        for (number, batch, index, state) in text.lines().filter_map(parse) {
            self.numbers.insert(batch.to_owned(), number.to_owned());
            states.insert((batch.to_owned(), index), state);
        }
        self.pilots.spread(batches, &mut states);
        Ok(states)
    }

    fn cancel(&mut self, jobs: &[(&str, u32)]) -> Result<(), String> {
        self.pilots.stop(jobs);
        for part in self.names(jobs).chunks(NAMED) {
            let names: Vec<&str> = part.iter().map(String::as_str).collect();
            match call("scancel", &names, "") {
                // What has ended meanwhile, or was forgotten, needs none.
                Err(Failed::Said(why)) if !why.contains("contact") && !why.contains("imed out") => {}
                other => drop(other.map_err(|failed| failed.to_string())?),
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.pilots.close();
    }
}

/// How a batch is submitted.
fn arguments(batch: &Batch<'_>) -> Vec<String> {
    let Size { cpus, memory, devices, timeout } = batch.size;
    let mut args = vec![
        "--parsable".to_owned(),
        format!("--job-name={}", batch.name),
        format!("--array=0-{}", batch.count.saturating_sub(1)),
        format!("--output={}/%a.out", batch.folder.display()),
        "--chdir=/".to_owned(),
        // A task sees the environment of its job and nothing else.
        "--export=NIL".to_owned(),
        // Whoever submitted it decides whether it runs again.
        "--no-requeue".to_owned(),
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        format!("--cpus-per-task={cpus}"),
    ];
    args.extend(memory.map(|bytes| format!("--mem={}M", bytes.div_ceil(1 << 20).max(1))));
    if *devices > 0 {
        args.push(format!("--gres=gpu:{}", devices.div_ceil(1000)));
    }
    // Slurm counts whole minutes.
    args.extend(timeout.map(|timeout| format!("--time={}", (timeout + MARGIN).as_secs().div_ceil(60))));
    args
}

/// What Slurm runs for each job of a batch.
fn script(command: &[&OsStr]) -> String {
    let mut script = "#!/bin/sh\nexec".to_owned();
    for word in command {
        let _ = write!(script, " {}", quoted(&String::from_utf8_lossy(word.as_bytes())));
    }
    script + " \"$SLURM_ARRAY_TASK_ID\"\n"
}

/// A line of `squeue`: the number of the array, the batch, the index in it, and the state.
fn parse(line: &str) -> Option<(&str, &str, u32, JobState)> {
    let mut fields = line.splitn(5, '|').map(str::trim);
    let (number, index, batch) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
    Some((number, batch, index, state(fields.next()?, fields.next()?)))
}

fn state(state: &str, reason: &str) -> JobState {
    match state {
        "PENDING" => JobState::Waits(if is_usual(reason) { String::new() } else { reason.to_owned() }),
        // It has no end yet: of some of these it may be said again that they run.
        "RUNNING" | "CONFIGURING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT" | "RESIZING"
        | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => JobState::Runs,
        ended => {
            // One that completed and left nothing found no ticket that was its own.
            let innocent = matches!(ended, "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" | "REVOKED" | "COMPLETED");
            JobState::Ended(End { how: ended.to_owned(), innocent })
        }
    }
}

/// Whether it waits for others only, as any job may.
fn is_usual(reason: &str) -> bool {
    matches!(reason, "" | "None" | "Priority" | "Resources" | "JobArrayTaskLimit" | "BeginTime" | "Cleaning")
}

/// Whether the same submission may be taken later.
fn refused(failed: &Failed) -> Refused {
    const PASSING: [&str; 6] =
        ["contact slurm controller", "imed out", "temporarily", "SubmitJob", "submit limit", "Zero Bytes"];
    let why = failed.to_string();
    if PASSING.iter().any(|sign| why.contains(sign)) { Refused::Later(why) } else { Refused::Never(why) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn batch(size: &Size) -> Batch<'_> {
        let (program, jobs) = (Path::new("/opt/it's/ghtrader"), Path::new("/shared/v1/jobs"));
        Batch { name: "ghtrader-1", count: 3, size, program, jobs, folder: Path::new("/shared/v1/jobs/batches/1") }
    }

    #[test]
    fn resources_become_options_rounded_up() {
        let timeout = Some(Duration::from_secs(90));
        let size = Size { cpus: 4, memory: Some((1 << 30) + 1), devices: 1500, timeout };
        let args = arguments(&batch(&size)).join(" ");
        for option in ["--array=0-2", "--cpus-per-task=4", "--mem=1025M", "--gres=gpu:2", "--time=3"] {
            assert!(args.contains(option), "{option}: {args}");
        }
        let least = arguments(&batch(&Size { cpus: 1, ..Size::default() })).join(" ");
        assert!(!least.contains("--mem") && !least.contains("--gres") && !least.contains("--time"), "{least}");
    }

    #[test]
    fn the_script_survives_any_path() {
        let size = Size::default();
        let batch = batch(&size);
        let script = script(&batch.command(JOB));
        assert!(script.contains(r"exec '/opt/it'\''s/ghtrader' '__job' '/shared/v1/jobs' 'ghtrader-1'"));
    }

    #[test]
    fn states_are_told_apart() {
        let end = |how: &str, innocent| JobState::Ended(End { how: how.to_owned(), innocent });
        let cases = [
            ("12|0|b|PENDING|Resources", JobState::Waits(String::new())),
            (
                "12|0|b|PENDING|ReqNodeNotAvail, UnavailableNodes:n1",
                JobState::Waits("ReqNodeNotAvail, UnavailableNodes:n1".into()),
            ),
            ("12|0|b|RUNNING|None", JobState::Runs),
            ("12|0|b|COMPLETING|None", JobState::Runs),
            ("12|0|b|NODE_FAIL|None", end("NODE_FAIL", true)),
            ("12|0|b|TIMEOUT|TimeLimit", end("TIMEOUT", false)),
            ("12|0|b|OUT_OF_MEMORY|a|b", end("OUT_OF_MEMORY", false)),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), Some(("12", "b", 0, expected)), "{line}");
        }
        assert_eq!(parse("12|N/A|other|RUNNING|None"), None, "a job that is no array is not ours");
    }

    #[test]
    fn what_may_be_taken_later_is_not_refused_for_ever() {
        let said = |why: &str| refused(&Failed::Said(why.to_owned()));
        assert!(matches!(said("Unable to contact slurm controller (connect failure)"), Refused::Later(_)));
        assert!(matches!(said("Job violates accounting/QOS policy (job submit limit, …)"), Refused::Later(_)));
        assert!(matches!(said("Invalid partition name specified"), Refused::Never(_)));
    }
}
