//! Ten minutes of copper on the morning of 2022-02-18, a row a second, with nothing wrong: in a market that trades no longer, or
//! in one with a night and a whole day.

use std::path::Path;

use ghtrader_check_ticks::{Check, DayChecks, Params, check_day};
use ghtrader_market::{Clock, DayIndex, Session, Sessions, Tick, TickRule, TickSize, Ticks, TicksSpec, VALUES};

pub(crate) const ROWS: usize = 600;
/// 09:00 in Shanghai.
const OPEN_NS: i64 = 1_645_146_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

/// With SHFE's sessions.
pub(crate) fn spec() -> TicksSpec {
    let session = |open: &str, close: &str| Session(open.parse().unwrap(), close.parse().unwrap());
    TicksSpec {
        variety: "cu".into(),
        exchange: "SHFE".into(),
        levels: 5,
        tick: TickRule::flat(TickSize::parse("10").unwrap()),
        multiplier: 5.0,
        fractional_volume: false,
        clock: Clock::china(),
        sessions: Sessions(vec![
            session("21:00:00", "25:00:00"),
            session("09:00:00", "10:15:00"),
            session("10:30:00", "11:30:00"),
            session("13:30:00", "15:00:00"),
        ]),
        ignore_columns: Vec::new(),
        close_cutoff: None,
    }
}

/// With the ten minutes alone.
pub(crate) fn short() -> TicksSpec {
    TicksSpec { sessions: Sessions(vec![Session("09:00:00".parse().unwrap(), "09:10:00".parse().unwrap())]), ..spec() }
}

pub(crate) fn clean() -> Ticks {
    let mut ticks = Ticks::new("SHFE.cu2203");
    for row in 0..ROWS {
        let bid = 71_500.0 + 10.0 * ((row / 7 % 9) as f64 - 4.0);
        let mut values = [f64::NAN; VALUES];
        values[..6].copy_from_slice(&[bid, 71_600.0, 71_400.0, 2.0 * row as f64, 1e6 * row as f64, 116_004.0]);
        for level in 0..5 {
            let (depth, lots) = (10.0 * level as f64, (1 + row % 7 + level) as f64);
            values[6 + 4 * level..10 + 4 * level].copy_from_slice(&[bid - depth, lots, bid + 10.0 + depth, lots + 2.0]);
        }
        let trading_day = "2022-02-18".parse().unwrap();
        ticks.push(&Tick { trading_day, datetime_ns: OPEN_NS + row as i64 * SECOND, values });
    }
    ticks
}

/// What ingestion says of these rows.
pub(crate) fn index_of(ticks: &Ticks, spec: &TicksSpec) -> DayIndex {
    DayIndex::of("SHFE.cu2203", "2022-02-18".parse().unwrap(), ticks, spec, &spec.calendar().unwrap())
}

/// What is found in a file beside an index, in the market that trades no longer.
pub(crate) fn found_in(path: &Path, index: &DayIndex) -> DayChecks {
    checked(path, index, &short())
}

/// What is found in rows of which the index says what they are.
pub(crate) fn found(ticks: &Ticks, spec: &TicksSpec) -> DayChecks {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("2022-02-18.parquet");
    ticks.write(&path).unwrap();
    checked(&path, &index_of(ticks, spec), spec)
}

fn checked(path: &Path, index: &DayIndex, spec: &TicksSpec) -> DayChecks {
    check_day(path, index, spec, &spec.calendar().unwrap(), &Params::default()).unwrap()
}

pub(crate) fn checks(day: &DayChecks) -> Vec<Check> {
    day.findings.iter().map(|finding| finding.check).collect()
}
