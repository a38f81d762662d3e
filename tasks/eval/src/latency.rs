//! How long a single prediction takes, from a row of raw features to three probabilities, on this machine and now.

use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;
use ghtrader_kit::Result;
use ghtrader_train::sidecar::Loaded;
use serde::Serialize;

/// Percentiles (nearest rank) of the time of a single prediction, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    /// Predictions timed, after one pass over the rows that was not.
    pub samples: usize,
    /// Half of them took at most this.
    pub p50_us: f64,
    /// 95 %.
    pub p95_us: f64,
    /// 99 %.
    pub p99_us: f64,
}

/// Times single predictions on the rows that lie with the model, in turn.
///
/// # Errors
/// Where the model has no rows.
pub(crate) fn measure(loaded: &Loaded, samples: u32) -> Result<Latency> {
    let rows: Vec<&[f64]> = loaded.check.chunks_exact(loaded.sidecar.features.len().max(1)).collect();
    ensure!(!rows.is_empty() && samples > 0, "no rows to time a prediction on");
    for row in &rows {
        black_box(loaded.model.predict(row)?);
    }
    let mut times = Vec::with_capacity(samples as usize);
    for row in rows.iter().cycle().take(samples as usize) {
        let start = Instant::now();
        black_box(loaded.model.predict(black_box(row))?);
        times.push(start.elapsed().as_nanos() as f64 / 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(Latency {
        samples: times.len(),
        p50_us: percentile(&times, 50),
        p95_us: percentile(&times, 95),
        p99_us: percentile(&times, 99),
    })
}

/// The nearest-rank percentile of sorted values, not empty.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn nearest_rank() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([50, 95, 99].map(|percent| percentile(&values, percent)), [100.0, 190.0, 198.0]);
        assert_eq!(percentile(&[7.0], 50), 7.0);
    }
}
