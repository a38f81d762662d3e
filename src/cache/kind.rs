//! How the bytes of an object are hashed.

use std::io::Read;

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
const BLOCK: usize = 4 << 20;
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

    /// Hash and length of all that `reader` gives; `expected` bytes only size the buffer.
    pub(super) fn hash_reader(self, reader: &mut impl Read, expected: u64) -> std::io::Result<(Hash, u64)> {
        let mut hasher = self.hasher();
        let mut buffer = vec![0; usize::try_from(expected).unwrap_or(BLOCK).saturating_add(1).min(BLOCK)];
        let mut size = 0;
        loop {
            let count = fill(reader, &mut buffer)?;
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

/// Reads until the buffer is full or the end is reached.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
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
    use super::*;

    #[test]
    fn a_reader_gives_the_hash_of_its_bytes_at_every_length_of_buffer() {
        let bytes: Vec<u8> = (0..(BLOCK + 4097)).map(|index| (index * 7 % 251) as u8).collect();
        for length in [0, 1, 1024, BLOCK - 1, BLOCK, BLOCK + 1, bytes.len()] {
            for expected in [0, 10, length as u64, u64::MAX] {
                let part = &bytes[..length];
                let (hash, size) = Kind::File.hash_reader(&mut &*part, expected).unwrap();
                assert_eq!((hash, size), (Hash::of(part), length as u64), "{length} {expected}");
            }
        }
    }

    #[test]
    fn the_kind_is_part_of_the_hash() {
        let [file, program, folder] = [Kind::File, Kind::Program, Kind::Folder].map(|kind| kind.hash(b"{}"));
        assert!(file == Hash::of(b"{}") && file != program && program != folder && folder != file);
    }
}
