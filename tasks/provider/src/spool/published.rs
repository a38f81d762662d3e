//! What of a day is published already: a recording goes on from it, so that what is published next has all of it.
//!
//! The spool may have been removed, or be another one; a published day is replaced as a whole, and would lose what this
//! spool does not have.

use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use fs_err::File;

use super::{Spool, UNFINISHED, id_and_stamp};
use crate::{Origin, TickFile};

/// The rows of a recording, with their ids.
struct Rows<R> {
    reader: R,
    name: String,
    next: Option<(i64, Vec<u8>)>,
}

impl Spool {
    /// Takes in what a folder has that was published of this day: rows that are not here, and which contracts are whole.
    ///
    /// # Errors
    /// Names a file that is no recording of the same source; where the disk refuses.
    pub fn take_in(&mut self, published: &Path) -> Result<()> {
        for (folder, whole) in [(published.to_owned(), true), (published.join(UNFINISHED), false)] {
            if !folder.is_dir() {
                continue;
            }
            for entry in fs_err::read_dir(&folder)? {
                let entry = entry?;
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let Some(contract) = name.strip_suffix(&format!(".{}.csv.gz", self.day)) else { continue };
                let contract = Arc::from(contract);
                self.merge(&contract, &path).with_context(|| {
                    format!("{}: it would be lost, for what is recorded takes its place: move it away", path.display())
                })?;
                if whole {
                    fs_err::write(self.whole(&contract), "")?;
                }
            }
        }
        Ok(())
    }

    /// Puts the rows of a published file between those that are here, by their ids.
    fn merge(&mut self, contract: &Arc<str>, published: &Path) -> Result<()> {
        let origin = published.to_string_lossy().replace(".csv.gz", ".source.json");
        let origin: Origin = serde_json::from_str(&fs_err::read_to_string(&origin)?).context(origin)?;
        ensure!(origin.source == self.source, "it comes from `{}`, and not from `{}`", origin.source, self.source);
        self.contract(contract)?;
        self.flush()?;
        // Closed, for the file is replaced.
        self.contracts.remove(contract);
        let (path, part) = (self.path(contract), self.folder.join(format!("{contract}.merging")));
        let mut ours = Rows::of(BufReader::new(File::open(&path)?), &path)?;
        let gzip = flate2::bufread::MultiGzDecoder::new(BufReader::new(File::open(published)?));
        let mut theirs = Rows::of(BufReader::new(gzip), published)?;
        let mut out = TickFile::begin(BufWriter::new(File::create(&part)?))?.finish()?;
        loop {
            let here = ours.next.as_ref().map_or(i64::MAX, |(id, _)| *id);
            let there = theirs.next.as_ref().map_or(i64::MAX, |(id, _)| *id);
            let from_here = here <= there && ours.next.is_some();
            let row = if from_here { ours.take()? } else { theirs.take()? };
            let Some(row) = row else { break };
            if from_here && here == there {
                theirs.take()?;
            }
            out.write_all(&row)?;
        }
        out.into_inner().map_err(|error| error.into_error())?.sync_data()?;
        fs_err::rename(&part, &path)?;
        self.contract(contract).map(|_| ())
    }
}

impl<R: BufRead> Rows<R> {
    fn of(reader: R, path: &Path) -> Result<Self> {
        let mut rows = Self { reader, name: path.display().to_string(), next: None };
        let header = rows.line()?;
        ensure!(header == TickFile::begin(Vec::new())?.finish()?, "{}: not the columns of a recording", rows.name);
        rows.take()?;
        Ok(rows)
    }

    /// The next row; the one after it is looked at.
    fn take(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let after = match line.is_empty() {
            true => None,
            false => {
                let (id, _) =
                    id_and_stamp(&line).with_context(|| format!("{}: not a line of a recording", self.name))?;
                Some((id, line))
            }
        };
        Ok(std::mem::replace(&mut self.next, after).map(|(_, line)| line))
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).with_context(|| self.name.clone())?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use ghtrader_market::{Day, Regime};

    use super::*;
    use crate::SourceTick;

    fn spool(folder: &Path, source: &str) -> Spool {
        Spool::open(folder, "2024-01-29".parse::<Day>().unwrap(), source, Regime::ProdLive).unwrap()
    }

    fn tick(contract: &str, id: i64) -> SourceTick {
        let datetime_ns = 1_706_490_000_000_000_000 + id;
        SourceTick { contract: contract.into(), id, datetime_ns, values: [1.0; ghtrader_market::VALUES] }
    }

    fn ids(spool: &Spool, contract: &str) -> Vec<i64> {
        let text = fs_err::read(spool.path(contract)).unwrap();
        text.split(|byte| *byte == b'\n').skip(1).filter_map(id_and_stamp).map(|(id, _)| id).collect()
    }

    #[test]
    fn what_is_published_is_kept_by_a_spool_that_does_not_have_it() {
        let [first, second, out] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let (cu, au, ag) = ("SHFE.cu2403", "SHFE.au2404", "SHFE.ag2406");
        let mut one = spool(first.path(), "tqsdk");
        for (contract, id) in [(cu, 1), (cu, 2), (cu, 5), (au, 1)] {
            one.push(&tick(contract, id)).unwrap();
        }
        one.ended(&[au.to_owned()]).unwrap();
        one.hand_over(out.path()).unwrap();

        let mut other = spool(second.path(), "tqsdk");
        for (contract, id) in [(cu, 2), (cu, 3), (ag, 7)] {
            other.push(&tick(contract, id)).unwrap();
        }
        other.take_in(out.path()).unwrap();
        other.take_in(out.path()).unwrap();
        assert_eq!(ids(&other, cu), [1, 2, 3, 5]);
        assert_eq!((other.last(cu), other.last(au), other.last(ag)), (Some(5), Some(1), Some(7)));
        assert!(other.push(&tick(cu, 6)).unwrap() && !other.push(&tick(cu, 4)).unwrap());
        let again = tempfile::tempdir().unwrap();
        other.hand_over(again.path()).unwrap();
        let there = |name: &str| again.path().join(name).exists();
        assert!(there("SHFE.au2404.2024-01-29.csv.gz"), "what was whole is whole");
        assert!(there("unfinished/SHFE.cu2403.2024-01-29.csv.gz") && there("unfinished/SHFE.ag2406.2024-01-29.csv.gz"));
        assert_eq!(ids(&other, cu), [1, 2, 3, 5, 6]);
    }

    #[test]
    fn what_cannot_be_taken_in_is_named() {
        let [first, second, out] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let mut one = spool(first.path(), "tqsdk");
        one.push(&tick("SHFE.cu2403", 1)).unwrap();
        one.hand_over(out.path()).unwrap();
        let error = |source: &str| format!("{:#}", spool(second.path(), source).take_in(out.path()).unwrap_err());
        let other = error("elsewhere");
        assert!(other.contains("it comes from `tqsdk`, and not from `elsewhere`"), "{other}");
        let file = out.path().join("unfinished/SHFE.cu2403.2024-01-29.csv.gz");
        fs_err::write(&file, "").unwrap();
        let empty = error("tqsdk");
        assert!(empty.contains("SHFE.cu2403.2024-01-29.csv.gz") && empty.contains("move it away"), "{empty}");
    }
}
