//! Trading days against `shinny-calendar` (`trading_day_golden.json`), and nights.

use std::collections::BTreeMap;

use ghtrader_market::{
    Calendar, CalendarRule, Clock, Contract, Day, Expiry, OiRule, Product, RollRule, RollSpec, TimeOfDay,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cst: String,
    trading_day: Day,
}

fn china() -> Calendar {
    Calendar::new(&Clock::china()).unwrap()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// UTC nanoseconds of a Chinese date and time.
fn moment(cst: &str) -> i64 {
    let (date, time) = cst.split_once(' ').unwrap();
    china().moment(day(date), time.parse().unwrap())
}

#[test]
fn golden_trading_days() {
    let cases: Vec<Golden> = serde_json::from_str(include_str!("trading_day_golden.json")).unwrap();
    assert_eq!(cases.len(), 13);
    for Golden { cst, trading_day } in cases {
        assert_eq!(china().trading_day(moment(&cst)), trading_day, "{cst}");
    }
}

#[test]
fn a_stamp_of_the_real_data_is_the_time_that_it_was() {
    // cu2203's first row on 2022-02-18 is of 11:20:03 in Shanghai.
    let (date, time) = china().local(1_645_154_403_000_000_000);
    assert_eq!((date, time), (day("2022-02-18"), "11:20:03".parse().unwrap()));
    assert_eq!(china().moment(date, time), 1_645_154_403_000_000_000);
}

#[test]
fn years_have_as_many_trading_days_as_the_exchange_says() {
    // Counted with exchange_calendars (XSHG), and 2006 aside equal to it; figures of `../shared/design/algorithms.md`.
    for (year, days) in [(2018, 243), (2019, 244), (2020, 243), (2021, 243), (2022, 242), (2023, 242), (2024, 242)] {
        let all = (0..366).map(|n| Day::of(year, 1, 1).unwrap().plus(n)).filter(|day| day.date().year() == year);
        let open = all.filter(|day| china().is_trading_day(*day)).count();
        assert_eq!(open, days, "{year}");
    }
}

/// What `oracle/xshg.py` wrote.
#[derive(Deserialize)]
struct Exchange {
    first: Day,
    last: Day,
    sessions: usize,
    closed: Vec<Day>,
}

#[test]
fn the_trading_days_of_twenty_years_are_those_of_another_implementation() {
    let exchange: Exchange = serde_json::from_str(include_str!("../oracle/xshg.json")).unwrap();
    let days: Vec<Day> = (exchange.first.0..=exchange.last.0).map(Day).collect();
    let is_open = |day: &Day| china().is_trading_day(*day);
    let (open, shut): (Vec<Day>, Vec<Day>) = days.into_iter().partition(is_open);
    let shut: Vec<Day> = shut.into_iter().filter(|day| !day.is_weekend()).collect();
    assert_eq!((open.len(), shut), (exchange.sessions, exchange.closed));
    assert_eq!(open.len(), 4_860);
}

#[test]
fn nights_before_holidays_are_closed() {
    let night = |evening: &str| china().has_night(day(evening));
    assert!(night("2022-02-17"), "an ordinary Thursday");
    assert!(night("2022-02-18"), "a Friday: its night belongs to Monday");
    assert!(!night("2022-01-28"), "the eve of the Spring Festival");
    assert!(!night("2022-02-19"), "a Saturday");
    assert!(!night("2024-02-08"), "2024-02-09 is an official workday, but the exchange is closed");
    assert!(!night("2020-04-01"), "suspended");
    assert!(night("2020-05-06"), "resumed");
}

#[test]
fn the_exchange_is_closed_where_nothing_can_have_been_sent() {
    let open = |cst: &str, nights: bool| china().is_open(moment(cst), nights);
    assert!(open("2022-02-18 21:00:00", true));
    assert!(open("2022-02-19 00:30:00", true), "Friday's night, on Saturday");
    assert!(!open("2022-02-18 21:00:00", false), "a variety without night sessions");
    assert!(!open("2022-01-28 21:00:00", true), "the eve of a holiday");
    assert!(!open("2022-02-19 10:00:00", true), "a Saturday");
    assert!(!open("2022-02-21 00:30:00", true), "Monday after midnight: Sunday has no night");
    assert!(open("2022-02-18 15:44:00", false), "after the close, but on the day");
}

#[test]
fn outside_the_holiday_list_every_weekday_counts() {
    assert!(china().covers(day("2026-12-31")) && !china().covers(day("2027-01-01")));
    assert_eq!(china().covered(), (day("2003-01-01"), day("2026-12-31")));
    assert!(china().is_trading_day(day("2027-01-01")), "a Friday of which nothing is known");
    assert!(!china().is_trading_day(day("2027-01-02")), "a Saturday");
    assert_eq!(china().trading_day(moment("2027-01-01 21:00:00")), day("2027-01-04"));
    assert!(!china().is_trading_day(day("2026-10-01")), "known to be closed");
    assert!(china().trading_day(i64::MAX) > day("2262-01-01"));
}

#[test]
fn round_the_clock_the_local_date_counts() {
    let utc = Clock { calendar: CalendarRule::UtcDay, utc_offset: 0, zone: None, closed: vec![day("2024-07-20")] };
    let calendar = Calendar::new(&utc).unwrap();
    let midnight = calendar.moment(day("2024-07-19"), TimeOfDay(0));
    assert_eq!(calendar.trading_day(midnight - 1), day("2024-07-18"));
    assert_eq!(calendar.trading_day(midnight), day("2024-07-19"));
    assert_eq!(calendar.next(day("2024-07-19")), day("2024-07-21"), "closed days are left out");
    assert_eq!(calendar.previous(day("2024-07-21")), day("2024-07-19"));
    assert_ne!(calendar.hash(), china().hash());
}

/// Moments as Python's `zoneinfo` gives them: `datetime(2024, 3, 11, 8, 30, tzinfo=ZoneInfo("America/Chicago")).timestamp()`.
#[test]
fn a_zone_has_its_summer_time() {
    let zone = |name: &str| Clock {
        calendar: CalendarRule::Weekdays,
        utc_offset: 0,
        zone: Some(name.into()),
        closed: Vec::new(),
    };
    let chicago = Calendar::new(&zone("America/Chicago")).unwrap();
    let kolkata = Calendar::new(&zone("Asia/Kolkata")).unwrap();
    let times = [
        (&chicago, "2024-03-08", "08:30:00", 1_709_908_200),
        (&chicago, "2024-03-11", "08:30:00", 1_710_163_800),
        (&chicago, "2024-11-01", "15:00:00", 1_730_491_200),
        (&chicago, "2024-11-04", "15:00:00", 1_730_754_000),
        (&chicago, "2024-03-10", "27:30:00", 1_710_145_800),
        (&kolkata, "2024-03-11", "09:15:00", 1_710_128_700),
    ];
    for (calendar, on, time, seconds) in times {
        let (on, time): (_, TimeOfDay) = (day(on), time.parse().unwrap());
        let ns = calendar.moment(on, time);
        assert_eq!(ns, seconds * 1_000_000_000, "{on} {time}");
        let wall = calendar.local(ns);
        assert_eq!(wall.1.0, time.0 % (86_400 * 1_000_000_000), "{on} {time}");
    }
    let friday = chicago.moment(day("2024-03-08"), "23:59:59".parse().unwrap());
    assert_eq!(chicago.trading_day(friday), day("2024-03-08"), "in UTC, it is Saturday");
    assert!(chicago.is_open(friday, false) && !chicago.is_open(friday + 1_000_000_000, false));
    assert_eq!(chicago.next(day("2024-03-08")), day("2024-03-11"));
    assert!(chicago.is_trading_day(day("2024-10-01")), "which is a holiday in China");
    assert!(chicago.covers(day("2100-01-01")));
    assert_ne!(chicago.hash(), Calendar::new(&zone("America/New_York")).unwrap().hash());
    let error = Calendar::new(&zone("Chicago")).unwrap_err().to_string();
    assert!(error.contains("`Chicago` is no time zone") && error.contains("America/Chicago"), "{error}");
    for ns in [i64::MIN, i64::MAX] {
        chicago.local(ns);
    }
    chicago.moment(ghtrader_market::Day(i32::MAX), TimeOfDay(0));
}

#[test]
fn close_open_interest_comes_from_the_day_part() {
    let cutoff = Some("15:00:00.999".parse().unwrap());
    let counts = |cst: &str| china().in_day_part(moment(cst), china().trading_day(moment(cst)), cutoff);
    assert!(counts("2022-02-18 15:00:00.500"));
    assert!(!counts("2022-02-18 15:00:01"));
    assert!(!counts("2022-02-17 21:00:00"), "the night before");
    assert!(!counts("2022-02-18 00:30:00"), "the same night after midnight");
}

/// The records are the exchange's, the rule is ours: 171 contracts of five years.
#[test]
fn recorded_contracts_expire_as_the_rule_says() {
    let records: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(include_str!("../../data/shfe_contracts.json")).unwrap();
    let mut contracts = 0;
    for variety in ["cu", "au", "ag"] {
        let product = Product::known("SHFE", variety).unwrap().unwrap();
        let roll = RollSpec {
            variety: variety.to_owned(),
            exchange: "SHFE".to_owned(),
            levels: 1,
            clock: Clock::china(),
            expiry: Some(product.expiry),
            rule: RollRule::Oi(OiRule::default()),
        };
        for (name, record) in &records {
            let contract = Contract::parse(name).unwrap();
            if contract.product == variety {
                let by_rule = roll.last_trading_day(&contract, &china()).unwrap();
                assert_eq!(by_rule, Some(day(record["last_day"].as_str().unwrap())), "{name}");
                contracts += 1;
            }
        }
    }
    assert_eq!(contracts, 171);
    assert_eq!(Product::known("CFFEX", "cu").unwrap(), None);
}

#[test]
fn contracts_expire() {
    let last = |expiry, contract: &str| {
        let rule = RollRule::Oi(OiRule::default());
        let (variety, exchange) = ("cu".to_owned(), "SHFE".to_owned());
        let roll = RollSpec { variety, exchange, levels: 1, clock: Clock::china(), expiry, rule };
        roll.last_trading_day(&Contract::parse(contract).unwrap(), &china()).unwrap()
    };
    // From the contract records of SHFE (`../shared/data/calendar`): ag1601 and, after a weekend, cu1605.
    assert_eq!(last(Some(Expiry::Fifteenth), "SHFE.ag1601"), Some(day("2016-01-15")));
    assert_eq!(last(Some(Expiry::Fifteenth), "SHFE.cu1605"), Some(day("2016-05-16")));
    assert_eq!(last(Some(Expiry::ThirdFriday), "CFFEX.IF2101"), Some(day("2021-01-15")));
    assert_eq!(last(None, "SHFE.ag1601"), None);
    assert_eq!(last(Some(Expiry::Fifteenth), "BINANCE.BTCUSDT"), None);
}
