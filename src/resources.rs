//! What a machine has, what a task asks for, and what is free. It knows no task and starts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

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
}

/// What is free, or what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    amounts: BTreeMap<String, u64>,
    /// Free thousandths of each device, by index.
    devices: BTreeMap<u32, u64>,
    /// The memory of each device of which it is known.
    device_memory: BTreeMap<u32, DeviceMemory>,
    /// Devices that are given only where a request cannot be met without them.
    aside: BTreeSet<u32>,
}

/// The memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeviceMemory {
    total: u64,
    /// What no task was given.
    free: u64,
    /// What others than the tasks used when the machine was looked at.
    others: u64,
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

impl Pool {
    /// A machine with `cpus` cores, `memory` bytes, and these devices.
    pub fn new(cpus: f64, memory: u64, devices: &[u32]) -> Self {
        Self {
            amounts: BTreeMap::from([(CPU.to_owned(), thousandths(cpus)), (MEMORY.to_owned(), memory)]),
            devices: devices.iter().map(|device| (*device, WHOLE)).collect(),
            device_memory: BTreeMap::new(),
            aside: BTreeSet::new(),
        }
    }

    /// The memory of a device: all of it, and what nobody uses now. Of a device of which it is not said, any is taken to be
    /// enough.
    #[must_use]
    pub fn device_memory(mut self, device: u32, total: u64, free: u64) -> Self {
        let memory = DeviceMemory { total, free: total, others: total.saturating_sub(free) };
        self.device_memory.insert(device, memory);
        self
    }

    /// The indices of the devices.
    pub fn device_indices(&self) -> impl Iterator<Item = u32> {
        self.devices.keys().copied()
    }

