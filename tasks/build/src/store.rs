//! How state becomes text and comes back, bit for bit.
//!
//! One walk over the state either writes or reads it ([`Store`]), so the two cannot disagree. Numbers are kept as the
//! hexadecimal digits of their 64 bits: a float survives whatever it is, NaN included.

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;

/// Digits of one number.
const DIGITS: usize = 16;

/// What a walk over the state meets: either it takes every number down, or it puts every number back.
pub(crate) struct Store {
    mode: Mode,
}

enum Mode {
    Write(Vec<u64>),
    Read { numbers: std::vec::IntoIter<u64>, short: bool },
}

impl Store {
    /// A store that takes numbers down.
    pub(crate) fn writer() -> Self {
        Self { mode: Mode::Write(Vec::new()) }
    }

    /// A store that puts back the numbers of `text`.
    pub(crate) fn reader(text: &str) -> Result<Self> {
        if !text.is_ascii() || !text.len().is_multiple_of(DIGITS) {
            bail!("a state is made of numbers of {DIGITS} hexadecimal digits");
        }
        let numbers: Vec<u64> = (0..text.len())
            .step_by(DIGITS)
            .map(|at| u64::from_str_radix(&text[at..at + DIGITS], 16).context("a state has hexadecimal digits"))
            .collect::<Result<_>>()?;
        Ok(Self { mode: Mode::Read { numbers: numbers.into_iter(), short: false } })
    }

    /// One whole number.
    pub(crate) fn count(&mut self, value: &mut u64) {
        match &mut self.mode {
            Mode::Write(numbers) => numbers.push(*value),
            Mode::Read { numbers, short } => match numbers.next() {
                Some(number) => *value = number,
                None => *short = true,
            },
        }
    }

    /// One float.
    pub(crate) fn number(&mut self, value: &mut f64) {
        let mut bits = value.to_bits();
        self.count(&mut bits);
        *value = f64::from_bits(bits);
    }

    /// One signed number.
    pub(crate) fn signed(&mut self, value: &mut i64) {
        let mut bits = value.cast_unsigned();
        self.count(&mut bits);
        *value = bits.cast_signed();
    }

    /// Floats; how many is part of the parameters, so it is not stored.
    pub(crate) fn numbers<'a>(&mut self, values: impl IntoIterator<Item = &'a mut f64>) {
        for value in values {
            self.number(value);
        }
    }

    /// The text of what was written; empty for a reader, after a check that it gave out all that it had.
    pub(crate) fn finish(self) -> Result<String> {
        match self.mode {
            Mode::Write(numbers) => Ok(numbers.iter().map(|number| format!("{number:016x}")).collect()),
            Mode::Read { numbers, short } if short || numbers.len() > 0 => {
                bail!("the state was written with other parameters: it has another number of values")
            }
            Mode::Read { .. } => Ok(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_survives() {
        let values = [0.1 + 0.2, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 3.0];
        let mut writer = Store::writer();
        writer.numbers(&mut values.clone());
        writer.signed(&mut -7);
        let text = writer.finish().unwrap();
        let mut reader = Store::reader(&text).unwrap();
        let (mut back, mut signed) = ([1.0; 5], 0);
        reader.numbers(&mut back);
        reader.signed(&mut signed);
        assert_eq!(back.map(f64::to_bits), values.map(f64::to_bits));
        assert_eq!(signed, -7);
        reader.finish().unwrap();
    }

    #[test]
    fn a_state_of_another_length_is_refused() {
        let mut short = Store::reader("").unwrap();
        short.number(&mut 0.0);
        assert!(short.finish().is_err());
        assert!(Store::reader("0000000000000000").unwrap().finish().is_err(), "a number is left over");
        assert!(Store::reader("000").is_err());
        assert!(Store::reader("000000000000000g").is_err());
    }
}
