//! A time of day that may run past midnight, as night sessions do.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a day.
pub const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

/// Nanoseconds since local midnight, 0 to 48 hours. Written `09:00:00`, `25:00:00` or `15:00:00.999`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(pub i64);

impl TimeOfDay {
    /// The time at this hour and minute.
    pub const fn at(hour: i64, minute: i64) -> Self {
        Self((hour * 3600 + minute * 60) * NANOS_PER_SECOND)
    }

    /// Seconds since midnight.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

impl FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Time(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<TimeOfDay> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let whole = hour <= 47 && minute <= 59 && second <= 59 && parts.next().is_none();
    let nanos = match fraction {
        None => 0,
        Some(digits) => number(digits, digits.len())? * 10_i64.pow(9_u32.checked_sub(digits.len() as u32)?),
    };
    whole.then_some(TimeOfDay((hour * 3600 + minute * 60 + second) * NANOS_PER_SECOND + nanos))
}

/// Exactly `length` digits, at least one and at most nine.
fn number(text: &str, length: usize) -> Option<i64> {
    let fits = text.len() == length && (1..=9).contains(&length) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-4][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for text in ["09:00:00", "26:30:00", "15:00:00.999", "00:00:00.000000001"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        assert_eq!("25:00:00".parse::<TimeOfDay>().unwrap(), TimeOfDay::at(25, 0));
        for bad in ["9:00:00", "09:60:00", "48:00:00", "09:00", "09:00:00.", "09:00:00.1234567890", "-1:00:00", ""] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
        }
    }
}
