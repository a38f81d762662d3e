//! Who computes what: so that of several machines one executes a task and the others wait for its result.
//!
//! A claim is `claims/<key>/<n>.json`, where n grows with each time that a claim was taken over. Whoever creates the
//! highest number has it. Its holder writes it again from time to time; one that stays as it is for [`LOST`] is of a runner
//! that is gone, and the next number may be created. Nobody's clock is compared with another's. A runner of this machine
//! that has ended is seen at once.
//!
//! A claim saves work and protects nothing: a runner that was stopped and goes on later may execute what another one has
//! executed meanwhile. Both results are recorded then, as two executions of one key.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ulid::Ulid;

use super::bucket::{Bucket, each};
use super::{Remote, RemoteError, number};
use crate::cache::{Cache, Result};
use crate::hash::Hash;
use crate::sync::lock;

/// How often a claim is written again.
const BEAT: Duration = Duration::from_secs(15);
/// After so long without that, its holder is taken to be gone.
const LOST: Duration = Duration::from_secs(60);
/// How often it is tried where others are faster each time.
const ATTEMPTS: usize = 5;

/// What a claim says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Body {
    /// For people.
    holder: Value,
    /// The machine, as long as it is not started anew, and the space of its process numbers; none where that cannot be told.
    machine: Option<(String, PathBuf)>,
    /// The process there.
    pid: u32,
    /// How often it was written.
    beat: u64,
    /// No two have the same: by it, one is known to be there whose answer did not come.
    id: String,
}

impl Body {
    fn of(holder: Value) -> Self {
        Self { holder, machine: machine(), pid: std::process::id(), beat: 0, id: Ulid::generate().to_string() }
    }

    /// Whether it is seen that its process has ended.
    fn is_dead(&self) -> bool {
        let here = self.machine.is_some() && self.machine == machine();
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        here && pid.is_some_and(gone)
    }

    fn bytes(&self) -> Vec<u8> {
        // It has no map with keys that are no text.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// This machine since it was started.
fn machine() -> Option<(String, PathBuf)> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some((boot.trim().to_owned(), std::fs::read_link("/proc/self/ns/pid").ok()?))
}

/// The right to execute a key, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    key: Hash,
    desk: Arc<Desk>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut desk = lock(&self.desk.state);
        if let Some((n, _)) = desk.held.remove(&self.key) {
            desk.over.push((self.key, n));
        }
        self.desk.changed.notify_all();
    }
}

/// What came of asking for a claim.
#[derive(Debug)]
pub enum Claimed {
    /// It is this runner's.
    Got(Claim),
    /// It is of another one, who is this, as it was said when it was claimed.
    Busy(Value),
}

/// What somebody who waits for a claim has seen of it.
#[derive(Debug, Default)]
pub struct Watch(Option<(String, Instant)>);

impl Watch {
    /// Whether nothing has changed for too long.
    fn is_lost(&mut self, seen: String, lost: Duration) -> bool {
        match &self.0 {
            Some((before, since)) if *before == seen => since.elapsed() >= lost,
            _ => {
                self.0 = Some((seen, Instant::now()));
                false
            }
        }
    }
}

impl Cache {
    /// Claims the execution of a key among all machines; `None` where the cache is not shared, or the shared one does not
    /// answer, which is told. `holder` is who asks, for others to see; `watch` is what the same one has seen before.
    ///
    /// # Errors
    /// What the file system says.
    pub fn claim(&self, key: &Hash, holder: &Value, watch: &mut Watch) -> Result<Option<Claimed>> {
        let Some(remote) = &self.remote else { return Ok(None) };
        let claimed = remote.ask(|| Ok(Some(remote.claim(key, holder, watch, LOST)?)));
        self.or_without(claimed, None)
    }
}

impl Remote {
    pub(super) fn claim(
        &self,
        key: &Hash,
        holder: &Value,
        watch: &mut Watch,
        lost: Duration,
    ) -> Result<Claimed, RemoteError> {
        let bucket = self.bucket()?;
        let folder = format!("v1/claims/{key}");
        let (mut busy, own) = (Value::Null, Body::of(holder.clone()));
        for _ in 0..ATTEMPTS {
            let found = bucket.list(&folder)?;
            let last = found.iter().filter_map(|found| Some((number(&found.name)?, found))).max_by_key(|(n, _)| *n);
            let next = match last {
                None => 0,
                Some((n, found)) => {
                    let Some(bytes) = bucket.get(&format!("{folder}/{n}.json"))? else { continue };
                    // One that cannot be read is nobody's who writes it again.
                    let body: Option<Body> = serde_json::from_slice(&bytes).ok();
                    if body.as_ref().is_some_and(|body| body.id == own.id) {
                        return Ok(Claimed::Got(self.keeper.keep(bucket, *key, n, own)));
                    }
                    let dead = body.as_ref().is_some_and(Body::is_dead);
                    if !dead && !watch.is_lost(format!("{n} {}", found.version), lost) {
                        return Ok(Claimed::Busy(body.map_or(Value::Null, |body| body.holder)));
                    }
                    busy = body.map_or(Value::Null, |body| body.holder);
                    n + 1
                }
            };
            if bucket.create(&format!("{folder}/{next}.json"), own.bytes())? {
                return Ok(Claimed::Got(self.keeper.keep(bucket, *key, next, own)));
            }
        }
        Ok(Claimed::Busy(busy))
    }
}

/// Sees to it that the claims of this process are written again, and removed when they are over: a thread, from the first
/// claim on.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Hash, (u64, Body)>,
    over: Vec<(Hash, u64)>,
    closed: bool,
}

impl Keeper {
    fn keep(&self, bucket: &Arc<Bucket>, key: Hash, n: u64, body: Body) -> Claim {
        lock(&self.desk.state).held.insert(key, (n, body));
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let (desk, bucket) = (Arc::clone(&self.desk), Arc::clone(bucket));
            *thread = Some(std::thread::spawn(move || desk.keep(&bucket)));
        }
        Claim { key, desk: Arc::clone(&self.desk) }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        lock(&self.desk.state).closed = true;
        self.desk.changed.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn keep(&self, bucket: &Bucket) {
        let mut written = Instant::now();
        loop {
            let (over, again, closed) = {
                let mut state = lock(&self.state);
                while state.over.is_empty() && !state.closed && written.elapsed() < BEAT {
                    let left = BEAT.saturating_sub(written.elapsed());
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                let due = written.elapsed() >= BEAT;
                for (_, body) in state.held.values_mut().filter(|_| due) {
                    body.beat += 1;
                }
                let again: Vec<(Hash, u64, Body)> =
                    state.held.iter().filter(|_| due).map(|(key, (n, body))| (*key, *n, body.clone())).collect();
                (std::mem::take(&mut state.over), again, state.closed)
            };
            // What fails shows as a claim of one who is gone, which costs others their patience and nothing else.
            let silent = AtomicBool::new(false);
            each(&over, |(key, n)| {
                for n in (0..=*n).rev() {
                    // Where one question was in vain, the others would be, each for as long.
                    if !silent.load(Ordering::Relaxed) && bucket.remove(&format!("v1/claims/{key}/{n}.json")).is_err() {
                        silent.store(true, Ordering::Relaxed);
                    }
                }
            });
            each(&again, |(key, n, body)| {
                if lock(&self.state).held.contains_key(key) {
                    let _ = bucket.put(&format!("v1/claims/{key}/{n}.json"), body.bytes());
                }
            });
            if !again.is_empty() || written.elapsed() >= BEAT {
                written = Instant::now();
            }
            if closed && over.is_empty() {
                return;
            }
        }
    }
}
