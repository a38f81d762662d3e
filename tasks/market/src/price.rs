//! Exact prices: a price is an integer count of ticks, and a tick is a rational number.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// How far from a multiple of the tick a price may lie, in ticks, to be taken for it.
const TOLERANCE: f64 = 0.01;

/// Whole numbers below it are exact as doubles: 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The smallest price step, `num/den` in lowest terms. In JSON and YAML it is the decimal number (`10`, `0.02`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TickSize {
    num: i64,
    den: i64,
}

impl TickSize {
    /// The tick that a decimal text says.
    ///
    /// # Errors
    /// Where it is not a positive decimal number with at most nine digits on either side of the point.
    pub fn parse(text: &str) -> Result<Self, Error> {
        decimal(text).ok_or_else(|| Error::TickSize(text.to_owned()))
    }

    /// Numerator and denominator in lowest terms.
    pub fn ratio(self) -> (i64, i64) {
        (self.num, self.den)
    }

    /// The tick as a number.
    pub fn value(self) -> f64 {
        self.price(1)
    }

    /// The price of `ticks` ticks: the double nearest to the exact decimal.
    ///
    /// `ticks · num` is exact below 2⁵³ and IEEE 754 division is correctly rounded, so nothing is lost on the way.
    pub fn price(self, ticks: i64) -> f64 {
        ticks.saturating_mul(self.num) as f64 / self.den as f64
    }

    /// The price of `half` half-ticks, as a mid between two quotes has.
    pub fn half_price(self, half: i64) -> f64 {
        half.saturating_mul(self.num) as f64 / (2 * self.den) as f64
    }

    /// The whole number of ticks nearest to a price; the price may be off by 0.01 of a tick (files hold prices such as
    /// 71500.00000000001, or 268.2999 for 268.30 at a tick of 0.05).
    ///
    /// # Errors
    /// Where the price lies further from any multiple of the tick, or is not a number of usual size.
    pub fn ticks(self, price: f64) -> Result<i64, Error> {
        let exact = price * self.den as f64 / self.num as f64;
        let nearest = nearest(exact);
        let off = (exact - nearest).abs();
        if off <= TOLERANCE && (nearest * self.num as f64).abs() < EXACT {
            Ok(nearest as i64)
        } else {
            Err(Error::OffTick { price, tick: self.to_string(), off })
        }
    }

    /// The exact price that a price from a file means: `price(ticks(p))`.
    ///
    /// # Errors
    /// As [`TickSize::ticks`].
    pub fn snap(self, price: f64) -> Result<f64, Error> {
        self.ticks(price).map(|ticks| self.price(ticks))
    }
}

/// The nearest whole number. For numbers of usual size by a conversion, which is faster than `round`.
fn nearest(value: f64) -> f64 {
    if value.abs() < EXACT / 4.0 { (value + 0.5_f64.copysign(value)) as i64 as f64 } else { value.round() }
}

fn decimal(text: &str) -> Option<TickSize> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let plain = (1..=9).contains(&whole.len()) && fraction.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    let num: i64 = plain.then(|| digits.parse().ok()).flatten()?;
    let den = 10_i64.pow(fraction.len() as u32);
    let divisor = gcd(num, den);
    (num > 0).then(|| TickSize { num: num / divisor, den: den / divisor })
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Display for TickSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl Serialize for TickSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.den == 1 { serializer.serialize_i64(self.num) } else { serializer.serialize_f64(self.value()) }
    }
}

impl<'de> Deserialize<'de> for TickSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The shortest text of a double is the decimal that was written, for up to 15 digits.
        let value = f64::deserialize(deserializer)?;
        Self::parse(&value.to_string()).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TickSize {
    fn schema_name() -> Cow<'static, str> {
        "TickSize".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(text: &str) -> TickSize {
        TickSize::parse(text).unwrap()
    }

    #[test]
    fn prices_are_the_doubles_nearest_to_the_decimal() {
        assert_eq!(tick("0.02").ratio(), (1, 50));
        for n in 0..200_000_i64 {
            let text = format!("{}.{:02}", n * 2 / 100, n * 2 % 100);
            assert_eq!(tick("0.02").price(n), text.parse::<f64>().unwrap(), "{text}");
        }
        assert_eq!(tick("0.1").price(639_439), 63_943.9);
        assert_eq!(tick("10").half_price(14_311), 71_555.0);
    }

    #[test]
    fn noise_is_snapped_and_prices_between_ticks_are_refused() {
        assert_eq!(tick("10").snap(71_500.000_000_000_01).unwrap(), 71_500.0);
        assert_eq!(tick("0.05").snap(268.2999).unwrap(), 268.3, "au1812 in the real data, 0.002 of a tick off");
        assert_eq!(tick("0.02").snap(268.2999).unwrap(), 268.3);
        assert!(tick("10").ticks(71_505.0).is_err());
        assert!(tick("0.02").ticks(387.77).is_err());
        assert!(tick("0.02").ticks(f64::NAN).is_err());
        assert!(tick("0.02").ticks(f64::INFINITY).is_err());
        assert!(tick("0.02").ticks(1e300).is_err());
        assert!(tick("999999999").ticks(1e18).is_err());
    }

    #[test]
    fn the_tolerance_is_a_hundredth_of_a_tick() {
        assert!(tick("1").ticks(100.009_9).is_ok());
        assert!(tick("1").ticks(100.010_1).is_err());
    }

    #[test]
    fn tick_sizes_survive_json() {
        for text in ["10", "1", "0.02", "0.05", "0.2", "0.1", "0.000001"] {
            let json = serde_json::to_string(&tick(text)).unwrap();
            assert_eq!(serde_json::from_str::<TickSize>(&json).unwrap(), tick(text), "{text}");
        }
        for bad in ["0", "-1", "1e30", "\"10\"", "null"] {
            assert!(serde_json::from_str::<TickSize>(bad).is_err(), "{bad}");
        }
    }
}
