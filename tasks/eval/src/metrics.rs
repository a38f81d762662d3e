//! The metrics of one split, and their mean and deviation over splits.

use ghtrader_train::models::Probabilities;
use serde::Serialize;

use crate::calibration::{bins, ece, mce};
use crate::classify::{Confusion, Judged, brier, log_loss, mean_loss};

/// What a report says of the forecasts of one test part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Share of right forecasts.
    pub accuracy: f64,
    /// Mean F1 of the classes.
    pub f1_macro: f64,
    /// F1 weighted by the classes' frequencies.
    pub f1_weighted: f64,
    /// Matthews' correlation coefficient.
    pub mcc: f64,
    /// Mean −ln p of the true class, in nats.
    pub logloss: f64,
    /// The same for the frequencies of the classes in the train part: a baseline that never changes.
    pub prior_logloss: f64,
    /// 1 − logloss / prior_logloss.
    pub logloss_skill: f64,
    /// Brier score over three classes.
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// Maximal calibration error.
    pub mce: f64,
    /// Share of the most frequent class.
    pub majority_floor: f64,
    /// accuracy − majority_floor.
    pub accuracy_lift: f64,
}

impl Metrics {
    /// The metrics of `rows`, not empty; `prior` of the train part.
    pub fn of(rows: &[Judged], prior: &Probabilities) -> Self {
        let prior_loss: f64 = rows.iter().map(|row| log_loss(row.label, prior)).sum();
        Self::with_prior_loss(rows, prior_loss / rows.len() as f64)
    }

    /// The same where the prior's mean loss is known (it differs between splits).
    pub fn with_prior_loss(rows: &[Judged], prior_logloss: f64) -> Self {
        let (confusion, bins, logloss) = (Confusion::of(rows), bins(rows), mean_loss(rows));
        Self {
            accuracy: confusion.accuracy(),
            f1_macro: confusion.f1_macro(),
            f1_weighted: confusion.f1_weighted(),
            mcc: confusion.mcc(),
            logloss,
            prior_logloss,
            logloss_skill: 1.0 - logloss / prior_logloss,
            brier: brier(rows),
            ece: ece(&bins),
            mce: mce(&bins),
            majority_floor: confusion.majority_floor(),
            accuracy_lift: confusion.accuracy() - confusion.majority_floor(),
        }
    }

    /// Every metric of several splits made one by `combine`.
    pub fn combined(all: &[Self], combine: fn(&[f64]) -> f64) -> Self {
        let one = |metric: fn(&Self) -> f64| combine(&all.iter().map(metric).collect::<Vec<_>>());
        Self {
            accuracy: one(|m| m.accuracy),
            f1_macro: one(|m| m.f1_macro),
            f1_weighted: one(|m| m.f1_weighted),
            mcc: one(|m| m.mcc),
            logloss: one(|m| m.logloss),
            prior_logloss: one(|m| m.prior_logloss),
            logloss_skill: one(|m| m.logloss_skill),
            brier: one(|m| m.brier),
            ece: one(|m| m.ece),
            mce: one(|m| m.mce),
            majority_floor: one(|m| m.majority_floor),
            accuracy_lift: one(|m| m.accuracy_lift),
        }
    }
}

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation with ddof 1; NaN (null in JSON) for fewer than two values.
pub fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre) * (value - centre)).sum();
    if values.len() < 2 { f64::NAN } else { libm::sqrt(squares / (values.len() - 1) as f64) }
}
