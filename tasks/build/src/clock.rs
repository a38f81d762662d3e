//! Where in its trading day a moment lies.

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, NANOS_PER_DAY, Session, TicksSpec, TimeOfDay};

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// The sessions of a variety in its local time.
#[derive(Clone, Debug)]
pub(crate) struct SessionClock {
    calendar: Calendar,
    /// In the order of trading; one of 24 hours where the market never closes.
    sessions: Vec<Session>,
    /// How much later than its close a row may be stamped and still be of a session.
    grace_ns: i64,
}

/// A place in the trading day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// Share of the day's trading time that has passed: 0 to 1.
    pub(crate) elapsed: f64,
    /// Seconds since the session opened.
    pub(crate) since_open: f64,
    /// Seconds until the session closes.
    pub(crate) to_close: f64,
}

impl SessionClock {
    /// The sessions that a specification states, each with some milliseconds of grace after its close.
    pub(crate) fn new(spec: &TicksSpec, grace_ms: u32) -> Result<Self> {
        let mut sessions = spec.sessions.0.clone();
        if sessions.is_empty() {
            sessions.push(Session(TimeOfDay(0), TimeOfDay(NANOS_PER_DAY)));
        }
        Ok(Self { calendar: spec.calendar()?, sessions, grace_ns: i64::from(grace_ms) * 1_000_000 })
    }

    /// The place of a moment (UTC nanoseconds); `None` outside the sessions.
    pub(crate) fn place(&self, ns: i64) -> Option<Place> {
        let time = self.calendar.local(ns).1.0;
        // The small hours belong to a session that counts on after midnight: 25:00:00 is 01:00:00.
        let inside = |session: &Session| {
            let length = length(session);
            let since = [time, time + NANOS_PER_DAY].map(|time| time - session.0.0);
            let since = since.into_iter().find(|since| (0..=length + self.grace_ns).contains(since))?;
            Some((since.min(length), length))
        };
        let (number, (since, length)) =
            self.sessions.iter().enumerate().find_map(|(number, session)| Some((number, inside(session)?)))?;
        let before: i64 = self.sessions.iter().take(number).map(self::length).sum();
        let total: i64 = self.sessions.iter().map(self::length).sum();
        Some(Place {
            elapsed: (before + since) as f64 / total as f64,
            since_open: since as f64 / SECOND,
            to_close: (length - since) as f64 / SECOND,
        })
    }
}

/// Nanoseconds from open to close.
fn length(session: &Session) -> i64 {
    session.1.0 - session.0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    #[test]
    fn a_place_in_the_night_session_and_after_the_close() {
        let clock = SessionClock::new(&spec(5), 5_000).unwrap();
        let at = |day: &str, time: &str| clock.calendar.moment(day.parse().unwrap(), time.parse().unwrap());
        let place = clock.place(at("2022-02-17", "24:30:00")).unwrap();
        assert_eq!((place.since_open, place.to_close), (12_600.0, 1_800.0));
        assert_eq!(place.elapsed, 12_600.0 / 27_900.0);
        // A real one: the last snapshot of the morning of 2022-02-18.
        let close = clock.place(at("2022-02-18", "11:30:01.5")).unwrap();
        assert_eq!((close.elapsed, close.to_close), (22_500.0 / 27_900.0, 0.0));
        assert_eq!(clock.place(at("2022-02-18", "15:00:05")).unwrap().elapsed, 1.0);
        for closed in ["15:00:05.001", "12:00:00", "20:59:00", "08:59:59.999"] {
            assert_eq!(clock.place(at("2022-02-18", closed)), None, "{closed}");
        }
    }

    #[test]
    fn a_market_that_never_closes_has_days_of_86_400_seconds() {
        let mut always = spec(5);
        always.sessions = ghtrader_market::Sessions::default();
        always.clock = ghtrader_market::Clock {
            calendar: ghtrader_market::CalendarRule::UtcDay,
            utc_offset: 0,
            zone: None,
            closed: Vec::new(),
        };
        let clock = SessionClock::new(&always, 5_000).unwrap();
        let place = clock.place(6 * 3600 * 1_000_000_000).unwrap();
        assert_eq!(place, Place { elapsed: 0.25, since_open: 21_600.0, to_close: 64_800.0 });
    }
}
