//! Where user and password are found.
//!
//! Not in a flow, so that they are in no key, manifest or log; and not among the variables that a flow names with `env`,
//! whose values become part of the key (as a hash, but a hash of a short password can be guessed, and a new password
//! would be another key). A task sees no other variables of the caller, so they are read from a file:
//!
//! 1. `TQ_USER` and `TQ_PASSWORD` of this process, where somebody has set them all the same;
//! 2. `.env` of the project: of the nearest folder upwards that has `flows/`, which is how `ghtrader` finds a project. A
//!    task runs in a folder of the cache, and the cache lies in the project unless somebody has put it elsewhere;
//! 3. `~/.config/ghtrader/env`.
//!
//! The file has lines `NAME=value`; `export`, quotes, blank lines and lines with `#` are as in a shell.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Who we are for the service. Debugging shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The identity of the client program, where the login service asks for one.
    pub client: Option<(String, String)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Finds the credentials of TqSdk, from the working folder on.
///
/// # Errors
/// Where there are none, or only half of them: says where it looked.
pub fn find() -> Result<Credentials> {
    let own = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(found) = of(own, "the environment")? {
        return Ok(found);
    }
    let places = places();
    for path in &places {
        let Ok(text) = fs_err::read_to_string(path) else { continue };
        let values = parse(&text);
        if let Some(found) = of(|name| values.get(name).cloned(), &path.display().to_string())? {
            return Ok(found);
        }
    }
    let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    Err(Error::Credentials(format!(
        "no TQ_USER and TQ_PASSWORD: write both, as NAME=value lines, into {}",
        places.join(" or ")
    )))
}

/// The nearest folder upwards from the working folder that has `flows/`: the project, where the cache is in it.
pub fn project() -> Option<PathBuf> {
    let working = std::env::current_dir().ok()?;
    working.ancestors().find(|folder| folder.join("flows").is_dir()).map(Path::to_owned)
}

fn places() -> Vec<PathBuf> {
    let project = project().map(|project| project.join(".env"));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/ghtrader/env"));
    project.into_iter().chain(home).collect()
}

fn of(value: impl Fn(&str) -> Option<String>, place: &str) -> Result<Option<Credentials>> {
    let client = value("TQ_CLIENT_ID").map(|id| (id, value("TQ_CLIENT_SECRET").unwrap_or_default()));
    match (value("TQ_USER"), value("TQ_PASSWORD")) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some(Credentials { user, password, client })),
        (user, _) => {
            let missing = if user.is_none() { "TQ_USER" } else { "TQ_PASSWORD" };
            Err(Error::Credentials(format!("{place} lacks {missing}: TQ_USER and TQ_PASSWORD belong together")))
        }
    }
}

fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()).to_owned()))
        .collect()
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_lines_is_read() {
        let values = parse("# mine\nexport TQ_USER=me\n\nTQ_PASSWORD = \"a=b #c\" \nTQ_CLIENT_ID='x'\nnonsense\n");
        let found = of(|name| values.get(name).cloned(), "a file").unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("me", "a=b #c"));
        assert_eq!(found.client, Some(("x".to_owned(), String::new())));
        assert!(!format!("{found:?}").contains("a=b"));
    }

    #[test]
    fn half_of_them_is_an_error_that_names_the_place() {
        let half = parse("TQ_USER=me\n");
        let error = of(|name| half.get(name).cloned(), ".env").unwrap_err().to_string();
        assert_eq!(error, ".env lacks TQ_PASSWORD: TQ_USER and TQ_PASSWORD belong together");
        assert_eq!(of(|_| None, ".env").unwrap(), None);
    }
}
