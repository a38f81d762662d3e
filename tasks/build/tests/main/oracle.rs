//! Every factor and label against `oracle/factors.py` (numpy, pandas).

use std::collections::BTreeMap;

use ghtrader_build::{LEVELS, Params, Quote, Row};
use ghtrader_market::Day;
use serde::Deserialize;
use serde_json::json;

use crate::invented::build;

#[derive(Deserialize)]
struct Oracle {
    days: Vec<Day>,
    ns: Vec<i64>,
    columns: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
    features: Vec<String>,
    values: Vec<Vec<Option<f64>>>,
    labels: BTreeMap<usize, Vec<Option<i8>>>,
}

fn oracle() -> Oracle {
    serde_json::from_str(include_str!("../oracle/factors.json")).unwrap()
}

/// The parameters of the oracle.
fn params() -> Params {
    let windows = json!({ "windows": [1, 3, 12] });
    let factors = json!({
        "ofi": windows, "mlofi": { "levels": [2, 3, 4, 5], "windows": [1, 3, 12] }, "returns": windows,
        "volatility": windows, "volume": windows, "vwap": windows, "trade_imbalance": windows, "interval": windows,
    });
    serde_json::from_value(json!({ "horizons": [2, 7], "factors": factors })).unwrap()
}

fn rows(oracle: &Oracle) -> Vec<Row> {
    let at = |name: String| oracle.columns.iter().position(|column| *column == name).unwrap();
    let row = |index: usize| {
        let value = |name: String| oracle.rows[index][at(name)].unwrap_or(f64::NAN);
        let side = |price: &str, size: &str| {
            std::array::from_fn(|level| {
                let name = |letter: &str| format!("{letter}{}", level + 1);
                Quote::read(value(name(price)), value(name(size)))
            })
        };
        Row {
            day: oracle.days[index],
            segment: 0,
            ns: oracle.ns[index],
            last: value("last".to_owned()),
            volume: value("volume".to_owned()),
            amount: value("amount".to_owned()),
            bids: side("b", "B"),
            asks: side("a", "A"),
        }
    };
    (0..oracle.rows.len()).map(row).collect()
}

#[test]
fn every_factor_is_that_of_the_oracle() {
    let oracle = oracle();
    assert_eq!(LEVELS, 5);
    let built = build(&params(), 5, &rows(&oracle));
    let mut names = built.listing.features.clone();
    names.sort();
    let mut expected = oracle.features.clone();
    expected.sort();
    assert_eq!(names, expected);
    let mut compared = 0;
    for (column, name) in oracle.features.iter().enumerate() {
        let ours = built.listing.features.iter().position(|feature| feature == name).unwrap();
        for (row, values) in oracle.values.iter().enumerate() {
            let (found, expected) = (built.features.columns[ours][row], values[column].unwrap_or(f64::NAN));
            let close = (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
            assert!(close || found.is_nan() && expected.is_nan(), "{name}, row {row}: {found}, not {expected}");
            compared += usize::from(close);
        }
    }
    assert!(compared > 5_000, "only {compared} values are no nulls");
}

#[test]
fn every_label_is_that_of_the_oracle() {
    let oracle = oracle();
    let built = build(&params(), 5, &rows(&oracle));
    for (index, expected) in oracle.labels.values().enumerate() {
        let found: Vec<_> = built.labels.lines.iter().map(|line| line.labels[index].map(|l| l.direction)).collect();
        assert_eq!(&found, expected);
        assert!([-1, 0, 1].iter().all(|direction| expected.contains(&Some(*direction))));
    }
}
