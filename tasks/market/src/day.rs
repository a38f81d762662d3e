//! A calendar day, as a count: what Parquet calls `date32`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A day: days since 1970-01-01. Written `2022-02-18`; `20220218` is read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

const EPOCH: Date = date(1970, 1, 1);

impl Day {
    /// The day of a date.
    ///
    /// # Errors
    /// Where there is no such date.
    pub fn of(year: i16, month: i8, day: i8) -> Result<Self, Error> {
        let date = Date::new(year, month, day).map_err(|_| Error::Day(format!("{year:04}-{month:02}-{day:02}")))?;
        Ok(Self::from_date(date))
    }

    /// Whether there can be ticks of it that anybody has: there was no electronic market before 1980, and contracts are
    /// listed some years ahead. What lies outside is a number that was taken for another unit.
    pub fn is_plausible(self) -> bool {
        (1980..=2200).contains(&self.date().year())
    }

    /// The day after `days` more days.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days since Monday: 0 to 6.
    pub fn weekday(self) -> i32 {
        // 1970-01-01 was a Thursday.
        (self.0.rem_euclid(7) + 3) % 7
    }

    /// Whether it is a Saturday or a Sunday.
    pub fn is_weekend(self) -> bool {
        self.weekday() >= 5
    }

    /// The date of the day.
    pub fn date(self) -> Date {
        // A count of days beyond the years that dates have cannot come from a text; from a stamp it stays in 1677–2262.
        EPOCH.saturating_add(jiff::Span::new().days(self.0.clamp(-1_000_000, 2_000_000)))
    }

    fn from_date(date: Date) -> Self {
        // Both lie within the years −9999 to 9999, so the count fits.
        Self(EPOCH.duration_until(date).as_hours().div_euclid(24) as i32)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Day(text.to_owned());
        let plain = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let format = if plain { "%Y%m%d" } else { "%Y-%m-%d" };
        if !plain && text.len() != 10 {
            return Err(bad());
        }
        Date::strptime(format, text).map(Self::from_date).map_err(|_| bad())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_written() {
        assert_eq!("1970-01-01".parse::<Day>().unwrap(), Day(0));
        assert_eq!("20220218".parse::<Day>().unwrap().to_string(), "2022-02-18");
        assert_eq!(Day::of(2000, 2, 29).unwrap().plus(1).to_string(), "2000-03-01");
        assert_eq!("1969-12-31".parse::<Day>().unwrap(), Day(-1));
        for bad in ["2022-02-30", "2022-2-18", "220218", "", "tomorrow", "2022-02-18T09:00"] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    #[test]
    fn weekdays_agree_with_the_calendar() {
        assert_eq!("2022-02-18".parse::<Day>().unwrap().weekday(), 4, "a Friday");
        assert!("2022-02-19".parse::<Day>().unwrap().is_weekend());
        assert_eq!(Day(-1).weekday(), 2, "a Wednesday");
    }
}
