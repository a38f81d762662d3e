//! Pilots on Slurm: which tasks run in one, and which pilots there are.
//!
//! A task is short where its `timeout` says that it ends within a minute. Short tasks run in a pilot, all others are jobs of
//! their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use crate::execute::cluster::{Batch, JobState, Load, Size, close, stop};
use crate::resources::Pool;

/// What may take longer is no short task.
const SHORT: Duration = Duration::from_secs(60);
/// So many tasks at a time run in a pilot, at most.
const SLOTS: u64 = 64;

/// The pilots of a runner.
#[derive(Debug)]
pub(super) struct Pilots {
    /// The folder of all jobs.
    jobs: PathBuf,
    nodes: Vec<Pool>,
    /// What each has, by name.
    flying: BTreeMap<String, Pool>,
    /// The pilot of each batch, also those of an earlier run; `None` for a batch that is an array.
    of: HashMap<String, Option<String>>,
}

impl Pilots {
    pub(super) fn new(jobs: PathBuf, nodes: Vec<Pool>) -> Self {
        Self { jobs, nodes, flying: BTreeMap::new(), of: HashMap::new() }
    }

    pub(super) fn folder(&self, pilot: &str) -> PathBuf {
        self.jobs.join("pilots").join(pilot)
    }

    /// Those to which more can be handed.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.flying.keys().cloned()
    }

    /// The pilot of a batch, where it is in one.
    pub(super) fn of(&mut self, batch: &str) -> Option<String> {
        let file = self.jobs.join("batches").join(batch).join("pilot");
        self.of.entry(batch.to_owned()).or_insert_with(|| fs::read_to_string(file).ok()).clone()
    }

    /// Hands a batch to a pilot that has room for its jobs. `false`: there is none.
    pub(super) fn hand_over(&mut self, batch: &Batch<'_>) -> bool {
        let request = batch.size.request();
        let fitting: Vec<String> = self
            .flying
            .iter()
            .filter(|(_, pool)| pool.admits(&request).is_ok())
            .map(|(name, _)| name.clone())
            .collect();
        for pilot in fitting {
            if self.give(batch, &pilot).is_ok() {
                return true;
            }
            // It has ended: nothing can be handed to it any more.
            self.flying.remove(&pilot);
        }
        false
    }

    /// A new pilot that is to execute a batch: its name and what it has to ask for. It flies once Slurm has taken it.
    pub(super) fn prepare(&mut self, batch: &Batch<'_>) -> std::io::Result<(String, Size)> {
        let pilot = format!("ghtrader-pilot-{}", ulid::Ulid::generate());
        fs::create_dir_all(self.folder(&pilot))?;
        self.give(batch, &pilot)?;
        Ok((pilot, size(batch, &self.nodes)))
    }

    /// Slurm has taken a pilot.
    pub(super) fn flies(&mut self, pilot: &str, size: &Size) {
        let devices: Vec<u32> = (0..u32::try_from(size.devices.div_ceil(1000)).unwrap_or(0)).collect();
        let pool = Pool::new(size.cpus as f64, size.memory.unwrap_or(u64::MAX), &devices);
        self.flying.insert(pilot.to_owned(), pool);
    }

    fn give(&mut self, batch: &Batch<'_>, pilot: &str) -> std::io::Result<()> {
        let count = u32::try_from(batch.count).unwrap_or(u32::MAX);
        // First, so that whoever finds the batch finds its pilot.
        fs::write(batch.folder.join("pilot"), pilot)?;
        Load { batch: batch.name.to_owned(), count, size: batch.size.clone() }.give(&self.folder(pilot))?;
        self.of.insert(batch.name.to_owned(), Some(pilot.to_owned()));
        Ok(())
    }

    /// Asks the pilots to end these jobs.
    pub(super) fn stop(&mut self, jobs: &[(&str, u32)]) {
        for (batch, index) in jobs {
            if let Some(pilot) = self.of(batch) {
                // One that has ended has ended its jobs.
                let _ = stop(&self.folder(&pilot), batch, *index);
            }
        }
    }

    /// Nothing more is handed to the pilots of this runner.
    pub(super) fn close(&mut self) {
        for pilot in std::mem::take(&mut self.flying).into_keys() {
            // One that has ended needs no word.
            let _ = close(&self.folder(&pilot));
        }
    }

    /// What of `states` is said of pilots is said of all jobs in them. Nothing more goes to one that Slurm does not know.
    pub(super) fn spread(&mut self, batches: &BTreeSet<&str>, states: &mut BTreeMap<(String, u32), JobState>) {
        let flies = |state: Option<&JobState>| matches!(state, Some(JobState::Waits(_) | JobState::Runs));
        self.flying.retain(|pilot, _| flies(states.get(&(pilot.clone(), 0))));
        for batch in batches {
            let Some(pilot) = self.of(batch) else { continue };
            let Some(state) = states.get(&(pilot, 0)).cloned() else { continue };
            // How a pilot ends is none of its tasks' doing.
            let state = match state {
                JobState::Ended(end) => JobState::Ended(crate::execute::cluster::End { innocent: true, ..end }),
                other => other,
            };
            states.extend((0..count(&self.jobs, batch)).map(|index| (((*batch).to_owned(), index), state.clone())));
        }
    }
}

