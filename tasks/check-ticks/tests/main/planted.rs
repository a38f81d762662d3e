//! A defect for every check.

use ghtrader_check_ticks::{Check, Severity, coverage};
use ghtrader_market::{Cause, DayIndex, Session, Ticks, TicksSpec};

use crate::day::{ROWS, SECOND, checks, clean, found, found_in, index_of, short, spec};

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let day = found(&clean(), &short());
    assert_eq!(day.findings, []);
    assert_eq!((day.rows, day.coverage), (ROWS as u64, 1.0));
    assert_eq!(found(&clean(), &spec()).coverage, 0.0215, "ten of 465 minutes");
}

/// What is found after a change, with how often: nothing else.
fn after(change: impl FnOnce(&mut Ticks)) -> Vec<(Check, u64)> {
    after_in(&short(), change)
}

fn after_in(spec: &TicksSpec, change: impl FnOnce(&mut Ticks)) -> Vec<(Check, u64)> {
    let mut ticks = clean();
    change(&mut ticks);
    found(&ticks, spec).findings.iter().map(|finding| (finding.check, finding.count)).collect()
}

#[test]
fn stamps() {
    assert_eq!(after(|ticks| ticks.datetime_ns.swap(10, 11)), [(Check::Order, 1)]);
    assert_eq!(after(|ticks| ticks.datetime_ns[11] = ticks.datetime_ns[10]), [(Check::Order, 1)]);
    let saturday = after(|ticks| ticks.datetime_ns[ROWS - 1] += 86_400 * SECOND);
    assert_eq!(saturday, [(Check::TradingDay, 1)]);
    // The evening before a day is the day's own, the evening after is not.
    let late = after_in(&spec(), |ticks| ticks.datetime_ns[ROWS - 1] += 12 * 3600 * SECOND);
    assert_eq!(late[0], (Check::TradingDay, 1));
    let early = after_in(&spec(), |ticks| ticks.datetime_ns[0] -= 12 * 3600 * SECOND);
    assert_eq!(early, [(Check::Gap, 2)], "the rest of the night, and the rest of the day");
}

#[test]
fn another_day_or_contract_than_the_file_says() {
    let other_day = after(|ticks| ticks.trading_day[3] = ticks.trading_day[3].plus(3));
    assert_eq!(other_day, [(Check::Schema, 1), (Check::TradingDay, 1)]);
    assert_eq!(after(|ticks| ticks.symbol = "SHFE.cu2204".into()), [(Check::Schema, 1)]);
}

#[test]
fn the_book() {
    assert_eq!(after(|ticks| ticks.book[0].ask_price[7] -= 20.0), [(Check::Crossed, 1)]);
    assert_eq!(after(|ticks| ticks.book[0].ask_price[7] -= 10.0), [], "locked is not crossed");
    assert_eq!(after(|ticks| ticks.book[2].bid_price[7] += 10.0), [(Check::Crossed, 1)]);
    assert_eq!(after(|ticks| ticks.book[3].ask_price[7] = ticks.book[2].ask_price[7]), [(Check::Crossed, 1)]);
    let one_sided = after(|ticks| {
        for level in &mut ticks.book {
            (level.ask_price[7], level.ask_volume[7]) = (f64::NAN, f64::NAN);
        }
    });
    assert_eq!(one_sided, [], "as at a price limit");
}

#[test]
fn amounts() {
    assert_eq!(after(|ticks| ticks.open_interest[3] = -1.0), [(Check::Negative, 1)]);
    assert_eq!(after(|ticks| ticks.book[4].ask_volume[3] = -1.0), [(Check::Negative, 1)]);
    assert_eq!(after(|ticks| ticks.volume[300] = ticks.volume[299] - 1.0), [(Check::Volume, 1)]);
    assert_eq!(after(|ticks| ticks.volume[300] = f64::NAN), []);
}

