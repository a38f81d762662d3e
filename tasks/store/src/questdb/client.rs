//! Questions over HTTP. While the server is away, or busy starting, they are asked again: all of them may be asked twice.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable as _, ExponentialBuilder};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, http};

use crate::address::{Login, Server};
use crate::{Error, Result};

/// So long a question may take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How a question failed.
enum Failure {
    /// It may be answered later.
    Away(Error),
    /// It will not.
    Refused(Error),
}

/// Asks a server.
pub(super) struct Client {
    server: Server,
    agent: Agent,
}

impl Client {
    pub(super) fn new(server: Server) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).tls_config(tls).build();
        Self { server, agent: config.into() }
    }

    /// `host:port`.
    pub(super) fn host(&self) -> &str {
        &self.server.host
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The answer to a query.
    pub(super) fn ask(&self, query: &str) -> Result<Value> {
        let text = self.patiently(|| {
            let mut answer = self.send("exec", &[("query", query)])?;
            answer.body_mut().with_config().limit(1 << 30).read_to_vec().map_err(|error| self.away(&error))
        })?;
        serde_json::from_slice(&text).map_err(|error| self.error(format!("answers with no JSON: {error}")))
    }

    /// A command.
    pub(super) fn execute(&self, query: &str) -> Result<()> {
        self.ask(query).map(drop)
    }

    /// The rows of a query as a Parquet file, the fastest way that was measured.
    pub(super) fn parquet(&self, query: &str) -> Result<Bytes> {
        let parameters = [("query", query), ("fmt", "parquet"), ("compression_codec", "uncompressed")];
        let bytes = self.patiently(|| {
            let mut answer = self.send("exp", &parameters)?;
            answer.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(|error| self.away(&error))
        })?;
        Ok(bytes.into())
    }

    /// Waits until what was written to a table can be seen.
    pub(super) fn applied(&self, table: &'static str) -> Result<()> {
        let query =
            format!("SELECT sequencerTxn, writerTxn, suspended, errorMessage FROM wal_tables() WHERE name = '{table}'");
        let number =
            |answer: &Value, column: usize| answer.pointer(&format!("/dataset/0/{column}")).and_then(Value::as_i64);
        let mut wanted = None;
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(1));
        loop {
            let answer = self.ask(&query)?;
            if answer.pointer("/dataset/0/2").and_then(Value::as_bool) == Some(true) {
                let why = answer.pointer("/dataset/0/3").and_then(Value::as_str).unwrap_or_default();
                let what = format!(
                    "is suspended: its write-ahead log cannot be applied ({why}). Mend the cause, then: ALTER TABLE {table} RESUME WAL"
                );
                return Err(Error::Table { server: self.host().to_owned(), table, what });
            }
            if let (Some(sent), Some(seen)) = (number(&answer, 0), number(&answer, 1)) {
                // What others write meanwhile is not waited for.
                if seen >= *wanted.get_or_insert(sent) {
                    return Ok(());
                }
            }
            if begun.elapsed() > TIMEOUT {
                let what = format!("does not show what was written {} s ago", begun.elapsed().as_secs());
                return Err(Error::Table { server: self.host().to_owned(), table, what });
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Tries until it is answered, refused, or its patience is over.
    fn patiently<T>(&self, question: impl FnMut() -> std::result::Result<T, Failure>) -> Result<T> {
        let end = Instant::now() + self.server.patience;
        let answer = question
            .retry(pauses(&self.server))
            .when(|failure| matches!(failure, Failure::Away(_)) && Instant::now() < end)
            .call();
        answer.map_err(|failure| match failure {
            Failure::Away(error) | Failure::Refused(error) => error,
        })
    }

    fn send(&self, path: &str, parameters: &[(&str, &str)]) -> std::result::Result<http::Response<Body>, Failure> {
        let Server { scheme, host, login, .. } = &self.server;
        let mut request = self.agent.get(format!("{scheme}://{host}/{path}"));
        for (name, value) in parameters {
            request = request.query(*name, *value);
        }
        request = match login {
            Login::None => request,
            Login::Basic { user, password } => request.header("Authorization", basic(user, password)),
            Login::Token(token) => request.header("Authorization", format!("Bearer {token}")),
        };
        let mut answer = request.call().map_err(|error| self.away(&error))?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Refused(
                self.error(
                    "does not know us: give QUESTDB_USER and QUESTDB_PASSWORD, or QUESTDB_TOKEN, in .env of the project, or in \
                     ~/.config/ghtrader/env (a variable that is only exported does not reach a task)"
                        .to_owned(),
                ),
            )),
            status => {
                let text = answer.body_mut().read_to_string().unwrap_or_default();
                let said: Option<Value> = serde_json::from_str(&text).ok();
                let said = said.and_then(|said| said.get("error")?.as_str().map(str::to_owned)).unwrap_or(text);
                let error = self.error(format!("{status}: {said}"));
                Err(if status.is_server_error() { Failure::Away(error) } else { Failure::Refused(error) })
            }
        }
    }

    fn away(&self, error: &ureq::Error) -> Failure {
        Failure::Away(
            self.error(format!("cannot be reached: {error}; is it running? (`./x questdb start` starts one here)")),
        )
    }

    fn error(&self, what: String) -> Error {
        Error::Server { server: self.host().to_owned(), what }
    }
}

/// The pauses between tries: longer each time, with jitter, the server's patience in all. What the tries themselves take is not
/// in it, so who tries looks at the clock too.
pub(super) fn pauses(server: &Server) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .with_total_delay(Some(server.patience))
        .without_max_times()
        .with_jitter()
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}
