//! The parameters of `eval` (`with`), with their defaults.

use ghtrader_market::Regime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How predictions are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What kind of data the predictions were made on; it is recorded, and promotion asks for it.
    pub regime: Regime,
    /// The strategy that the predictions are traded with.
    pub trading: TradingParams,
    /// The daily Sharpe ratio.
    pub sharpe: SharpeParams,
    /// Single predictions that are timed.
    pub latency_samples: u32,
}

/// The strategy's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TradingParams {
    /// A position is entered where |p_up − p_down| is larger.
    pub threshold: f64,
}

/// Parameters of the daily Sharpe ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SharpeParams {
    /// A smaller deviation of the returns counts as this.
    pub vol_floor: f64,
    /// With fewer days the figure is marked as insufficient.
    pub min_observation_days: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            regime: Regime::Historical,
            trading: TradingParams::default(),
            sharpe: SharpeParams::default(),
            latency_samples: 2000,
        }
    }
}

impl Default for TradingParams {
    fn default() -> Self {
        Self { threshold: 0.2 }
    }
}

impl Default for SharpeParams {
    fn default() -> Self {
        Self { vol_floor: 1e-8, min_observation_days: 20 }
    }
}
