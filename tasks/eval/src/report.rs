//! The report of a model: everything that is the same whenever it is made. What was measured (latency) is not in it.

use std::collections::BTreeMap;

use anyhow::ensure;
use ghtrader_kit::Result;
use ghtrader_market::{CalendarRule, CostSpec};
use ghtrader_train::Family;
use ghtrader_train::models::Probabilities;
use ghtrader_train::oof::Prediction;
use ghtrader_train::sidecar::{Sidecar, SplitRecord};
use ghtrader_train::split::{Flag, Unit};
use ghtrader_train::table::day_text;
use serde::Serialize;

use crate::calibration::{Bin, bins};
use crate::classify::{Judged, log_loss};
use crate::metrics::{Metrics, deviation, mean};
use crate::params::Params;
use crate::sharpe::{Method, Sharpe};
use crate::skill::{Skill, skill};
use crate::trading::{Trade, Trading, trades};
use ghtrader_market::Regime;

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this file's shape.
    pub format: u32,
    /// The model's family.
    pub model: Family,
    /// Label horizon in rows.
    pub horizon: u32,
    /// Where the data come from.
    pub regime: Regime,
    /// The seed where the model was trained on shuffled labels.
    pub null_labels: Option<u64>,
    /// Configurations tried.
    pub trials: u32,
    /// BLAKE3 of the features and labels that the model was trained on.
    pub data_hash: String,
    /// Rows with an out-of-fold prediction.
    pub rows: usize,
    /// What the splits are made of.
    pub unit: Unit,
    /// What to know of the splits.
    pub flags: Vec<Flag>,
    /// By split.
    pub splits: Vec<SplitReport>,
    /// Mean over the splits.
    pub mean: Metrics,
    /// Standard deviation over the splits (ddof 1).
    pub std: Metrics,
    /// All rows taken together.
    pub pooled: Metrics,
    /// Shares of the splits for which something holds.
    pub share: Share,
    /// The gain over the prior against its standard error.
    pub skill: Skill,
    /// Reliability of the top class, all rows together.
    pub reliability: Vec<Bin>,
    /// The strategy over all rows.
    pub trading: Trading,
    /// Its Sharpe ratios.
    pub sharpe: Sharpe,
    /// Logloss by trading day, for a comparison with a report on another window.
    pub days: Vec<DayLoss>,
}

/// One split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitReport {
    /// Its number.
    pub split: usize,
    /// First and last trading day of the test part.
    pub days: [String; 2],
    /// Rows of the test part.
    pub rows: usize,
    /// Rows trained on.
    pub train_rows: usize,
    /// The forecasts' metrics.
    pub metrics: Metrics,
    /// The strategy on this test part.
    pub trading: Trading,
}

/// Shares of the splits.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// With a logloss below the prior's.
    pub skill_positive: f64,
    /// With an accuracy at or above the majority floor.
    pub at_majority_floor: f64,
}

/// The loss of one trading day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayLoss {
    /// The day.
    pub day: String,
    /// Its predicted rows.
    pub rows: usize,
    /// Mean logloss of the model.
    pub logloss: f64,
    /// Mean logloss of the prior.
    pub prior_logloss: f64,
}

/// The predictions of one split.
struct Part<'a> {
    predictions: &'a [Prediction],
    judged: Vec<Judged>,
    prior: Probabilities,
}

impl Part<'_> {
    fn prior_losses(&self) -> impl Iterator<Item = f64> {
        self.judged.iter().map(|row| log_loss(row.label, &self.prior))
    }

    fn gains(&self) -> Vec<f64> {
        self.prior_losses().zip(&self.judged).map(|(prior, row)| prior - row.loss()).collect()
    }
}

