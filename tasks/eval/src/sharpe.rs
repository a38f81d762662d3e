//! Sharpe ratios of a strategy: by day, and by step as a diagnostic.
//!
//! Net results of trades are summed into days; a day's return is that sum over a fixed capital (the first mid of the
//! predictions: one lot, fully funded). Days with predictions and no trades count as 0. Annualising by step instead
//! makes of the same results a several times larger figure, so the method is part of the report.

use std::collections::BTreeMap;

use ghtrader_market::{CalendarRule, NANOS_PER_DAY};
use ghtrader_train::oof::Prediction;
use serde::Serialize;

use crate::metrics::{deviation, mean};
use crate::params::SharpeParams;
use crate::trading::Trade;

/// What a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Method {
    /// Days are trading days, of the entry; √243.
    #[serde(rename = "daily_agg_cn_v1")]
    TradingDays,
    /// Days are trading days, of the entry; √252.
    #[serde(rename = "daily_agg_weekdays_v1")]
    Weekdays,
    /// Days are UTC days, of the exit; √365.
    #[serde(rename = "daily_agg_v1")]
    UtcDays,
}

impl Method {
    /// The method of a calendar: with UTC days, a Chinese night session would count to the trading day before its own.
    pub fn of(calendar: CalendarRule) -> Self {
        match calendar {
            CalendarRule::ChinaFutures => Self::TradingDays,
            CalendarRule::Weekdays => Self::Weekdays,
            CalendarRule::UtcDay => Self::UtcDays,
        }
    }

    /// Days of a year.
    fn days_per_year(self) -> f64 {
        match self {
            Self::TradingDays => 243.0,
            Self::Weekdays => 252.0,
            Self::UtcDays => 365.0,
        }
    }

    fn day_of_prediction(self, prediction: &Prediction) -> i64 {
        match self {
            Self::TradingDays | Self::Weekdays => i64::from(prediction.row.day),
            Self::UtcDays => prediction.row.datetime_ns.div_euclid(NANOS_PER_DAY),
        }
    }

    fn day_of_trade(self, trade: &Trade) -> i64 {
        match self {
            Self::TradingDays | Self::Weekdays => i64::from(trade.day),
            Self::UtcDays => trade.end_ns.div_euclid(NANOS_PER_DAY),
        }
    }
}

/// The ratios and what they rest on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sharpe {
    /// Mean / deviation (ddof 1) of the daily returns, by the year; null with fewer than two days.
    pub sharpe_daily: Option<f64>,
    /// The method of the daily figure.
    pub sharpe_method: Method,
    /// The same of the returns of single trades, by the year at the observed number of trades; a diagnostic only.
    pub sharpe_step_raw: Option<f64>,
    /// Days in the daily figure.
    pub observation_days: usize,
    /// Whether there are too few of them.
    pub insufficient_observation: bool,
    /// Whether the deviation was below the floor, so that the floor was used.
    pub vol_floor_applied: bool,
    /// The largest fall of the compounded daily returns from their height, as a negative share.
    pub max_drawdown: f64,
}

impl Sharpe {
    /// The ratios of `trades` made on `predictions`, which are not empty.
    pub fn of(predictions: &[Prediction], trades: &[Trade], method: Method, params: &SharpeParams) -> Self {
        let capital = predictions.iter().map(|p| (p.row.bid + p.row.ask) / 2.0).find(|mid| *mid > 0.0);
        let capital = capital.unwrap_or(f64::NAN);
        let mut days: BTreeMap<i64, f64> =
            predictions.iter().map(|prediction| (method.day_of_prediction(prediction), 0.0)).collect();
        for trade in trades {
            *days.entry(method.day_of_trade(trade)).or_default() += trade.net / capital;
        }
        let daily: Vec<f64> = days.into_values().collect();
        let steps: Vec<f64> = trades.iter().map(|trade| trade.net / capital).collect();
        let per_year = method.days_per_year();
        let steps_per_year = per_year * steps.len() as f64 / daily.len() as f64;
        let ratio = annual(&daily, per_year, params.vol_floor);
        Self {
            sharpe_daily: ratio.map(|(ratio, _)| ratio),
            sharpe_method: method,
            sharpe_step_raw: annual(&steps, steps_per_year, params.vol_floor).map(|(ratio, _)| ratio),
            observation_days: daily.len(),
            insufficient_observation: daily.len() < params.min_observation_days as usize,
            vol_floor_applied: ratio.is_some_and(|(_, floored)| floored),
            max_drawdown: max_drawdown(&daily),
        }
    }
}

/// mean / deviation · √periods, and whether the floor stood in for the deviation; None for fewer than two returns.
pub fn annual(returns: &[f64], periods: f64, floor: f64) -> Option<(f64, bool)> {
    let deviation = deviation(returns);
    let floored = deviation < floor;
    let ratio = mean(returns) / if floored { floor } else { deviation } * libm::sqrt(periods);
    (returns.len() > 1 && ratio.is_finite()).then_some((ratio, floored))
}

/// The least of height-relative values of Π (1 + r), the start counted as 1; 0 where it never falls.
pub fn max_drawdown(returns: &[f64]) -> f64 {
    let (mut value, mut height, mut worst) = (1.0, 1.0f64, 0.0f64);
    for change in returns {
        value *= 1.0 + change;
        height = height.max(value);
        worst = worst.min(value / height - 1.0);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::{annual, max_drawdown};
    use ghtrader_train::random::SplitMix64;

    #[test]
    fn the_golden_of_three_hundred_days() {
        // golden.json, sharpe_daily_agg_v1: N(9, 300, 8e-4, 0.012), by empyrical-reloaded 0.7.1.
        let mut draw = SplitMix64::new(9);
        let returns: Vec<f64> = (0..300).map(|_| 8e-4 + 0.012 * draw.normal()).collect();
        let (daily, floored) = annual(&returns, 365.0, 1e-8).unwrap();
        assert!((daily - 0.885_185_592_756_055_5).abs() < 1e-12, "{daily}");
        assert!(!floored);
        let (step, _) = annual(&returns, 24.0 * 365.0, 1e-8).unwrap();
        assert!((step - 4.336_506_059_830_808).abs() < 1e-12, "{step}");
        assert!((max_drawdown(&returns) + 0.177_958_402_650_123_1).abs() < 1e-12);
    }

    #[test]
    fn a_still_series_has_the_floor_for_its_deviation() {
        assert_eq!(annual(&[0.5; 4], 4.0, 0.1), Some((10.0, true)));
        assert_eq!(annual(&[0.5], 4.0, 0.1), None);
    }
}
