//! What is asked of a bucket, or of a folder in its place: small questions, answered when they are answered. Nothing else
//! here knows that the library beneath is asynchronous.

use std::io::Read as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fs_err as fs;
use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig, WriteMultipart,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::{Address, RemoteError};

/// How many questions are asked at once: an answer takes longer to come than to be read.
const AT_ONCE: usize = 32;
/// From here on a file goes in parts, so that it is never in memory as a whole.
const LARGE: u64 = 8 << 20;
/// So many parts of a file are on their way at once, of so many files.
const PARTS: usize = 4;
const LARGE_AT_ONCE: usize = 4;
/// S3 allows 10,000.
const MOST_PARTS: u64 = 9_000;
/// A server that is not there is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long it may take until it can be talked to.
const CONNECT: Duration = Duration::from_secs(5);
/// So long an answer may come to a halt.
const SILENCE: Duration = Duration::from_secs(30);

type Result<T, E = RemoteError> = std::result::Result<T, E>;

/// Does something for many at once. In threads of its own: in those of a pool, who waits for an answer might be given the
/// work of another one that waits for it.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    some(AT_ONCE, items, work)
}

/// The same for so many at once, where each asks many questions.
pub(super) fn some<T: Sync, R: Send>(most: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if let [item] = items {
        return vec![work(item)];
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            done.push((at, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..most.min(items.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}

/// A bucket, and a name in it before which all others come.
#[derive(Debug)]
pub(super) struct Bucket {
    address: Address,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
    large: Semaphore,
}

/// Something in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The last part of its name.
    pub(super) name: String,
    /// Changes whenever it is written.
    pub(super) version: String,
}

impl Bucket {
    /// Asks nothing yet.
    pub(super) fn open(address: &Address) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| RemoteError::new(address, error.to_string());
        let store: Arc<dyn ObjectStore> = match address {
            Address::S3 { bucket, .. } => {
                check_endpoint().map_err(|error| failed(&error))?;
                let timeouts = ClientOptions::new()
                    .with_connect_timeout(CONNECT)
                    .with_read_timeout(SILENCE)
                    // Whoever names a server without TLS has said so.
                    .with_allow_http(true)
                    .with_timeout_disabled();
                let patience = RetryConfig {
                    backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
                    max_retries: 6,
                    retry_timeout: PATIENCE,
                };
                let built = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_client_options(timeouts)
                    .with_retry(patience)
                    .build();
                Arc::new(built.map_err(|error| RemoteError::of(address, &error))?)
            }
            Address::Folder(folder) => {
                // It is not made here: one that is not mounted would be made on this machine's disk.
                if !folder.is_dir() {
                    return Err(failed(&"it is not there; make it, or mount it"));
                }
                let local =
                    LocalFileSystem::new_with_prefix(folder).map_err(|error| RemoteError::of(address, &error))?;
                Arc::new(local.with_automatic_cleanup(true).with_fsync(true))
            }
        };
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| failed(&error))?;
        Ok(Self { address: address.clone(), store, runtime, large: Semaphore::new(LARGE_AT_ONCE) })
    }

    fn name(&self, name: &str) -> Name {
        let before = self.address.prefix();
        Name::from(format!("{before}{}{name}", if before.is_empty() { "" } else { "/" }))
    }

    fn failed(&self, error: &Error) -> RemoteError {
        RemoteError::of(&self.address, error)
    }

    /// The bytes of something; `None` where there is nothing.
    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let got = self.runtime.block_on(async { self.store.get(&self.name(name)).await?.bytes().await });
        self.found(got.map(|bytes| bytes.to_vec()))
    }

    fn found<T>(&self, got: object_store::Result<T>) -> Result<Option<T>> {
        match got {
            Ok(got) => Ok(Some(got)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Gives the bytes of something to `take`, piece by piece; `false` where there is nothing. The outer error is that of `take`.
    pub(super) fn fetch(
        &self,
        name: &str,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<Result<bool>> {
        let got = self.runtime.block_on(self.store.get(&self.name(name)));
        let mut stream = match self.found(got) {
            Ok(Some(got)) => got.into_stream(),
            Ok(None) => return Ok(Ok(false)),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match self.runtime.block_on(stream.try_next()) {
                Ok(Some(bytes)) => take(&bytes)?,
                Ok(None) => return Ok(Ok(true)),
                Err(error) => return Ok(Err(self.failed(&error))),
            }
        }
    }

    /// How many bytes something has; `None` where there is nothing.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        let got = self.runtime.block_on(self.store.head(&self.name(name)));
        Ok(self.found(got)?.map(|meta| meta.size))
    }

    /// Writes something that is not there yet; `false` where somebody was faster.
    pub(super) fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool> {
        self.write(name, bytes, PutMode::Create)
    }

    /// Writes something, whatever is there.
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.write(name, bytes, PutMode::Overwrite).map(drop)
    }

    fn write(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<bool> {
        let options = PutOptions { mode, ..PutOptions::default() };
        let name = self.name(name);
        match self.runtime.block_on(self.store.put_opts(&name, PutPayload::from(bytes), options)) {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Copies a file there, whatever is there. The outer error is the file's.
    pub(super) fn upload(&self, name: &str, path: &Path) -> std::io::Result<Result<()>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length < LARGE {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(self.put(name, bytes));
        }
        // Each needs memory for some of its parts.
        let _turn = self.runtime.block_on(self.large.acquire());
        Ok(self.upload_parts(name, &mut file, length)?.map_err(|error| self.failed(&error)))
    }

    fn upload_parts(&self, name: &str, file: &mut fs::File, length: u64) -> std::io::Result<object_store::Result<()>> {
        let upload = match self.runtime.block_on(self.store.put_multipart(&self.name(name))) {
            Ok(upload) => upload,
            Err(error) => return Ok(Err(error)),
        };
        // It starts tasks of its own.
        let _within = self.runtime.enter();
        let part = usize::try_from(LARGE.max(length / MOST_PARTS)).unwrap_or(usize::MAX);
        let mut writer = WriteMultipart::new_with_chunk_size(upload, part);
        let mut buffer = vec![0; part];
        let read = loop {
            match file.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => writer.write(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if let Err(error) = self.runtime.block_on(writer.wait_for_capacity(PARTS)) {
                // What was sent of it is nobody's; the bucket's own rules remove it where it stays.
                let _ = self.runtime.block_on(writer.abort());
                return Ok(Err(error));
            }
        };
        match read {
            Ok(()) => Ok(self.runtime.block_on(writer.finish()).map(drop)),
            Err(error) => {
                let _ = self.runtime.block_on(writer.abort());
                Err(error)
            }
        }
    }

    /// All that lies in a folder, at any depth: each with its place below the folder.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<Found>> {
        let folder = self.name(folder);
        let listed = self.runtime.block_on(self.store.list(Some(&folder)).try_collect::<Vec<_>>());
        let found = self.found(listed)?.ok_or_else(|| self.address.no_bucket())?;
        let below = |name: &Name| {
            let parts: Vec<String> = name.prefix_match(&folder)?.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        let version = |meta: &object_store::ObjectMeta| {
            format!("{} {} {}", meta.e_tag.as_deref().unwrap_or_default(), meta.size, meta.last_modified)
        };
        let each = found.iter().filter_map(|meta| Some(Found { name: below(&meta.location)?, version: version(meta) }));
        Ok(each.collect())
    }

    /// The folders in a folder.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&self.name(folder))));
        let listed = self.found(listed)?.ok_or_else(|| self.address.no_bucket())?;
        Ok(listed.common_prefixes.iter().filter_map(|name| Some(name.filename()?.to_owned())).collect())
    }

    /// Removes something that may be there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let removed = self.runtime.block_on(self.store.delete(&self.name(name)));
        self.found(removed).map(drop)
    }
}

/// The library takes one that is no address to be one, and panics.
fn check_endpoint() -> Result<(), String> {
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        let Ok(endpoint) = std::env::var(name) else { continue };
        let is_http = |url: &reqwest::Url| url.has_host() && matches!(url.scheme(), "http" | "https");
        if !reqwest::Url::parse(&endpoint).is_ok_and(|url| is_http(&url)) {
            return Err(format!("{name} is `{endpoint}`, which is no address of a server; write http://host:port"));
        }
    }
    Ok(())
}
