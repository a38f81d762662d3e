//! The sessions of a trading day.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Day, Error, NANOS_PER_DAY, NANOS_PER_SECOND, Result, TimeOfDay};

/// Snapshots stamped up to this much after the close still belong to the session: SHFE's last one before lunch on
/// 2022-02-18 is of 11:30:01.5, while what comes after the day's close comes minutes later.
const GRACE_NS: i64 = 1_999_999_999;
/// Sessions that open from here on belong to the next trading day: they are the night's.
const EVENING: TimeOfDay = TimeOfDay::at(18, 0);

/// One session: open and close, `["21:00:00", "25:00:00"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session(pub TimeOfDay, pub TimeOfDay);

/// The sessions of a trading day in the order of trading, the night's first; none means always open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sessions(pub Vec<Session>);

impl Sessions {
    /// Checks that each session ends after it begins, and after the one before it; those of the night come first.
    ///
    /// # Errors
    /// Names the session that does not.
    pub fn check(&self) -> Result<()> {
        if let Some(Session(open, close)) = self.0.iter().find(|session| session.0 >= session.1) {
            return Err(Error::Session(open.to_string(), close.to_string()));
        }
        // Since the midnight before: what opens in the evening does so a day earlier.
        let since = |session: &Session| if session.is_night() { NANOS_PER_DAY } else { 0 };
        for pair in self.0.windows(2) {
            if pair[1].0.0 - since(&pair[1]) < pair[0].1.0 - since(&pair[0]) {
                let [one, other] = [&pair[0], &pair[1]].map(|Session(open, close)| format!("{open} to {close}"));
                return Err(Error::SessionOrder(one, other));
            }
        }
        Ok(())
    }

    /// Whether there is a night session.
    pub fn has_night(&self) -> bool {
        self.0.iter().any(Session::is_night)
    }

    /// The sessions that take place on a trading day, each with the date on which it opens: those of the night in the evening
    /// of the trading day before, where the exchange opens one.
    pub fn on(&self, day: Day, calendar: &Calendar) -> impl Iterator<Item = (Day, Session)> {
        let evening = calendar.previous(day);
        let night = calendar.has_night(evening);
        let held = self.0.iter().filter(move |session| night || !session.is_night());
        held.map(move |session| (if session.is_night() { evening } else { day }, *session))
    }

    /// Whether a local time of day lies in a session; the close itself, and what is stamped less than two seconds
    /// after it, still does.
    pub fn contain(&self, time: TimeOfDay) -> bool {
        self.0.is_empty() || self.0.iter().any(|session| session.holds(time).is_some())
    }

    /// Seconds of trading since the first open of the day; between sessions, those until the last close.
    ///
    /// Always open: seconds since local midnight.
    pub fn elapsed(&self, time: TimeOfDay) -> f64 {
        if self.0.is_empty() {
            return time.seconds();
        }
        let mut before = 0;
        let mut passed = 0;
        for session in &self.0 {
            if let Some(inside) = session.holds(time) {
                return (before + inside) as f64 / NANOS_PER_SECOND as f64;
            }
            before += session.length();
            // A day session follows every night session, whatever the clock says.
            if !session.is_night() && session.1 < time && time < EVENING || self.is_over(session, time) {
                passed = before;
            }
        }
        passed as f64 / NANOS_PER_SECOND as f64
    }

    /// Seconds of trading in a day: 86,400 where it is always open.
    pub fn total(&self) -> f64 {
        if self.0.is_empty() {
            return 86_400.0;
        }
        self.0.iter().map(Session::length).sum::<i64>() as f64 / NANOS_PER_SECOND as f64
    }

    /// Minutes of trading in a day, those that a session ends in the middle of included.
    pub fn minutes(&self) -> u64 {
        if self.0.is_empty() { 1_440 } else { self.0.iter().map(Session::minutes).sum() }
    }

    /// The minute of trading that a time lies in, from 0 on; `None` outside of the sessions. A close, and what is stamped
    /// less than two seconds after it, lies in the last minute of its session, not in the first one of the next.
    pub fn minute(&self, time: TimeOfDay) -> Option<u64> {
        const MINUTE: i64 = 60 * NANOS_PER_SECOND;
        if self.0.is_empty() {
            return Some((time.0 / MINUTE).unsigned_abs());
        }
        let mut before = 0;
        for session in &self.0 {
            if let Some(inside) = session.holds(time) {
                return Some(before + ((inside / MINUTE).unsigned_abs()).min(session.minutes() - 1));
            }
            before += session.minutes();
        }
        None
    }

    /// Whether a night session is over at a time of the following day, or past its close in the same night.
    fn is_over(&self, session: &Session, time: TimeOfDay) -> bool {
        session.is_night() && time < EVENING && TimeOfDay(time.0 + NANOS_PER_DAY) > session.1
    }
}

