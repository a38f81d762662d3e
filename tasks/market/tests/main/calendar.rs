//! Trading days against `shinny-calendar` (`trading_day_golden.json`), and nights.

use ghtrader_market::{Calendar, CalendarRule, Clock, Contract, Day, Expiry, OiRule, RollRule, RollSpec, TimeOfDay};
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
        assert_eq!(china().trading_day(moment(&cst)).unwrap(), trading_day, "{cst}");
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
        let open = all.filter(|day| china().is_trading_day(*day).unwrap()).count();
        assert_eq!(open, days, "{year}");
    }
}

#[test]
fn nights_before_holidays_are_closed() {
    let night = |evening: &str| china().has_night(day(evening)).unwrap();
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
    let open = |cst: &str, nights: bool| china().is_open(moment(cst), nights).unwrap();
    assert!(open("2022-02-18 21:00:00", true));
    assert!(open("2022-02-19 00:30:00", true), "Friday's night, on Saturday");
    assert!(!open("2022-02-18 21:00:00", false), "a variety without night sessions");
    assert!(!open("2022-01-28 21:00:00", true), "the eve of a holiday");
    assert!(!open("2022-02-19 10:00:00", true), "a Saturday");
    assert!(!open("2022-02-21 00:30:00", true), "Monday after midnight: Sunday has no night");
    assert!(open("2022-02-18 15:44:00", false), "after the close, but on the day");
}

#[test]
fn days_outside_the_holiday_list_are_an_error() {
    assert!(china().is_trading_day(day("2026-12-31")).unwrap());
    let error = china().is_trading_day(day("2027-01-04")).unwrap_err().to_string();
    assert!(error.contains("2027-01-04") && error.contains("2003-01-01 to 2026-12-31"), "{error}");
    assert!(china().trading_day(i64::MAX).is_err());
}

#[test]
fn round_the_clock_the_local_date_counts() {
    let utc = Clock { calendar: CalendarRule::UtcDay, utc_offset: 0, closed: vec![day("2024-07-20")] };
    let calendar = Calendar::new(&utc).unwrap();
    let midnight = calendar.moment(day("2024-07-19"), TimeOfDay(0));
    assert_eq!(calendar.trading_day(midnight - 1).unwrap(), day("2024-07-18"));
    assert_eq!(calendar.trading_day(midnight).unwrap(), day("2024-07-19"));
    assert_eq!(calendar.next(day("2024-07-19")).unwrap(), day("2024-07-21"), "closed days are left out");
    assert_eq!(calendar.previous(day("2024-07-21")).unwrap(), day("2024-07-19"));
    assert_ne!(calendar.hash(), china().hash());
}

#[test]
fn close_open_interest_comes_from_the_day_part() {
    let cutoff = Some("15:00:00.999".parse().unwrap());
    let counts = |cst: &str| china().in_day_part(moment(cst), china().trading_day(moment(cst)).unwrap(), cutoff);
    assert!(counts("2022-02-18 15:00:00.500"));
    assert!(!counts("2022-02-18 15:00:01"));
    assert!(!counts("2022-02-17 21:00:00"), "the night before");
    assert!(!counts("2022-02-18 00:30:00"), "the same night after midnight");
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
