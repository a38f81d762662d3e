//! What this machine has: what a user declares goes before what is found out.
//!
//! The choice is a function of values; only [`Found::look`] reads the system. It knows no flow, and hands on a [`Pool`].
//!
//! | | found out by |
//! |---|---|
//! | cores | the standard library: affinity, and the quotas of control groups (v2 and v1) with those around them |
//! | memory | the kernel, and the limits of control groups likewise (`cgroup.rs`) |
//! | devices | NVML, where a driver is there (`nvml.rs`), as far as the caller's `CUDA_VISIBLE_DEVICES` shows them (`visible.rs`) |
//!
//! Devices are called by NVML's index, which is the order of the PCI bus; tasks are told so (`CUDA_DEVICE_ORDER`).

mod cgroup;
mod nvml;
mod visible;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ghtrader_kit::REQUEST_VARIABLE;

pub(crate) use cgroup::{Hierarchy, Version, hierarchies};
use visible::names;
pub use visible::{VARIABLE, visible};

use crate::resources::Pool;

/// A device that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its index, in the order of the PCI bus.
    pub index: u32,
    /// Its name for ever: `GPU-…`.
    pub uuid: String,
    /// Its memory, where the driver tells it.
    pub memory: Option<DeviceMemory>,
}

/// The memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// All of it.
    pub total: u64,
    /// What nobody uses now.
    pub free: u64,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Cores.
    pub cpus: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Devices that the caller may use.
    pub devices: Vec<Device>,
    /// The caller's variable.
    pub visible: Option<String>,
}

/// What a user says that the machine has; `None` where nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Cores.
    pub cpus: Option<f64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Devices.
    pub devices: Option<Devices>,
    /// Tokens, and how many there are of each.
    pub tokens: BTreeMap<String, f64>,
}

/// Devices that a user declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// So many: the first of those that are there, and 0, 1 … where there are not as many.
    Count(u32),
    /// These, by index; each with its memory where that is declared too.
    Listed(BTreeMap<u32, Option<u64>>),
}

impl Devices {
    /// The most that can be declared by their number.
    pub const MOST: u32 = 1024;
}

/// The number of cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// All memory of the machine that this process may use, in bytes.
fn memory() -> u64 {
    let all = rustix::system::sysinfo().totalram as u64;
    cgroup::memory_limit().map_or(all, |limit| all.min(limit))
}

impl Found {
    /// Looks at the machine; for devices only where they are `wanted`, since to wake a driver takes its time.
    pub fn look(wanted: bool) -> Self {
        let devices = if wanted { nvml::devices(&[nvml::LIBRARY, nvml::PLAIN]) } else { Vec::new() };
        let caller = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
        let devices = visible(devices, caller.as_deref());
        Self { cpus: cores() as f64, memory: memory(), devices, visible: caller }
    }

    fn indices(&self) -> Vec<u32> {
        self.devices.iter().map(|device| device.index).collect()
    }

    /// What a task was given, for one that runs tasks of its own.
    pub fn within_task() -> Option<Self> {
        let request = std::env::var_os(REQUEST_VARIABLE).map(PathBuf::from)?;
        let number = |name| std::env::var(name).ok()?.parse::<f64>().ok();
        let (cpus, memory) = (number("GHTRADER_CPUS")?, number("GHTRADER_MEMORY")?);
        let indices = std::env::var(VARIABLE).unwrap_or_default();
        let device = |text: &str| Some(Device { index: text.parse().ok()?, uuid: String::new(), memory: None });
        let devices = indices.split(',').filter_map(device).collect();
        request.is_file().then_some(Self { cpus, memory: memory as u64, devices, visible: None })
    }
}

impl Declared {
    /// This, and where it says nothing, `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let mut tokens = below.tokens;
        tokens.extend(self.tokens);
        Self {
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or(below.memory),
            devices: self.devices.or(below.devices),
            tokens,
        }
    }

    /// What the machine is taken to have. Declared devices are taken at the user's word; a driver only adds their memory.
    pub fn pool(&self, found: &Found) -> Pool {
        let declared = self.devices(found);
        let indices: Vec<u32> = declared.keys().copied().collect();
        let pool = Pool::new(self.cpus.unwrap_or(found.cpus), self.memory.unwrap_or(found.memory), &indices);
        let pool = declared.into_iter().fold(pool, |pool, (index, memory)| {
            let known = found.devices.iter().find(|device| device.index == index).and_then(|device| device.memory);
            match (memory, known) {
                (Some(total), known) => pool.device_memory(index, total, known.map_or(total, |known| known.free)),
                (None, Some(known)) => pool.device_memory(index, known.total, known.free),
                (None, None) => pool,
            }
        });
        self.tokens.iter().fold(pool, |pool, (name, amount)| pool.token(name, *amount))
    }

    /// The devices, each with its memory where that is declared.
    fn devices(&self, found: &Found) -> BTreeMap<u32, Option<u64>> {
        let there = found.indices();
        match &self.devices {
            None => there.into_iter().map(|index| (index, None)).collect(),
            Some(Devices::Count(count)) => first(*count, &there).map(|index| (index, None)).collect(),
            Some(Devices::Listed(devices)) => devices.clone(),
        }
    }

    /// The devices that are declared and not found.
    pub fn beyond(&self, found: &Found) -> Vec<u32> {
        let there = found.indices();
        self.devices(found).into_keys().filter(|index| !there.contains(index)).collect()
    }

    /// What there is to be said where the caller's variable hides devices that are declared.
    pub fn contradiction(&self, found: &Found) -> Option<String> {
        let caller = found.visible.as_deref()?;
        let named = names(caller);
        let declared: Vec<u32> = self.devices(found).into_keys().collect();
        let indices: Option<Vec<u32>> = named.iter().map(|name| name.parse().ok()).collect();
        let shown = match (found.devices.is_empty(), indices) {
            (false, _) => self.beyond(found).is_empty(),
            (true, Some(indices)) => declared.iter().all(|index| indices.contains(index)),
            // Nobody tells which ones have these names.
            (true, None) => declared.len() <= named.len(),
        };
        let declared: Vec<String> = declared.iter().map(u32::to_string).collect();
        let text = || {
            format!(
                "the caller's `{VARIABLE}={caller}` does not show all devices that are declared ({}): they are used all the same",
                declared.join(", ")
            )
        };
        (!shown).then(text)
    }
}

