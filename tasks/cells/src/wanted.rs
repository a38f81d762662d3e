//! Which tick files may hold ticks of the contracts that are asked for.

use ghtrader_market::Contract;
use ghtrader_market::file_names::codes;

/// Which contracts of a variety are asked for.
pub(crate) struct Wanted<'a> {
    variety: &'a str,
    /// All, where none are named.
    codes: Option<Vec<&'a str>>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(variety: &'a str, contracts: Option<&[&'a Contract]>) -> Self {
        Self { variety, codes: contracts.map(|named| named.iter().map(|contract| contract.code.as_str()).collect()) }
    }

    /// Whether a file may hold ticks of them: its path names one of them, or no contract of the variety at all.
    pub(crate) fn may_be_in(&self, path: &str) -> bool {
        let Some(wanted) = &self.codes else { return true };
        let named = codes(path, self.variety);
        named.is_empty() || named.iter().any(|code| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_no_contract_may_hold_any() {
        let contract = Contract::parse("SHFE.cu2203").unwrap();
        let named = [&contract];
        let wanted = Wanted::new("cu", Some(&named));
        assert!(wanted.may_be_in("ticks/cu2203_20220218.csv") && wanted.may_be_in("ticks/20220218.csv"));
        assert!(wanted.may_be_in("ticks/cu2203_cu2204.csv"));
        assert!(!wanted.may_be_in("ticks/cu2204_20220218.csv"));
        assert!(Wanted::new("cu", None).may_be_in("ticks/cu2204_20220218.csv"));
    }
}
