//! How the bytes of an object are hashed.

use fs_err as fs;
use fs_err::os::unix::fs::FileExt as _;
use rayon::prelude::*;

use crate::hash::Hash;

/// What an object's bytes are. It is part of the hash, so that a hash alone says what lies there.
///
/// | kind | hash | so that |
/// |---|---|---|
/// | `File` | BLAKE3, as `b3sum` prints it | people can check it with a tool of their own |
/// | `Program` | BLAKE3 in its own context | setting the executable bit is a change of content |
/// | `Folder` | BLAKE3 of its listing, in its own context | a file that holds a listing is not taken for the folder |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Program,
    Folder,
}

/// Read at a time: large enough for all cores to share in hashing it.
const BLOCK: usize = 8 << 20;
/// Of it, one core reads so much at a time.
const PART: usize = 1 << 20;
/// Below this, threads cost more than they save.
const PARALLEL: usize = 512 << 10;

impl Kind {
    /// The kind of a file with these permission bits.
    pub(super) fn of_mode(mode: u32) -> Self {
        if mode & 0o111 == 0 { Self::File } else { Self::Program }
    }

    /// The permission bits of its object: nobody writes to it.
    pub(super) fn mode(self) -> u32 {
        if self == Self::Program { 0o555 } else { 0o444 }
    }

    /// What hashes bytes of this kind.
    pub(super) fn hasher(self) -> blake3::Hasher {
        match self {
            Self::File => blake3::Hasher::new(),
            Self::Program => blake3::Hasher::new_derive_key("ghtrader 2026 executable file v1"),
            Self::Folder => blake3::Hasher::new_derive_key("ghtrader 2026 folder listing v1"),
        }
    }

    pub(super) fn hash(self, bytes: &[u8]) -> Hash {
        let mut hasher = self.hasher();
        if bytes.len() < PARALLEL {
            hasher.update(bytes)
        } else {
            hasher.update_rayon(bytes)
        };
        hasher.finalize().into()
    }

    /// Hash and length of a file; `expected` bytes only size the buffer.
    pub(super) fn hash_file(self, file: &fs::File, expected: u64) -> std::io::Result<(Hash, u64)> {
        self.hash_read(&|buffer, start| file.read_at(buffer, start), expected)
    }

    fn hash_read(self, read: &impl ReadAt, expected: u64) -> std::io::Result<(Hash, u64)> {
        let mut hasher = self.hasher();
        let mut buffer = vec![0; usize::try_from(expected).unwrap_or(BLOCK).saturating_add(1).min(BLOCK)];
        let mut size = 0;
        loop {
            let count = fill(read, &mut buffer, size)?;
            let block = buffer.get(..count).unwrap_or_default();
            if count < PARALLEL {
                hasher.update(block)
            } else {
                hasher.update_rayon(block)
            };
            size += count as u64;
            if count < buffer.len() {
                return Ok((hasher.finalize().into(), size));
            }
        }
    }
}

/// How a file gives what it has from a place on: as [`FileExt::read_at`] does.
trait ReadAt: Fn(&mut [u8], u64) -> std::io::Result<usize> + Sync {}

impl<F: Fn(&mut [u8], u64) -> std::io::Result<usize> + Sync> ReadAt for F {}

/// Reads what the file has from `start` on, until the buffer is full or the end is reached. To copy it out of the page cache takes
/// a third of the time that hashing takes, so all cores share in that too.
fn fill(read: &impl ReadAt, buffer: &mut [u8], start: u64) -> std::io::Result<usize> {
    if buffer.len() <= PART {
        return fill_part(read, buffer, start);
    }
    let fill = |(index, part): (usize, &mut [u8])| -> std::io::Result<(usize, bool)> {
        let count = fill_part(read, part, start + (index * PART) as u64)?;
        Ok((count, count < part.len()))
    };
    let counts: Vec<_> = buffer.par_chunks_mut(PART).enumerate().map(fill).collect::<std::io::Result<_>>()?;
    // Of a file that grows meanwhile, what lies behind the end that one part saw does not count.
    let ended = counts.iter().position(|(_, ended)| *ended).map_or(counts.len(), |part| part + 1);
    Ok(counts.iter().take(ended).map(|(count, _)| count).sum())
}

fn fill_part(read: &impl ReadAt, part: &mut [u8], start: u64) -> std::io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = part.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match read(rest, start + count as u64) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_file_gives_the_hash_of_its_bytes_at_every_length_of_buffer() {
        let bytes: Vec<u8> = (0..(BLOCK + PART + 4097)).map(|index| (index * 7 % 251) as u8).collect();
        for length in [0, 1, 1024, PART - 1, PART, PART + 1, BLOCK - 1, BLOCK, BLOCK + 1, bytes.len()] {
            // A buffer of a few bytes would take a million reads.
            for (expected, most) in [(PART - 1, 400_000), (length, usize::MAX), (usize::MAX, 300_001)] {
                let reads = AtomicUsize::new(0);
                let part = &bytes[..length];
                let read = |buffer: &mut [u8], start: u64| {
                    if reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                        return Err(std::io::ErrorKind::Interrupted.into());
                    }
                    let rest = &part[length.min(start as usize)..];
                    let count = rest.len().min(buffer.len()).min(most);
                    buffer[..count].copy_from_slice(&rest[..count]);
                    Ok(count)
                };
                let hashed = Kind::File.hash_read(&read, expected as u64).unwrap();
                assert_eq!(hashed, (Hash::of(part), length as u64), "{length} {expected}");
            }
        }
    }

    #[test]
    fn of_a_file_that_grows_nothing_behind_a_gap_counts() {
        let half = PART / 2;
        let read = |buffer: &mut [u8], start: u64| {
            let rest = if (start as usize) < PART { half.saturating_sub(start as usize) } else { buffer.len() };
            Ok(rest.min(buffer.len()))
        };
        let hashed = Kind::File.hash_read(&read, 2 * PART as u64).unwrap();
        assert_eq!(hashed, (Hash::of(&vec![0; half]), half as u64));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = Kind::File.hash_file(&fs::File::open(folder.path()).unwrap(), 0).unwrap_err();
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }

    #[test]
    fn the_kind_is_part_of_the_hash() {
        let [file, program, folder] = [Kind::File, Kind::Program, Kind::Folder].map(|kind| kind.hash(b"{}"));
        assert!(file == Hash::of(b"{}") && file != program && program != folder && folder != file);
    }
}
