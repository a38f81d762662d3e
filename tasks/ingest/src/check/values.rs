//! The values of one row: what counts as missing, which are impossible, and snapping to ticks.

use ghtrader_market::{Cause, LEVELS, TickSize, VALUES, Values, value_names};

/// From here on a number says "none": CTP writes the largest double.
const NONE: f64 = 1e300;
/// Columns of the trade part that are prices: last, highest, lowest.
const TRADE_PRICES: [usize; 3] = [0, 1, 2];
/// Columns that count lots: volume, open interest, those of the quotes.
const VOLUMES: [usize; 12] = [3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25];
/// The column of the money traded, which may be a fraction.
const AMOUNT: usize = 4;
/// Columns of prices: those of the trade part, those of the quotes.
const PRICES: [usize; 13] = [0, 1, 2, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24];

/// The first column of a level: its bid price; then bid volume, ask price, ask volume.
fn level(level: usize) -> usize {
    6 + 4 * level
}

/// Columns of a quote side as (price, volume).
fn sides() -> impl Iterator<Item = (usize, usize)> {
    (0..2 * LEVELS).map(|side| (level(0) + 2 * side, level(0) + 2 * side + 1))
}

/// Makes everything that says "missing" NaN: huge numbers; a price of 0 of a trade, or of a quote without volume; the
/// volume of a quote without a price; the levels that the market does not count. Zero loses its sign.
pub(super) fn normalise(values: &mut Values, levels: u8) {
    for value in values.iter_mut() {
        *value = if value.abs() >= NONE { f64::NAN } else { *value + 0.0 };
    }
    for column in TRADE_PRICES {
        if values[column] == 0.0 {
            values[column] = f64::NAN;
        }
    }
    for (price, volume) in sides() {
        let nothing = values[price] == 0.0 && (values[volume] == 0.0 || values[volume].is_nan());
        if nothing || values[price].is_nan() {
            (values[price], values[volume]) = (f64::NAN, f64::NAN);
        }
    }
    values[level(usize::from(levels)).min(VALUES)..].fill(f64::NAN);
}

/// Whether a row says nothing: no best quote on either side, and no last price.
pub(super) fn is_empty(values: &Values) -> bool {
    [0, level(0), level(0) + 2].into_iter().all(|column| values[column].is_nan())
}

/// Whether two rows hold the same, null for null.
pub(crate) fn same(one: &Values, other: &Values) -> bool {
    one.iter().zip(other).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
}

/// Snaps every price to its tick; says what is impossible.
pub(super) fn check(values: &mut Values, tick: TickSize, fractional: bool) -> Option<(Cause, String)> {
    for column in VOLUMES {
        let value = values[column];
        if value < 0.0 || !fractional && is_fraction(value) {
            return Some((Cause::BadValue, format!("`{}` is {value}", value_names()[column])));
        }
    }
    if values[AMOUNT] < 0.0 {
        return Some((Cause::BadValue, format!("`{}` is {}", value_names()[AMOUNT], values[AMOUNT])));
    }
    for column in PRICES {
        if values[column].is_nan() {
            continue;
        }
        match tick.snap(values[column]) {
            Ok(price) => values[column] = price,
            Err(error) => return Some((Cause::OffTick, format!("`{}`: {error}", value_names()[column]))),
        }
    }
    None
}

/// Whether a number is not whole: from 2⁵³ on all are. By a conversion, which is faster than `fract`.
fn is_fraction(value: f64) -> bool {
    value.abs() < 9_007_199_254_740_992.0 && value as i64 as f64 != value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Values {
        let mut values = [f64::NAN; VALUES];
        (values[0], values[3], values[4], values[5]) = (71_550.0, 100.0, 1e9, 116_004.0);
        values[6..10].copy_from_slice(&[71_550.0, 5.0, 71_560.0, 15.0]);
        values
    }

    fn copper() -> TickSize {
        TickSize::parse("10").unwrap()
    }

    #[test]
    fn what_says_missing_becomes_null() {
        let mut values = row();
        (values[1], values[2]) = (f64::MAX, 0.0);
        values[10..14].copy_from_slice(&[0.0, 0.0, f64::NAN, 7.0]);
        normalise(&mut values, 5);
        assert!(same(&values, &row()));
        assert!(values[10..].iter().all(|value| value.is_nan()));
    }

    #[test]
    fn levels_that_do_not_count_are_null() {
        let mut values = row();
        values[10..14].copy_from_slice(&[71_540.0, 3.0, 71_570.0, 4.0]);
        let mut five = values;
        normalise(&mut five, 5);
        assert!(same(&five, &values));
        normalise(&mut values, 1);
        assert!(same(&values, &row()));
    }

    #[test]
    fn a_row_with_a_last_price_is_not_empty() {
        let mut values = row();
        values[6..].fill(f64::NAN);
        assert!(!is_empty(&values));
        values[0] = f64::NAN;
        assert!(is_empty(&values));
    }

    #[test]
    fn impossible_values_are_named() {
        let cause = |column: usize, value: f64, fractional: bool| {
            let mut values = row();
            values[column] = value;
            check(&mut values, copper(), fractional)
        };
        assert_eq!(cause(7, -1.0, false).unwrap(), (Cause::BadValue, "`bid_volume1` is -1".to_owned()));
        assert_eq!(cause(4, -0.5, false).unwrap(), (Cause::BadValue, "`amount` is -0.5".to_owned()));
        assert_eq!(cause(4, 0.5, false), None);
        assert_eq!(cause(3, 0.5, false).unwrap().0, Cause::BadValue);
        assert_eq!(cause(3, 0.5, true), None);
        assert_eq!(cause(6, 71_555.0, false).unwrap().0, Cause::OffTick);
        assert_eq!(cause(6, 71_550.000_000_000_01, false), None);
    }
}
