//! The address of a store, as a flow gives it.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Error, Folder, QuestDb, Result, Store};

const PATIENCE: Duration = Duration::from_secs(60);

/// The store of an address: `parquet::FOLDER` (an absolute path), or `questdb::` and a configuration as QuestDB's clients have
/// it: `questdb::http::addr=127.0.0.1:9000;`, where `retry_timeout=60000;` says how many milliseconds it may be away.
///
/// What is secret is no part of it, since it enters keys and manifests: `QUESTDB_USER` and `QUESTDB_PASSWORD`, or
/// `QUESTDB_TOKEN`, give it, where `ghtrader-credentials` finds them.
///
/// # Errors
/// Where the address is none, or holds a secret.
pub fn open(address: &str) -> Result<Box<dyn Store>> {
    let found = ghtrader_credentials::find(&["QUESTDB_USER", "QUESTDB_PASSWORD", "QUESTDB_TOKEN"], &[]);
    open_with(address, |name| found.as_ref().and_then(|found| found.get(name)))
}

/// [`open`], for a market of this name.
///
/// # Errors
/// As [`open`], and where the market has no name.
pub fn open_for(address: &str, market: &str) -> Result<Box<dyn Store>> {
    if market.is_empty() { Err(Error::NoName) } else { open(address) }
}

/// [`open`] with secrets from elsewhere.
///
/// # Errors
/// As [`open`].
pub fn open_with(address: &str, secret: impl Fn(&str) -> Option<String>) -> Result<Box<dyn Store>> {
    let wrong = |what: String| Error::Address { address: shown(address), what };
    match address.split_once("::") {
        Some(("parquet", folder)) if folder.starts_with('/') => Ok(Box::new(Folder::new(PathBuf::from(folder)))),
        Some(("parquet", _)) => Err(wrong("the folder has to be an absolute path: parquet::/data/lake".to_owned())),
        Some(("questdb", configuration)) => {
            let server = Server::parse(configuration).map_err(wrong)?;
            Ok(Box::new(QuestDb::new(server.with_secrets(secret).map_err(wrong)?)))
        }
        None if address.is_empty() => Err(Error::NoStore),
        _ => Err(wrong(
            "it should begin with `parquet::` (parquet::/data/lake) or `questdb::` (questdb::http::addr=127.0.0.1:9000;)"
                .to_owned(),
        )),
    }
}

/// An address for messages: no value but that of `addr`.
fn shown(address: &str) -> String {
    let hide = |part: &str| match part.split_once('=') {
        Some((key, _)) if !key.ends_with("addr") => format!("{key}=…"),
        Some((key, host)) if host.contains('@') => format!("{key}=…"),
        _ => part.to_owned(),
    };
    address.split(';').map(hide).collect::<Vec<_>>().join(";")
}

/// A QuestDB server, and who asks it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// `host:port`.
    pub(crate) host: String,
    /// So long it may be away: longer than one that was killed needs to come back.
    pub(crate) patience: Duration,
    /// How it is told who asks.
    pub(crate) login: Login,
}

/// How a server is told who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    Basic { user: String, password: String },
    Token(String),
}

