//! A cache that machines share: a bucket (S3, or what speaks as it does), or a folder that all of them see. Results and
//! objects go there once they are complete, and come from there when they are needed; the index stays with each machine.
//!
//! - `v1/id`: a name drawn once, by which it is recognised.
//! - `v1/objects/ab/cdef…`: an object. It is written before any result that names it, and its bytes are hashed on arrival.
//! - `v1/results/ab/cdef…/<n>.json`: the manifest of the n-th execution of a key. It is only ever created, never changed,
//!   so that of two that record at once none is lost.
//! - `v1/refs/<hash of the name>/<n>.json`: the n-th move of a ref, created likewise.
//! - `v1/claims/<key>/<n>.json`: who computes a key; see `claims.rs`.

mod address;
mod bucket;
mod claims;
mod known;
mod pull;
mod push;
mod refs;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::{Cache, CacheError, Notice, Recorded, Result};
use crate::hash::Hash;
use crate::text::cause;
pub use address::Address;
use bucket::Bucket;
pub use claims::{Claim, Claimed, Watch};
use known::Known;
pub use pull::Pulled;
pub use push::Pushed;
pub use refs::SharedMove;

/// The shared cache cannot be used. The message says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the shared cache {address}: {why}")]
pub struct RemoteError {
    address: String,
    why: String,
}

impl RemoteError {
    fn new(address: &Address, why: String) -> Self {
        Self { address: address.to_string(), why }
    }

    /// What the library says, and what to do about it.
    fn of(address: &Address, error: &object_store::Error) -> Self {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        let said = said(error);
        let refused = matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
            || ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "403 Forbidden", "401 Unauthorized"]
                .iter()
                .any(|word| said.contains(word));
        match address {
            Address::S3 { .. } if said.contains("NoSuchBucket") => address.no_bucket(),
            Address::S3 { .. } if refused => {
                let next = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they are allowed to do there";
                Self::new(address, format!("{said}; {next}"))
            }
            Address::S3 { .. } => {
                let next = "check AWS_ENDPOINT_URL, AWS_REGION, the credentials and the network, or take `cache` out of \
                            ghtrader.yaml to work without it";
                Self::new(address, format!("{said}; {next}"))
            }
            Address::Folder(_) => {
                Self::new(address, format!("{said}; check who owns it, or name another one in ghtrader.yaml"))
            }
        }
    }
}

/// What the library says in the end; of a server's answer, its code and its message.
fn said(error: &object_store::Error) -> String {
    let text = cause(error);
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
        _ => text,
    }
}

/// What is between `<name>` and `</name>`.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// A shared cache, as this process uses it.
#[derive(Debug)]
pub struct Remote {
    address: Address,
    /// Opened at the first question.
    bucket: OnceLock<Arc<Bucket>>,
    opening: Mutex<()>,
    known: Known,
    /// How many results were new here when all were looked for.
    listed: Mutex<Option<u64>>,
    /// Results found there that could not be recorded here, as nothing may be written.
    found: Mutex<HashMap<Hash, Recorded>>,
    /// What is on its way, so that nothing is brought or shared twice at once.
    moving: Mutex<HashMap<Hash, Arc<Mutex<()>>>>,
    keeper: claims::Keeper,
    /// When it was found not to answer, and why.
    down: Mutex<Option<(Instant, RemoteError)>>,
    /// Whether what has begun goes on where it does not answer.
    can_do_without: AtomicBool,
}

/// For so long one that did not answer is not asked for what can be done without it: each question would cost its patience.
const PAUSE: Duration = Duration::from_secs(60);

