//! What the server serves: tick series with ids without gaps.

use std::collections::BTreeMap;

use ghtrader_ingest::synthetic::invent;
use ghtrader_market::{Contract, Day, MarketFile, SyntheticCell, Values, value_names};
use serde_json::{Map, Value, json};

use crate::{Provider as _, Synthetic, Window};

/// One tick of a series.
#[derive(Clone, Debug)]
pub struct Row {
    /// UTC nanoseconds.
    pub datetime_ns: i64,
    /// NaN where there is none.
    pub values: Values,
}

/// Tick series by contract.
#[derive(Clone, Debug)]
pub struct Market {
    /// The id of the first tick of every series.
    pub first_id: i64,
    /// In the order of time.
    pub series: BTreeMap<String, Vec<Row>>,
}

impl Market {
    /// Days of the invented market, with the defects that are planted there but for rows that are late or empty: a service
    /// numbers ticks in the order of their stamps.
    ///
    /// # Errors
    /// Where the market is not one that can be invented.
    pub fn invented(market: &MarketFile, variety: &str, days: &[Day]) -> anyhow::Result<Self> {
        let synthetic = market.synthetic.clone().ok_or_else(|| anyhow::anyhow!("no synthetic market"))?;
        let exchange = market.varieties.get(variety).map(|variety| variety.exchange.clone()).unwrap_or_default();
        let spec = market.ticks_of(&Contract::parse(&format!("{exchange}.{variety}"))?)?;
        let mut series: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for day in days {
            let (seed, first_day, rows, strength) =
                (synthetic.seed, synthetic.first_day, synthetic.rows, synthetic.strength);
            for row in invent(&SyntheticCell { seed, first_day, day: *day, rows, strength }, &spec)?.rows {
                let rows = series.entry(row.contract.to_string()).or_default();
                let empty = [0, 6, 8].iter().all(|column| row.values[*column].is_nan());
                if !empty && rows.last().is_none_or(|last| last.datetime_ns <= row.datetime_ns) {
                    rows.push(Row { datetime_ns: row.datetime_ns, values: row.values });
                }
            }
        }
        Ok(Self { first_id: 4_200_000, series })
    }

    /// The ticks that a window should give, by id.
    pub fn window(&self, window: &Window) -> Vec<(i64, Row)> {
        let rows = self.series.get(&*window.contract).map_or(&[][..], Vec::as_slice);
        let wanted = |row: &Row| (window.from_ns..window.to_ns).contains(&row.datetime_ns);
        (self.first_id..).zip(rows.iter().cloned()).filter(|(_, row)| wanted(row)).collect()
    }

    /// The list of contracts, as the service has it.
    pub(super) fn contracts(&self) -> Value {
        let contract = |name: &String| {
            let (exchange, code) = name.split_once('.').unwrap_or_default();
            let product = code.trim_end_matches(|c: char| c.is_ascii_digit());
            json!({
                "class": "FUTURE", "instrument_id": name, "exchange_id": exchange, "ins_id": code, "product_id": product,
                "price_tick": 10.0, "price_decs": 0, "volume_multiple": 5, "expired": false,
                "expire_datetime": 1_710_486_000.0, "delivery_year": 2024, "delivery_month": 3,
                "trading_time": {
                    "day": [["09:00:00", "10:15:00"], ["10:30:00", "11:30:00"], ["13:30:00", "15:00:00"]],
                    "night": [["21:00:00", "25:00:00"]]
                }
            })
        };
        let mut all: Map<String, Value> = self.series.keys().map(|name| (name.clone(), contract(name))).collect();
        // The public client looks for this one in any list.
        let index = json!({ "class": "INDEX", "instrument_id": "CSI.000300", "exchange_id": "CSI", "price_tick": 0.01,
            "price_decs": 2, "volume_multiple": 1, "expired": false });
        all.insert("CSI.000300".to_owned(), index);
        all.into()
    }
}

impl Row {
    /// The row as the service sends it; missing values are left out, or texts.
    pub(super) fn json(&self, texts: bool) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("datetime".to_owned(), self.datetime_ns.into());
        for (index, (name, value)) in value_names().into_iter().zip(self.values).enumerate() {
            let whole = matches!(index, 3 | 5) || index >= 6 && index % 2 == 1;
            let value = match (value.is_nan(), texts) {
                (true, true) => Value::from(if index % 4 == 0 { "-" } else { "NaN" }),
                (true, false) => continue,
                (false, _) if whole && value.fract() == 0.0 => Value::from(value as i64),
                (false, _) => Value::from(value),
            };
            row.insert(name, value);
        }
        row.insert("average".to_owned(), "NaN".into());
        row
    }
}

/// The days of an invented market that a test server shows, from its first one on.
///
/// # Errors
/// Where the market is not one that can be invented.
pub fn days(market: &MarketFile, count: usize) -> anyhow::Result<Vec<Day>> {
    let first = market.synthetic.as_ref().map(|synthetic| synthetic.first_day);
    let calendar = ghtrader_market::Calendar::new(&market.clock())?;
    // That it can be invented is asked here, so that what comes later cannot fail for it.
    let _ = Synthetic::new(market.clone())?.tier();
    Ok(std::iter::successors(first, |day| Some(calendar.next(*day))).take(count).collect())
}
