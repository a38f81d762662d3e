//! What a machine has, what a task asks for, and what is free. It knows no task and starts nothing.

use std::collections::BTreeMap;
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
    /// Whether it can do without devices.
    optional: bool,
}

/// What is free, or what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    amounts: BTreeMap<String, u64>,
    /// Free thousandths of each device, by index.
    devices: BTreeMap<u32, u64>,
}

/// A request that this machine can never meet.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("it asks for {asked} {name}, and this machine has {has}")]
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

impl Request {
    /// `cpu` cores and `gpu` devices: whole ones, or a fraction of one.
    pub fn new(cpu: f64, gpu: f64) -> Self {
        let amounts = BTreeMap::from([(CPU.to_owned(), thousandths(cpu))]);
        Self { amounts, devices: thousandths(gpu), optional: false }
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
}

impl Pool {
    /// A machine with `cpus` cores, `memory` bytes, and these devices.
    pub fn new(cpus: f64, memory: u64, devices: &[u32]) -> Self {
        Self {
            amounts: BTreeMap::from([(CPU.to_owned(), thousandths(cpus)), (MEMORY.to_owned(), memory)]),
            devices: devices.iter().map(|device| (*device, thousandths(1.0))).collect(),
        }
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

    /// Whether a machine that has all of this pool can ever meet `request`.
    ///
    /// # Errors
    /// The first resource of which there is too little.
    pub fn admits(&self, request: &Request) -> Result<(), TooMuch> {
        self.lacks(request).into_iter().next().map_or(Ok(()), Err)
    }

    /// All resources of which a machine that has all of this pool has too little for `request`.
    pub fn lacks(&self, request: &Request) -> Vec<TooMuch> {
        let amounts = request.amounts.iter().map(|(name, asked)| {
            let has = self.amounts.get(name).copied().unwrap_or(0);
            (name.as_str(), *asked, has)
        });
        let devices = ("gpu", request.devices, self.devices.len() as u64 * thousandths(1.0));
        let lacking = amounts.chain([devices]).filter(|(_, asked, has)| asked > has);
        let too_much = |(name, asked, has): (&str, u64, u64)| TooMuch {
            asked: shown(name, asked),
            has: shown(name, has),
            name: name.to_owned(),
        };
        lacking.map(too_much).collect()
    }

    /// What `request` comes to on a machine that has all of this pool: without optional devices where there are too few.
    pub fn settle(&self, mut request: Request) -> Request {
        if request.optional && request.devices > self.devices.len() as u64 * thousandths(1.0) {
            request.devices = 0;
        }
        request
    }

    /// The devices that `request` would get, or `None` where it does not fit now.
    pub fn fit(&self, request: &Request) -> Option<Vec<u32>> {
        let has = |(name, asked): (&String, &u64)| self.amounts.get(name).copied().unwrap_or(0) >= *asked;
        let devices = self.choose(request.devices)?;
        request.amounts.iter().all(has).then_some(devices)
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
        for device in devices {
            if let Some(free) = self.devices.get_mut(device) {
                *free = free.saturating_sub(request.devices.min(thousandths(1.0)));
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
                *free += request.devices.min(thousandths(1.0));
            }
        }
    }

    /// Keeps what is free for `request`, so that nothing that comes later takes it: devices first, then tokens, memory
    /// and cores, up to the first of which there is too little. What has to be waited for most keeps nothing else idle
    /// meanwhile; once it is there, the next is gathered.
    pub fn reserve(&mut self, request: &Request) {
        if !self.reserve_devices(request.devices) {
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

    /// Whether there are enough.
    fn reserve_devices(&mut self, wanted: u64) -> bool {
        if let Some(devices) = self.choose(wanted) {
            for device in &devices {
                if let Some(free) = self.devices.get_mut(device) {
                    *free = free.saturating_sub(wanted.min(thousandths(1.0)));
                }
            }
            return true;
        }
        let mut wanted = wanted;
        for free in self.devices.values_mut() {
            let kept = wanted.min(*free);
            *free -= kept;
            wanted -= kept;
        }
        false
    }

    /// Devices for a request: a share goes to the fullest device with room, whole ones to neighbours where they are.
    fn choose(&self, wanted: u64) -> Option<Vec<u32>> {
        let whole = thousandths(1.0);
        if wanted == 0 {
            return Some(Vec::new());
        }
        if wanted < whole {
            let device = self.devices.iter().filter(|(_, free)| **free >= wanted).min_by_key(|(_, free)| **free)?;
            return Some(vec![*device.0]);
        }
        let count = wanted.div_ceil(whole) as usize;
        let free: Vec<u32> = self.devices.iter().filter(|(_, free)| **free == whole).map(|(index, _)| *index).collect();
        free.windows(count).min_by_key(|window| window[count - 1] - window[0]).map(<[u32]>::to_vec)
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
            parts.push(format!("gpu {}", shown("gpu", self.devices)));
        }
        f.write_str(&parts.join(", "))
    }
}

fn thousandths(amount: f64) -> u64 {
    (amount * UNIT).round() as u64
}

fn shown(name: &str, amount: u64) -> String {
    if name == MEMORY {
        format!("{:.1} GiB", amount as f64 / f64::from(1 << 30))
    } else {
        (amount as f64 / UNIT).to_string()
    }
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
    fn more_than_the_machine_has_is_refused_by_name() {
        let machine = Pool::new(2.0, 1 << 30, &[]);
        let error = machine.admits(&Request::new(1.0, 1.0)).unwrap_err();
        assert_eq!(error.to_string(), "it asks for 1 gpu, and this machine has 0");
        assert!(machine.admits(&Request::new(1.0, 0.0).token("tqsdk", 1.0)).is_err());
    }
}
