//! Classifiers of three classes behind one trait, a folder per family. To add a family: a folder here, a variant of
//! [`Family`], and a line in [`fit`] and in [`load`].

mod lightgbm;
mod logistic;

use std::path::Path;

use anyhow::ensure;
use ghtrader_kit::Result;
use serde_json::Value;

pub use self::lightgbm::LightGbmParams;
pub use self::logistic::LogisticParams;
use crate::params::{Family, Params};

/// Classes, in the order of every probability vector.
pub const CLASSES: [&str; 3] = ["down", "flat", "up"];

/// Probabilities of down, flat and up.
pub type Probabilities = [f64; 3];

/// A fitted classifier.
pub trait Model {
    /// The probabilities for one row of raw features (NaN where missing), as many as it was fitted on.
    ///
    /// # Errors
    /// Where the row has another number of features.
    fn predict(&self, row: &[f64]) -> Result<Probabilities>;

    /// Writes its files into a folder.
    ///
    /// # Errors
    /// Where they cannot be written.
    fn save(&self, folder: &Path) -> Result<()>;

    /// What the fit has to say of itself (iterations, convergence), for the sidecar.
    fn notes(&self) -> Value;
}

/// What a model is fitted on.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Names of the features.
    pub features: &'a [String],
    /// Row-major, `labels.len()` × `features.len()`, NaN where missing.
    pub x: &'a [f64],
    /// 0 down, 1 flat, 2 up.
    pub labels: &'a [u8],
}

/// Fits a model of the family that `params` names. The result does not depend on `threads`.
///
/// # Errors
/// Where the sample is empty or the family's library fails.
pub fn fit(params: &Params, sample: &Sample<'_>, threads: usize) -> Result<Box<dyn Model>> {
    ensure!(!sample.labels.is_empty() && !sample.features.is_empty(), "there is nothing to fit a model on");
    Ok(match params.model {
        Family::Logistic => Box::new(logistic::Logistic::fit(&params.logistic, sample)),
        Family::LightGbm => Box::new(lightgbm::LightGbm::fit(&params.lightgbm, params.seed, sample, threads)?),
    })
}

/// Loads a model that [`Model::save`] wrote into `folder`.
///
/// # Errors
/// Where its files are missing or damaged.
pub fn load(family: Family, folder: &Path) -> Result<Box<dyn Model>> {
    Ok(match family {
        Family::Logistic => Box::new(logistic::Logistic::load(folder)?),
        Family::LightGbm => Box::new(lightgbm::LightGbm::load(folder)?),
    })
}
