//! What is free, or what there is: cores, memory and tokens, and with them the [`Devices`].

use std::collections::BTreeMap;

use super::devices::Devices;
use super::{CPU, MEMORY, Request, TooMuch, shown, thousandths};

/// What is free, or what there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    amounts: BTreeMap<String, u64>,
    devices: Devices,
}

impl Pool {
    /// A machine with `cpus` cores, `memory` bytes, and these devices.
    pub fn new(cpus: f64, memory: u64, devices: &[u32]) -> Self {
        Self {
            amounts: BTreeMap::from([(CPU.to_owned(), thousandths(cpus)), (MEMORY.to_owned(), memory)]),
            devices: Devices::new(devices),
        }
    }

    /// The memory of a device: all of it, and what nobody uses now. Of a device of which it is not said, any is taken to be
    /// enough.
    #[must_use]
    pub fn device_memory(mut self, device: u32, total: u64, free: u64) -> Self {
        self.devices.has_memory(device, total, free);
        self
    }

    /// The indices of the devices.
    pub fn device_indices(&self) -> impl Iterator<Item = u32> {
        self.devices.indices()
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
        let devices = ("gpu", self.devices.free());
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
        lacking.map(too_much).chain(self.devices.lacks(request)).collect()
    }

    fn amount(&self, name: &str) -> u64 {
        self.amounts.get(name).copied().unwrap_or(0)
    }

    /// What `request` comes to on a machine that has all of this pool: without optional devices where there are too few.
    pub fn settle(&self, mut request: Request) -> Request {
        if request.optional && self.devices.lacks(&request).is_some() {
            request.devices = 0;
        }
        request
    }

    /// The devices that `request` would get, or `None` where it does not fit now.
    pub fn fit(&self, request: &Request) -> Option<Vec<u32>> {
        let enough = request.amounts.iter().all(|(name, asked)| self.amount(name) >= *asked);
        if enough { self.devices.choose(request) } else { None }
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
        self.devices.take(request, devices);
    }

    /// Gives back what [`Pool::take`] gave.
    pub fn give_back(&mut self, request: &Request, devices: &[u32]) {
        for (name, asked) in &request.amounts {
            if let Some(free) = self.amounts.get_mut(name) {
                *free += asked;
            }
        }
        self.devices.give_back(request, devices);
    }

    /// Keeps what is free for `request`, so that nothing that comes later takes it: devices first, then tokens, memory
    /// and cores, up to the first of which there is too little. What has to be waited for most keeps nothing else idle
    /// meanwhile; once it is there, the next is gathered.
    pub fn reserve(&mut self, request: &Request) {
        if !self.devices.reserve(request) {
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

    /// The same for a request that could use these devices alone; all, where none is named.
    pub fn reserve_of(&mut self, request: &Request, devices: &[u32]) {
        let hidden = self.devices.hide_all_but(devices);
        self.reserve(request);
        self.devices.show(hidden);
    }

    /// Sets a device aside: it is given only where a request cannot be met without it. Or it is like any other again.
    pub fn set_aside(&mut self, device: u32, aside: bool) {
        self.devices.set_aside(device, aside);
    }

    /// Whether a machine that has all of this pool can meet a request without the devices that it avoids.
    pub fn spares(&self, request: &Request) -> bool {
        self.devices.suffice(request, &request.avoids)
    }

    /// Whether a machine that has all of this pool can meet a request with fewer of the devices that it avoids than all.
    pub fn has_others(&self, request: &Request) -> bool {
        self.devices.usable(request).any(|device| !request.avoids.contains(&device))
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
