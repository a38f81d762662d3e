//! Numbers of tick files.

/// Whole numbers up to it, and powers of ten up to the 22nd, are exact as doubles.
const EXACT: u64 = 1 << 53;
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The number that a text says, as `str::parse` reads it; blanks around it do not count. Nothing is NaN.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(f64::NAN);
    }
    plain(text).or_else(|| {
        let text = std::str::from_utf8(text).ok()?.trim();
        if text.is_empty() { Some(f64::NAN) } else { text.parse().ok() }
    })
}

/// Of digits with at most one point: their whole number over a power of ten. Where both are exact, IEEE division rounds
/// correctly, which is what `str::parse` does (Clinger, How to read floating point numbers accurately, PLDI 1990).
fn plain(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // 19 digits fit into 64 bits.
    if digits.len() > 19 {
        return None;
    }
    let (whole, before) = digits_of(digits, 0);
    let (whole, after) = match &digits[before..] {
        [b'.', fraction @ ..] => {
            let (whole, after) = digits_of(fraction, whole);
            (after == fraction.len()).then_some((whole, after))?
        }
        [] => (whole, 0),
        _ => return None,
    };
    if whole > EXACT || before + after == 0 {
        return None;
    }
    let value = if after == 0 { whole as f64 } else { whole as f64 / POWERS[after] };
    Some(if negative { -value } else { value })
}

/// Takes digits into a whole number; and how many there are before anything else.
fn digits_of(text: &[u8], mut whole: u64) -> (u64, usize) {
    for (at, byte) in text.iter().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => whole = whole * 10 + u64::from(digit),
            _ => return (whole, at),
        }
    }
    (whole, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(text: &str) -> Option<u64> {
        text.parse::<f64>().ok().map(f64::to_bits)
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        let texts = [
            "0",
            "-0",
            "0.0",
            "1",
            "71500",
            "71500.0",
            "268.2999",
            "71500.00000000001",
            "0.000001",
            ".5",
            "5.",
            "-.5",
            "1e5",
            "-1.5E-3",
            "+3",
            "9007199254740992",
            "9007199254740993",
            "9007199254740991.5",
            "1234567890123456789",
            "12345678901234567890",
            "0.1234567890123456789",
            "1.7976931348623157e308",
            "nan",
            "inf",
            "-inf",
            "NaN",
            ".",
            "-",
            "",
            "1.2.3",
            "1,2",
            "abc",
            "--1",
            "1_0",
            "0x10",
            "٣",
        ];
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            assert_eq!(number(text.as_bytes()).map(f64::to_bits), standard(text), "{text}");
        }
        assert!(number(b"").unwrap().is_nan() && number(b"  ").unwrap().is_nan());
        assert_eq!(number(b" 1.5\t"), Some(1.5));
        assert_eq!(number(b"1\xff"), None);
    }

    #[test]
    fn every_price_is_the_double_nearest_to_its_text() {
        for number in (0..4_000_000_u64).step_by(37) {
            for decimals in [1, 2, 3, 4, 10] {
                let text = format!("{:.1$}", number as f64 / 100.0, decimals);
                assert_eq!(super::number(text.as_bytes()).map(f64::to_bits), standard(&text), "{text}");
            }
        }
    }
}
