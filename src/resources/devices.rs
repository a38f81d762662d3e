//! The devices of a machine: which of them a request gets.

use std::collections::{BTreeMap, BTreeSet};

use super::{GPU, Request, TooMuch, WHOLE, bytes, shown};

/// Devices, and what is free of each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Devices {
    /// Free thousandths of each, by index.
    free: BTreeMap<u32, u64>,
    /// The memory of those of which it is known.
    memory: BTreeMap<u32, Memory>,
    /// Those that are given only where a request cannot be met without them.
    aside: BTreeSet<u32>,
}

/// The memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    total: u64,
    /// What no task was given.
    free: u64,
    /// What others than the tasks used when the machine was looked at.
    others: u64,
}

impl Devices {
    pub(super) fn new(indices: &[u32]) -> Self {
        let free = indices.iter().map(|index| (*index, WHOLE)).collect();
        Self { free, memory: BTreeMap::new(), aside: BTreeSet::new() }
    }

    pub(super) fn has_memory(&mut self, device: u32, total: u64, free: u64) {
        self.memory.insert(device, Memory { total, free: total, others: total.saturating_sub(free) });
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        self.free.keys().copied()
    }

    /// Thousandths, all together.
    pub(super) fn free(&self) -> u64 {
        self.free.values().sum()
    }

    /// What is lacking for a request if nothing else ran.
    pub(super) fn lacks(&self, request: &Request) -> Option<TooMuch> {
        if request.devices <= self.usable(request).count() as u64 * WHOLE {
            return None;
        }
        let (mut asked, mut has) = (format!("{} {GPU}", shown(GPU, request.devices)), self.free.len().to_string());
        if request.device_memory > 0 && !self.free.is_empty() {
            let most = self.memory.values().map(|memory| memory.total).max().unwrap_or_default();
            asked.push_str(&format!(" with {}", bytes(request.device_memory)));
            has = format!("{} of {has} with as much ({} at most)", self.usable(request).count(), bytes(most));
        }
        Some(TooMuch { name: GPU.to_owned(), asked, has })
    }

    /// Those that could be given for a request if nothing else ran.
    pub(super) fn usable(&self, request: &Request) -> impl Iterator<Item = u32> {
        let enough = |device: &u32| self.memory.get(device).is_none_or(|has| has.total >= request.device_memory);
        self.free.keys().copied().filter(enough)
    }

    /// Takes of each of these what `request` asks of it.
    pub(super) fn take(&mut self, request: &Request, devices: &[u32]) {
        for device in devices {
            if let Some(free) = self.free.get_mut(device) {
                *free = free.saturating_sub(request.devices.min(WHOLE));
            }
            if let Some(memory) = self.memory.get_mut(device) {
                memory.free = memory.free.saturating_sub(request.device_memory);
            }
        }
    }

    /// Gives back what [`Devices::take`] took.
    pub(super) fn give_back(&mut self, request: &Request, devices: &[u32]) {
        for device in devices {
            if let Some(free) = self.free.get_mut(device) {
                *free += request.devices.min(WHOLE);
            }
            if let Some(memory) = self.memory.get_mut(device) {
                memory.free += request.device_memory;
            }
        }
    }

    /// Keeps what is free for a request. Whether that is enough for it.
    pub(super) fn reserve(&mut self, request: &Request) -> bool {
        if let Some(devices) = self.choose(request) {
            self.take(request, &devices);
            return true;
        }
        let mut wanted = request.devices;
        let spared = self.spared(request);
        let usable: Vec<u32> = self.usable(request).filter(|device| !spared.contains(device)).collect();
        for device in usable {
            let Some(free) = self.free.get_mut(&device) else { continue };
            let kept = wanted.min(*free);
            *free -= kept;
            wanted -= kept;
        }
        false
    }

    /// Takes all others away, where any is named; gives them to be shown again.
    pub(super) fn hide_all_but(&mut self, devices: &[u32]) -> BTreeMap<u32, u64> {
        let is_other = |device: &u32| !devices.is_empty() && !devices.contains(device);
        self.free.extract_if(.., |device, _| is_other(device)).collect()
    }

    pub(super) fn show(&mut self, hidden: BTreeMap<u32, u64>) {
        self.free.extend(hidden);
    }

    /// Those for a request: a share goes to the fullest device with room, whole ones to neighbours where they are. Of
    /// what it had better not get, as little as can be; then those come first on which others leave as much memory as is
    /// asked for.
    pub(super) fn choose(&self, request: &Request) -> Option<Vec<u32>> {
        let wanted = request.devices;
        if wanted == 0 {
            return Some(Vec::new());
        }
        let spared = self.spared(request);
        let mut free = self.free.iter().filter(|(device, free)| {
            let has = |memory: &Memory| memory.free >= request.device_memory;
            !spared.contains(device) && **free >= wanted.min(WHOLE) && self.memory.get(device).is_none_or(has)
        });
        if wanted < WHOLE {
            let device = free.min_by_key(|(device, free)| (self.crowded(request, **device), **free))?;
            return Some(vec![*device.0]);
        }
        let count = wanted.div_ceil(WHOLE) as usize;
        let free: Vec<u32> = free.by_ref().map(|(index, _)| *index).collect();
        let crowded = |window: &[u32]| window.iter().filter(|device| self.crowded(request, **device)).count();
        let spread = |window: &[u32]| window.last().zip(window.first()).map_or(0, |(last, first)| last - first);
        let shunned = |device: &&u32| request.avoids.contains(device) || self.aside.contains(device);
        let shunned = |window: &[u32]| window.iter().filter(shunned).count();
        let best = free.windows(count).min_by_key(|window| (shunned(window), crowded(window), spread(window)));
        best.map(<[u32]>::to_vec)
    }

    pub(super) fn set_aside(&mut self, device: u32, aside: bool) {
        if aside {
            self.aside.insert(device)
        } else {
            self.aside.remove(&device)
        };
    }

    /// Those that a request is not given, as it can do without them. What it avoids goes before what is set aside: that may
    /// have failed others alone.
    fn spared(&self, request: &Request) -> BTreeSet<u32> {
        if self.aside.is_empty() && request.avoids.is_empty() {
            return BTreeSet::new();
        }
        let all = &self.aside | &request.avoids;
        let spared = [&all, &request.avoids, &self.aside].into_iter().find(|without| self.suffice(request, without));
        spared.cloned().unwrap_or_default()
    }

    /// Whether a request could be met without these if nothing else ran.
    pub(super) fn suffice(&self, request: &Request, without: &BTreeSet<u32>) -> bool {
        let others = self.usable(request).filter(|device| !without.contains(device)).count() as u64;
        request.devices <= others * WHOLE
    }

    /// Whether others use so much of a device's memory that the request may not find what it asks for.
    fn crowded(&self, request: &Request, device: u32) -> bool {
        let memory = self.memory.get(&device).filter(|_| request.device_memory > 0);
        memory.is_some_and(|memory| memory.free.saturating_sub(memory.others) < request.device_memory)
    }
}
