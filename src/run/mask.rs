//! Keeps the secrets of a task out of what is told of it: its log, its progress, its failure.
//!
//! A task writes its own log, so that is cleaned when the task has ended; it knows no secret that was changed on its way,
//! for example by an encoding.

use std::path::Path;

use crate::flow::EnvVar;

/// What stands for a secret.
const MASK: &str = "***";

/// The secrets of one task.
pub(super) struct Mask<'a>(Vec<&'a str>);

impl<'a> Mask<'a> {
    /// The values of those variables that are declared secret: whole, and line by line, as a log would show them.
    pub(super) fn new(declared: &[EnvVar], variables: &'a [(String, Option<String>)]) -> Self {
        let secret = |name: &str| declared.iter().any(|env| env.secret && env.name.value == name);
        let values = variables.iter().filter(|(name, _)| secret(name)).filter_map(|(_, value)| value.as_deref());
        let mut texts: Vec<&str> = values.flat_map(|value| std::iter::once(value).chain(value.lines())).collect();
        texts.retain(|text| !text.trim().is_empty());
        // One that contains another goes first.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts)
    }

    /// A text without them.
    pub(super) fn text(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| if text.contains(secret) { text.replace(secret, MASK) } else { text })
    }

    /// Rewrites a log in which one is found.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn file(&self, path: &Path) -> std::io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let old = match fs_err::read(path) {
            Ok(old) => old,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let new = self.0.iter().fold(old.clone(), |bytes, secret| replace(bytes, secret.as_bytes()));
        if new == old { Ok(()) } else { fs_err::write(path, new) }
    }
}

fn replace(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while let Some(place) = rest.windows(secret.len()).position(|window| window == secret) {
        let (before, after) = rest.split_at(place);
        clean.extend_from_slice(before);
        clean.extend_from_slice(MASK.as_bytes());
        rest = after.get(secret.len()..).unwrap_or_default();
    }
    clean.extend_from_slice(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_goes_first_and_lines_count() {
        let mask = Mask(vec!["secret-key", "secret"]);
        assert_eq!(mask.text("a secret-key, a secret".into()), "a ***, a ***");
        assert_eq!(replace(b"\xffsecret secret".to_vec(), b"secret"), b"\xff*** ***");
        assert_eq!(replace(b"none".to_vec(), b"secret"), b"none");
    }
}
