//! Kind `record`: live ticks of a trading day, from a source, as files that `ingest` reads.
//!
//! Ticks go to a spool outside of the task's folder first (`ghtrader_provider::Spool`), each second to the system and
//! every ten seconds to the disk; at the end, the day's files are made from all that the spool has of the day. So a
//! recorder that is killed loses the last second at most, and one that is started again goes on where it ended.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ghtrader_kit::{InputFile, Job, OutputFolder, Result, Task};
use ghtrader_market::{Calendar, CalendarRule, Contract, Day, MarketFile, Regime, TimeOfDay};
use ghtrader_provider::{Event, Follow, Guarded, Provider, Source, SourceTick, Spool, Window, spool_of};
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
    pub contracts: Vec<String>,
    /// Ends after so many minutes; otherwise ten minutes after the last session of the trading day
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Ends at this local time, 11:30:00; whichever comes first
    #[serde(default)]
    pub until: Option<TimeOfDay>,
    /// The market folder, from which the spool has its name
    pub root: String,
    /// A folder for what is being recorded; by default spool/ in the project
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// The present trading day, instead of that of the clock, for tests: then `minutes` or `until` have to end it
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
    /// <contract>.<day>.csv.gz, and <contract>.<day>.source.json beside each
    ticks: OutputFolder,
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
        let end = match params.today {
            None => end,
            Some(today) if day < today => i64::MIN,
            Some(_) => i64::MAX,
        };
        let folder = spool_of(params.spool.as_deref(), &params.root)?;
        // A day that is over is only handed over: that needs no source.
        if now()? >= end {
            let mut spool = Spool::open(&folder, day, params.source.name.as_str(), Regime::ProdLive)?;
            spool.hand_over(outputs.ticks.path())?;
            return spool.finish();
        }
        let mut source = params.source.open(&market, None)?;
        let tier = if source.tier() == Regime::Synthetic { Regime::Synthetic } else { Regime::ProdLive };
        let spool = Spool::open(&folder, day, source.name(), tier)?;
        let mut recorder = Recorder {
            spool,
            day,
            calendar: Calendar::new(&market.clock())?,
            counts: Counts::default(),
            flushed: Instant::now(),
            synced: Instant::now(),
        };
        let stop = stop_at(&params, &recorder.calendar, end)?;
        let recorded = recorder.record(&mut source, &params.contracts, stop);
        source.health().report(source.breaker(), job);
        recorder.counts.report(job);
        recorded?;
        recorder.spool.hand_over(outputs.ticks.path())?;
        if now()? >= end { recorder.spool.finish() } else { Ok(()) }
    }
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
    calendar: Calendar,
    counts: Counts,
    flushed: Instant,
    synced: Instant,
}

impl Recorder {
    /// Records until `stop` (UTC nanoseconds).
    fn record(&mut self, source: &mut Guarded<Box<dyn Provider>>, contracts: &[String], stop: i64) -> Result<()> {
        let follow: Vec<Follow> = contracts
            .iter()
            .map(|name| Follow { contract: Arc::from(name.as_str()), after: self.spool.last(name) })
            .collect();
        source.live(&follow, &mut |event| {
            match event {
                Event::Tick(tick) => self.take(&tick)?,
                Event::Idle => {}
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
            CalendarRule::UtcDay => whole,
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
    use std::path::Path;

    use super::*;

    fn market(text: &str) -> MarketFile {
        MarketFile::parse(Path::new("market.yaml"), text).unwrap()
    }

    fn params(minutes: Option<f64>, until: Option<&str>) -> Params {
        let until = until.map(|until| until.parse().unwrap());
        let (contracts, root) = (vec!["SHFE.cu2403".to_owned()], "market".to_owned());
        Params { source: Source::default(), contracts, minutes, until, root, spool: None, today: None }
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
