//! The penalised mean logloss of softmax scores, and its gradient.

use super::Probabilities;

/// Class scores are kept in four lanes, the fourth always 0, because vector registers hold two or four numbers.
pub(super) const LANES: usize = 4;

/// The problem. Points are laid out as `width` rows of weights and one of intercepts, each of [`LANES`].
pub(super) struct Loss<'a> {
    /// Row-major, without missing values.
    pub(super) x: &'a [f64],
    pub(super) width: usize,
    pub(super) labels: &'a [u8],
    pub(super) l2: f64,
}

impl Loss<'_> {
    /// Zero weights, and intercepts that give the class frequencies (one row added to each, so that none is 0).
    pub(super) fn start(&self) -> Vec<f64> {
        let mut logs = [0.0; 3];
        for (class, log) in (0u8..).zip(&mut logs) {
            *log = libm::log(1.0 + self.labels.iter().filter(|&&label| label == class).count() as f64);
        }
        let mean = logs.iter().sum::<f64>() / 3.0;
        let mut at = vec![0.0; (self.width + 1) * LANES];
        for (entry, log) in at[self.width * LANES..].iter_mut().zip(logs) {
            *entry = log - mean;
        }
        at
    }

    /// The loss at a point; writes its gradient.
    pub(super) fn value(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let (weights, intercepts) = at.split_at(self.width * LANES);
        let (slopes, levels) = gradient.split_at_mut(self.width * LANES);
        let scale = 1.0 / self.labels.len() as f64;
        let mut loss = 0.0;
        for (row, &label) in self.x.chunks_exact(self.width).zip(self.labels) {
            let p = softmax(scores(row, weights, intercepts));
            let mut residual = [p[0], p[1], p[2], 0.0];
            let own = &mut residual[usize::from(label.min(2))];
            loss -= libm::log(own.max(f64::MIN_POSITIVE));
            *own -= 1.0;
            for (value, slope) in row.iter().zip(slopes.chunks_exact_mut(LANES)) {
                for (entry, error) in slope.iter_mut().zip(residual) {
                    *entry += value * error;
                }
            }
            for (level, error) in levels.iter_mut().zip(residual) {
                *level += error;
            }
        }
        let mut penalty = 0.0;
        for (slope, weight) in slopes.iter_mut().zip(weights) {
            *slope = *slope * scale + self.l2 * weight;
            penalty += weight * weight;
        }
        for level in levels {
            *level *= scale;
        }
        loss * scale + 0.5 * self.l2 * penalty
    }
}

fn scores(row: &[f64], weights: &[f64], intercepts: &[f64]) -> [f64; 3] {
    let mut sums = [0.0; LANES];
    sums.copy_from_slice(intercepts);
    for (value, weight) in row.iter().zip(weights.chunks_exact(LANES)) {
        for (sum, weight) in sums.iter_mut().zip(weight) {
            *sum += value * weight;
        }
    }
    [sums[0], sums[1], sums[2]]
}

/// Probabilities from scores; the largest score is taken off first, so that nothing overflows.
pub(super) fn softmax(scores: [f64; 3]) -> Probabilities {
    let largest = scores[0].max(scores[1]).max(scores[2]);
    let powers = scores.map(|score| libm::exp(score - largest));
    let sum = powers[0] + powers[1] + powers[2];
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::{Loss, softmax};
    use crate::random::SplitMix64;

    #[test]
    fn the_gradient_is_the_loss_s_slope() {
        let mut draw = SplitMix64::new(7);
        let x: Vec<f64> = (0..60).map(|_| draw.normal()).collect();
        let labels: Vec<u8> = (0..20).map(|_| (draw.next_u64() % 3) as u8).collect();
        let loss = Loss { x: &x, width: 3, labels: &labels, l2: 0.1 };
        let mut at = loss.start();
        for (index, entry) in at.iter_mut().enumerate() {
            *entry += if index % 4 == 3 { 0.0 } else { draw.normal() };
        }
        let (mut gradient, mut other) = (vec![0.0; at.len()], vec![0.0; at.len()]);
        loss.value(&at, &mut gradient);
        for index in (0..at.len()).filter(|index| index % 4 != 3) {
            let mut shifted = at.clone();
            shifted[index] += 1e-6;
            let above = loss.value(&shifted, &mut other);
            shifted[index] -= 2e-6;
            let slope = (above - loss.value(&shifted, &mut other)) / 2e-6;
            assert!((slope - gradient[index]).abs() < 1e-8, "{index}: {slope} {}", gradient[index]);
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        assert_eq!(softmax([1e4, 0.0, -1e4]), [1.0, 0.0, 0.0]);
    }
}