impl Session {
    /// Whether it opens in the evening before its trading day.
    fn is_night(&self) -> bool {
        self.0 >= EVENING
    }

    fn length(&self) -> i64 {
        self.1.0 - self.0.0
    }

    /// At least one.
    fn minutes(&self) -> u64 {
        self.length().unsigned_abs().div_ceil(60 * NANOS_PER_SECOND.unsigned_abs()).max(1)
    }

    /// Nanoseconds since the open, where the time lies in the session.
    fn holds(&self, time: TimeOfDay) -> Option<i64> {
        [time.0, time.0 + NANOS_PER_DAY]
            .into_iter()
            .find(|time| (self.0.0..=self.1.0 + GRACE_NS).contains(time))
            .map(|time| (time - self.0.0).min(self.length()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copper() -> Sessions {
        let session = |open: &str, close: &str| Session(open.parse().unwrap(), close.parse().unwrap());
        Sessions(vec![
            session("21:00:00", "25:00:00"),
            session("09:00:00", "10:15:00"),
            session("10:30:00", "11:30:00"),
            session("13:30:00", "15:00:00"),
        ])
    }

    #[test]
    fn times_lie_in_sessions() {
        for inside in ["21:00:00", "23:59:59.500", "00:30:00", "01:00:00.500", "09:00:00", "11:30:01.500"] {
            assert!(copper().contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["20:59:00.500", "01:00:02", "08:59:00", "10:20:00", "12:00:00", "15:00:02", "15:44:00"] {
            assert!(!copper().contain(outside.parse().unwrap()), "{outside}");
        }
        assert!(Sessions::default().contain(TimeOfDay::at(3, 0)));
    }

    #[test]
    fn trading_time_stands_still_between_sessions() {
        let cases = [
            ("20:59:00", 0.0),
            ("21:00:00", 0.0),
            ("00:30:00", 12_600.0),
            ("01:00:00.500", 14_400.0),
            ("03:00:00", 14_400.0),
            ("08:59:00", 14_400.0),
            ("09:00:01", 14_401.0),
            ("10:20:00", 18_900.0),
            ("12:00:00", 22_500.0),
            ("15:00:00", 27_900.0),
            ("15:44:00", 27_900.0),
        ];
        for (time, seconds) in cases {
            assert_eq!(copper().elapsed(time.parse().unwrap()), seconds, "{time}");
        }
        assert_eq!(copper().total(), 27_900.0);
        assert_eq!(Sessions::default().elapsed(TimeOfDay::at(1, 0)), 3_600.0);
    }

    #[test]
    fn a_close_lies_in_the_last_minute_of_its_own_session() {
        let minute = |time: &str| copper().minute(time.parse().unwrap());
        assert_eq!((minute("21:00:00"), minute("00:59:59"), minute("01:00:00.500")), (Some(0), Some(239), Some(239)));
        assert_eq!((minute("09:00:00"), minute("10:15:00"), minute("10:30:00")), (Some(240), Some(314), Some(315)));
        assert_eq!((minute("11:30:01.500"), minute("13:30:00"), minute("15:00:01")), (Some(374), Some(375), Some(464)));
        assert_eq!((minute("10:20:00"), minute("20:59:00"), minute("15:44:00")), (None, None, None));
        assert_eq!(copper().minutes(), 465);
        let odd = Sessions(vec![Session("09:00:00".parse().unwrap(), "09:01:30".parse().unwrap())]);
        assert_eq!((odd.minutes(), odd.minute("09:01:30".parse().unwrap())), (2, Some(1)));
        let always = Sessions::default();
        assert_eq!((always.minutes(), always.minute(TimeOfDay::at(23, 59))), (1_440, Some(1_439)));
    }

    #[test]
    fn the_night_takes_place_where_the_calendar_has_one() {
        let calendar = Calendar::new(&crate::Clock::china()).unwrap();
        let held = |day: &str| {
            let day = day.parse().unwrap();
            let dates: Vec<String> = copper().on(day, &calendar).map(|(date, _)| date.to_string()).collect();
            (dates.join(" "), Sessions(copper().on(day, &calendar).map(|(_, session)| session).collect()).total())
        };
        let monday = "2022-02-18 2022-02-21 2022-02-21 2022-02-21".to_owned();
        assert_eq!(held("2022-02-21"), (monday, 27_900.0), "its night is that of Friday");
        let after_new_year = "2022-02-07 2022-02-07 2022-02-07".to_owned();
        assert_eq!(held("2022-02-07"), (after_new_year, 13_500.0), "there is none on the eve of a holiday");
    }

    #[test]
    fn a_session_that_ends_before_it_begins_is_refused() {
        let turned = Sessions(vec![Session(TimeOfDay::at(21, 0), TimeOfDay::at(1, 0))]);
        assert!(turned.check().unwrap_err().to_string().contains("25:00:00"));
    }
}