#[test]
fn prices() {
    assert_eq!(after(|ticks| ticks.book[0].bid_price[3] += 5.0), [(Check::OffGrid, 1)]);
    assert_eq!(after(|ticks| ticks.highest[3] += 0.001), [(Check::OffGrid, 1)], "however near to one");
    assert_eq!(after(|ticks| ticks.last_price[3] = 71_610.0), [(Check::Extremes, 1)]);
    assert_eq!(after(|ticks| ticks.lowest[3] = 0.0), [(Check::Limit, 1)]);
    let far = after(|ticks| {
        for row in 300..ROWS {
            (ticks.last_price[row], ticks.highest[row]) = (100_000.0, 100_000.0);
        }
    });
    assert_eq!(far, [(Check::Limit, 1)]);
}

#[test]
fn a_price_that_leaps_away_and_back() {
    let leap = |ticks: &mut Ticks, rows: std::ops::Range<usize>| {
        for row in rows {
            (ticks.last_price[row], ticks.highest[row]) = (72_500.0, 72_500.0);
        }
    };
    assert_eq!(after(|ticks| leap(ticks, 100..101)), [(Check::Spike, 1)]);
    assert_eq!(after(|ticks| leap(ticks, 100..ROWS)), [], "a move is none");
    let quotes = after(|ticks| {
        for level in &mut ticks.book {
            (level.bid_price[100], level.ask_price[100]) = (level.bid_price[100] - 500.0, level.ask_price[100] - 500.0);
        }
    });
    assert_eq!(quotes, [(Check::Spike, 1)]);
}

/// All rows from one on, so many seconds later.
fn late(from: usize, seconds: i64) -> impl FnOnce(&mut Ticks) {
    move |ticks: &mut Ticks| ticks.datetime_ns[from..].iter_mut().for_each(|ns| *ns += seconds * SECOND)
}

#[test]
fn silence() {
    // The whole night before, and the day after.
    let edges = (Check::Gap, 2);
    assert_eq!(after_in(&spec(), |_| {}), [edges]);
    assert_eq!(after_in(&spec(), late(300, 700)), [(Check::Gap, 3)]);
    assert_eq!(after_in(&spec(), late(300, 500)), [edges]);
    // 10:10 and 10:30:10: a quarter of an hour that is none of the sessions'.
    assert_eq!(after_in(&spec(), |ticks| (late(0, 4200)(ticks), late(300, 900)(ticks)).0), [edges]);
}

#[test]
fn silence_before_the_first_row_and_after_the_last_one() {
    let morning = |close: &str| {
        let mut spec = short();
        spec.sessions.0[0].1 = close.parse().unwrap();
        spec
    };
    let first = |spec: &TicksSpec, change: fn(&mut Ticks)| {
        let mut ticks = clean();
        change(&mut ticks);
        let found = found(&ticks, spec).findings;
        found.first().map_or_else(String::new, |finding| finding.first.clone())
    };
    assert_eq!(first(&morning("09:19:00"), |_| {}), "", "nine minutes are not too long");
    assert_eq!(first(&morning("09:40:00"), |_| {}), "1801 s of trading from the last row, 09:09:59, to the close");
    let second = |ticks: &mut Ticks| late(0, 1_800)(ticks);
    assert_eq!(first(&morning("09:40:00"), second), "1800 s of trading from the open to the first row, 09:30:00");
    // Of a contract that hardly trades, nobody expects more.
    let quiet = |ticks: &mut Ticks| *ticks = ticks.slice(0..3);
    assert_eq!(first(&morning("15:00:00"), quiet), "");
    // The Monday after the Spring Festival: the night before did not take place.
    let mut ticks = clean();
    ticks.datetime_ns.iter_mut().for_each(|ns| *ns -= 11 * 86_400 * SECOND);
    ticks.trading_day.fill("2022-02-07".parse().unwrap());
    let mut index = index_of(&ticks, &spec());
    index.day = "2022-02-07".parse().unwrap();
    let (folder, spec) = (tempfile::tempdir().unwrap(), spec());
    let path = folder.path().join("a.parquet");
    ticks.write(&path).unwrap();
    let day = ghtrader_check_ticks::check_day(&path, &index, &spec, &spec.calendar().unwrap(), &Default::default());
    let day = day.unwrap();
    assert_eq!(
        day.findings.iter().map(|finding| (finding.check, finding.count)).collect::<Vec<_>>(),
        [(Check::Gap, 1)]
    );
    assert!(day.findings[0].first.contains("to the close"), "{:?}", day.findings);
}