/// Whether a job of this size is for a pilot.
pub(super) fn is_short(size: &Size) -> bool {
    size.timeout.is_some_and(|timeout| timeout <= SHORT)
}

/// How many jobs a batch has.
fn count(jobs: &Path, batch: &str) -> u32 {
    let keys = std::fs::read_to_string(jobs.join("batches").join(batch).join("keys")).unwrap_or_default();
    u32::try_from(keys.lines().count()).unwrap_or(u32::MAX)
}

/// What a pilot asks for: as many times what one job of the batch does as there are jobs, as far as a node has it.
fn size(batch: &Batch<'_>, nodes: &[Pool]) -> Size {
    let one = batch.size;
    let times = |slots: u64| Size {
        cpus: one.cpus * slots,
        memory: one.memory.map(|memory| memory * slots),
        devices: one.devices * slots,
        timeout: None,
    };
    let fits = |size: &Size| nodes.iter().any(|node| node.admits(&size.request()).is_ok());
    let most = (batch.count as u64).clamp(1, SLOTS);
    (1..=most).rev().map(times).find(fits).unwrap_or_else(|| times(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pilot_asks_for_what_its_batch_needs_and_a_node_has() {
        let nodes = [Pool::new(16.0, 1 << 34, &[0, 1, 2, 3])];
        let one = Size { cpus: 2, memory: Some(1 << 30), devices: 1000, timeout: Some(SHORT) };
        let batch = |count| Batch {
            name: "b",
            count,
            size: &one,
            program: Path::new("/p"),
            jobs: Path::new("/j"),
            folder: Path::new("/j/batches/b"),
        };
        let four = Size { cpus: 8, memory: Some(4 << 30), devices: 4000, timeout: None };
        assert_eq!(size(&batch(100), &nodes), four);
        assert_eq!(size(&batch(3), &nodes).cpus, 6);
        assert!(is_short(&one) && !is_short(&four));
    }

    #[test]
    fn what_is_said_of_a_pilot_is_said_of_its_jobs_and_nothing_goes_to_one_that_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let batch = root.path().join("batches/b");
        fs::create_dir_all(&batch).unwrap();
        fs::write(batch.join("keys"), "one\ntwo\n").unwrap();
        fs::write(batch.join("pilot"), "p").unwrap();
        let mut pilots = Pilots::new(root.path().to_owned(), Vec::new());
        pilots.flies("p", &Size { cpus: 1, ..Size::default() });
        let runs = |batch: &str, index| ((batch.to_owned(), index), JobState::Runs);
        let mut states = BTreeMap::from([runs("p", 0)]);
        pilots.spread(&["b"].into(), &mut states);
        assert_eq!(states, BTreeMap::from([runs("p", 0), runs("b", 0), runs("b", 1)]));
        assert_eq!(pilots.names().collect::<Vec<_>>(), ["p"]);
        pilots.spread(&["b"].into(), &mut BTreeMap::new());
        assert_eq!(pilots.names().count(), 0);
    }
}
