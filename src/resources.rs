//! What a machine has, what a task asks for, and what is free. It knows no task and starts nothing.

mod devices;
mod pool;
#[cfg(test)]
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use pool::{Pool, settle_on};

/// Amounts are kept in thousandths, so that fractions of a core or device add up exactly.
const UNIT: f64 = 1000.0;

/// What a task asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Request {
    /// Cores, memory (`memory`, bytes) and tokens: name → thousandths (memory: bytes).
    amounts: BTreeMap<String, u64>,
    /// Devices: whole ones, or a share of one (thousandths below 1000).
    devices: u64,
    /// Bytes of memory on each of them.
    #[serde(default)]
    device_memory: u64,
    /// Whether it can do without devices.
    optional: bool,
    /// Devices that it gets only where it cannot do without them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    avoids: BTreeSet<u32>,
}

/// A request that this machine can never meet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("it asks for {asked}, and this machine has {has}")]
pub struct TooMuch {
    /// The resource.
    pub name: String,
    asked: String,
    has: String,
}

/// The name under which cores are counted.
pub const CPU: &str = "cpu";
/// The name under which memory is counted, in bytes.
pub const MEMORY: &str = "memory";
/// The name of devices.
pub const GPU: &str = "gpu";
/// A whole device.
const WHOLE: u64 = 1000;

impl Request {
    /// `cpu` cores and `gpu` devices: whole ones, or a fraction of one.
    pub fn new(cpu: f64, gpu: f64) -> Self {
        let amounts = BTreeMap::from([(CPU.to_owned(), thousandths(cpu))]);
        Self { amounts, devices: thousandths(gpu), ..Self::default() }
    }

    /// It runs without devices where the machine has too few.
    #[must_use]
    pub fn devices_optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.devices == 0 && self.amounts.values().all(|amount| *amount == 0)
    }

    /// `bytes` of memory on each of its devices.
    #[must_use]
    pub fn memory_on_each(mut self, bytes: u64) -> Self {
        self.device_memory = bytes;
        self
    }

    /// It gets these devices only where it cannot do without them.
    #[must_use]
    pub fn avoiding(mut self, devices: &BTreeSet<u32>) -> Self {
        self.avoids.extend(devices);
        self
    }

    /// Whether it asks for devices.
    pub fn wants_devices(&self) -> bool {
        self.devices > 0
    }

    /// Also `bytes` of memory.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.amounts.insert(MEMORY.to_owned(), bytes);
        self
    }

    /// Also an amount of a token that the machine declares.
    #[must_use]
    pub fn token(mut self, name: &str, amount: f64) -> Self {
        self.amounts.insert(name.to_owned(), thousandths(amount));
        self
    }

    /// How much it asks for of what is scarce: devices, then cores. Made for comparing.
    pub fn width(&self) -> u64 {
        let cores = self.amounts.get(CPU).copied().unwrap_or_default();
        (self.devices << 32) + cores.min(u64::from(u32::MAX))
    }

    /// All that it asks for, by name: thousandths, and bytes of memory.
    pub fn amounts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.amounts.iter().map(|(name, amount)| (name.as_str(), *amount)).chain([("gpu", self.devices)])
    }

    /// How many cores.
    pub fn cpus(&self) -> f64 {
        self.amounts.get(CPU).map_or(0.0, |amount| *amount as f64 / UNIT)
    }

    /// Bytes of memory, where it says.
    pub fn bytes(&self) -> Option<u64> {
        self.amounts.get(MEMORY).copied()
    }

    /// Whether both ask for something of the same: of devices, where this one wants any.
    pub fn contends(&self, other: &Self) -> bool {
        let asks = |request: &Self, name: &str| request.amounts.get(name).is_some_and(|amount| *amount > 0);
        match self.devices {
            0 => self.amounts.keys().any(|name| asks(self, name) && asks(other, name)),
            _ => other.devices > 0,
        }
    }

    /// How many devices.
    pub fn devices(&self) -> f64 {
        self.devices as f64 / UNIT
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self
            .amounts
            .iter()
            .filter(|(_, amount)| **amount > 0)
            .map(|(name, amount)| format!("{name} {}", shown(name, *amount)))
            .collect();
        if self.devices > 0 {
            parts.push(format!("{GPU} {}", shown(GPU, self.devices)));
            if self.device_memory > 0 {
                parts.push(format!("{} on each", bytes(self.device_memory)));
            }
        }
        f.write_str(&parts.join(", "))
    }
}