#[test]
fn a_row_at_a_close_covers_the_minute_before_it_and_none_of_the_next_session() {
    let spec = spec();
    let calendar = spec.calendar().unwrap();
    let covered = |times: &[&str]| {
        let mut ticks = clean().slice(0..times.len());
        let day = "2022-02-18".parse().unwrap();
        for (ns, time) in ticks.datetime_ns.iter_mut().zip(times) {
            *ns = calendar.moment(day, time.parse().unwrap());
        }
        (coverage(&ticks, &spec, &calendar, day) * 465.0).round()
    };
    assert_eq!(covered(&["10:14:30", "10:15:00"]), 1.0);
    assert_eq!(covered(&["10:15:00", "10:30:00"]), 2.0);
    assert_eq!(covered(&["11:29:59", "11:30:01.500", "13:30:00"]), 2.0);
    assert_eq!(covered(&["14:59:59", "15:00:00.500", "15:10:00"]), 1.0);
}

#[test]
fn a_night_that_did_not_take_place_is_not_missed() {
    let mut ticks = clean();
    // The Monday after the Spring Festival, 11 days before.
    ticks.datetime_ns.iter_mut().for_each(|ns| *ns -= 11 * 86_400 * SECOND);
    let (spec, day) = (spec(), "2022-02-07".parse().unwrap());
    let part = coverage(&ticks, &spec, &spec.calendar().unwrap(), day);
    assert_eq!(part, 10.0 / 225.0);
}

#[test]
fn quotes_that_stand_still() {
    let still = |ticks: &mut Ticks| {
        for level in &mut ticks.book {
            for column in [&mut level.bid_price, &mut level.bid_volume, &mut level.ask_price, &mut level.ask_volume] {
                let value = column[100];
                column[100..300].fill(value);
            }
        }
    };
    assert_eq!(after(still), [(Check::Stale, 1)]);
    let without_trade = after(|ticks| {
        still(ticks);
        let volume = ticks.volume[100];
        ticks.volume[100..300].fill(volume);
    });
    assert_eq!(without_trade, [], "nobody traded");
}

#[test]
fn what_is_no_canonical_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    clean().write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for bad in [&bytes[..bytes.len() / 2], &b"symbol,datetime_ns\n"[..], b""] {
        std::fs::write(&path, bad).unwrap();
        let day = found_in(&path, &index_of(&clean(), &short()));
        assert_eq!(checks(&day), [Check::Schema]);
        assert_eq!((day.rows, day.findings[0].severity), (0, Severity::Error));
        assert!(!day.findings[0].first.contains("a.parquet"), "{:?}", day.findings);
    }
}

#[test]
fn an_index_that_does_not_say_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let (mut ticks, index) = (clean(), index_of(&clean(), &short()));
    assert_eq!(checks(&found_in(&path, &index)), [Check::Index], "no file");
    // One lot more, which no other check can see.
    ticks.book[4].bid_volume[299] += 1.0;
    ticks.write(&path).unwrap();
    let day = found_in(&path, &index);
    assert_eq!(checks(&day), [Check::Index]);
    assert!(day.findings[0].first.contains("hash"), "{:?}", day.findings);
    ticks.slice(0..0).write(&path).unwrap();
    assert!(found_in(&path, &index).findings[0].first.contains("the index says 600, the file 0"));
    ticks.slice(0..ROWS - 1).write(&path).unwrap();
    assert!(found_in(&path, &index).findings[0].first.contains("the index says 600, the file 599"));
}