impl Server {
    /// `http::addr=127.0.0.1:9000;`
    fn parse(configuration: &str) -> std::result::Result<Self, String> {
        let example = "write questdb::http::addr=127.0.0.1:9000;";
        let (scheme, rest) = configuration.split_once("::").ok_or(example)?;
        if !matches!(scheme, "http" | "https") {
            return Err(format!("`{scheme}` is not `http` or `https`: {example}"));
        }
        let (mut host, mut patience) = (None, PATIENCE);
        for part in rest.split(';').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("addr", value)) if !value.is_empty() && host.is_none() => host = Some(with_port(value)),
                Some(("retry_timeout", value)) => {
                    let wrong = |_| format!("`retry_timeout={value}` is no number of milliseconds");
                    patience = Duration::from_millis(value.parse().map_err(wrong)?);
                }
                Some((key @ ("username" | "password" | "token" | "token_x" | "token_y"), _)) => {
                    return Err(format!(
                        "`{key}` would be in every key and manifest: give QUESTDB_USER and QUESTDB_PASSWORD, or QUESTDB_TOKEN, in \
                         .env of the project"
                    ));
                }
                _ => {
                    return Err(format!(
                        "`{part}` is none of its settings, which are `addr` and `retry_timeout`: {example}"
                    ));
                }
            }
        }
        let host = host.ok_or_else(|| format!("there is no `addr`: {example}"))?;
        if host.contains('@') {
            return Err(format!(
                "`addr` holds a user or a password: write QUESTDB_USER and QUESTDB_PASSWORD into .env instead; {example}"
            ));
        }
        if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(format!("`{host}` does not end with a port, 0 to 65535: {example}"));
        }
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
        if !host.chars().all(allowed) {
            return Err(format!("`{host}` is no host and port: {example}"));
        }
        Ok(Self { scheme: scheme.to_owned(), host, patience, login: Login::None })
    }

    fn with_secrets(mut self, secret: impl Fn(&str) -> Option<String>) -> std::result::Result<Self, String> {
        let given = |name| secret(name).filter(|value| !value.is_empty());
        self.login = match (given("QUESTDB_USER"), given("QUESTDB_PASSWORD"), given("QUESTDB_TOKEN")) {
            (None, None, None) => Login::None,
            (Some(user), Some(password), None) => Login::Basic { user, password },
            (None, None, Some(token)) if !token.chars().all(|letter| letter.is_ascii_graphic()) => {
                return Err(
                    "QUESTDB_TOKEN holds something else than letters, digits and signs: a line break?".to_owned()
                );
            }
            (None, None, Some(token)) => Login::Token(token),
            _ => {
                return Err(
                    "of QUESTDB_USER, QUESTDB_PASSWORD and QUESTDB_TOKEN, give the first two or the last".to_owned()
                );
            }
        };
        Ok(self)
    }
}

/// QuestDB's port where none is said.
fn with_port(host: &str) -> String {
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    if after.contains(':') { host.to_owned() } else { format!("{host}:9000") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(address: &str) -> String {
        open(address).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn addresses() {
        let server = |text| Server::parse(text).map(|server| (server.scheme, server.host));
        assert_eq!(server("http::addr=127.0.0.1:9000;"), Ok(("http".to_owned(), "127.0.0.1:9000".to_owned())));
        assert_eq!(server("https::addr=db.example").map(|server| server.1), Ok("db.example:9000".to_owned()));
        assert_eq!(server("http::addr=[::1]").map(|server| server.1), Ok("[::1]:9000".to_owned()));
        for wrong in [
            "",
            "http",
            "tcp::addr=x",
            "http::",
            "http::addr=",
            "http::adr=x",
            "http::addr=x/y",
            "http::addr=a;addr=b",
            "http::addr=a;retry_timeout=1s",
            "http::addr=a:99999",
            "http::addr=a:b",
        ] {
            assert!(Server::parse(wrong).is_err(), "{wrong}");
        }
        let said = error("questdb::http::addr=me:hunter2@127.0.0.1:9000;");
        assert!(said.contains("QUESTDB_USER") && !said.contains("hunter2"), "{said}");
        assert!(error("sqlite::x").contains("parquet::/data/lake"));
        assert!(error("parquet::lake").contains("absolute"));
        assert!(error("").contains("-p store=") && error("").contains("market.yaml"));
    }

    #[test]
    fn secrets_are_refused_and_not_shown() {
        let error = error("questdb::http::addr=h:9000;username=u;password=pw1234;");
        assert!(error.contains("QUESTDB_PASSWORD") && !error.contains("pw1234"), "{error}");
    }

    #[test]
    fn secrets_come_by_name() {
        let server = || Server::parse("http::addr=h;").unwrap();
        let with = |set: &[(&str, &str)]| {
            server().with_secrets(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(with(&[]).is_ok_and(|server| server.login == Login::None));
        assert!(with(&[("QUESTDB_TOKEN", "t")]).is_ok_and(|server| server.login == Login::Token("t".to_owned())));
        assert!(with(&[("QUESTDB_USER", "u")]).is_err());
        assert!(with(&[("QUESTDB_USER", "u"), ("QUESTDB_PASSWORD", "p"), ("QUESTDB_TOKEN", "t")]).is_err());
    }
}
