//! What the predictions would have earned: a taker strategy on out-of-fold rows, after spread, fees and slippage.
//!
//! At a row with |p_up − p_down| above the threshold, one lot is bought at the ask (or sold at the bid), held until the
//! label's end, N rows later, and closed at the opposite quote there. No second position is entered meanwhile. Orders
//! fill at once at the quotes of their rows and move nothing: an upper bound for a strategy that reacts at once.

use ghtrader_market::CostSpec;
use ghtrader_train::oof::Prediction;
use serde::Serialize;

use crate::params::TradingParams;

/// One round trip, in units of price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Split of the entry.
    pub split: i32,
    /// Trading day of the entry.
    pub day: i32,
    /// UTC nanoseconds of the exit.
    pub end_ns: i64,
    /// Mid at the entry.
    pub mid: f64,
    /// The mid's move in the direction of the position.
    pub gross: f64,
    /// `gross` less half spreads, slippage and fees.
    pub net: f64,
}

/// The strategy's figures; null where they do not exist (no trades, no losses).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trading {
    /// Round trips.
    pub trades: usize,
    /// Net result of all trades, in ticks a lot.
    pub net_ticks: f64,
    /// The same in basis points of the entry mids.
    pub net_bp: f64,
    /// Net result of a trade, in ticks.
    pub mean_net_ticks: Option<f64>,
    /// The same in basis points.
    pub mean_net_bp: Option<f64>,
    /// Mean move of the mid in the direction of the position, in ticks: what there is to earn before costs.
    pub mean_gross_ticks: Option<f64>,
    /// Mean cost of a round trip, in ticks: half spreads, slippage and fees.
    pub cost_ticks: Option<f64>,
    /// The same in basis points.
    pub cost_bp: Option<f64>,
    /// Share of trades whose mid moved in the right direction, among those whose mid moved.
    pub hit_rate: Option<f64>,
    /// ½ + cost / (2 · mean size of the mid's move): the hit rate at which costs are earned; above 1, never.
    pub break_even_accuracy: Option<f64>,
    /// Share of trades with a net gain.
    pub win_rate: Option<f64>,
    /// Net gains / net losses.
    pub profit_factor: Option<f64>,
    /// Lots bought or sold a day.
    pub turnover_lots_per_day: f64,
    /// The largest fall of the summed net result from its height, in ticks.
    pub max_drawdown_ticks: f64,
}

/// The trades on `predictions`, which are in order of time.
pub fn trades(predictions: &[Prediction], params: &TradingParams, cost: &CostSpec) -> Vec<Trade> {
    let mut free_from = i64::MIN;
    let mut trades = Vec::new();
    for prediction in predictions {
        let edge = prediction.p[2] - prediction.p[0];
        if edge.abs() <= params.threshold || prediction.row.datetime_ns < free_from {
            continue;
        }
        if let Some(trade) = trade(prediction, edge > 0.0, cost) {
            free_from = trade.end_ns;
            trades.push(trade);
        }
    }
    trades
}

/// None where a quote is missing.
fn trade(prediction: &Prediction, long: bool, cost: &CostSpec) -> Option<Trade> {
    let row = &prediction.row;
    let mid = (row.bid + row.ask) / 2.0;
    let exit_mid = (row.exit_bid + row.exit_ask) / 2.0;
    let (entry, exit, sign) = if long { (row.ask, row.exit_bid, 1.0) } else { (row.bid, row.exit_ask, -1.0) };
    let slippage = 2.0 * cost.slippage_ticks * cost.tick.value();
    let fees = 2.0 * cost.fee_fixed / cost.multiplier + cost.fee_ratio * (entry + exit);
    let net = sign * (exit - entry) - slippage - fees;
    let whole =
        Trade { split: prediction.split, day: row.day, end_ns: row.end_ns, mid, gross: sign * (exit_mid - mid), net };
    (net.is_finite() && mid > 0.0).then_some(whole)
}

