//! Kind `record`: live ticks of a trading day, from a source, as files that `ingest` reads.
//!
//! Ticks go to a spool outside of the task's folder first (`ghtrader_provider::Spool`), each second to the system and
//! every ten seconds to the disk; at the end, the day's files are made from all that the spool has of the day. So a
//! recorder that is killed loses the last second at most, and one that is started again goes on where it ended. However late
//! the first one is started, it begins with the day's first tick; what does not last until the day's end is no whole day.
//! What is published of the day already goes on with it: the folder of a day is replaced as a whole.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use ghtrader_kit::{InputFile, Job, OutputFile, OutputFolder, Result, Task};
use ghtrader_market::{Calendar, CalendarRule, Contract, Day, MarketFile, Regime, TimeOfDay};
use ghtrader_provider::{Event, Follow, Guarded, Provider, Source, SourceTick, Spool, Window, published_of, spool_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Between two flushes: what a kill costs at most.
const FLUSH: Duration = Duration::from_secs(1);
/// Between two syncs: what a loss of power costs at most.
const SYNC: Duration = Duration::from_secs(10);
/// After the last session's close, in which the exchange still sends its last snapshots.
const LATE: Duration = Duration::from_secs(600);

/// The kind.
pub struct Record;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Where from
    #[serde(default)]
    pub source: Source,
    /// Contracts, such as SHFE.cu2403
    #[schemars(extend("minItems" = 1, "items" = { "type": "string", "pattern": r"^[A-Za-z0-9_&-]+\.[A-Za-z0-9_&-]+$" }))]
    pub contracts: Vec<String>,
    /// Ends after so many minutes; otherwise ten minutes after the last session of the trading day
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Ends at this local time, 11:30:00; whichever comes first
    #[serde(default)]
    pub until: Option<TimeOfDay>,
    /// The market folder, from which the spool has its name, and in whose recorded/<day>/ the day is published
    pub root: String,
    /// What is published there, for where the cache does not lie in the project: `${{ files(… ~ '/recorded/' ~ day ~ '/**') }}`
    #[serde(default)]
    pub files: Vec<String>,
    /// A folder for what is being recorded; by default spool/ in the project
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// The present trading day, instead of that of the clock: then `minutes` or `until` have to end it
    #[serde(default)]
    pub today: Option<Day>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// market.yaml
    market: InputFile,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// <contract>.<day>.csv.gz, and <contract>.<day>.source.json beside each; in unfinished/ where it is no whole day
    ticks: OutputFolder,
    /// How many ticks of each contract there are, and of which there is none
    #[schemars(extend("path" = "recorded.txt"))]
    text: OutputFile,
}

impl Task for Record {
    const NAME: &'static str = "record";
    const ABOUT: &'static str = "Live ticks of a trading day from a source, kept through kills and restarts";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let day: Day = job.axis("day")?;
        let market = MarketFile::read(inputs.market.path())?;
        ensure!(!params.contracts.is_empty(), "no contract is to be recorded: name some, such as SHFE.cu2403");
        let end = end_of(&market, &params.contracts, day)?;
        let begun = now()?;
        let end = match params.today {
            None => end,
            Some(today) if day < today => i64::MIN,
            Some(_) => i64::MAX,
        };
        let calendar = Calendar::new(&market.clock())?;
        // Of an earlier day, all is handed over that was recorded, whichever contracts are asked for now.
        let present = day >= params.today.unwrap_or_else(|| calendar.trading_day(begun));
        let asked = if present { params.contracts.as_slice() } else { &[] };
        some_is_traded(&market, &calendar, asked, day)?;
        let folder = spool_of(params.spool.as_deref(), &params.root)?;
        let published = published(&params, day)?;
        // A day that is over is only handed over: that needs no source.
        if begun >= end {
            let mut spool = Spool::open(&folder, day, params.source.name.as_str(), Regime::ProdLive)?;
            published.map_or(Ok(()), |published| spool.take_in(&published))?;
            spool.hand_over(outputs.ticks.path())?;
            spool.finish()?;
            return tell(&spool, asked, day, outputs.text.path());
        }
        let mut source = params.source.open(&market, None)?;
        let tier = if source.tier() == Regime::Synthetic { Regime::Synthetic } else { Regime::ProdLive };
        let mut spool = Spool::open(&folder, day, source.name(), tier)?;
        published.map_or(Ok(()), |published| spool.take_in(&published))?;
        let mut recorder = Recorder {
            spool,
            day,
            begin: Window::of_day("", day, &market.clock())?.from_ns,
            calendar,
            up_to_date: false,
            counts: Counts::default(),
            flushed: Instant::now(),
            synced: Instant::now(),
        };
        let stop = stop_at(&params, &recorder.calendar, end)?;
        let recorded = recorder.day(&mut source, &params.contracts, stop, end, outputs.ticks.path());
        source.health().report(source.breaker(), job);
        recorder.counts.report(job);
        recorded?;
        tell(&recorder.spool, asked, day, outputs.text.path())
    }
}

