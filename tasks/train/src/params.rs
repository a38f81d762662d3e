//! The parameters of `train` (`with`), with their defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::{LightGbmParams, LogisticParams};

/// What to train, on which labels, and how it is validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Label horizon N in rows: the labels are the column `label_N`.
    pub horizon: u32,
    /// The family of models.
    pub model: Family,
    /// Seed of whatever a family draws.
    pub seed: u64,
    /// Walk-forward splits wanted; fewer, with a flag, where the days do not allow them.
    pub splits: u32,
    /// Rows before a test part that are not trained on; null: the horizon.
    pub purge: Option<u32>,
    /// Whole trading days between the train part and the test part.
    pub embargo_days: u32,
    /// Whether the train part grows or moves.
    pub window: Window,
    /// Every how-manieth row is trained on; 1: all. Predictions are made for every row.
    pub stride: u32,
    /// A seed: train on shuffled labels (the null control that promotion has to refuse). Features, test labels and
    /// predictions' rows are untouched.
    pub null_labels: Option<u64>,
    /// How many configurations were tried before this one, itself counted; it is recorded, for deflated statistics.
    pub trials: u32,
    /// Used where `model` is `logistic`.
    pub logistic: LogisticParams,
    /// Used where `model` is `lightgbm`.
    pub lightgbm: LightGbmParams,
}

/// The families of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Multinomial logistic regression.
    Logistic,
    /// Gradient-boosted trees by LightGBM.
    LightGbm,
}

/// How the train part of a split begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// With the first day of the data.
    Expanding,
    /// So that it is as long as the first split's.
    Rolling,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            horizon: 10,
            model: Family::Logistic,
            seed: 1,
            splits: 5,
            purge: None,
            embargo_days: 0,
            window: Window::Expanding,
            stride: 1,
            null_labels: None,
            trials: 1,
            logistic: LogisticParams::default(),
            lightgbm: LightGbmParams::default(),
        }
    }
}

impl Params {
    /// Rows purged before a test part.
    pub fn purge_rows(&self) -> usize {
        self.purge.unwrap_or(self.horizon) as usize
    }
}
