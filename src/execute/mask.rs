//! Keeps the secrets of a task out of what it writes, before anything of that is kept or told.
//!
//! It knows no secret that was changed on its way, for example by an encoding.

use std::borrow::Cow;

/// What stands for a secret.
const MASK: &[u8] = b"***";

/// One stream of a task, without the secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask {
    /// The longest first, so that of two that begin alike it is the one that counts.
    secrets: Vec<Vec<u8>>,
    /// What could be the beginning of a secret.
    rest: Vec<u8>,
    /// So much of it belongs to a secret for which the mask was written.
    covered: usize,
}

impl Mask {
    /// Masks these values: whole, and line by line, as a task may pass them on.
    pub(super) fn new<'v>(values: impl Iterator<Item = &'v [u8]>) -> Self {
        let texts = values.flat_map(|value| std::iter::once(value).chain(value.split(|byte| *byte == b'\n')));
        // Without the space around it: who reads a secret from a file often adds a line's end, and who uses one drops it.
        let mut secrets: Vec<Vec<u8>> = texts.map(|text| text.trim_ascii().to_vec()).collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        secrets.retain(|secret| !secret.is_empty());
        Self { secrets, ..Self::default() }
    }

    /// The next bytes of the stream, masked, as far as it is known what they are.
    pub(super) fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if self.secrets.is_empty() {
            return Cow::Borrowed(bytes);
        }
        self.rest.extend_from_slice(bytes);
        Cow::Owned(self.take(false))
    }

    /// What is left at the end of the stream.
    pub(super) fn end(&mut self) -> Vec<u8> {
        self.take(true)
    }

    fn take(&mut self, end: bool) -> Vec<u8> {
        let mut clean = Vec::with_capacity(self.rest.len());
        let mut at = 0;
        while let Some((byte, _)) = self.rest.get(at..).and_then(<[u8]>::split_first) {
            let here = self.rest.get(at..).unwrap_or_default();
            if !end && self.secrets.iter().any(|secret| secret.len() > here.len() && secret.starts_with(here)) {
                break;
            }
            if let Some(secret) = self.secrets.iter().find(|secret| here.starts_with(secret)) {
                if at >= self.covered {
                    clean.extend_from_slice(MASK);
                }
                // Two that overlap are one, or the end of the second would be left.
                self.covered = self.covered.max(at + secret.len());
            }
            if at >= self.covered {
                clean.push(*byte);
            }
            at += 1;
        }
        self.rest.drain(..at);
        self.covered = self.covered.saturating_sub(at);
        clean
    }
}

/// A whole text without these secrets.
pub(crate) fn masked<'v>(secrets: impl Iterator<Item = &'v str>, text: &str) -> String {
    let mut mask = Mask::new(secrets.map(str::as_bytes));
    let mut masked = mask.push(text.as_bytes()).into_owned();
    masked.extend(mask.end());
    String::from_utf8_lossy(&masked).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes arrive.
    fn masked(values: &[&str], text: &[u8]) -> Vec<u8> {
        let cut = |size| {
            let mut mask = Mask::new(values.iter().map(|value| value.as_bytes()));
            let mut clean: Vec<u8> = text.chunks(size).flat_map(|piece| mask.push(piece).into_owned()).collect();
            clean.extend(mask.end());
            clean
        };
        let whole = cut(text.len().max(1));
        for size in 1..text.len() {
            assert_eq!(cut(size), whole, "{size}");
        }
        whole
    }

    #[test]
    fn the_longest_goes_first_and_what_is_no_secret_stays() {
        let values = ["secret", "secret-key"];
        assert_eq!(masked(&values, b"a secret-key, \xffsecret secre secret-k"), b"a ***, \xff*** secre ***-k");
        assert_eq!(masked(&values, b"secretsecret"), b"******");
        assert_eq!(masked(&[], b"secret"), b"secret");
        assert_eq!(masked(&["", " \n"], b"a \n b"), b"a \n b");
    }

    #[test]
    fn a_value_of_several_lines_is_masked_whole_and_line_by_line() {
        let values = ["first\n  second\n"];
        assert_eq!(masked(&values, b"first\n  second\nthird\n"), b"***\nthird\n");
        assert_eq!(masked(&values, b"2 second\n1 first\n"), b"2 ***\n1 ***\n");
        assert_eq!(masked(&values, b"first\n  third"), b"***\n  third");
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        assert_eq!(masked(&["abcd", "cdef"], b"-abcdef-"), b"-***-");
        assert_eq!(masked(&["aba"], b"ababa-ab"), b"***-ab");
        assert_eq!(masked(&["abcdef", "bc"], b"abcde-"), b"a***de-");
    }

    #[test]
    fn only_what_could_become_a_secret_is_held_back() {
        let mut mask = Mask::new([b"secret".as_slice()].into_iter());
        assert_eq!(&*mask.push(b"::progress 1/2\nse"), b"::progress 1/2\n");
        assert_eq!(&*mask.push(b"t up\n"), b"set up\n");
        assert!(matches!(Mask::default().push(b"any"), Cow::Borrowed(b"any")));
    }
}
