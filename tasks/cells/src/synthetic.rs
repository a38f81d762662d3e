//! Cells of a synthetic market: its trading days.

use std::collections::BTreeMap;

use anyhow::ensure;
use ghtrader_kit::Result;
use ghtrader_market::{Calendar, Cell, Clock, SyntheticCell, SyntheticFile};

use crate::Params;

/// The cells of the trading days from the first on, by day; none where none of them is asked for.
pub(crate) fn cells(params: &Params, clock: &Clock, market: &SyntheticFile) -> Result<BTreeMap<String, Cell>> {
    let calendar = Calendar::new(clock)?;
    ensure!(calendar.is_trading_day(market.first_day), "`synthetic.first_day`: {} is no trading day", market.first_day);
    let mut cells = BTreeMap::new();
    let mut day = market.first_day;
    for _ in 0..market.days {
        if params.from.is_none_or(|from| day >= from) && params.to.is_none_or(|to| day <= to) {
            let SyntheticFile { seed, first_day, rows, strength, .. } = *market;
            let synthetic = SyntheticCell { seed, first_day, day, rows, strength };
            cells.insert(day.to_string(), Cell { file: None, synthetic: Some(synthetic) });
        }
        day = calendar.next(day);
    }
    Ok(cells)
}
