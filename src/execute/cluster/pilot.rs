//! A pilot: one job of a cluster in which this program (`ghtrader __pilot`) executes many short tasks, as many at a time as
//! its share of the node has room for. A queue takes a second and more for a job of its own; here it is some milliseconds.
//!
//! ```text
//! jobs/pilots/<pilot>/<batch>.json          a batch that it is to execute
//! jobs/pilots/<pilot>/<batch>.<index>.stop  a job that it is to end
//! jobs/pilots/<pilot>/end                   nothing more will come
//! jobs/batches/<batch>/pilot                the pilot's name, for who finds a job of a killed run
//! ```
//!
//! It ends when it has had nothing to do for some time. What is then handed to it finds its folder gone, and goes to another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::Size;
use super::node::{Given, complain, execute, given_devices, given_memory};
use super::spool::{Place, Spool};
use crate::cache::files::{entries, remove};
use crate::resources::{Pool, Request};

/// The hidden subcommand.
pub(in crate::execute) const WORD: &str = "__pilot";

/// The file by which it is told that nothing more will come.
const END: &str = "end";
/// How often it looks for something to do.
const LOOK: Duration = Duration::from_millis(20);
/// It ends when it has had nothing to do for this long.
const IDLE: Duration = Duration::from_secs(10);

/// A batch that a pilot is to execute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::execute) struct Load {
    pub(in crate::execute) batch: String,
    pub(in crate::execute) count: u32,
    pub(in crate::execute) size: Size,
}

impl Load {
    /// Hands it to a pilot; an error where that has ended.
    pub(in crate::execute) fn give(&self, pilot: &Path) -> std::io::Result<()> {
        let new = pilot.join(format!("{}.new", self.batch));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, pilot.join(format!("{}.json", self.batch)))
    }
}

/// Asks a pilot to end a job.
pub(in crate::execute) fn stop(pilot: &Path, batch: &str, index: u32) -> std::io::Result<()> {
    fs::write(pilot.join(format!("{batch}.{index}.stop")), "")
}

/// Lets a pilot end as soon as it has done what it was handed.
pub(in crate::execute) fn close(pilot: &Path) -> std::io::Result<()> {
    fs::write(pilot.join(END), "")
}

impl Size {
    /// As something to be shared out.
    pub(in crate::execute) fn request(&self) -> Request {
        let request = Request::new(self.cpus as f64, self.devices as f64 / 1000.0);
        self.memory.map_or_else(|| request.clone(), |memory| request.clone().memory(memory))
    }
}

/// Runs a pilot: the second argument is the folder of all jobs, the third one the pilot's name.
pub fn run_pilot() -> ExitCode {
    let mut args = std::env::args_os().skip(2);
    let (Some(jobs), Some(name)) = (args.next().map(PathBuf::from), args.next()) else { return ExitCode::from(2) };
    match Pilot::new(&jobs, jobs.join("pilots").join(name)).and_then(Pilot::fly) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

struct Pilot {
    spool: Spool,
    folder: PathBuf,
    free: Pool,
    known: BTreeSet<String>,
    waiting: VecDeque<(Place, Request)>,
    running: BTreeMap<Place, Running>,
    stopped: Arc<AtomicBool>,
    /// It ends when it has had nothing to do for this long.
    idle: Duration,
}

struct Running {
    request: Request,
    devices: Vec<u32>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Pilot {
    fn new(jobs: &Path, folder: PathBuf) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stopped))?;
        let cpus = std::env::var("SLURM_CPUS_PER_TASK").ok().and_then(|cpus| cpus.parse().ok()).unwrap_or(1.0);
        let memory = given_memory().unwrap_or(u64::MAX);
        let free = Pool::new(cpus, memory, &given_devices());
        let (known, waiting, running) = (BTreeSet::new(), VecDeque::new(), BTreeMap::new());
        Ok(Self { spool: Spool::at(jobs.to_owned()), folder, free, known, waiting, running, stopped, idle: IDLE })
    }

    fn fly(mut self) -> std::io::Result<()> {
        let mut busy = Instant::now();
        loop {
            let stopped = self.stopped.load(Ordering::Relaxed);
            if stopped {
                self.running.values().for_each(|running| running.stopped.store(true, Ordering::Relaxed));
                self.waiting.clear();
            } else {
                self.look()?;
                self.start();
            }
            self.reap();
            if !self.running.is_empty() || !self.waiting.is_empty() {
                busy = Instant::now();
            } else if stopped || busy.elapsed() >= self.idle {
                let closed = self.folder.with_extension("closed");
                // From here on nothing can be handed to it; what was in the last moment is still executed.
                if self.folder != closed {
                    fs::rename(&self.folder, &closed)?;
                    self.folder = closed;
                    continue;
                }
                return remove(&self.folder);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Sees what was handed to it, and what is to end.
    fn look(&mut self) -> std::io::Result<()> {
        for entry in entries(&self.folder)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".new") || !self.known.insert(name.clone()) {
                continue;
            }
            if name == END {
                self.idle = Duration::ZERO;
            } else if let Some(job) = name.strip_suffix(".stop") {
                self.stop(job);
            } else if let Ok(Load { batch, count, size }) = serde_json::from_slice(&fs::read(entry.path())?) {
                let job = |index| (Place { batch: batch.clone(), index }, size.request());
                self.waiting.extend((0..count).map(job));
            }
        }
        Ok(())
    }

    fn stop(&mut self, job: &str) {
        let Some((batch, index)) = job.rsplit_once('.') else { return };
        let Ok(index) = index.parse() else { return };
        let place = Place { batch: batch.to_owned(), index };
        // One that waits has lost its ticket, and does nothing.
        if let Some(running) = self.running.get(&place) {
            running.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Starts what there is room for, in the order in which it came.
    fn start(&mut self) {
        let mut later = VecDeque::new();
        while let Some((place, request)) = self.waiting.pop_front() {
            let Some(devices) = self.free.take(&request) else {
                later.push_back((place, request));
                continue;
            };
            let stopped = Arc::new(AtomicBool::new(false));
            let (spool, at, flag) = (self.spool.clone(), place.clone(), Arc::clone(&stopped));
            let visible = devices.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let given = Given { devices: devices.clone(), visible, memory: request.bytes().or_else(given_memory) };
            let thread = std::thread::spawn(move || {
                if let Err(error) = execute(&spool, &at, &given, &flag) {
                    let _ = complain(&error);
                }
            });
            self.running.insert(place, Running { request, devices, stopped, thread });
        }
        self.waiting = later;
    }

    fn reap(&mut self) {
        for (_, ended) in self.running.extract_if(.., |_, running| running.thread.is_finished()) {
            self.free.give_back(&ended.request, &ended.devices);
            // It has told what it had to tell.
            let _ = ended.thread.join();
        }
    }
}
