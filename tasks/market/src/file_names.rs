//! What the names of tick files say: which contract and which days `ticks/tq_cu2203_20220218.csv` and
//! `SHFE.cu2203/2022-02-18.parquet` hold. It opens no file: a name that says what is not so is believed.

use crate::{Contract, Day, Error, Result};

/// A file's path relative to the market folder; what the folder itself is called says nothing of a file.
///
/// # Errors
/// Where the file lies elsewhere.
pub fn inside<'a>(root: &str, file: &'a str) -> Result<&'a str> {
    let path = file.trim_start_matches("./");
    let root = root.trim_start_matches("./").trim_end_matches('/');
    if root.is_empty() || root == "." {
        return Ok(path);
    }
    let rest = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    rest.ok_or_else(|| Error::Outside { file: file.to_owned(), root: root.to_owned() })
}

/// The first and last day that a file's own name holds, whatever its folders are called; `None` where it holds none.
///
/// A date is eight digits, or `yyyy-mm-dd`, with no digit before or after it.
pub fn days(path: &str) -> Option<(Day, Day)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let days: Vec<Day> = (0..name.len()).filter_map(|start| day_at(name, start)).collect();
    Some((*days.iter().min()?, *days.iter().max()?))
}

fn day_at(name: &str, start: usize) -> Option<Day> {
    let before = start.checked_sub(1).and_then(|before| name.as_bytes().get(before));
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let of_length = |length: usize| {
        let day: Day = name.get(start..start + length)?.parse().ok()?;
        // Eight digits such as 99999999 are no date, and 00010101 is not one that ticks have.
        let usual = (1980..=2200).contains(&day.date().year());
        (usual && !digit(name.as_bytes().get(start + length))).then_some(day)
    };
    if digit(before) { None } else { of_length(8).or_else(|| of_length(10)) }
}

/// The codes of a variety's contracts in a path: its letters, with no letter before them, and three or four digits.
pub fn codes<'a>(path: &'a str, variety: &str) -> Vec<&'a str> {
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

/// Whether a path names a contract: with its code as [`codes`] finds it, or, of a contract whose code has no month of
/// delivery, as a word of its own (`BTCUSDT_20220218.csv`).
pub fn names(path: &str, contract: &Contract) -> bool {
    let same = |code: &str| code.eq_ignore_ascii_case(&contract.code);
    codes(path, &contract.product).into_iter().any(same) || path.split(|c: char| !c.is_alphanumeric()).any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found_in_names() {
        let text = |name: &str| days(name).map(|(first, last)| format!("{first} {last}"));
        assert_eq!(text("tq_cu2203_20220218.csv").unwrap(), "2022-02-18 2022-02-18");
        assert_eq!(text("2022-02-18.parquet").unwrap(), "2022-02-18 2022-02-18");
        assert_eq!(text("if_hot_20210104_20210118_l1.csv.gz").unwrap(), "2021-01-04 2021-01-18");
        assert_eq!(text("until-2024-05-01/cu2203_20220218.csv").unwrap(), "2022-02-18 2022-02-18");
        let none = ["cu2203.csv", "tq_20221340.csv", "id_120220218.csv", "202202181.csv", "", "日期.csv"];
        for none in none.into_iter().chain(["2022-02-18/cu2203.csv"]) {
            assert_eq!(text(none), None, "{none}");
        }
    }

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
    fn contracts_are_named_by_their_codes() {
        let named = |path: &str, contract: &str| names(path, &Contract::parse(contract).unwrap());
        for path in ["ticks/SHFE.cu2203/2022-02-18.parquet", "tq_CU2203_20220218.csv", "x.cu2203"] {
            assert!(named(path, "SHFE.cu2203"), "{path}");
        }
        for path in ["cu22031.csv", "xcu2203.csv", "cu/2203.csv", "cu2204.csv"] {
            assert!(!named(path, "SHFE.cu2203"), "{path}");
        }
        assert!(named("ticks/BTCUSDT_20220218.csv", "BINANCE.BTCUSDT"));
        assert!(!named("ticks/BTCUSDT2_20220218.csv", "BINANCE.BTCUSDT"));
    }

    #[test]
    fn the_folder_of_the_market_says_nothing() {
        for root in ["", ".", "./"] {
            assert_eq!(inside(root, "./ticks/x.csv").unwrap(), "ticks/x.csv", "{root}");
        }
        for root in ["m/shfe-2022-02-18", "./m/shfe-2022-02-18/"] {
            assert_eq!(inside(root, "m/shfe-2022-02-18/ticks/x.csv").unwrap(), "ticks/x.csv", "{root}");
        }
        let error = inside("m/a", "m/ab/x.csv").unwrap_err().to_string();
        assert!(error.contains("`m/ab/x.csv` is outside the market folder `m/a`"), "{error}");
    }
}
