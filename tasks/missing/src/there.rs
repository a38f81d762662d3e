//! What a market folder has, as the names of its files say.

use std::collections::{BTreeMap, BTreeSet};

use ghtrader_kit::Result;
use ghtrader_market::{Contract, Day, file_names};
use ghtrader_provider::{SourceName, UNFINISHED};

/// The days of which there is a file, by contract.
pub(crate) struct There {
    /// First and last days, sorted, by the contract's code in small letters.
    spans: BTreeMap<String, Vec<(Day, Day)>>,
}

impl There {
    /// What files of the market folder `root` say of these contracts; of the markers that there are no ticks, those count
    /// that come from this source: another one may have them.
    pub(crate) fn of(root: &str, files: &[String], contracts: &[Contract], source: SourceName) -> Result<Self> {
        let products: BTreeSet<&str> = contracts.iter().map(|contract| contract.product.as_str()).collect();
        // Few codes have no month of delivery; those that have one are found in a name once, however many are asked for.
        let plain: Vec<&Contract> = contracts.iter().filter(|contract| contract.code == contract.product).collect();
        let mut spans: BTreeMap<String, Vec<(Day, Day)>> = BTreeMap::new();
        for file in files {
            let file = file_names::inside(root, file)?;
            let Some((codes, span)) = held(file, &products, &plain, source) else { continue };
            codes.into_iter().for_each(|code| spans.entry(code).or_default().push(span));
        }
        spans.values_mut().for_each(|spans| spans.sort_unstable());
        Ok(Self { spans })
    }

    /// Whether there is a file of a contract and day.
    pub(crate) fn holds(&self, contract: &Contract, day: Day) -> bool {
        let spans = self.spans.get(&contract.code.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
        // Most files hold one day.
        spans.binary_search(&(day, day)).is_ok()
            || spans.iter().any(|(first, last)| first < last && (*first..=*last).contains(&day))
    }
}

/// The codes and the days that a file speaks of, ticks or a marker that there are none.
fn held(
    file: &str,
    products: &BTreeSet<&str>,
    plain: &[&Contract],
    source: SourceName,
) -> Option<(BTreeSet<String>, (Day, Day))> {
    if let Some(folder) = file.strip_suffix(&format!("/no_data.{}.json", source.as_str())) {
        let (contract, day) = folder.strip_prefix("fetched/")?.split_once('/')?;
        let day = day.parse().ok()?;
        return Some((BTreeSet::from([Contract::parse(contract).ok()?.code.to_ascii_lowercase()]), (day, day)));
    }
    // What lies beside tick files says where they come from; of a recording that did not last, the rest is to be had.
    if file.ends_with(".json") || file.split('/').any(|folder| folder == UNFINISHED) {
        return None;
    }
    let span = file_names::days(file)?;
    let dated = products.iter().flat_map(|product| file_names::codes(file, product)).map(str::to_ascii_lowercase);
    let named = plain.iter().filter(|contract| file_names::names(file, contract));
    Some((dated.chain(named.map(|contract| contract.code.to_ascii_lowercase())).collect(), span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(file: &str, contract: &str, day: &str) -> bool {
        let contract = Contract::parse(contract).unwrap();
        let (root, contracts) = ("m/shfe-2024-01-02", [contract.clone()]);
        let there = There::of(root, &[format!("{root}/{file}")], &contracts, SourceName::Tqsdk);
        there.unwrap().holds(&contract, day.parse().unwrap())
    }

    #[test]
    fn a_name_says_what_a_file_holds() {
        for yes in [
            "ticks/SHFE.cu2403/2024-01-29.parquet",
            "tq_cu2403_20240129.csv",
            "CU2403_20240129.csv",
            "fetched/SHFE.cu2403/2024-01-29/SHFE.cu2403.2024-01-29.csv.gz",
            "fetched/SHFE.cu2403/2024-01-29/no_data.tqsdk.json",
            "cu2403_20240101_20240131.csv",
        ] {
            assert!(holds(yes, "SHFE.cu2403", "2024-01-29"), "{yes}");
            assert!(!holds(yes, "SHFE.cu2403", "2024-02-01"), "{yes}");
        }
        for no in [
            "cu2403.csv",
            "cu24031_20240129.csv",
            "ticks/cu2404/2024-01-29.csv",
            "cu2403_20240130.csv",
            "2024-01-29/cu2403.csv",
            "fetched/SHFE.cu2403/2024-01-29/source.json",
            "fetched/SHFE.cu2403/2024-01-29/no_data.files.json",
            "fetched/SHFE.cu2403/2024-01-29/not_yet.tqsdk.json",
            "recorded/2024-01-29/unfinished/SHFE.cu2403.2024-01-29.csv.gz",
            "other/SHFE.cu2403/2024-01-29/no_data.tqsdk.json",
            "recorded/2024-01-29/SHFE.cu2403.2024-01-29.source.json",
        ] {
            assert!(!holds(no, "SHFE.cu2403", "2024-01-29"), "{no}");
        }
        assert!(holds("ticks/BTCUSDT_20240129.csv", "BINANCE.BTCUSDT", "2024-01-29"));
    }

    #[test]
    fn the_folder_of_the_market_is_no_date() {
        let file = "fetched/SHFE.cu2403/2024-03-01/SHFE.cu2403.2024-03-01.csv.gz";
        assert!(holds(file, "SHFE.cu2403", "2024-03-01") && !holds(file, "SHFE.cu2403", "2024-02-01"));
    }
}