/// Where the day is published, and may lie already.
fn published(params: &Params, day: Day) -> Result<Option<PathBuf>> {
    let folder = published_of(&params.root, day);
    if let (None, Some(first)) = (&folder, params.files.first()) {
        bail!(
            "the cache does not lie in the project, so what is published of {day} cannot be read, and would be lost, as {first}: \
             move it away, or record with a cache in the project"
        );
    }
    Ok(folder)
}

/// Refuses where none of the contracts that are asked for is traded any more.
fn some_is_traded(market: &MarketFile, calendar: &Calendar, asked: &[String], day: Day) -> Result<()> {
    let mut over = Vec::new();
    for name in asked {
        let contract = Contract::parse(name)?;
        match market.listing_of(&contract)?.lifetime(&contract, calendar)?.last {
            Some(last) if last < day => over.push(format!("{name} on {last}")),
            _ => return Ok(()),
        }
    }
    let over = over.join(", ");
    ensure!(
        asked.is_empty(),
        "on {day} nothing is to be recorded, for the last trading day was that of {over}: name contracts that are traded"
    );
    Ok(())
}

/// Says what there is of each contract. Some may not have been traded; where none of those that are asked for was, something
/// is wrong.
fn tell(spool: &Spool, asked: &[String], day: Day, to: &Path) -> Result<()> {
    let mut text = String::new();
    for origin in spool.origins() {
        text.push_str(&format!("{day} {}: {} ticks\n", origin.contract, origin.rows));
    }
    let lacking: Vec<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|name| spool.origins().all(|origin| origin.contract != **name))
        .collect();
    ensure!(
        asked.is_empty() || lacking.len() < asked.len(),
        "no tick of {} came on {day}: look whether the contracts are traded, and whether there was trading while it was recorded",
        lacking.join(", ")
    );
    for name in lacking {
        text.push_str(&format!("{day} {name}: WARNING: no tick came; look whether it is traded\n"));
    }
    Ok(fs_err::write(to, text)?)
}

#[derive(Default)]
struct Counts {
    recorded: u64,
    again: u64,
    other_days: u64,
}

impl Counts {
    fn report(&self, job: &Job) {
        job.metric("ticks_recorded", self.recorded as f64);
        job.metric("ticks_again", self.again as f64);
        job.metric("ticks_of_other_days", self.other_days as f64);
    }
}

struct Recorder {
    spool: Spool,
    day: Day,
    /// Of the trading day, UTC nanoseconds.
    begin: i64,
    calendar: Calendar,
    /// Whether all is here that the source has: not while a connection is away, or what came meanwhile is asked for.
    up_to_date: bool,
    counts: Counts,
    flushed: Instant,
    synced: Instant,
}

impl Recorder {
    /// Records until `stop`, and hands over what there is then; the day is over at `end` (both in UTC nanoseconds).
    fn day(
        &mut self,
        source: &mut Guarded<Box<dyn Provider>>,
        contracts: &[String],
        stop: i64,
        end: i64,
        to: &Path,
    ) -> Result<()> {
        self.record(source, contracts, stop)?;
        let over = now()? >= end;
        if over && self.up_to_date {
            self.spool.ended(contracts)?;
        }
        self.spool.hand_over(to)?;
        if over { self.spool.finish() } else { Ok(()) }
    }