/// Makes the report of `predictions` (in order of time) of the model that `sidecar` describes.
///
/// # Errors
/// Where predictions and sidecar do not belong together.
pub fn report(
    predictions: &[Prediction],
    sidecar: &Sidecar,
    cost: &CostSpec,
    calendar: CalendarRule,
    params: &Params,
) -> Result<Report> {
    let parts = parts(predictions, sidecar)?;
    let made = trades(predictions, &params.trading, cost);
    let tick = cost.tick.value();
    let splits = split_reports(&parts, sidecar, &made, tick);
    let metrics: Vec<Metrics> = splits.iter().map(|split| split.metrics).collect();
    let gains: Vec<Vec<f64>> = parts.iter().map(Part::gains).collect();
    let all: Vec<Judged> = parts.iter().flat_map(|part| part.judged.iter().copied()).collect();
    let prior_losses: Vec<f64> = parts.iter().flat_map(Part::prior_losses).collect();
    Ok(Report {
        format: 1,
        model: sidecar.family,
        horizon: sidecar.horizon,
        regime: params.regime,
        null_labels: sidecar.params.null_labels,
        trials: sidecar.params.trials,
        data_hash: sidecar.data_hash.clone(),
        rows: predictions.len(),
        unit: sidecar.splits.unit,
        flags: sidecar.splits.flags.clone(),
        mean: Metrics::combined(&metrics, mean),
        std: Metrics::combined(&metrics, deviation),
        pooled: Metrics::with_prior_loss(&all, mean(&prior_losses)),
        share: Share {
            skill_positive: share(&metrics, |m| m.logloss < m.prior_logloss),
            at_majority_floor: share(&metrics, |m| m.accuracy_lift >= 0.0),
        },
        skill: skill(&gains, sidecar.horizon),
        reliability: bins(&all),
        trading: Trading::of(&made, day_count(predictions), tick),
        sharpe: Sharpe::of(predictions, &made, Method::of(calendar), &params.sharpe),
        days: day_losses(predictions, &all, &prior_losses),
        splits,
    })
}

fn split_reports(parts: &[Part<'_>], sidecar: &Sidecar, made: &[Trade], tick: f64) -> Vec<SplitReport> {
    let one = |(part, record): (&Part<'_>, &SplitRecord)| {
        let own: Vec<Trade> = made.iter().filter(|trade| trade.split as usize == record.split).copied().collect();
        SplitReport {
            split: record.split,
            days: [record.test[0].day.clone(), record.test[1].day.clone()],
            rows: part.judged.len(),
            train_rows: record.train_rows,
            metrics: Metrics::of(&part.judged, &part.prior),
            trading: Trading::of(&own, day_count(part.predictions), tick),
        }
    };
    parts.iter().zip(&sidecar.splits.splits).map(one).collect()
}

fn parts<'a>(predictions: &'a [Prediction], sidecar: &Sidecar) -> Result<Vec<Part<'a>>> {
    let chunks: Vec<&[Prediction]> = predictions.chunk_by(|left, right| left.split == right.split).collect();
    let records = &sidecar.splits.splits;
    let sizes = chunks.iter().zip(records).all(|(chunk, record)| {
        chunk.len() == record.test_rows && chunk.first().is_some_and(|row| row.split as usize == record.split)
    });
    ensure!(
        !chunks.is_empty() && chunks.len() == records.len() && sizes,
        "the predictions are not those of the model's {} splits",
        records.len()
    );
    let part = |(predictions, prior): (&'a [Prediction], Probabilities)| Part {
        predictions,
        judged: predictions.iter().map(|row| Judged { label: row.row.label, p: row.p }).collect(),
        prior,
    };
    Ok(chunks.into_iter().zip(records.iter().map(|record| record.prior)).map(part).collect())
}

fn day_losses(predictions: &[Prediction], judged: &[Judged], prior_losses: &[f64]) -> Vec<DayLoss> {
    let mut sums: BTreeMap<i32, (usize, f64, f64)> = BTreeMap::new();
    for ((prediction, row), prior) in predictions.iter().zip(judged).zip(prior_losses) {
        let (rows, model_sum, prior_sum) = sums.entry(prediction.row.day).or_default();
        *rows += 1;
        *model_sum += row.loss();
        *prior_sum += prior;
    }
    let day = |(day, (rows, model, prior)): (i32, (usize, f64, f64))| DayLoss {
        day: day_text(day),
        rows,
        logloss: model / rows as f64,
        prior_logloss: prior / rows as f64,
    };
    sums.into_iter().map(day).collect()
}

fn day_count(predictions: &[Prediction]) -> usize {
    predictions.chunk_by(|left, right| left.row.day == right.row.day).count()
}

fn share(metrics: &[Metrics], holds: fn(&Metrics) -> bool) -> f64 {
    metrics.iter().filter(|metrics| holds(metrics)).count() as f64 / metrics.len() as f64
}
