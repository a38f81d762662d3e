//! Contracts' codes in paths: `ticks/tq_cu2203_20220218.csv`, `SHFE.cu2203/2022-02-18.parquet`.

use ghtrader_market::Contract;

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

/// The codes of a variety's contracts in a path: its letters, with no letter before them, and three or four digits.
fn codes<'a>(path: &'a str, variety: &str) -> Vec<&'a str> {
    let at = |start: usize| {
        let before = path[..start].chars().next_back();
        let rest = path.get(start + variety.len()..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let here = path.get(start..start + variety.len())?.eq_ignore_ascii_case(variety);
        let whole = before.is_none_or(|c| !c.is_alphabetic()) && (3..=4).contains(&digits);
        (here && whole).then(|| &path[start..start + variety.len() + digits])
    };
    path.char_indices().filter_map(|(start, _)| at(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_paths() {
        assert_eq!(codes("ticks/tq_cu2203_20220218.csv", "cu"), ["cu2203"]);
        assert_eq!(codes("SHFE.au2206/2022-02-18.parquet", "au"), ["au2206"]);
        assert_eq!(codes("ticks/AU2206.AU2208.csv", "au"), ["AU2206", "AU2208"]);
        assert_eq!(codes("CF205.csv", "CF"), ["CF205"], "three digits, as CZCE writes them");
        for none in ["ticks/cu20220218.csv", "cu/20220218.csv", "data2203.csv", "cu22.csv", "沪铜2203.csv", ""] {
            assert!(codes(none, "cu").is_empty() && codes(none, "a").is_empty(), "{none}");
        }
    }

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