/// The first `count` of those that are there; from 0 on where there are not as many.
fn first(count: u32, there: &[u32]) -> impl Iterator<Item = u32> {
    let there = there.get(..count as usize).map(<[u32]>::to_vec);
    there.unwrap_or_else(|| (0..count).collect()).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Request;

    const GIB: u64 = 1 << 30;

    fn found(devices: &[u32]) -> Found {
        let memory = Some(DeviceMemory { total: 24 * GIB, free: 20 * GIB });
        let device = |index: &u32| Device { index: *index, uuid: format!("GPU-{index}"), memory };
        Found { cpus: 8.0, memory: 32 * GIB, devices: devices.iter().map(device).collect(), visible: None }
    }

    fn gpus(pool: &Pool) -> Vec<u32> {
        pool.device_indices().collect()
    }

    #[test]
    fn what_is_declared_goes_before_what_is_found_each_for_itself() {
        let line = Declared { cpus: Some(3.0), ..Declared::default() };
        let tokens = BTreeMap::from([("tqsdk".to_owned(), 4.0)]);
        let file = Declared { cpus: Some(5.0), memory: Some(GIB), tokens, ..Declared::default() };
        let pool = line.over(file).pool(&found(&[0, 1]));
        assert_eq!(pool, {
            let pool = Pool::new(3.0, GIB, &[0, 1]).token("tqsdk", 4.0);
            pool.device_memory(0, 24 * GIB, 20 * GIB).device_memory(1, 24 * GIB, 20 * GIB)
        });
        assert_eq!(Declared::default().pool(&found(&[])), Pool::new(8.0, 32 * GIB, &[]));
    }

    #[test]
    fn a_number_of_devices_is_the_first_of_those_that_are_there_or_taken_at_its_word() {
        let declared = |count| Declared { devices: Some(Devices::Count(count)), ..Declared::default() };
        assert_eq!(gpus(&declared(4).pool(&found(&[]))), [0, 1, 2, 3]);
        assert_eq!(gpus(&declared(2).pool(&found(&[4, 5, 6, 7]))), [4, 5]);
        assert_eq!(gpus(&declared(2).pool(&found(&[0]))), [0, 1]);
        assert!(gpus(&declared(0).pool(&found(&[0]))).is_empty());
    }

    #[test]
    fn it_is_said_where_the_callers_variable_hides_what_is_declared() {
        let count = |count| Some(Devices::Count(count));
        let listed = |devices: &[u32]| Some(Devices::Listed(devices.iter().map(|device| (*device, None)).collect()));
        for (visible, there, devices, said) in [
            (None, &[][..], count(4), false),
            (Some(""), &[], None, false),
            (Some(""), &[], count(0), false),
            (Some(""), &[], count(1), true),
            (Some("-1"), &[], count(1), true),
            (Some("0"), &[], count(1), false),
            (Some("0"), &[], count(2), true),
            (Some("4,5"), &[], count(2), true),
            (Some("4,5"), &[], listed(&[5]), false),
            (Some("4,-1,5"), &[], listed(&[5]), true),
            (Some("GPU-1a,GPU-2b"), &[], count(2), false),
            (Some("GPU-1a,GPU-2b"), &[], count(3), true),
            (Some("GPU-4,GPU-5"), &[4, 5], count(2), false),
            (Some("GPU-4,GPU-5"), &[4, 5], count(3), true),
            (Some("4,5"), &[4, 5], listed(&[6]), true),
            (Some("4,9,5"), &[4], listed(&[5]), true),
        ] {
            let found = Found { visible: visible.map(str::to_owned), ..found(there) };
            let declared = Declared { devices, ..Declared::default() };
            let told = declared.contradiction(&found);
            assert_eq!(told.is_some(), said, "{visible:?} {declared:?}: {told:?}");
        }
    }

    #[test]
    fn the_memory_of_a_declared_device_is_as_declared_else_the_drivers_else_not_known() {
        let devices = BTreeMap::from([(0, Some(8 * GIB)), (1, None), (5, None)]);
        let declared = Declared { devices: Some(Devices::Listed(devices)), ..Declared::default() };
        let mut pool = declared.pool(&found(&[0, 1]));
        assert_eq!(gpus(&pool), [0, 1, 5]);
        let mut given = |memory| pool.take(&Request::new(0.0, 1.0).memory_on_each(memory));
        assert_eq!(given(12 * GIB), Some(vec![1]), "8 GiB were declared of the first");
        assert_eq!(given(1000 * GIB), Some(vec![5]), "nobody knows what it has");
        assert_eq!(given(8 * GIB), Some(vec![0]));
    }
}
