//! What is asked over HTTPS: a token, the address of the market data, lists of contracts and of closed days.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::tree;
use crate::credentials::Credentials;
use crate::{Error, Result};

/// Where the services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Gives tokens.
    pub login: String,
    /// Says where the market data are.
    pub names: String,
    /// A list of contracts.
    pub contracts: String,
    /// A list of days without trading.
    pub closed_days: String,
}

impl Addresses {
    /// The public service; or, for tests, a server that has all of it at one address (`http://127.0.0.1:7788`).
    ///
    /// # Errors
    /// Where the server's address would send the password in the clear over a network.
    pub fn of(server: Option<&str>) -> Result<Self> {
        let Some(server) = server else {
            return Ok(Self::at(
                "https://auth.shinnytech.com",
                "https://api.shinnytech.com",
                "https://openmd.shinnytech.com",
                "https://files.shinnytech.com",
            ));
        };
        let server = server.trim_end_matches('/');
        if let Some(address) = without_user(server) {
            let what = "an address holds no user and no password, for it is shown and kept: write them into `.env`, as \
                        TQ_USER and TQ_PASSWORD";
            return Err(Error::Refused { address, what: what.to_owned() });
        }
        if !is_private(server) {
            let what = "the password would go there in the clear: use https, or a server on this machine".to_owned();
            return Err(Error::Refused { address: server.to_owned(), what });
        }
        Ok(Self::at(server, server, server, server))
    }

    fn at(login: &str, names: &str, contracts: &str, closed_days: &str) -> Self {
        Self {
            login: format!("{login}/auth/realms/shinnytech/protocol/openid-connect/token"),
            names: format!("{names}/ns"),
            contracts: format!("{contracts}/t/md/symbols/latest.json"),
            closed_days: format!("{closed_days}/shinny_chinese_holiday.json"),
        }
    }
}

/// An address that names a user, or a password, without them.
fn without_user(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    // A password may hold any of `/?#@`, rightly or not: what stands before the last `@` is not shown.
    let (_, host) = rest.rsplit_once('@')?;
    Some(if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") })
}

/// Whether what is sent to an address stays between the two: it is encrypted, or does not leave the machine.
pub(super) fn is_private(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // `http://127.0.0.1:80@elsewhere/` is elsewhere.
    let here = ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        host.strip_prefix(name).is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_number))
    });
    matches!(scheme, "https" | "wss") || matches!(scheme, "http" | "ws") && here
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// TLS with the certificate authorities of this machine.
///
/// # Errors
/// Where the machine has none that can be read.
pub(super) fn tls() -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(authorities()?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(anyhow::Error::from)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn authorities() -> Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = "this machine lists no certificate authorities: install its package ca-certificates";
        return Err(Error::Other(anyhow::anyhow!(why)));
    }
    Ok(found.certs)
}

/// Speaks HTTP.
pub(super) struct Web {
    agent: ureq::Agent,
}

impl Web {
    /// A client that waits this long for each answer.
    ///
    /// # Errors
    /// Where the machine has no certificate authorities that can be read, and one of the addresses needs them.
    pub(super) fn new(timeout: Duration, secure: bool) -> Result<Self> {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        if secure {
            let authorities = authorities()?.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            tls = tls.root_certs(RootCerts::Specific(Arc::new(authorities)));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(super::AGENT)
            .build();
        Ok(Self { agent: config.into() })
    }

    /// Logs in: a token.
    ///
    /// # Errors
    /// [`Error::Refused`] where user or password are not accepted.
    pub(super) fn token(&self, address: &str, who: &Credentials) -> Result<String> {
        let mut form =
            vec![("grant_type", "password"), ("username", who.user.as_str()), ("password", who.password.as_str())];
        if let Some((id, secret)) = &who.client {
            form.extend([("client_id", id.as_str()), ("client_secret", secret.as_str())]);
        }
        let request = self.agent.post(address).header("accept", "application/json");
        let (status, answer) = read(address, request.send_form(form))?;
        match (status, answer.get("access_token").and_then(Value::as_str)) {
            (200, Some(token)) => Ok(token.to_owned()),
            // What the service says might repeat what it was sent: only its code is passed on.
            (400 | 401 | 403, _) => {
                let code = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
                let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
                let hint = "check TQ_USER and TQ_PASSWORD, and TQ_CLIENT_ID and TQ_CLIENT_SECRET of the client program";
                let what = format!("the login was refused ({status} {code}): {hint}");
                Err(Error::Refused { address: address.to_owned(), what })
            }
            (status, _) => Err(unexpected(address, status)),
        }
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// Where it is not given.
    pub(super) fn get(&self, address: &str, token: &str) -> Result<Value> {
        let request = self.agent.get(address).header("accept", "application/json");
        let request =
            if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
        match read(address, request.call())? {
            (200, answer) => Ok(answer),
            (status @ (401 | 403), _) => {
                let what = format!("access was refused ({status}): the account may lack the right to it");
                Err(Error::Refused { address: address.to_owned(), what })
            }
            (status, _) => Err(unexpected(address, status)),
        }
    }
}

fn unexpected(address: &str, status: u16) -> Error {
    Error::Connection { address: address.to_owned(), what: format!("answered with HTTP status {status}") }
}

type Answer = std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Status and JSON (null where it is none) of an answer.
fn read(address: &str, answer: Answer) -> Result<(u16, Value)> {
    let failed = |error: ureq::Error| Error::Connection { address: address.to_owned(), what: error.to_string() };
    let mut answer = answer.map_err(failed)?;
    let status = answer.status().as_u16();
    // The list of contracts has some 20 MB.
    let text = answer.body_mut().with_config().limit(256 << 20).read_to_string().map_err(failed)?;
    let json = tree::parse(&text);
    match (status, json) {
        (_, Ok(json)) => Ok((status, json)),
        (200, Err(error)) => Err(Error::Answer { address: address.to_owned(), what: format!("no JSON: {error}") }),
        (_, Err(_)) => Ok((status, Value::Null)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_sent_in_the_clear() {
        for private in
            ["https://a.example", "wss://a.example/md", "http://127.0.0.1:80/x", "ws://localhost:1/", "http://[::1]:5"]
        {
            assert!(is_private(private), "{private}");
        }
        let clear = [
            "http://a.example",
            "ws://a.example/",
            "http://127.0.0.1.a.example/",
            "http://127.0.0.1:80@a.example/",
            "http://localhost:x@a.example",
            "ftp://127.0.0.1/",
            "127.0.0.1:80",
        ];
        for clear in clear {
            assert!(!is_private(clear), "{clear}");
            let error = Addresses::of(Some(clear)).unwrap_err().to_string();
            assert!(error.contains("in the clear") || clear.contains('@'), "{clear}: {error}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        for address in [
            "http://user:secret@127.0.0.1:80",
            "https://user:secret@a.example/",
            "https://secret@a.example",
            "https://user:secret/@x@a.example",
            "user:secret@a.example",
        ] {
            let error = Addresses::of(Some(address)).unwrap_err();
            assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"), "{error:?}");
            assert!(error.to_string().contains("holds no user and no password"), "{error}");
            assert!(error.to_string().contains(".env") && !error.is_transient(), "{error}");
        }
    }
}
