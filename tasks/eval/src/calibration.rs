//! Whether probabilities mean what they say: reliability bins of the top class (Guo et al., ICML 2017).

use serde::Serialize;

use crate::classify::Judged;

/// Equal bins of confidence.
const BINS: usize = 15;

/// One bin of confidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Its number, from 0: confidences from bin/15 up to (bin + 1)/15.
    pub bin: usize,
    /// Rows in it.
    pub rows: usize,
    /// Mean confidence.
    pub confidence: f64,
    /// Share of right forecasts.
    pub accuracy: f64,
}

impl Bin {
    fn gap(&self) -> f64 {
        (self.accuracy - self.confidence).abs()
    }
}

/// The bins that have rows: bin min(⌊15·p⌋, 14) of the largest probability p.
pub fn bins(rows: &[Judged]) -> Vec<Bin> {
    let mut sums = [(0usize, 0.0, 0.0); BINS];
    for row in rows {
        let confidence = row.confidence();
        let (count, confidences, hits) = &mut sums[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *count += 1;
        *confidences += confidence;
        *hits += if row.right() { 1.0 } else { 0.0 };
    }
    let filled = sums.iter().enumerate().filter(|(_, (rows, ..))| *rows > 0);
    filled
        .map(|(bin, &(rows, confidences, hits))| Bin {
            bin,
            rows,
            confidence: confidences / rows as f64,
            accuracy: hits / rows as f64,
        })
        .collect()
}

/// Expected calibration error: Σ (rows of the bin / rows) · |accuracy − confidence|.
pub fn ece(bins: &[Bin]) -> f64 {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    bins.iter().map(|bin| bin.rows as f64 / rows as f64 * bin.gap()).sum()
}

/// Maximal calibration error: the largest |accuracy − confidence| of a bin.
pub fn mce(bins: &[Bin]) -> f64 {
    bins.iter().map(Bin::gap).fold(0.0, f64::max)
}
