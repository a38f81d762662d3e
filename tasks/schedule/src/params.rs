//! What `with` may say to `schedule`. The rule and its parameters are the market's: they come with the input `roll`.

use ghtrader_market::Day;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The first trading day that is looked at; null: the first there is.
    pub from: Option<Day>,
    /// The last trading day that is looked at; null: the last there is.
    pub to: Option<Day>,
    /// How many of the last scheduled days are the window `train`; 0: all.
    pub train_days: usize,
}