impl Remote {
    /// Asks for what can be done without it; an error that it gave lately is given again without asking.
    fn ask<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let down = crate::sync::lock(&self.down).clone();
        if let Some((_, error)) = down.filter(|(since, _)| since.elapsed() < PAUSE) {
            return Err(error.into());
        }
        let asked = work();
        if let Err(CacheError::Remote(error)) = &asked {
            *crate::sync::lock(&self.down) = Some((Instant::now(), error.clone()));
        }
        asked
    }

    fn bucket(&self) -> Result<&Arc<Bucket>, RemoteError> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let _opening = crate::sync::lock(&self.opening);
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let bucket = Arc::new(Bucket::open(&self.address)?);
        self.recognise(&bucket)?;
        Ok(self.bucket.get_or_init(|| bucket))
    }

    /// Forgets what is known of it where it is another one than before, though it has the same address: it was emptied, or
    /// something else is mounted there.
    fn recognise(&self, bucket: &Bucket) -> Result<(), RemoteError> {
        let mut id = bucket.get(ID)?;
        if id.is_none() && self.known.is_writable() {
            let new = ulid::Ulid::generate().to_string().into_bytes();
            id = match bucket.create(ID, new.clone()) {
                Ok(true) => Some(new),
                Ok(false) => bucket.get(ID)?,
                // Whoever may only read it can use what is there.
                Err(_) => None,
            };
        }
        let id = String::from_utf8_lossy(&id.unwrap_or_default()).into_owned();
        self.known.is_of(&id).map_err(|error| RemoteError::new(&self.address, error.to_string()))
    }

    /// Does something of an object that no other thread does at the same time.
    fn alone<T>(&self, hash: &Hash, work: impl FnOnce() -> T) -> T {
        let turn = Arc::clone(crate::sync::lock(&self.moving).entry(*hash).or_default());
        let done = {
            let _turn = crate::sync::lock(&turn);
            work()
        };
        let mut moving = crate::sync::lock(&self.moving);
        // This one, and the one in the map.
        if Arc::strong_count(&turn) <= 2 {
            moving.remove(hash);
        }
        done
    }
}

impl Cache {
    /// Also with a shared cache. It is asked nothing before it has to be.
    #[must_use]
    pub fn shared_with(mut self, address: Address) -> Self {
        let file = format!("{}.db", Hash::of(address.to_string().as_bytes()).short());
        let known = Known::new(self.v1.join("shared").join(file), self.is_writable());
        self.remote = Some(Arc::new(Remote {
            address,
            bucket: OnceLock::new(),
            opening: Mutex::default(),
            known,
            listed: Mutex::default(),
            found: Mutex::default(),
            moving: Mutex::default(),
            keeper: claims::Keeper::default(),
            down: Mutex::default(),
            can_do_without: AtomicBool::default(),
        }));
        self
    }

    /// Where the shared cache cannot be used, that is said once, and it is done without it.
    fn or_without<T>(&self, asked: Result<T>, instead: T) -> Result<T> {
        match asked {
            Err(CacheError::Remote(error)) => {
                self.notify(Notice::Doubtful(format!("{error}; what others execute now is not waited for")));
                Ok(instead)
            }
            asked => asked,
        }
    }

    /// From now on, what the shared cache does not answer is not there. Before, that is an error.
    pub fn do_without_shared(&self) {
        if let Some(remote) = &self.remote {
            remote.can_do_without.store(true, Ordering::Relaxed);
        }
    }

    /// Where it is shared, if it is.
    pub fn shared_at(&self) -> Option<&Address> {
        self.remote.as_ref().map(|remote| &remote.address)
    }

    /// The shared cache, if there is one.
    pub fn remote(&self) -> Option<&Arc<Remote>> {
        self.remote.as_ref()
    }
}

/// The name of an object.
fn object_name(hash: &Hash) -> String {
    let hex = hash.hex();
    let (shard, name) = hex.split_at(2);
    format!("v1/objects/{shard}/{name}")
}

/// The folder of the executions of a key.
fn results_of(key: &Hash) -> String {
    let hex = key.hex();
    let (shard, name) = hex.split_at(2);
    format!("v1/results/{shard}/{name}")
}

/// What tells one shared cache from another.
const ID: &str = "v1/id";
/// A name with a larger number is nobody's who counts.
const LARGEST: u64 = 1 << 40;

/// The number in `<n>.json`.
fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok().filter(|n| *n < LARGEST)
}
