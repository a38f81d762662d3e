//! Retries, breaker and counters around a source that fails on order; files and the invented market as sources.

use std::io::Read as _;

use ghtrader_market::{Day, Regime};
use ghtrader_provider::{
    BreakerState, Error, Event, Files, Follow, Guard, Guarded, Listing, LiveSink, Provider, Result, Sink, SourceTick,
    Synthetic, TickFile, Window, compress,
};

use crate::bench::*;

/// Gives ticks 1 to 10 of a window, and fails before those that it is told.
struct Flaky {
    fails_before: Vec<i64>,
}

fn broken() -> Error {
    Error::Connection { address: "flaky".to_owned(), what: "broke".to_owned() }
}

impl Provider for Flaky {
    fn name(&self) -> &'static str {
        "flaky"
    }

    fn tier(&self) -> Regime {
        Regime::Synthetic
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        for id in window.after.unwrap_or(0) + 1..=10 {
            if self.fails_before.first() == Some(&id) {
                self.fails_before.remove(0);
                return Err(broken());
            }
            sink(SourceTick { contract: window.contract.clone(), id, datetime_ns: id, values: [0.0; 26] })?;
        }
        Ok(())
    }

    /// Connects, and never answers.
    fn live(&mut self, _: &[Follow], sink: LiveSink<'_>) -> Result<()> {
        let _ = sink(Event::Waiting)?;
        Err(broken())
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        Err(Error::Unsupported { source_name: "flaky".to_owned(), what: "calendar".to_owned() })
    }

    fn contracts(&mut self, _: &str, _: &str) -> Result<Vec<Listing>> {
        Err(broken())
    }
}

fn flaky(fails_before: &[i64], guard: Guard) -> Guarded<Flaky> {
    Guarded::new(Flaky { fails_before: fails_before.to_vec() }, guard)
}

fn ids(provider: &mut impl Provider) -> Result<Vec<i64>> {
    Ok(history(provider, &window(CU, "2024-01-29"))?.iter().map(|tick| tick.id).collect())
}

#[test]
fn what_came_is_kept_and_begins_the_count_anew() {
    // Five failures, never three in a row without a tick between.
    let mut provider = flaky(&[1, 1, 3, 3, 7], quick());
    assert_eq!(ids(&mut provider).unwrap(), (1..=10).collect::<Vec<_>>());
    let health = provider.health();
    assert_eq!((health.requests, health.failures, health.retries, health.ticks), (6, 5, 5, 10));
    assert!(health.latency.max_ms() >= health.latency.mean_ms());
}

#[test]
fn patience_ends() {
    let mut provider = flaky(&[4, 4, 4, 4], quick());
    assert!(ids(&mut provider).unwrap_err().to_string().contains("broke"));
    // The attempt that gave three ticks counts as the first in vain.
    assert_eq!(provider.health().requests, 3);
}

#[test]
fn what_cannot_help_is_not_tried() {
    let mut provider = flaky(&[], quick());
    assert!(provider.closed_days().unwrap_err().to_string().contains("has no calendar"));
    assert_eq!(provider.health().requests, 1);
}

#[test]
fn the_breaker_leaves_a_source_alone() {
    let guard = Guard { attempts: 2, breaker_failures: 2, breaker_pause_s: 0.3, ..quick() };
    let mut provider = flaky(&[], guard);
    assert!(provider.contracts("SHFE", "cu").is_err());
    assert_eq!((provider.breaker(), provider.health().requests), (BreakerState::Open, 2));
    let error = provider.contracts("SHFE", "cu").unwrap_err();
    assert!(error.to_string().contains("circuit breaker is open"), "{error}");
    assert_eq!(provider.health().requests, 2, "it was not asked");
    std::thread::sleep(std::time::Duration::from_millis(350));
    assert_eq!(provider.breaker(), BreakerState::HalfOpen);
    assert_eq!(ids(&mut provider).unwrap().len(), 10);
    assert_eq!(provider.breaker(), BreakerState::Closed);
}

#[test]
fn a_sink_that_cannot_go_on_ends_it() {
    let mut provider = flaky(&[], quick());
    let result = provider.history(&window(CU, "2024-01-29"), &mut |_| anyhow::bail!("the disk is full"));
    assert!(result.unwrap_err().to_string().contains("the disk is full"));
    assert_eq!(provider.health().requests, 1);
}

#[test]
fn a_live_source_that_never_was_there_is_given_up() {
    let mut provider = flaky(&[], quick());
    let follow = [Follow { contract: CU.into(), from_ns: 0, after: None }];
    assert!(provider.live(&follow, &mut |_| Ok(std::ops::ControlFlow::Continue(()))).is_err());
    assert_eq!(provider.health().requests, 3);
}

#[test]
fn files_give_what_the_invented_market_gave() {
    let folder = tempfile::tempdir().unwrap();
    let mut synthetic = Synthetic::new(market_file()).unwrap();
    for day in ["2024-01-29", "2024-01-30"] {
        let path = folder.path().join(format!("{CU}.{day}.csv.gz"));
        let mut file = TickFile::begin(compress(std::fs::File::create(&path).unwrap())).unwrap();
        synthetic.history(&window(CU, day), &mut |tick| Ok(file.push(&tick)?)).unwrap();
        file.finish().unwrap().finish().unwrap();
        let mut begin = [0; 36];
        let file = std::fs::File::open(&path).unwrap();
        flate2::read::GzDecoder::new(file).read_exact(&mut begin).unwrap();
        assert_eq!(begin, *b"symbol,id,datetime_nano,last_price,h");
    }
    let mut files = Files::new(folder.path(), market_file()).unwrap();
    for day in ["2024-01-29", "2024-01-30"] {
        let window = window(CU, day);
        let stamps = |ticks: &[SourceTick]| -> Vec<(i64, Vec<u64>)> {
            let bits = |tick: &SourceTick| -> Vec<u64> {
                tick.values.iter().filter(|value| !value.is_nan()).map(|value| value.to_bits()).collect()
            };
            ticks.iter().map(|tick| (tick.datetime_ns, bits(tick))).collect()
        };
        let expected = history(&mut synthetic, &window).unwrap();
        assert!(expected.len() > 2_000);
        let found = history(&mut files, &window).unwrap();
        assert_eq!(stamps(&found), stamps(&expected));
        let after = Window { after: Some(found[9].id), ..window };
        assert_eq!(history(&mut files, &after).unwrap().len(), found.len() - 10);
    }
    assert!(history(&mut files, &window(CU, "2024-01-31")).unwrap().is_empty());
    assert_eq!(files.contracts("SHFE", "cu").unwrap()[0].contract, CU);
    assert_eq!((files.tier(), synthetic.tier()), (Regime::Historical, Regime::Synthetic));
    let names: Vec<String> = synthetic.contracts("SHFE", "cu").unwrap().into_iter().map(|it| it.contract).collect();
    assert_eq!(names, market(3).series.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn what_a_source_lacks_is_said() {
    let mut synthetic = Synthetic::new(market_file()).unwrap();
    let error = synthetic.live(&[], &mut |_| Ok(std::ops::ControlFlow::Break(()))).unwrap_err();
    assert_eq!(error.to_string(), "the source `synthetic` has no live ticks");
    let error =
        history(&mut synthetic, &Window { contract: "DCE.m2405".into(), ..window(CU, "2024-01-29") }).unwrap_err();
    assert!(error.to_string().contains("`DCE.m2405` is no variety or contract of this market"), "{error}");
}
