//! The web page: flows, runs, tasks and their logs, lineage, refs and locks, for a browser on this machine.
//!
//! It only looks. Every page is made when it is asked for, from what is on the disk then; a page of what goes on asks for
//! itself again. Nothing on a page comes from elsewhere, and none of them needs a script.

mod error;
mod flows;
mod html;
mod lineage;
mod locks;
mod refs;
mod runs;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::future::{Either, select};
use tokio::net::TcpListener;

use crate::cache::Cache;
use error::PageError;
use html::Page;

/// Where it is, unless the user says otherwise.
pub const PORT: u16 = 7420;

/// What the pages are about.
#[derive(Clone, Debug)]
pub struct Site {
    /// The project's root.
    pub root: PathBuf,
    /// Its cache.
    pub cache: PathBuf,
    /// The folder of the machine's leases.
    pub leases: PathBuf,
}

impl Site {
    /// The cache as it is now.
    fn cache(&self) -> Result<Cache, PageError> {
        Ok(Cache::open_read_only(&self.cache)?)
    }
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
        .route("/", get(|State(site), uri| page(site, uri, runs::overview)))
        .route("/flow", get(|State(site), uri| page(site, uri, flows::flow)))
        .route("/runs", get(|State(site), uri| page(site, uri, runs::runs)))
        .route("/run", get(|State(site), uri| page(site, uri, runs::run)))
        .route("/task", get(|State(site), uri| page(site, uri, runs::task)))
        .route("/log", get(runs::log))
        .route("/lineage", get(|State(site), uri| page(site, uri, lineage::lineage)))
        .route("/refs", get(|State(site), uri| page(site, uri, refs::refs)))
        .route("/locks", get(|State(site), uri| page(site, uri, locks::locks)))
        .route("/style.css", get(|| async { ([(CONTENT_TYPE, "text/css")], html::style()) }))
        .fallback(|uri: Uri| async move { PageError::NotFound(format!("there is no page {}", uri.path()), None) })
        .layer(from_fn(guard))
        .with_state(Arc::new(site))
}

/// What a page is asked for, by name; of two values of one name the first counts.
#[derive(Debug)]
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
        self.get(name).ok_or_else(|| PageError::NotFound(format!("the address says no `{name}`"), None))
    }
}

/// Makes a page where reading may take a while.
async fn page(
    site: Arc<Site>,
    uri: Uri,
    make: impl FnOnce(&Site, &Query) -> Result<Page, PageError> + Send + 'static,
) -> Result<Page, PageError> {
    read(move || make(&site, &Query::of(&uri))).await
}

/// Does what waits for the disk beside the threads that wait for the network.
async fn read<T: Send + 'static>(work: impl FnOnce() -> Result<T, PageError> + Send + 'static) -> Result<T, PageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(PageError::Io(std::io::Error::other(error))))
}

/// Answers only who asks for this machine by its own name, so that a page from elsewhere whose name was made to lead here learns
/// nothing; and lets a browser take nothing in an answer for something else.
async fn guard(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_local) {
        let text = "this page answers to 127.0.0.1 and localhost only\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whatever the port: it may come through a tunnel.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_answered_for() {
        for own in ["127.0.0.1:7420", "localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.1"] {
            assert!(is_local(own), "{own}");
        }
        for other in ["evil.example:7420", "127.0.0.1.evil.example", "localhost.evil.example:1", "", "[::1].x", ":1"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
