//! The spool of a recording: where live ticks go first, and stay until they are published.
//!
//! A folder of one trading day, `<spool>/<day>/<contract>.csv`, outside of the task's own folder: a task that is killed
//! leaves no output, but what it had written here is here. Whoever goes on reads which tick was the last; a line that was
//! cut off is cut off whole.

mod published;

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use fs_err::{File, OpenOptions};
use ghtrader_market::{Contract, Day, Regime};

use crate::{Origin, SourceTick, TickFile, compress, credentials};

/// Written into the folder of a day when all of it has been handed over.
const FINISHED: &str = "finished";
/// The folder for contracts whose recording did not last until the day's end: what lies there is no whole day.
pub const UNFINISHED: &str = "unfinished";

/// A day's spool, open.
pub struct Spool {
    folder: PathBuf,
    source: String,
    tier: Regime,
    day: Day,
    contracts: BTreeMap<Arc<str>, Open>,
    /// Held as long as this lives.
    _lock: File,
}

struct Open {
    file: TickFile<BufWriter<File>>,
    origin: Origin,
}

impl Spool {
    /// Opens the spool of a day, with what is in it.
    ///
    /// # Errors
    /// Where somebody else records into it, or a file is not one of ours.
    pub fn open(spool: &Path, day: Day, source: &str, tier: Regime) -> Result<Self> {
        let folder = spool.join(day.to_string());
        fs_err::create_dir_all(&folder)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("somebody else records {day} into {}: one is enough", spool.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| folder.display().to_string()),
        }
        let mut found = Self { folder, source: source.to_owned(), tier, day, contracts: BTreeMap::new(), _lock: lock };
        for entry in fs_err::read_dir(&found.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(contract) = name.strip_suffix(".csv") {
                found.contract(&Arc::from(contract))?;
            }
        }
        Ok(found)
    }

    /// The id of the last tick of a contract that is here.
    pub fn last(&self, contract: &str) -> Option<i64> {
        self.contracts.get(contract)?.origin.ids.map(|[_, last]| last)
    }

    /// The contracts of which there is something, and what.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.contracts.values().map(|open| &open.origin).filter(|origin| origin.rows > 0)
    }

    /// Adds a tick, unless it is here already: whether it was new.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn push(&mut self, tick: &SourceTick) -> Result<bool> {
        if self.last(&tick.contract).is_some_and(|last| tick.id <= last) {
            return Ok(false);
        }
        let open = self.contract(&tick.contract)?;
        open.file.push(tick)?;
        open.origin.count(tick);
        Ok(true)
    }

    /// Hands everything to the system: what was added before survives a kill of this process.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn flush(&mut self) -> Result<()> {
        self.contracts
            .values_mut()
            .try_for_each(|open| open.file.flush())
            .with_context(|| self.folder.display().to_string())
    }

    /// Hands everything to the disk: it survives the loss of power too.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        for contract in self.contracts.keys() {
            File::open(self.path(contract))?.sync_data()?;
        }
        Ok(())
    }

    /// Notes that these contracts were followed until the end of the day, so that what is here of them is all of it: a
    /// recording begins with the day's first tick, however late it is started.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn ended(&self, contracts: &[String]) -> Result<()> {
        contracts.iter().try_for_each(|contract| {
            Contract::parse(contract)?;
            Ok(fs_err::write(self.whole(contract), "")?)
        })
    }

    /// Writes what is here to a folder: `<contract>.<day>.csv.gz`, and `<contract>.<day>.source.json` beside it; of contracts
    /// that were not followed until the day's end, to its folder [`UNFINISHED`].
    ///
    /// # Errors
    /// Where a disk refuses.
    pub fn hand_over(&mut self, to: &Path) -> Result<()> {
        self.sync()?;
        for origin in self.origins() {
            let to = if self.whole(&origin.contract).exists() { to.to_owned() } else { to.join(UNFINISHED) };
            fs_err::create_dir_all(&to)?;
            let name = format!("{}.{}", origin.contract, self.day);
            let mut from = BufReader::new(File::open(self.path(&origin.contract))?);
            let mut out = compress(BufWriter::new(File::create(to.join(format!("{name}.csv.gz")))?));
            std::io::copy(&mut from, &mut out)?;
            out.finish()?.flush()?;
            origin.write(&to.join(format!("{name}.source.json")))?;
        }
        Ok(())
    }

    /// Notes that the day is over and handed over.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn finish(&self) -> Result<()> {
        Ok(fs_err::write(self.folder.join(FINISHED), "")?)
    }

    fn whole(&self, contract: &str) -> PathBuf {
        self.folder.join(format!("{contract}.whole"))
    }

    fn path(&self, contract: &str) -> PathBuf {
        self.folder.join(format!("{contract}.csv"))
    }

    fn contract(&mut self, contract: &Arc<str>) -> Result<&mut Open> {
        if !self.contracts.contains_key(contract) {
            // A file is named so: what is no contract could lie anywhere.
            Contract::parse(contract).with_context(|| format!("{}: what is recorded", self.folder.display()))?;
            let origin = Origin::new(&self.source, self.tier, contract, self.day);
            let open = go_on(&self.path(contract), origin)?;
            self.contracts.insert(Arc::clone(contract), open);
        }
        self.contracts.get_mut(contract).context("a contract that was just opened")
    }
}

