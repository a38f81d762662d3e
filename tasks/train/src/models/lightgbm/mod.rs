//! Gradient-boosted trees by LightGBM (Ke et al., NeurIPS 2017), multiclass logloss.
//!
//! Features go in as they are: trees need no scaling, and a missing value takes the side that fits best at each split.
//! `deterministic` with `force_row_wise` gives the same trees for every number of threads.

mod ffi;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use ghtrader_kit::Result;
use lightgbm3::Booster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Model, Probabilities, Sample};

const FILE: &str = "lightgbm.txt";

/// Parameters of LightGBM, under its own names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LightGbmParams {
    /// Rounds of boosting (three trees a round).
    pub num_iterations: u32,
    /// Leaves of a tree at most.
    pub num_leaves: u32,
    /// Shrinkage.
    pub learning_rate: f64,
    /// Rows in a leaf at least.
    pub min_data_in_leaf: u32,
    /// L2 penalty of the leaf values.
    pub lambda_l2: f64,
    /// Share of the features that a tree may use.
    pub feature_fraction: f64,
    /// Bins of a feature at most.
    pub max_bin: u32,
}

impl Default for LightGbmParams {
    fn default() -> Self {
        Self {
            num_iterations: 60,
            num_leaves: 15,
            learning_rate: 0.05,
            min_data_in_leaf: 200,
            lambda_l2: 10.0,
            feature_fraction: 0.5,
            max_bin: 63,
        }
    }
}

impl LightGbmParams {
    /// What the data set has to know. Pre-filtering would need `min_data_in_leaf` here too, and saves little.
    fn data(&self) -> String {
        format!("max_bin={} feature_pre_filter=false verbosity=-1", self.max_bin)
    }

    /// What the booster has to know. No thread number: it would become part of the model's bytes.
    fn booster(&self, seed: u64) -> String {
        let mut text =
            String::from("objective=multiclass num_class=3 deterministic=true force_row_wise=true verbosity=-1");
        let Self { num_leaves, learning_rate, min_data_in_leaf, lambda_l2, feature_fraction, max_bin, .. } = self;
        // Writing to a string cannot fail. LightGBM takes a seed of 31 bits.
        let _ = write!(
            text,
            " num_leaves={num_leaves} learning_rate={learning_rate} min_data_in_leaf={min_data_in_leaf} \
             lambda_l2={lambda_l2} feature_fraction={feature_fraction} max_bin={max_bin} seed={}",
            seed & 0x7FFF_FFFF
        );
        text
    }
}

/// A fitted ensemble.
pub(super) struct LightGbm {
    text: String,
    booster: Booster,
    features: usize,
}

impl LightGbm {
    pub(super) fn fit(params: &LightGbmParams, seed: u64, sample: &Sample<'_>, threads: usize) -> Result<Self> {
        Self::from_text(ffi::train(sample, &params.data(), &params.booster(seed), params.num_iterations, threads)?)
    }

    pub(super) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Self::from_text(fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())
    }

    fn from_text(text: String) -> Result<Self> {
        let mut booster = Booster::from_string(&text)?;
        ensure!(booster.num_classes() == 3, "a model of {} classes instead of three", booster.num_classes());
        // One row at a time is what a live strategy does; this path needs no thread pool.
        booster.single_row_fast_init::<f64>(Some(&json!({ "num_threads": 1, "verbosity": -1 })))?;
        Ok(Self { text, features: usize::try_from(booster.num_features())?, booster })
    }
}

impl Model for LightGbm {
    fn predict(&self, row: &[f64]) -> Result<Probabilities> {
        ensure!(row.len() == self.features, "{} features instead of {}", row.len(), self.features);
        let p = self.booster.predict_single_row_fast(row)?;
        <Probabilities>::try_from(p).ok().context("LightGBM gave another number of classes than three")
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Ok(fs_err::write(folder.join(FILE), &self.text)?)
    }

    fn notes(&self) -> Value {
        json!({ "rounds": self.booster.num_iterations() })
    }
}