    /// Records until `stop` (UTC nanoseconds).
    fn record(&mut self, source: &mut Guarded<Box<dyn Provider>>, contracts: &[String], stop: i64) -> Result<()> {
        let follow: Vec<Follow> = contracts
            .iter()
            .map(|name| Follow { contract: name.as_str().into(), from_ns: self.begin, after: self.spool.last(name) })
            .collect();
        source.live(&follow, &mut |event| {
            match event {
                Event::Tick(tick) => self.take(&tick)?,
                Event::Idle => self.up_to_date = true,
                Event::Waiting => self.up_to_date = false,
            }
            self.keep()?;
            Ok(if now()? >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        self.spool.sync()
    }

    fn take(&mut self, tick: &SourceTick) -> Result<()> {
        let count = if self.calendar.trading_day(tick.datetime_ns) != self.day {
            &mut self.counts.other_days
        } else if self.spool.push(tick)? {
            &mut self.counts.recorded
        } else {
            &mut self.counts.again
        };
        *count += 1;
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        if self.synced.elapsed() >= SYNC {
            self.spool.sync()?;
            (self.synced, self.flushed) = (Instant::now(), Instant::now());
        } else if self.flushed.elapsed() >= FLUSH {
            self.spool.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
    }
}

/// UTC nanoseconds.
fn now() -> Result<i64> {
    Ok(i64::try_from(jiff::Timestamp::now().as_nanosecond())?)
}

/// When a trading day is over for all of these contracts: a little after the last close.
fn end_of(market: &MarketFile, contracts: &[String], day: Day) -> Result<i64> {
    let calendar = Calendar::new(&market.clock())?;
    let whole = Window::of_day("", day, &market.clock())?.to_ns;
    let mut end = i64::MIN;
    for name in contracts {
        let ticks = market.ticks_of(&Contract::parse(name)?)?;
        let close = ticks.sessions.0.last().map(|session| calendar.moment(day, session.1));
        let late = |close: i64| close.saturating_add(i64::try_from(LATE.as_nanos()).unwrap_or(0));
        let close = match market.clock().calendar {
            CalendarRule::ChinaFutures => close.map_or(whole, late).min(whole),
            CalendarRule::UtcDay | CalendarRule::Weekdays => whole,
        };
        end = end.max(close);
    }
    Ok(end)
}

/// When this recording ends: at the day's end, after `minutes`, or at `until`.
fn stop_at(params: &Params, calendar: &Calendar, end: i64) -> Result<i64> {
    let now = now()?;
    let mut stop = end;
    if let Some(minutes) = params.minutes {
        ensure!(minutes.is_finite() && minutes > 0.0, "`minutes` is {minutes}: it should be more than 0");
        // Some years of minutes are as good as the end.
        stop = stop.min(now.saturating_add((minutes * 60e9) as i64));
    }
    if let Some(until) = params.until {
        let (date, _) = calendar.local(now);
        let next =
            [date, date.plus(1)].map(|date| calendar.moment(date, until)).into_iter().find(|moment| *moment > now);
        stop = stop.min(next.unwrap_or(stop));
    }
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use ghtrader_provider::{Guard, Listing, LiveSink, Sink};

    use super::*;

    /// A source with one tick of the contract that is followed, and then silence, or the wait for a connection that broke.
    struct OneTick {
        breaks: bool,
    }

    impl Provider for OneTick {
        fn name(&self) -> &'static str {
            "one"
        }

        fn tier(&self) -> Regime {
            Regime::Historical
        }

        fn history(&mut self, _: &Window, _: Sink<'_>) -> ghtrader_provider::Result<()> {
            Ok(())
        }

        fn live(&mut self, follow: &[Follow], sink: LiveSink<'_>) -> ghtrader_provider::Result<()> {
            for Follow { contract, from_ns, after } in follow {
                let values = [1.0; ghtrader_market::VALUES];
                if after.is_none() {
                    let _ = sink(Event::Tick(SourceTick {
                        contract: contract.clone(),
                        id: 1,
                        datetime_ns: *from_ns,
                        values,
                    }))?;
                }
            }
            let _ = sink(Event::Idle)?;
            while sink(if self.breaks { Event::Waiting } else { Event::Idle })?.is_continue() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }

        fn closed_days(&mut self) -> ghtrader_provider::Result<Vec<Day>> {
            Ok(Vec::new())
        }

        fn contracts(&mut self, _: &str, _: &str) -> ghtrader_provider::Result<Vec<Listing>> {
            Ok(Vec::new())
        }
    }

    /// Records a day that ends a moment after now, until `stop` moments after now; what is published of it.
    fn recorded(spool: &Path, contract: &str, breaks: bool, [stop, end]: [i64; 2]) -> Vec<String> {
        const MOMENT_NS: i64 = 50_000_000;
        let (day, clock) = ("2024-01-29".parse().unwrap(), ghtrader_market::Clock::china());
        let mut recorder = Recorder {
            spool: Spool::open(spool, day, "one", Regime::ProdLive).unwrap(),
            day,
            begin: Window::of_day("", day, &clock).unwrap().from_ns,
            calendar: Calendar::new(&clock).unwrap(),
            up_to_date: false,
            counts: Counts::default(),
            flushed: Instant::now(),
            synced: Instant::now(),
        };
        let (out, at) = (tempfile::tempdir().unwrap(), now().unwrap());
        let [stop, end] = [stop, end].map(|moments| at + moments * MOMENT_NS);
        let mut source: Guarded<Box<dyn Provider>> = Guarded::new(Box::new(OneTick { breaks }), Guard::default());
        recorder.day(&mut source, &[contract.to_owned()], stop, end, out.path()).unwrap();
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
        };
        let unfinished = names(&out.path().join("unfinished")).into_iter().map(|name| format!("unfinished/{name}"));
        let mut all: Vec<String> = names(out.path()).into_iter().chain(unfinished).collect();
        all.retain(|name| name.ends_with(".csv.gz"));
        all.sort();
        all
    }

    #[test]
    fn what_does_not_last_until_the_end_is_no_whole_day() {
        let spool = tempfile::tempdir().unwrap();
        let (cu, au) = ("SHFE.cu2403.2024-01-29.csv.gz", "unfinished/SHFE.au2404.2024-01-29.csv.gz");
        assert_eq!(recorded(spool.path(), "SHFE.au2404", false, [1, 1_000]), [au]);
        let early = recorded(spool.path(), "SHFE.cu2403", false, [1, 1_000]);
        assert_eq!(early, [au.to_owned(), format!("unfinished/{cu}")], "it is what `minutes` or a kill leaves");
        let away = recorded(spool.path(), "SHFE.cu2403", true, [2, 2]);
        assert_eq!(away, early, "the service was away when the day ended");
        let late = recorded(spool.path(), "SHFE.cu2403", false, [2, 2]);
        assert_eq!(late, [cu, au], "the other one was not followed any more");
    }

    fn market(text: &str) -> MarketFile {
        MarketFile::parse(Path::new("market.yaml"), text).unwrap()
    }

    fn params(minutes: Option<f64>, until: Option<&str>) -> Params {
        let until = until.map(|until| until.parse().unwrap());
        let (contracts, root) = (vec!["SHFE.cu2403".to_owned()], "market".to_owned());
        Params {
            source: Source::default(),
            contracts,
            minutes,
            until,
            root,
            files: Vec::new(),
            spool: None,
            today: None,
        }
    }

    #[test]
    fn a_day_ends_a_little_after_its_last_close() {
        let china = market("{ calendar: china-futures, levels: 1, varieties: { cu: { exchange: SHFE, files: [x] } } }");
        let day: Day = "2024-01-29".parse().unwrap();
        let end = end_of(&china, &["SHFE.cu2403".to_owned()], day).unwrap();
        // 15:10 in UTC+8.
        assert_eq!(end, 1_706_512_200_000_000_000);
        for strange in ["SHFE.zn2403", "DCE.cu2403"] {
            let error = end_of(&china, &[strange.to_owned()], day).unwrap_err().to_string();
            assert!(error.contains(&format!("`{strange}` is no variety or contract")), "{error}");
            assert!(error.contains("which has cu of SHFE"), "{error}");
        }
        let round = "{ calendar: utc-day, levels: 1, varieties: { BTCUSDT: { exchange: X, tick: 0.1, multiplier: 1, files: [x] } } }";
        let end = end_of(&market(round), &["X.BTCUSDT".to_owned()], day).unwrap();
        assert_eq!(end, 1_706_572_800_000_000_000, "midnight");
    }

    #[test]
    fn what_is_not_traded_any_more_is_refused_at_once() {
        let china = market("{ calendar: china-futures, levels: 1, varieties: { cu: { exchange: SHFE, files: [x] } } }");
        let calendar = Calendar::new(&china.clock()).unwrap();
        let traded = |names: &[&str], day: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            some_is_traded(&china, &calendar, &names, day.parse().unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(traded(&["SHFE.cu2403"], "2024-03-15"), Ok(()));
        let error = traded(&["SHFE.cu2403", "SHFE.cu2402"], "2024-03-18").unwrap_err();
        assert!(error.contains("SHFE.cu2403 on 2024-03-15, SHFE.cu2402 on 2024-02-19"), "{error}");
        assert_eq!(traded(&["SHFE.cu2403", "SHFE.cu2404"], "2024-03-18"), Ok(()), "the other one is worth recording");
        assert_eq!(traded(&[], "2024-03-18"), Ok(()), "an earlier day is only handed over");
    }

    #[test]
    fn a_contract_without_a_tick_is_told_and_none_at_all_is_an_error() {
        let (folder, day) = (tempfile::tempdir().unwrap(), "2024-01-29".parse().unwrap());
        let to = folder.path().join("recorded.txt");
        let mut spool = Spool::open(folder.path(), day, "one", Regime::ProdLive).unwrap();
        let names = ["SHFE.cu2403".to_owned(), "SHFE.cu2404".to_owned()];
        let error = tell(&spool, &names, day, &to).unwrap_err().to_string();
        assert!(error.contains("no tick of SHFE.cu2403, SHFE.cu2404 came on 2024-01-29"), "{error}");
        tell(&spool, &[], day, &to).unwrap();
        let values = [1.0; ghtrader_market::VALUES];
        let contract = "SHFE.cu2403".into();
        spool.push(&SourceTick { contract, id: 1, datetime_ns: 1_706_490_000_000_000_000, values }).unwrap();
        tell(&spool, &names, day, &to).unwrap();
        let text = std::fs::read_to_string(&to).unwrap();
        let warning = "2024-01-29 SHFE.cu2404: WARNING: no tick came; look whether it is traded\n";
        assert_eq!(text, format!("2024-01-29 SHFE.cu2403: 1 ticks\n{warning}"));
    }

    #[test]
    fn the_first_of_its_ends_ends_it() {
        let calendar = Calendar::new(&ghtrader_market::Clock::china()).unwrap();
        let soon = now().unwrap() + 3_600_000_000_000;
        assert_eq!(stop_at(&params(None, None), &calendar, soon).unwrap(), soon);
        assert_eq!(stop_at(&params(Some(1e9), None), &calendar, soon).unwrap(), soon);
        let minute = stop_at(&params(Some(1.0), None), &calendar, soon).unwrap();
        assert!((soon - 3_541_000_000_000..=soon - 3_539_000_000_000).contains(&minute));
        let (_, time) = calendar.local(soon - 1_800_000_000_000);
        let until = stop_at(&params(None, Some(&time.to_string())), &calendar, soon).unwrap();
        assert_eq!(until, soon - 1_800_000_000_000);
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(stop_at(&params(Some(bad), None), &calendar, soon).is_err(), "{bad}");
        }
    }
}
