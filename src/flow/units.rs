//! Durations and sizes as people write them: `30m`, `1h30m`, `2GiB`.

use std::time::Duration;

const TIMES: [(&str, f64); 6] =
    [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

const SIZES: [(&str, f64); 13] = [
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("K", 1024.0),
    ("M", 1_048_576.0),
    ("G", 1_073_741_824.0),
    ("T", 1_099_511_627_776.0),
];

/// What a duration looks like, for helps.
pub const DURATION: &str = "a duration is a number with its unit: 500ms, 30s, 5m, 2h, 1d, or 1h30m";

/// What a size looks like, for helps.
pub const SIZE: &str = "a size is a number with its unit: 512MiB, 2GiB, or a number of bytes";

/// Of a duration that no clock can measure.
pub const LONG: &str = "is too long";

/// A duration: numbers with units, the larger unit first or not.
///
/// # Errors
/// What the text is not, to follow the text in a message.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = seconds(text).ok_or("is not a duration")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| LONG)
}

/// A size in bytes: a number with a unit.
///
/// # Errors
/// What the text is not, to follow the text in a message.
pub fn size(text: &str) -> Result<u64, &'static str> {
    let bytes =
        leading_number(text.trim()).and_then(|(amount, unit)| Some(amount * factor(&SIZES, unit.trim_start())?));
    bytes.filter(|bytes| *bytes < 9.0e18).map(|bytes| bytes.round() as u64).ok_or("is not a size")
}

/// A size as it is written, in the largest unit of which it is a whole number.
pub fn shown(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = units.into_iter().find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    whole.map_or_else(|| format!("{bytes}B"), |(unit, bits)| format!("{}{unit}", bytes >> bits))
}

fn seconds(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (amount, after) = leading_number(rest)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        seconds += amount * factor(&TIMES, unit)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(seconds)
}

fn factor(units: &[(&str, f64)], unit: &str) -> Option<f64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

fn leading_number(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text| duration(text).map(|duration| duration.as_millis()).ok();
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("1.5s"), Some(1500));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1d"), Some(86_400_000));
        assert_eq!(ms("0s"), Some(0));
        for bad in ["", "5", "m", "5 parsecs", "-1s", "1s2", "1..2s", "1e9d", "9999999999999999999999999w", "ä", "1ä"]
        {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_may_be_written() {
        for text in ["2GiB", "1536MiB", "1TiB", "1023KiB", "1000000B", "0B"] {
            assert_eq!(size(text).map(shown), Ok(text.to_owned()));
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("2G"), Ok(2 << 30));
        assert_eq!(size("1.5 MB"), Ok(1_500_000));
        assert_eq!(size("10B"), Ok(10));
        for bad in ["", "10", "GiB", "-1GiB", "1gib", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