impl Trading {
    /// The figures of `trades` over `days` trading days.
    pub fn of(trades: &[Trade], days: usize, tick: f64) -> Self {
        let count = trades.len() as f64;
        let total = |value: fn(&Trade) -> f64| trades.iter().map(value).sum::<f64>();
        let mean = |sum: f64| (!trades.is_empty()).then(|| sum / count);
        let bp = |value: f64, trade: &Trade| value / trade.mid * 1e4;
        let net_bp: f64 = trades.iter().map(|trade| bp(trade.net, trade)).sum();
        let cost_bp: f64 = trades.iter().map(|trade| bp(trade.gross - trade.net, trade)).sum();
        let cost = total(|trade| trade.gross - trade.net);
        let size = total(|trade| trade.gross.abs());
        let gains = total(|trade| trade.net.max(0.0));
        let losses = total(|trade| (-trade.net).max(0.0));
        let moved = trades.iter().filter(|trade| trade.gross != 0.0).count();
        let hits = trades.iter().filter(|trade| trade.gross > 0.0).count();
        let wins = trades.iter().filter(|trade| trade.net > 0.0).count();
        Self {
            trades: trades.len(),
            net_ticks: total(|trade| trade.net) / tick,
            net_bp,
            mean_net_ticks: mean(total(|trade| trade.net) / tick),
            mean_net_bp: mean(net_bp),
            mean_gross_ticks: mean(total(|trade| trade.gross) / tick),
            cost_ticks: mean(cost / tick),
            cost_bp: mean(cost_bp),
            hit_rate: (moved > 0).then(|| hits as f64 / moved as f64),
            break_even_accuracy: (size > 0.0).then(|| 0.5 + cost / (2.0 * size)),
            win_rate: mean(wins as f64),
            profit_factor: (losses > 0.0).then(|| gains / losses),
            turnover_lots_per_day: 2.0 * count / days.max(1) as f64,
            max_drawdown_ticks: drawdown(trades) / tick,
        }
    }
}

/// The largest fall of the running sum of net results from its height (0 at the start).
fn drawdown(trades: &[Trade]) -> f64 {
    let (mut sum, mut height, mut largest) = (0.0, 0.0f64, 0.0f64);
    for trade in trades {
        sum += trade.net;
        height = height.max(sum);
        largest = largest.max(height - sum);
    }
    largest
}

#[cfg(test)]
mod tests {
    use ghtrader_market::{CostSpec, TickSize};
    use ghtrader_train::data::Row;
    use ghtrader_train::oof::Prediction;

    use super::{Trading, trades};
    use crate::params::TradingParams;

    const COST: (f64, f64, f64) = (5.0, 1e-4, 0.5);

    fn cost() -> CostSpec {
        let (fee_fixed, fee_ratio, slippage_ticks) = COST;
        CostSpec { tick: TickSize::parse("2").unwrap(), multiplier: 10.0, fee_fixed, fee_ratio, slippage_ticks }
    }

    /// A row at `second` whose label ends three seconds later; spread of 2 at both ends.
    fn row(second: i64, p: [f64; 3], bid: f64, exit_bid: f64) -> Prediction {
        let row = Row {
            day: 0,
            row: second as i32,
            position: 0,
            datetime_ns: second,
            end_ns: second + 3,
            label: 1,
            bid,
            ask: bid + 2.0,
            exit_bid,
            exit_ask: exit_bid + 2.0,
        };
        Prediction { row, split: 0, p }
    }

    #[test]
    fn a_round_trip_by_hand() {
        let up = [0.1, 0.2, 0.7];
        let rows = [
            row(0, up, 100.0, 110.0),
            row(1, up, 100.0, 110.0),              // held until 3: no second position
            row(3, [0.7, 0.2, 0.1], 110.0, 112.0), // sold at 110, bought back at 114
            row(6, [0.4, 0.2, 0.4], 112.0, 120.0), // no edge
            row(7, up, f64::NAN, 120.0),           // no quote
        ];
        let made = trades(&rows, &TradingParams::default(), &cost());
        // Long: 110 − 102 = 8, less slippage 2·0.5·2 = 2, fixed fees 2·5/10 = 1 and 1e-4·(102 + 110).
        let (long, short) = (8.0 - 3.0 - 0.0212, -4.0 - 3.0 - 0.0224);
        assert_eq!(made.len(), 2);
        assert!((made[0].net - long).abs() < 1e-12 && (made[1].net - short).abs() < 1e-12, "{made:?}");
        let figures = Trading::of(&made, 1, 2.0);
        assert!((figures.net_ticks - (long + short) / 2.0).abs() < 1e-12);
        assert!((figures.profit_factor.unwrap() - long / -short).abs() < 1e-12);
        assert!((figures.max_drawdown_ticks + short / 2.0).abs() < 1e-12);
        assert_eq!((figures.win_rate, figures.hit_rate, figures.turnover_lots_per_day), (Some(0.5), Some(0.5), 4.0));
        // Mid moves of 10 and −2, costs of 10 − 4.9788 and −2 + 7.0224: ½ + 10.0436 / (2 · 12).
        assert!((figures.break_even_accuracy.unwrap() - (0.5 + 10.0436 / 24.0)).abs() < 1e-12);
    }

    #[test]
    fn without_trades_there_are_no_means() {
        let figures = Trading::of(&[], 3, 1.0);
        assert_eq!((figures.trades, figures.net_ticks, figures.win_rate), (0, 0.0, None));
    }
}