    /// The names of what a task may ask for, beside devices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.amounts.keys().map(String::as_str)
    }

    /// Also an amount of a token.
    #[must_use]
    pub fn token(mut self, name: &str, amount: f64) -> Self {
        self.amounts.insert(name.to_owned(), thousandths(amount));
        self
    }

    /// Bytes of memory.
    pub fn memory(&self) -> u64 {
        self.amounts.get(MEMORY).copied().unwrap_or_default()
    }

    /// All that there is, by name: thousandths, and bytes of memory.
    pub fn amounts(&self) -> impl Iterator<Item = (&str, u64)> {
        let devices = ("gpu", self.devices.values().sum());
        self.amounts.iter().map(|(name, amount)| (name.as_str(), *amount)).chain([devices])
    }

    /// Whether a machine that has all of this pool can ever meet `request`.
    ///
    /// # Errors
    /// The first resource of which there is too little.
    pub fn admits(&self, request: &Request) -> Result<(), TooMuch> {
        self.lacks(request).into_iter().next().map_or(Ok(()), Err)
    }

    /// All resources of which a machine that has all of this pool has too little for `request`.
    pub fn lacks(&self, request: &Request) -> Vec<TooMuch> {
        let amounts = request.amounts.iter().map(|(name, asked)| (name, *asked, self.amount(name)));
        let lacking = amounts.filter(|(_, asked, has)| asked > has);
        let too_much = |(name, asked, has): (&String, u64, u64)| TooMuch {
            asked: format!("{} {name}", shown(name, asked)),
            has: shown(name, has),
            name: name.clone(),
        };
        lacking.map(too_much).chain(self.lacks_devices(request)).collect()
    }

    fn lacks_devices(&self, request: &Request) -> Option<TooMuch> {
        if request.devices <= self.usable(request).count() as u64 * WHOLE {
            return None;
        }
        let (mut asked, mut has) = (format!("{} {GPU}", shown(GPU, request.devices)), self.devices.len().to_string());
        if request.device_memory > 0 && !self.devices.is_empty() {
            let most = self.device_memory.values().map(|memory| memory.total).max().unwrap_or_default();
            asked.push_str(&format!(" with {}", bytes(request.device_memory)));
            has = format!("{} of {has} with as much ({} at most)", self.usable(request).count(), bytes(most));
        }
        Some(TooMuch { name: GPU.to_owned(), asked, has })
    }

    /// The devices that could be given for a request if nothing else ran.
    fn usable(&self, request: &Request) -> impl Iterator<Item = u32> {
        let enough = |device: &u32| self.device_memory.get(device).is_none_or(|has| has.total >= request.device_memory);
        self.devices.keys().copied().filter(enough)
    }

    fn amount(&self, name: &str) -> u64 {
        self.amounts.get(name).copied().unwrap_or(0)
    }

    /// What `request` comes to on a machine that has all of this pool: without optional devices where there are too few.
    pub fn settle(&self, mut request: Request) -> Request {
        if request.optional && self.lacks_devices(&request).is_some() {
            request.devices = 0;
        }
        request
    }

    /// The devices that `request` would get, or `None` where it does not fit now.
    pub fn fit(&self, request: &Request) -> Option<Vec<u32>> {
        let devices = self.choose(request)?;
        request.amounts.iter().all(|(name, asked)| self.amount(name) >= *asked).then_some(devices)
    }

    /// Takes `request` out of the pool: the devices given, or `None` where it does not fit now.
    pub fn take(&mut self, request: &Request) -> Option<Vec<u32>> {
        let devices = self.fit(request)?;
        self.take_devices(request, &devices);
        Some(devices)
    }

    /// Takes `request` with the devices that were chosen for it.
    pub fn take_devices(&mut self, request: &Request, devices: &[u32]) {
        for (name, asked) in &request.amounts {
            if let Some(free) = self.amounts.get_mut(name) {
                *free = free.saturating_sub(*asked);
            }
        }
        self.hold(request, devices);
    }

    /// Takes of each of the devices what `request` asks of it.
    fn hold(&mut self, request: &Request, devices: &[u32]) {
        for device in devices {
            if let Some(free) = self.devices.get_mut(device) {
                *free = free.saturating_sub(request.devices.min(WHOLE));
            }
            if let Some(memory) = self.device_memory.get_mut(device) {
                memory.free = memory.free.saturating_sub(request.device_memory);
            }
        }
    }

    /// Gives back what [`Pool::take`] gave.
    pub fn give_back(&mut self, request: &Request, devices: &[u32]) {
        for (name, asked) in &request.amounts {
            if let Some(free) = self.amounts.get_mut(name) {
                *free += asked;
            }
        }
        for device in devices {
            if let Some(free) = self.devices.get_mut(device) {
                *free += request.devices.min(WHOLE);
            }
            if let Some(memory) = self.device_memory.get_mut(device) {
                memory.free += request.device_memory;
            }
        }
    }

    /// Keeps what is free for `request`, so that nothing that comes later takes it: devices first, then tokens, memory
    /// and cores, up to the first of which there is too little. What has to be waited for most keeps nothing else idle
    /// meanwhile; once it is there, the next is gathered.
    pub fn reserve(&mut self, request: &Request) {
        if !self.reserve_devices(request) {
            return;
        }
        let place = |name: &str| [MEMORY, CPU].iter().position(|last| *last == name).map_or(0, |place| place + 1);
        let mut asked: Vec<(&String, &u64)> = request.amounts.iter().collect();
        asked.sort_by_key(|(name, _)| place(name));
        for (name, asked) in asked {
            let free = self.amounts.entry(name.clone()).or_default();
            let enough = *free >= *asked;
            *free = free.saturating_sub(*asked);
            if !enough {
                return;
            }
        }
    }

    /// The same for a request that could use these devices alone: all, where none is named.
    pub fn reserve_of(&mut self, request: &Request, devices: &[u32]) {
        let others: Vec<u32> =
            self.devices.keys().copied().filter(|device| !devices.is_empty() && !devices.contains(device)).collect();
        let hidden: Vec<_> = others.iter().filter_map(|device| self.devices.remove_entry(device)).collect();
        self.reserve(request);
        self.devices.extend(hidden);
    }

    /// Whether there are enough.
    fn reserve_devices(&mut self, request: &Request) -> bool {
        if let Some(devices) = self.choose(request) {
            self.hold(request, &devices);
            return true;
        }
        let mut wanted = request.devices;
        let spared = self.spares(request);
        let usable: Vec<u32> = self.usable(request).filter(|device| !(spared && self.aside.contains(device))).collect();
        for device in usable {
            let Some(free) = self.devices.get_mut(&device) else { continue };
            let kept = wanted.min(*free);
            *free -= kept;
            wanted -= kept;
        }
        false
    }

    /// Devices for a request: a share goes to the fullest device with room, whole ones to neighbours where they are. Those
    /// come first on which others leave as much memory as is asked for.
    fn choose(&self, request: &Request) -> Option<Vec<u32>> {
        let wanted = request.devices;
        if wanted == 0 {
            return Some(Vec::new());
        }
        let spared = self.spares(request);
        let mut free = self.devices.iter().filter(|(device, free)| {
            let has = |memory: &DeviceMemory| memory.free >= request.device_memory;
            !(spared && self.aside.contains(device))
                && **free >= wanted.min(WHOLE)
                && self.device_memory.get(device).is_none_or(has)
        });
        if wanted < WHOLE {
            let device = free.min_by_key(|(device, free)| (self.crowded(request, **device), **free))?;
            return Some(vec![*device.0]);
        }
        let count = wanted.div_ceil(WHOLE) as usize;
        let free: Vec<u32> = free.by_ref().map(|(index, _)| *index).collect();
        let crowded = |window: &[u32]| window.iter().filter(|device| self.crowded(request, **device)).count();
        let spread = |window: &[u32]| window.last().zip(window.first()).map_or(0, |(last, first)| last - first);
        free.windows(count).min_by_key(|window| (crowded(window), spread(window))).map(<[u32]>::to_vec)
    }

    /// Sets a device aside: it is given only where a request cannot be met without it. Or it is like any other again.
    pub fn set_aside(&mut self, device: u32, aside: bool) {
        if aside {
            self.aside.insert(device)
        } else {
            self.aside.remove(&device)
        };
    }

    /// Whether a machine that has all of this pool could meet a request for one device, or part of one, without this one.
    pub fn others_for(&self, request: &Request, device: u32) -> bool {
        self.usable(request).any(|other| other != device)
    }

    /// Whether a request can be met without the devices that are set aside.
    fn spares(&self, request: &Request) -> bool {
        let others = || self.usable(request).filter(|device| !self.aside.contains(device)).count() as u64;
        !self.aside.is_empty() && request.devices <= others() * WHOLE
    }

    /// Whether others use so much of a device's memory that the request may not find what it asks for.
    fn crowded(&self, request: &Request, device: u32) -> bool {
        let memory = self.device_memory.get(&device).filter(|_| request.device_memory > 0);
        memory.is_some_and(|memory| memory.free.saturating_sub(memory.others) < request.device_memory)
    }
}

/// What a request comes to on a cluster of these nodes, one of which has to have all of it: without optional devices where
/// no node has enough.
///
/// # Errors
/// The request, where no node can ever meet it.
pub fn settle_on(nodes: &[Pool], request: Request) -> Result<Request, Request> {
    let without = Pool::new(0.0, 0, &[]).settle(request.clone());
    let has = |request: &Request| nodes.iter().any(|node| node.admits(request).is_ok());
    [request.clone(), without].into_iter().find(has).ok_or(request)
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
    format!("{:.1} GiB", amount as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod shares;

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
    fn more_than_the_machine_has_is_refused_by_name() {
        let machine = Pool::new(2.0, 1 << 30, &[]);
        let error = machine.admits(&Request::new(1.0, 1.0)).unwrap_err();
        assert_eq!(error.to_string(), "it asks for 1 gpu, and this machine has 0");
        assert!(machine.admits(&Request::new(1.0, 0.0).token("tqsdk", 1.0)).is_err());
    }
}
