//! What a task wrote: where it lies, its end, its hash. A log may be larger than the memory, so none is read whole.

use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use fs_err as fs;

use crate::cache::files::open_at_once;
use crate::hash::Hash;

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Its last lines. The first one is whole, unless it alone is too long.
    pub text: String,
    /// Whether there is more before them.
    pub cut: bool,
}

/// The last lines of a log, `most` bytes of them.
///
/// # Errors
/// Where it cannot be read. A task that wrote nothing has no log.
pub fn tail(log: &Path, most: u64) -> std::io::Result<Tail> {
    let mut file = open_log(log)?;
    // With the byte before them: after a line's end, the first line is whole.
    let before = file.metadata()?.len().saturating_sub(most.saturating_add(1));
    file.seek(SeekFrom::Start(before))?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let cut = bytes.len() as u64 > most;
    let first = if cut { bytes.iter().position(|byte| *byte == b'\n').map_or(1, |end| end + 1) } else { 0 };
    // Of one endless line, its end.
    let first = if first < bytes.len() { first } else { usize::from(cut) };
    Ok(Tail { text: String::from_utf8_lossy(bytes.get(first..).unwrap_or_default()).into_owned(), cut })
}

/// Opens a log: a file, and nothing else that somebody has put there.
///
/// # Errors
/// Where it cannot be read, or is not there.
pub fn open_log(log: &Path) -> std::io::Result<fs::File> {
    if !fs::symlink_metadata(log)?.is_file() {
        return Err(std::io::Error::other(format!("{} is no file", log.display())));
    }
    open_at_once(log)
}

/// The hash of a log. A task that wrote nothing has none, and that is the hash of nothing.
///
/// # Errors
/// Where it cannot be read.
pub fn log_hash(log: &Path) -> std::io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    match fs::File::open(log) {
        Ok(file) => hasher.update_reader(file)?,
        Err(error) if error.kind() == ErrorKind::NotFound => &mut hasher,
        Err(error) => return Err(error),
    };
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_whole_lines_where_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let tail = |text: &str, most| {
            fs::write(&log, text).unwrap();
            let tail = tail(&log, most).unwrap();
            (tail.text, tail.cut)
        };
        assert_eq!(tail("", 4), (String::new(), false));
        assert_eq!(tail("a\nb\n", 4), ("a\nb\n".into(), false));
        assert_eq!(tail("a\nb\nc\n", 4), ("b\nc\n".into(), true));
        assert_eq!(tail("aa\nbb\nc\n", 4), ("c\n".into(), true));
        assert_eq!(tail("abcdefgh", 4), ("efgh".into(), true));
        assert_eq!(tail("abcdefg\n", 4), ("efg\n".into(), true));
        assert_eq!(tail("é\nb\n", 3), ("b\n".into(), true));
    }

    /// It would not fit into the memory, and most of it is a hole.
    #[test]
    fn a_log_may_be_larger_than_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        file.set_len(1 << 40).unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(&log)
            .and_then(|mut file| {
                use std::io::Write as _;
                file.write_all(b"\nthe end\n")
            })
            .unwrap();
        assert_eq!(tail(&log, 8 << 10).unwrap(), Tail { text: "the end\n".into(), cut: true });
    }

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(log_hash(&log).unwrap(), Hash::of(b""));
        let text = vec![b'x'; 200_000];
        fs::write(&log, &text).unwrap();
        assert_eq!(log_hash(&log).unwrap(), Hash::of(&text));
    }
}
