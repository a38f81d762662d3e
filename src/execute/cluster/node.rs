//! On a node: this program again (`ghtrader __job`), started by the cluster, executes one ticket under a supervisor, as a
//! runner does on its own machine. What it has to tell it writes into the job's folder.
//!
//! Of the processes that a cluster may start for a key (one that it had forgotten, one that was cancelled and came back, two
//! for one submission), at most one executes it: who gets the claim, and finds its own ticket not yet begun. The others end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ghtrader_kit::Request;

use super::spool::{Begun, Ended, JobFolder, Place, Spool, Ticket};
use crate::cache::files::parent;
use crate::execute::wire::{Start, Text};
use crate::execute::{ExecEvent, Executor as _, Exit, Job, LocalExecutor, REQUEST_VARIABLE, Usage};

/// The hidden subcommand.
pub(in crate::execute) const WORD: &str = "__job";

/// A runner holds the claim for a moment only; who holds it longer executes the key.
const PATIENCE: Duration = Duration::from_secs(5);

/// Executes a job: the second argument is the folder of all jobs, the third one the batch, the fourth one the index in it.
pub fn execute_job() -> ExitCode {
    let mut args = std::env::args_os().skip(2);
    let (Some(folder), Some(batch), Some(index)) = (args.next(), args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let place = Place {
        batch: batch.to_string_lossy().into_owned(),
        index: index.to_str().and_then(|index| index.parse().ok()).unwrap_or(u32::MAX),
    };
    // A request to end may come at any time, also before there is anything to end.
    let stopped = Arc::new(AtomicBool::new(false));
    let heard = signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stopped));
    // As it was given: what it says may be no index.
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let given = Given { devices: given_devices(), visible, memory: given_memory() };
    match heard.and_then(|_| execute(&Spool::at(folder.into()), &place, &given, &stopped)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// What the cluster gives a job.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Indices.
    pub(super) devices: Vec<u32>,
    /// `CUDA_VISIBLE_DEVICES`.
    pub(super) visible: String,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

/// Where nobody can be told otherwise: the cluster keeps it in a file, of which the runner tells the last line.
#[expect(clippy::print_stderr, reason = "it is a program of its own, with nothing else to tell by")]
pub(super) fn complain(error: &std::io::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// Executes the ticket at a place, if it is one's turn to. `stopped`: it is to end.
pub(super) fn execute(spool: &Spool, place: &Place, given: &Given, stopped: &AtomicBool) -> std::io::Result<()> {
    let folder = spool.job(&spool.key(place)?);
    let Some(claim) = folder.claim(PATIENCE)? else { return Ok(()) };
    // Not wanted any more, or begun once before.
    let Some(ticket) = folder.ticket().filter(|ticket| ticket.place == *place) else { return Ok(()) };
    if folder.begun(place).is_some() {
        return Ok(());
    }
    let devices = if ticket.devices { given.devices.clone() } else { Vec::new() };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    folder.write_begun(&Begun { place: place.clone(), host, devices: devices.clone(), pid: std::process::id() })?;
    let job = job(&ticket, given, claim.into_file().into());
    let (exit, usage, alone) = match job.and_then(|job| run(job, &folder, ticket.grace, stopped)) {
        Ok(ended) => ended,
        Err(error) => (Exit::NotStarted(error.to_string()), Usage::default(), false),
    };
    folder.write_ended(&Ended { place: place.clone(), exit, usage, alone })
}

/// The indices of the devices that the cluster gave.
pub(super) fn given_devices() -> Vec<u32> {
    let given = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    given.split(',').filter_map(|index| index.trim().parse().ok()).collect()
}

/// The job of a ticket, with what is known only here.
fn job(ticket: &Ticket, given: &Given, claim: std::os::fd::OwnedFd) -> std::io::Result<Job> {
    let mut start = ticket.start.clone();
    let memory = ticket.memory.or(given.memory).unwrap_or_else(|| rustix::system::sysinfo().totalram as u64);
    set(&mut start, "GHTRADER_MEMORY", memory.to_string());
    let devices = if ticket.devices { given.devices.clone() } else { Vec::new() };
    if ticket.devices {
        set(&mut start, "CUDA_VISIBLE_DEVICES", given.visible.clone());
    }
    if let Some(file) = variable(&start, REQUEST_VARIABLE) {
        let request: Request = serde_json::from_slice(&fs_err::read(&file)?)?;
        let request = Request { memory: Some(memory), devices, ..request };
        fs_err::write(&file, serde_json::to_vec(&request)?)?;
    }
    Ok(start.into_job(vec![claim]))
}

/// What the cluster lets the job use, in bytes.
pub(super) fn given_memory() -> Option<u64> {
    let mebibytes: u64 = std::env::var("SLURM_MEM_PER_NODE").ok()?.parse().ok()?;
    mebibytes.checked_mul(1 << 20).filter(|bytes| *bytes > 0)
}

fn variable(start: &Start, name: &str) -> Option<PathBuf> {
    start.env.iter().find(|(known, _)| known.0 == name).map(|(_, value)| PathBuf::from(&value.0))
}

fn set(start: &mut Start, name: &str, value: String) {
    start.env.retain(|(known, _)| known.0 != name);
    start.env.push((Text(name.into()), Text(value.into())));
}

/// Runs it to its end, and writes down what it reports.
fn run(job: Job, folder: &JobFolder, grace: Duration, stopped: &AtomicBool) -> std::io::Result<(Exit, Usage, bool)> {
    /// So soon a request to end is heeded.
    const TICK: Duration = Duration::from_millis(100);
    let id = job.id;
    // Of the tasks of this cache, those that have no supervisor are ended where the one for this job dies.
    let mark = job.env.iter().find(|(name, _)| name == REQUEST_VARIABLE);
    let scratch = mark.map_or_else(|| job.cwd.clone(), |(_, file)| parent(Path::new(file)).to_owned());
    let started = LocalExecutor::with(Path::new("/proc/self/exe"), &scratch, grace);
    let (executor, events): (LocalExecutor, Receiver<ExecEvent>) = started.map_err(std::io::Error::other)?;
    let mut reports = folder.reports()?;
    executor.start(job);
    let mut told = false;
    loop {
        if !told && stopped.load(Ordering::Relaxed) {
            told = true;
            executor.stop(id);
        }
        let event = match events.recv_timeout(TICK) {
            Ok(event) => event,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok((Exit::Lost, Usage::default(), false)),
        };
        match event {
            // The cluster's request goes to the task's processes too, which may be the first to heed it.
            ExecEvent::Exited { usage, alone, .. } if stopped.load(Ordering::Relaxed) => {
                return Ok((Exit::Stopped, usage, alone));
            }
            ExecEvent::Exited { exit, usage, alone, .. } => return Ok((exit, usage, alone)),
            ExecEvent::Started { .. } => {}
            report => {
                let mut line = serde_json::to_vec(&report)?;
                line.push(b'\n');
                // What cannot be told is no reason to end a task.
                let _ = std::io::Write::write_all(&mut reports, &line);
            }
        }
    }
}
