//! The web page: flows, runs, tasks and their logs, lineage, refs and locks, for a browser on this machine.
//!
//! It only looks. Every page is made when it is asked for, from what is on the disk then; a page of what goes on asks for
//! itself again. Nothing on a page comes from elsewhere, and none of them needs a script.

mod error;
mod flows;
mod guard;
mod html;
mod lineage;
mod locks;
mod overview;
mod refs;
mod runs;

use std::future::IntoFuture as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get};
use futures_util::future::{Either, select};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::cache::Cache;
use error::PageError;
use html::Page;

/// Where it is, unless the user says otherwise.
pub const PORT: u16 = 7420;

/// So many pages are made at once: each may hold all that a run has told.
static PAGES: Semaphore = Semaphore::const_new(4);

/// What the pages are about.
#[derive(Debug)]
pub struct Site {
    /// The project's root.
    pub root: PathBuf,
    /// Its cache.
    pub cache: PathBuf,
    /// The folder of the machine's leases.
    pub leases: PathBuf,
}

/// Why it cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port cannot be had.
    #[error("127.0.0.1:{port} cannot be listened on: {source}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The system refused something else.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves the pages on 127.0.0.1 until Ctrl-C; `ready` is told where. Port 0 is any that is free.
///
/// # Errors
/// Where the port is taken, or the system refuses threads or sockets.
pub fn serve(site: Site, port: u16, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|source| ServeError::Port { port, source })?;
        ready(listener.local_addr()?);
        let serving = axum::serve(listener, router(site)).into_future();
        match select(Box::pin(serving), Box::pin(tokio::signal::ctrl_c())).await {
            Either::Left((served, _)) => Ok(served?),
            Either::Right((heard, _)) => Ok(heard?),
        }
    });
    // Nobody waits for a page that is still being made.
    runtime.shutdown_background();
    served
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/", page(overview::overview))
        .route("/flow", page(flows::flow))
        .route("/runs", page(runs::runs))
        .route("/run", page(runs::run))
        .route("/task", page(runs::task))
        .route("/log", get(runs::log))
        .route("/lineage", page(lineage::lineage))
        .route("/refs", page(refs::refs))
        .route("/locks", page(locks::locks))
        .route("/style.css", get(|| async { ([(CONTENT_TYPE, "text/css")], html::style()) }))
        .fallback(|uri: Uri| async move { PageError::missing(format!("there is no page {}", uri.path())) })
        .layer(from_fn(guard::guard))
        .with_state(Arc::new(site))
}

/// What a page is made from.
struct View {
    site: Arc<Site>,
    /// The cache as it is now.
    cache: Cache,
    query: Query,
}

/// What a page is asked for, by name; of two values of one name the first counts.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(uri: &Uri) -> Self {
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the page cannot do without.
    fn demand(&self, name: &'static str) -> Result<&str, PageError> {
        self.get(name).ok_or_else(|| PageError::missing(format!("the address says no `{name}`")))
    }
}

/// A page, with what was found damaged while it was made.
fn page(make: fn(&View) -> Result<Page, PageError>) -> MethodRouter<Arc<Site>> {
    get(move |State(site), uri| {
        read(site, uri, move |view| {
            let begun = Instant::now();
            let page = make(view)?;
            Ok(page.took(begun.elapsed()).noting(&view.cache.take_notices()))
        })
    })
}

/// Does what waits for the disk beside the threads that wait for the network.
async fn read<T: Send + 'static>(
    site: Arc<Site>,
    uri: Uri,
    work: impl FnOnce(&View) -> Result<T, PageError> + Send + 'static,
) -> Result<T, PageError> {
    let permit = PAGES.acquire().await;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let cache = Cache::open_read_only(&site.cache)?;
        work(&View { site, cache, query: Query::of(&uri) })
    });
    done.await.unwrap_or_else(|error| Err(PageError::Io(std::io::Error::other(error))))
}
