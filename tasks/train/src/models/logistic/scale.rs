//! Standardisation, fitted on the train part alone and stored with the model.

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of every feature. A missing value becomes the mean, that is 0 after scaling: it then
/// has no say in the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    mean: Vec<f64>,
    /// 1 where a feature does not vary (or has no value), so that it scales to 0.
    deviation: Vec<f64>,
    clip: Option<f64>,
}

impl Scale {
    /// Over row-major `x` of `width` columns; population deviation (ddof 0), as scikit-learn's `StandardScaler`.
    pub(super) fn fit(x: &[f64], width: usize, clip: Option<f64>) -> Self {
        let (mean, deviation) = (0..width).map(|column| moments(x, width, column)).unzip();
        Self { mean, deviation, clip }
    }

    pub(super) fn width(&self) -> usize {
        self.mean.len().min(self.deviation.len())
    }

    /// The scaled copy of row-major `x`.
    pub(super) fn apply(&self, x: &[f64]) -> Vec<f64> {
        x.iter().enumerate().map(|(index, &value)| self.apply_one(index % self.width(), value)).collect()
    }

    /// The scaled value of one feature.
    pub(super) fn apply_one(&self, feature: usize, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let scaled = (value - self.mean[feature]) / self.deviation[feature];
        self.clip.map_or(scaled, |clip| scaled.clamp(-clip, clip))
    }
}

/// Mean and deviation of the finite values of a column, in two passes.
fn moments(x: &[f64], width: usize, column: usize) -> (f64, f64) {
    let values = || x.iter().skip(column).step_by(width).filter(|value| value.is_finite());
    let count = values().count() as f64;
    if count == 0.0 {
        return (0.0, 1.0);
    }
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let deviation = libm::sqrt(variance);
    // A constant column has a deviation of rounding errors only.
    let varies = deviation > 1e-12 * (1.0 + mean.abs());
    (mean, if varies { deviation } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn missing_values_become_the_mean_and_constants_become_zero() {
        let scale = Scale::fit(&[1.0, 0.25, f64::NAN, 0.25, 3.0, 0.25], 2, None);
        assert_eq!(scale.apply(&[1.0, 0.25, f64::NAN, f64::NAN, 5.0, 0.25]), [-1.0, 0.0, 0.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn outliers_are_cut_off() {
        let scale = Scale::fit(&[-1.0, 1.0], 1, Some(2.0));
        assert_eq!(scale.apply(&[100.0, -3.0, 0.5]), [2.0, -2.0, 0.5]);
    }
}
