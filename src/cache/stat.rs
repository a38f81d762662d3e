//! What the file system says of a file without reading it, and when that can be trusted.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Size, times (nanoseconds since 1970), and identity of a file. Any change of its content changes one of them, except
/// where two changes fall into one tick of the clock that the file system stamps with: see [`Stat::is_settled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) ctime: i64,
    pub(super) inode: u64,
    pub(super) mode: u32,
}

const SECOND: i64 = 1_000_000_000;
/// The kernel stamps with its tick, 1 to 10 ms.
const TICK: i64 = 20_000_000;

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    /// Whether a change made after `moment` would have to show in the ctime, which no program can set. A file system
    /// whose stamps have no fractions of a second may have a grain of up to two seconds.
    pub(super) fn is_settled(&self, moment: i64) -> bool {
        let grain = if self.ctime % SECOND == 0 { 2 * SECOND } else { TICK };
        self.ctime.saturating_add(grain) < moment
    }
}

fn nanoseconds(seconds: i64, fraction: i64) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(fraction)
}

/// Now, in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_young_as_the_clocks_grain_is_not_trusted() {
        let fine = Stat { size: 1, mtime: 0, ctime: 100 * SECOND + 1, inode: 1, mode: 0 };
        assert!(
            !fine.is_settled(fine.ctime)
                && !fine.is_settled(fine.ctime + TICK)
                && fine.is_settled(fine.ctime + TICK + 1)
        );
        let coarse = Stat { ctime: 100 * SECOND, ..fine };
        assert!(!coarse.is_settled(102 * SECOND) && coarse.is_settled(102 * SECOND + 1));
        let future = Stat { ctime: now() + 60 * SECOND, ..fine };
        assert!(!future.is_settled(now()));
    }
}
