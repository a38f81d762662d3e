//! A row of a tick series as the service sends it.

use std::sync::{Arc, LazyLock};

use ghtrader_market::{VALUES, Values, value_names};
use serde_json::Value;

use super::tree::{integer, number};
use crate::SourceTick;

/// The names of our values are those of the service.
static NAMES: LazyLock<[String; VALUES]> = LazyLock::new(value_names);

/// A tick; `None` while its stamp has not come.
pub(super) fn tick(contract: &Arc<str>, id: i64, row: &Value) -> Option<SourceTick> {
    let datetime_ns = integer(row.get("datetime")?).filter(|ns| *ns > 0)?;
    let values: Values = std::array::from_fn(|index| number(row.get(&NAMES[index])));
    Some(SourceTick { contract: Arc::clone(contract), id, datetime_ns, values })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_number_is_missing() {
        let row = json!({ "datetime": 1_706_490_000_500_000_000_i64, "last_price": 68500.0, "highest": "-", "lowest": "NaN",
            "volume": 12, "bid_price1": 68490, "ask_price1": null, "average": 1.0 });
        let tick = super::tick(&"SHFE.cu2403".into(), 7, &row).unwrap();
        assert_eq!((tick.id, tick.datetime_ns), (7, 1_706_490_000_500_000_000));
        let there: Vec<usize> = (0..VALUES).filter(|index| !tick.values[*index].is_nan()).collect();
        assert_eq!(there, [0, 3, 6], "last price, volume, first bid: {:?}", tick.values);
        for none in [json!({}), json!({ "datetime": 0 }), json!({ "datetime": "-" }), json!(null)] {
            assert!(super::tick(&"SHFE.cu2403".into(), 7, &none).is_none());
        }
    }
}
