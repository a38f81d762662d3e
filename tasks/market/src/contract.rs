//! A contract's name taken apart.

use std::fmt;

use crate::{Error, Result};

/// More letters than this no exchange gives a contract: option codes have some twenty. A folder is named so.
const LONGEST: usize = 64;

/// A contract such as `SHFE.cu2203`: exchange, product, and the month of delivery where the code ends with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// `SHFE`.
    pub exchange: String,
    /// `cu2203`.
    pub code: String,
    /// `cu`: the code without the digits at its end.
    pub product: String,
    /// Year and month of delivery, from four digits `yymm`; `None` where there is no delivery (a perpetual).
    ///
    /// Years 00 to 79 are 20xx. Three digits (CZCE) do not say the decade and give `None`.
    pub delivery: Option<(i16, i8)>,
}

impl Contract {
    /// Takes `EXCHANGE.code` apart.
    ///
    /// # Errors
    /// Where there is no exchange, no product, or a character that cannot be part of a file name.
    pub fn parse(symbol: &str) -> Result<Self> {
        let bad = || Error::Contract(symbol.to_owned());
        let (exchange, code) = symbol.split_once('.').ok_or_else(bad)?;
        let product = code.trim_end_matches(|c: char| c.is_ascii_digit());
        let word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '&'))
        };
        if !word(exchange) || !word(code) || product.is_empty() || symbol.len() > LONGEST {
            return Err(bad());
        }
        let delivery = delivery(&code[product.len()..]);
        Ok(Self { exchange: exchange.to_owned(), code: code.to_owned(), product: product.to_owned(), delivery })
    }

    /// What `oi` ties are decided by: the earlier delivery first, then the code.
    pub fn order(&self) -> (i16, i8, &str) {
        let (year, month) = self.delivery.unwrap_or((i16::MAX, i8::MAX));
        (year, month, &self.code)
    }
}

fn delivery(digits: &str) -> Option<(i16, i8)> {
    if digits.len() != 4 {
        return None;
    }
    let (year, month): (i16, i8) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let year = if year < 80 { 2000 + year } else { 1900 + year };
    (1..=12).contains(&month).then_some((year, month))
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.exchange, self.code)
    }
}

/// The symbol of a variety's main series: `KQ.m@SHFE.cu`, as TqSdk writes it.
pub fn main_symbol(exchange: &str, variety: &str) -> String {
    format!("KQ.m@{exchange}.{variety}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_taken_apart() {
        let contract = Contract::parse("SHFE.cu2203").unwrap();
        assert_eq!((contract.product.as_str(), contract.delivery), ("cu", Some((2022, 3))));
        assert_eq!(contract.to_string(), "SHFE.cu2203");
        assert_eq!(Contract::parse("BINANCE.BTCUSDT").unwrap().delivery, None);
        assert_eq!(Contract::parse("CZCE.CF205").unwrap().delivery, None);
        assert_eq!(Contract::parse("SHFE.cu9913").unwrap().delivery, None, "there is no month 13");
        for bad in ["cu2203", "SHFE.", ".cu2203", "SHFE.2203", "SHFE.cu/2203", "KQ.m@SHFE.cu", "SHFE.cu 2203"] {
            assert!(Contract::parse(bad).is_err(), "{bad}");
        }
        assert!(Contract::parse(&format!("SHFE.cu{}", "1".repeat(57))).is_ok());
        assert!(Contract::parse(&format!("SHFE.cu{}", "1".repeat(58))).is_err(), "65 letters");
    }

    #[test]
    fn the_earlier_delivery_comes_first() {
        let order = |symbol: &str| Contract::parse(symbol).unwrap();
        assert!(order("SHFE.cu2112").order() < order("SHFE.cu2201").order());
        assert!(order("SHFE.cu2201").order() < order("SHFE.cu2202").order());
    }
}
