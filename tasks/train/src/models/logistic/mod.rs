//! Multinomial logistic regression on standardised features.
//!
//! Minimises (1/n) Σ −ln p(yᵢ|xᵢ) + (λ/2) Σ w², the intercepts unpenalised: scikit-learn's `LogisticRegression` with
//! C = 1/(λn). All sums run in the order of the rows and exp and ln are libm's, so the same rows give the same bits.

mod lbfgs;
mod loss;
mod scale;

use std::path::Path;

use anyhow::{Context as _, ensure};
use ghtrader_kit::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::loss::{LANES, Loss, softmax};
use self::scale::Scale;
use super::{Model, Probabilities, Sample};

const FILE: &str = "logistic.json";

/// Parameters of the logistic regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticParams {
    /// λ, the L2 penalty per row.
    pub l2: f64,
    /// Standardised features are cut off at ± this; null: not at all.
    pub clip: Option<f64>,
    /// The fit has converged when no entry of the gradient is larger.
    pub tolerance: f64,
    /// L-BFGS iterations at most.
    pub max_iterations: u32,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self { l2: 1e-4, clip: Some(10.0), tolerance: 1e-4, max_iterations: 200 }
    }
}

/// A fitted logistic regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logistic {
    scale: Scale,
    /// One row of weights per feature: down, flat, up.
    weights: Vec<[f64; 3]>,
    intercepts: [f64; 3],
    iterations: u32,
    converged: bool,
}

impl Logistic {
    pub(super) fn fit(params: &LogisticParams, sample: &Sample<'_>) -> Self {
        let width = sample.features.len();
        let scale = Scale::fit(sample.x, width, params.clip);
        let x = scale.apply(sample.x);
        let loss = Loss { x: &x, width, labels: sample.labels, l2: params.l2 };
        let options = lbfgs::Options { tolerance: params.tolerance, max_iterations: params.max_iterations };
        let found = lbfgs::minimise(|at, gradient| loss.value(at, gradient), loss.start(), &options);
        let (weights, intercepts) = found.at.split_at(width * LANES);
        let three = |lane: &[f64]| [lane[0], lane[1], lane[2]];
        Self {
            scale,
            weights: weights.chunks_exact(LANES).map(three).collect(),
            intercepts: three(intercepts),
            iterations: found.iterations,
            converged: found.converged,
        }
    }

    pub(super) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let model: Self =
            serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        ensure!(model.weights.len() == model.scale.width(), "{}: weights and scales differ in number", path.display());
        Ok(model)
    }
}

impl Model for Logistic {
    fn predict(&self, row: &[f64]) -> Result<Probabilities> {
        ensure!(row.len() == self.weights.len(), "{} features instead of {}", row.len(), self.weights.len());
        let mut scores = self.intercepts;
        for (index, (&value, weights)) in row.iter().zip(&self.weights).enumerate() {
            let value = self.scale.apply_one(index, value);
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += value * weight;
            }
        }
        Ok(softmax(scores))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs_err::write(folder.join(FILE), text)?)
    }

    fn notes(&self) -> Value {
        json!({ "iterations": self.iterations, "converged": self.converged })
    }
}