fn thousandths(amount: f64) -> u64 {
    (amount * UNIT).round() as u64
}

fn shown(name: &str, amount: u64) -> String {
    if name == MEMORY { bytes(amount) } else { (amount as f64 / UNIT).to_string() }
}

fn bytes(amount: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = units.into_iter().find(|(_, bits)| amount >> bits > 0);
    fits.map_or_else(
        || format!("{amount} B"),
        |(unit, bits)| format!("{:.1} {unit}", amount as f64 / (1_u64 << bits) as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back() {
        let machine = Pool::new(2.0, 1 << 30, &[0, 1]);
        let request = Request::new(0.5, 0.5).memory(1 << 20).token("tqsdk", 0.0);
        let mut free = machine.clone();
        let devices = free.take(&request).unwrap();
        assert_ne!(free, machine);
        free.give_back(&request, &devices);
        assert_eq!(free, machine);
    }

    #[test]
    fn two_halves_share_a_device() {
        let mut free = Pool::new(8.0, 0, &[0, 1]);
        let half = Request::new(0.0, 0.5);
        assert_eq!(free.take(&half), Some(vec![0]));
        assert_eq!(free.take(&half), Some(vec![0]));
        assert_eq!(free.take(&Request::new(0.0, 1.0)), Some(vec![1]));
        assert_eq!(free.take(&half), None);
    }

    #[test]
    fn a_gang_gets_neighbours() {
        let mut free = Pool::new(8.0, 0, &[0, 1, 2, 3, 4]);
        free.take(&Request::new(0.0, 1.0)).unwrap();
        assert_eq!(free.take(&Request::new(0.0, 2.0)), Some(vec![1, 2]));
    }

    #[test]
    fn optional_devices_are_done_without() {
        let machine = Pool::new(2.0, 0, &[]);
        let request = machine.settle(Request::new(1.0, 1.0).devices_optional());
        assert_eq!(machine.admits(&request), Ok(()));
        assert_eq!(machine.clone().take(&request), Some(vec![]));
    }

    #[test]
    fn one_node_has_to_have_all_of_a_request() {
        let nodes = [Pool::new(64.0, 1 << 30, &[]), Pool::new(8.0, 1 << 30, &[0, 1])];
        let fits = Request::new(8.0, 2.0);
        assert_eq!(settle_on(&nodes, fits.clone()), Ok(fits));
        let spread = Request::new(16.0, 1.0);
        assert_eq!(settle_on(&nodes, spread.clone()), Err(spread.clone()));
        assert_eq!(settle_on(&nodes, spread.devices_optional()).map(|request| request.devices()), Ok(0.0));
    }

    #[test]
    fn what_is_asked_for_is_shown_in_units_that_fit() {
        for (bytes, shown) in
            [(512, "512 B"), (3 << 10, "3.0 KiB"), (3_774_874, "3.6 MiB"), (16 << 30, "16.0 GiB"), (3 << 39, "1.5 TiB")]
        {
            assert_eq!(Request::new(0.5, 0.0).memory(bytes).to_string(), format!("cpu 0.5, memory {shown}"));
        }
    }

    #[test]
    fn more_than_the_machine_has_is_refused_by_name() {
        let machine = Pool::new(2.0, 1 << 30, &[]);
        let error = machine.admits(&Request::new(1.0, 1.0)).unwrap_err();
        assert_eq!(error.to_string(), "it asks for 1 gpu, and this machine has 0");
        assert!(machine.admits(&Request::new(1.0, 0.0).token("tqsdk", 1.0)).is_err());
    }
}
