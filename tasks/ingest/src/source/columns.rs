//! Which column of a source is which, by TqSdk's names.

use std::collections::HashSet;
use std::sync::Arc;

use ghtrader_market::{LEVELS, TicksSpec, VALUES, value_names};

/// Names that the stamp may have: ours, that of TqSdk's downloads, that of its data frames.
const STAMPS: [&str; 3] = ["datetime_ns", "datetime_nano", "datetime"];
/// Columns of TqSdk that say nothing a tick needs.
const LEFT_OUT: [&str; 3] = ["id", "average", "duration"];
/// Value columns that a file has to have; the others may be missing whole.
const REQUIRED: [&str; 6] = ["last_price", "volume", "bid_price1", "bid_volume1", "ask_price1", "ask_volume1"];

/// Positions of the columns in a source.
pub(crate) struct Columns {
    pub(crate) symbol: Option<usize>,
    pub(crate) underlying: Option<usize>,
    pub(crate) day: Option<usize>,
    pub(crate) stamp: usize,
    /// In the order of `value_names`.
    pub(crate) values: [Option<usize>; VALUES],
}

impl Columns {
    /// The positions of our columns among these names.
    ///
    /// # Errors
    /// Says which column is missing, unknown or there twice.
    pub(crate) fn of(names: &[String], spec: &TicksSpec) -> Result<Self, String> {
        let at = |name: &str| names.iter().position(|other| other == name);
        let known = value_names();
        check_names(names, &known, &spec.ignore_columns)?;
        for name in REQUIRED {
            at(name).ok_or_else(|| missing(name, names))?;
        }
        let stamps: Vec<usize> = STAMPS.iter().filter_map(|name| at(name)).collect();
        let columns = Self {
            symbol: at("symbol"),
            underlying: at("underlying_contract"),
            day: at("trading_day"),
            stamp: *stamps.first().ok_or_else(|| missing("datetime_ns", names))?,
            values: std::array::from_fn(|index| at(&known[index])),
        };
        if columns.symbol.is_none() && columns.underlying.is_none() {
            return Err(missing("symbol", names));
        }
        columns.check_levels(&known)?;
        Ok(columns)
    }

    /// A level is there whole or not at all.
    fn check_levels(&self, known: &[String; VALUES]) -> Result<(), String> {
        for level in 0..LEVELS {
            let columns = 6 + 4 * level..10 + 4 * level;
            let (there, lacking): (Vec<usize>, Vec<usize>) = columns.partition(|column| self.values[*column].is_some());
            if let (false, Some(column)) = (there.is_empty(), lacking.first()) {
                return Err(format!("level {} of the book lacks the column `{}`", level + 1, known[*column]));
            }
        }
        Ok(())
    }
}

fn check_names(names: &[String], known: &[String; VALUES], ignored: &[String]) -> Result<(), String> {
    let ours = known.iter().map(String::as_str).chain(STAMPS).chain(["symbol", "underlying_contract", "trading_day"]);
    let ours: Vec<&str> = ours.collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(format!("the column `{name}` is there twice"));
        }
        let left_out = LEFT_OUT.contains(&name.as_str()) || ignored.contains(name);
        if !left_out && !ours.contains(&name.as_str()) {
            let nearest =
                ours.iter().min_by_key(|other| distance(name, other)).filter(|other| distance(name, other) <= 3);
            let hint = nearest.map(|other| format!(" (did you mean `{other}`?)")).unwrap_or_default();
            return Err(format!(
                "unknown column `{name}`{hint}: rename it, or name it in `ignore_columns` of market.yaml"
            ));
        }
    }
    Ok(())
}

fn missing(name: &str, names: &[String]) -> String {
    format!("there is no column `{name}`; there are: {}", names.join(", "))
}

/// Letters to change, add or leave out to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// The contracts of rows, each name held once.
#[derive(Default)]
pub(crate) struct Symbols {
    known: HashSet<Arc<str>>,
}

impl Symbols {
    /// The contract: the symbol, or the underlying where the symbol is a main series or not there.
    ///
    /// # Errors
    /// Where that is empty, or was not UTF-8.
    pub(crate) fn contract(&mut self, symbol: &str, underlying: &str) -> Result<Arc<str>, String> {
        let series = symbol.is_empty() || symbol.starts_with("KQ.");
        let contract = if series { underlying } else { symbol };
        if let Some(known) = self.known.get(contract) {
            return Ok(Arc::clone(known));
        }
        if contract.is_empty() {
            return Err(format!(
                "`{symbol}` is no contract: a main series needs the column `underlying_contract` that names one"
            ));
        }
        if contract.contains(char::REPLACEMENT_CHARACTER) {
            return Err("the symbol is no text in UTF-8: is the file damaged, or in another encoding?".to_owned());
        }
        let contract: Arc<str> = Arc::from(contract);
        self.known.insert(Arc::clone(&contract));
        Ok(contract)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_between_words() {
        assert_eq!(distance("bid_pricel", "bid_price1"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("volum", "volume"), 1);
    }

    #[test]
    fn a_main_series_needs_its_contract() {
        let mut symbols = Symbols::default();
        assert_eq!(&*symbols.contract("KQ.m@SHFE.cu", "SHFE.cu2203").unwrap(), "SHFE.cu2203");
        assert_eq!(&*symbols.contract("SHFE.cu2204", "SHFE.cu2203").unwrap(), "SHFE.cu2204");
        assert_eq!(&*symbols.contract("", "SHFE.cu2203").unwrap(), "SHFE.cu2203");
        assert!(symbols.contract("KQ.m@SHFE.cu", "").unwrap_err().contains("underlying_contract"));
    }
}