/// Opens a file for more rows, and counts those that are in it.
fn go_on(path: &Path, mut origin: Origin) -> Result<Open> {
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let (mut reader, mut line, mut whole, mut number) = (BufReader::new(&mut file), Vec::new(), 0, 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 || line.last() != Some(&b'\n') {
            break;
        }
        whole += length as u64;
        number += 1;
        if number > 1 {
            let bad = || format!("{}:{number}: not a line of a recording: move the file away", path.display());
            let (id, ns) = id_and_stamp(&line).with_context(bad)?;
            origin.count_row(id, ns);
        }
    }
    drop(reader);
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    let writer = BufWriter::new(file);
    let file = if whole == 0 { TickFile::begin(writer)? } else { TickFile::go_on(writer) };
    Ok(Open { file, origin })
}

fn id_and_stamp(line: &[u8]) -> Option<(i64, i64)> {
    let mut fields = std::str::from_utf8(line).ok()?.split(',').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Where the flow `record` publishes a day of a market folder; `None` where the project is not to be found.
pub fn published_of(market: &str, day: Day) -> Option<PathBuf> {
    let folder = Path::new(market).join("recorded").join(day.to_string());
    if folder.is_absolute() { Some(folder) } else { Some(credentials::project()?.join(folder)) }
}

/// The folder of a market's spool: the one that is given, relative to the project, or `spool/<market>` in it.
///
/// # Errors
/// Where no project is to be found, and no absolute path is given.
pub fn spool_of(given: Option<&Path>, market: &str) -> Result<PathBuf> {
    spool_in(credentials::project(), given, market)
}

fn spool_in(project: Option<PathBuf>, given: Option<&Path>, market: &str) -> Result<PathBuf> {
    let name: String = market.chars().map(|c| if matches!(c, '/' | '\\') { '.' } else { c }).collect();
    let usual = Path::new("spool").join(name.trim_matches('.'));
    let folder = given.filter(|given| !given.as_os_str().is_empty()).unwrap_or(&usual);
    if folder.is_absolute() {
        return Ok(folder.to_owned());
    }
    // Not in the folder of the task, which is another one each time.
    let project = project.with_context(|| {
        format!(
            "the cache does not lie in the project, so it is not known where `{}` should be, the folder for what is being \
             recorded: give an absolute path with `spool`",
            folder.display()
        )
    })?;
    Ok(project.join(folder))
}

/// The days in a spool that are before `today` and have not been finished, ascending; those of which `published` does
/// not say that they are where they belong count too.
///
/// # Errors
/// Where the disk refuses.
pub fn left_over(spool: &Path, today: Day, published: impl Fn(Day) -> bool) -> Result<Vec<Day>> {
    if !spool.is_dir() {
        return Ok(Vec::new());
    }
    let mut days = Vec::new();
    for entry in fs_err::read_dir(spool)? {
        let entry = entry?;
        let Some(day) = entry.file_name().to_str().and_then(|name| name.parse::<Day>().ok()) else { continue };
        let finished = entry.path().join(FINISHED).exists() && published(day);
        let something = fs_err::read_dir(entry.path())?
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|it| it == "csv"));
        if day < today && !finished && something {
            days.push(day);
        }
    }
    days.sort_unstable();
    Ok(days)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn tick(id: i64) -> SourceTick {
        let mut values = [f64::NAN; ghtrader_market::VALUES];
        values[0] = 68_500.0 + id as f64;
        SourceTick { contract: "SHFE.cu2403".into(), id, datetime_ns: 1_706_490_000_000_000_000 + id, values }
    }

    fn day() -> Day {
        "2024-01-29".parse().unwrap()
    }

    fn open(folder: &Path) -> Spool {
        Spool::open(folder, day(), "tqsdk", Regime::ProdLive).unwrap()
    }

    #[test]
    fn a_cut_off_line_is_cut_off_and_the_recording_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2024-01-29/SHFE.cu2403.csv");
        let mut spool = open(folder.path());
        (1..=3).for_each(|id| assert!(spool.push(&tick(id)).unwrap()));
        drop(spool);
        let whole = std::fs::read(&path).unwrap();
        let middle = whole.len() - 7;
        std::fs::write(&path, &whole[..middle]).unwrap();

        let mut spool = open(folder.path());
        assert_eq!(spool.last("SHFE.cu2403"), Some(2));
        assert!(!spool.push(&tick(2)).unwrap(), "it is here");
        (3..=4).for_each(|id| assert!(spool.push(&tick(id)).unwrap()));
        assert!(spool.push(&tick(7)).unwrap());
        let out = tempfile::tempdir().unwrap();
        spool.hand_over(out.path()).unwrap();
        let mut text = String::new();
        let file = File::open(out.path().join("unfinished/SHFE.cu2403.2024-01-29.csv.gz")).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        let ids: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
        assert_eq!(ids, ["1", "2", "3", "4", "7"]);
        let origin = spool.origins().next().unwrap();
        assert_eq!((origin.rows, origin.missing, origin.ids), (5, 2, Some([1, 7])), "5 and 6 were never given");
    }

    #[test]
    fn only_what_was_followed_to_the_end_is_a_whole_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path());
        for contract in ["SHFE.cu2403", "SHFE.cu2404"] {
            spool.push(&SourceTick { contract: contract.into(), ..tick(1) }).unwrap();
        }
        spool.ended(&["SHFE.cu2403".to_owned()]).unwrap();
        drop(spool);
        let out = tempfile::tempdir().unwrap();
        open(folder.path()).hand_over(out.path()).unwrap();
        let there = |name: &str| out.path().join(name).exists();
        assert!(there("SHFE.cu2403.2024-01-29.csv.gz") && there("unfinished/SHFE.cu2404.2024-01-29.csv.gz"));
        assert!(!there("SHFE.cu2404.2024-01-29.csv.gz") && !there("unfinished/SHFE.cu2403.2024-01-29.csv.gz"));
    }

    #[test]
    fn a_spool_is_relative_to_the_project() {
        let of = |project: Option<&str>, given: &str| {
            spool_in(project.map(PathBuf::from), Some(Path::new(given)), "markets/shfe")
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(Some("/p"), "").unwrap(), Path::new("/p/spool/markets.shfe"));
        assert_eq!(of(Some("/p"), "live").unwrap(), Path::new("/p/live"));
        assert_eq!(of(Some("/p"), "/data/live").unwrap(), Path::new("/data/live"));
        assert_eq!(of(None, "/data/live").unwrap(), Path::new("/data/live"));
        let error = of(None, "live").unwrap_err();
        assert!(error.contains("where `live` should be") && error.contains("an absolute path with `spool`"), "{error}");
    }

    #[test]
    fn two_do_not_record_into_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(folder.path());
        let error = Spool::open(folder.path(), day(), "tqsdk", Regime::ProdLive).err().unwrap();
        assert!(error.to_string().contains("somebody else records 2024-01-29"), "{error}");
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("2024-01-29")).unwrap();
        let error = |name: &str| {
            let file = folder.path().join("2024-01-29").join(name);
            std::fs::write(&file, "a,b\n1\n").unwrap();
            let error = Spool::open(folder.path(), day(), "tqsdk", Regime::ProdLive).err().unwrap();
            std::fs::remove_file(file).unwrap();
            format!("{error:#}")
        };
        let lines = error("SHFE.x.csv");
        assert!(lines.contains("SHFE.x.csv:2: not a line of a recording"), "{lines}");
        let name = error("x.csv");
        assert!(name.contains("2024-01-29") && name.contains("`x` is no contract"), "{name}");
    }

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder.path().join("spool"));
        for name in ["../../x", "../../../x", "SHFE.cu2403/../../y", "/tmp/x", "nonsense", ""] {
            let error = spool.push(&SourceTick { contract: name.into(), ..tick(1) }).unwrap_err();
            assert!(format!("{error:#}").contains("is no contract"), "{name}: {error:#}");
            assert!(spool.ended(&[name.to_owned()]).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(folder.path().join("spool/2024-01-29")).unwrap().count(), 1, "the lock alone");
    }

    #[test]
    fn what_was_not_published_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let today = day().plus(1);
        assert!(left_over(&folder.path().join("none"), today, |_| false).unwrap().is_empty());
        let mut spool = open(folder.path());
        assert!(left_over(folder.path(), today, |_| true).unwrap().is_empty(), "there is nothing in it");
        spool.push(&tick(1)).unwrap();
        assert_eq!(left_over(folder.path(), today, |_| true).unwrap(), [day()]);
        spool.finish().unwrap();
        assert!(left_over(folder.path(), today, |_| true).unwrap().is_empty());
        assert_eq!(left_over(folder.path(), today, |_| false).unwrap(), [day()]);
        assert!(left_over(folder.path(), day(), |_| false).unwrap().is_empty(), "today's is not");
    }
}
