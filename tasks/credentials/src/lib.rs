//! Where user and password are found.
//!
//! Not in a flow, so that they are in no key, manifest or log; and not among the variables that a flow names with `env`,
//! whose values become part of the key (as a hash, but a hash of a short password can be guessed, and a new password
//! would be another key). A task sees no other variables of the caller, so they are read from a file:
//!
//! 1. the variables of this process, where somebody has set them all the same;
//! 2. `.env` of the project: of the nearest folder upwards that has `flows/`, which is how `ghtrader` finds a project. A
//!    task runs in a folder of the cache, and the cache lies in the project unless somebody has put it elsewhere;
//! 3. `~/.config/ghtrader/env`.
//!
//! The file has lines `NAME=value`; `export`, quotes, blank lines and lines with `#` are as in a shell.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What one place says of the names that were asked for. Debugging shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Which place, for messages.
    pub place: String,
    values: BTreeMap<String, String>,
}

impl Found {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    fn of(place: String, names: &[&str], beside: &[&str], value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let given = |name: &&str| Some(((*name).to_owned(), value(name).filter(|value| !value.is_empty())?));
        let values: BTreeMap<String, String> = names.iter().filter_map(given).collect();
        let beside = beside.iter().filter_map(given);
        (!values.is_empty()).then(|| Self { place, values: values.into_iter().chain(beside).collect() })
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({}, …)", self.place)
    }
}

/// The first place that has any of these names, from the working folder on; and what it says of those `beside`.
pub fn find(names: &[&str], beside: &[&str]) -> Option<Found> {
    let own = Found::of("the environment".to_owned(), names, beside, |name| std::env::var(name).ok());
    own.or_else(|| {
        places().iter().find_map(|path| {
            let values = parse(&fs_err::read_to_string(path).ok()?);
            Found::of(path.display().to_string(), names, beside, |name| values.get(name).cloned())
        })
    })
}

/// The files that are looked into.
pub fn places() -> Vec<PathBuf> {
    let project = project().map(|project| project.join(".env"));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/ghtrader/env"));
    project.into_iter().chain(home).collect()
}

/// The nearest folder upwards from the working folder that has `flows/`: the project, where the cache is in it.
pub fn project() -> Option<PathBuf> {
    let working = std::env::current_dir().ok()?;
    working.ancestors().find(|folder| folder.join("flows").is_dir()).map(Path::to_owned)
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
        let values =
            parse("# mine\nexport TQ_USER=me\n\nTQ_PASSWORD = \"a=b #c\" \nTQ_CLIENT_ID='x'\nEMPTY=\nnonsense\n");
        let found = |names: &[&str], beside: &[&str]| {
            Found::of("a file".to_owned(), names, beside, |name| values.get(name).cloned())
        };
        let two = found(&["TQ_USER", "TQ_PASSWORD", "EMPTY", "OTHER"], &[]).unwrap();
        assert_eq!(
            (two.get("TQ_USER").unwrap(), two.get("TQ_PASSWORD").unwrap()),
            ("me".to_owned(), "a=b #c".to_owned())
        );
        assert_eq!((two.get("TQ_CLIENT_ID"), two.get("EMPTY")), (None, None), "only what was asked for, and is given");
        assert!(!format!("{two:?}").contains("a=b"));
        assert_eq!(found(&["TQ_USER"], &["TQ_CLIENT_ID"]).unwrap().get("TQ_CLIENT_ID"), Some("x".to_owned()));
        assert_eq!(
            found(&["EMPTY", "OTHER"], &["TQ_CLIENT_ID"]),
            None,
            "a place that says nothing but what is beside is none"
        );
    }
}