#[test]
fn many_rows_that_could_not_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    clean().write(&path).unwrap();
    let after = |change: fn(&mut DayIndex)| {
        let mut index = index_of(&clean(), &short());
        change(&mut index);
        checks(&found_in(&path, &index))
    };
    assert_eq!(after(|index| index.quarantined = [(Cause::NonMonotonic, 31)].into()), [Check::Quarantine], "31 of 631");
    let many = after(|index| index.quarantined = [(Cause::NonMonotonic, 32)].into());
    assert_eq!(many, [Check::Lost, Check::Quarantine]);
    assert_eq!(after(|index| index.quarantined = [(Cause::EmptyBook, 600)].into()), [Check::Quarantine]);
    assert_eq!(after(|index| index.replaced = 600), [Check::Lost, Check::Duplicates]);
    assert_eq!(after(|index| index.duplicates = 600), [Check::Duplicates], "nothing is lost");
}

#[test]
fn sessions_that_are_not_those_of_the_rows() {
    let mut spec = short();
    spec.sessions.0[0] = Session("13:30:00".parse().unwrap(), "15:00:00".parse().unwrap());
    let day = found(&clean(), &spec);
    assert_eq!((checks(&day)[0], day.findings[0].count), (Check::Sessions, 600));
    assert!(day.findings[0].first.starts_with("100.00 % of 600 rows"), "{:?}", day.findings);
}

#[test]
fn an_index_that_draws_something_else_from_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    clean().write(&path).unwrap();
    type Change = fn(&mut DayIndex);
    let changes: [(Change, &str); 4] = [
        (|index| index.close_oi = Some(1.0), "the open interest at the close: the index says 1, the file 116004"),
        (|index| index.volume = None, "the volume: the index says none, the file 1198"),
        (|index| index.l5_present = false, "levels 2 to 5: the index says false, the file true"),
        (|index| index.off_session = 7, "rows outside every session: the index says 7, the file 0"),
    ];
    for (change, said) in changes {
        let mut index = index_of(&clean(), &short());
        change(&mut index);
        let day = found_in(&path, &index);
        assert_eq!((checks(&day), day.findings[0].first.as_str()), (vec![Check::Index], said));
    }
}

/// The list ends in 2026: of a day after it, nobody knows whether it is a holiday.
#[test]
fn a_day_after_the_holiday_list() {
    let (mut ticks, days) = (clean(), 1_785);
    ticks.datetime_ns.iter_mut().for_each(|ns| *ns += days * 86_400 * SECOND);
    let day = "2027-01-08".parse().unwrap();
    ticks.trading_day.fill(day);
    let spec = short();
    let calendar = spec.calendar().unwrap();
    let index = DayIndex::of("SHFE.cu2703", day, &ticks, &spec, &calendar);
    ticks.symbol = index.contract.clone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    ticks.write(&path).unwrap();
    let day = ghtrader_check_ticks::check_day(&path, &index, &spec, &calendar, &Default::default()).unwrap();
    assert_eq!((checks(&day), day.findings[0].severity), (vec![Check::Calendar], Severity::Warning));
    assert!(day.findings[0].first.contains("to 2026-12-31"), "{:?}", day.findings);
}

#[test]
fn what_ingestion_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    clean().write(&path).unwrap();
    let mut index = index_of(&clean(), &short());
    index.duplicates = 6;
    assert_eq!(checks(&found_in(&path, &index)), [], "one in a hundred");
    index.replaced = 1;
    index.quarantined = [(Cause::EmptyBook, 2), (Cause::OffTick, 1)].into();
    let day = found_in(&path, &index);
    assert_eq!(checks(&day), [Check::Duplicates, Check::Quarantine]);
    assert_eq!(day.findings.iter().map(|finding| finding.count).collect::<Vec<_>>(), [7, 3]);
    assert!(day.findings.iter().all(|finding| finding.severity == Severity::Warning));
}
