//! Whether a gain over the prior is more than luck: the mean gain in logloss against its standard error by blocks.
//!
//! Labels of neighbouring rows overlap, so rows are not independent; means of blocks much longer than the horizon
//! nearly are (batch means: Law & Kelton, *Simulation Modeling and Analysis*, ch. 9).

use serde::Serialize;

/// Horizons in a block.
const HORIZONS: usize = 10;

/// The gain over the prior, in nats a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skill {
    /// Mean of prior loss − model loss.
    pub gain: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// gain / standard_error; null with fewer than two blocks.
    pub z: Option<f64>,
    /// Blocks that were compared.
    pub blocks: usize,
    /// Rows of a block at least.
    pub block_rows: usize,
}

/// The gains (prior loss − model loss) of the rows of each split, in order of time, at a horizon of so many rows.
///
/// With block means b_j of n_j rows: gain = Σ n_j b_j / n, standard error² = B/(B−1) · Σ n_j² (b_j − gain)² / n².
pub fn skill(splits: &[Vec<f64>], horizon: u32) -> Skill {
    let block_rows = HORIZONS * (horizon as usize).max(1);
    let blocks: Vec<(f64, f64)> = splits.iter().flat_map(|gains| block_sums(gains, block_rows)).collect();
    let rows: f64 = blocks.iter().map(|(rows, _)| rows).sum();
    let gain = blocks.iter().map(|(_, sum)| sum).sum::<f64>() / rows;
    let off = |(rows, sum): &(f64, f64)| (sum - rows * gain) * (sum - rows * gain);
    let count = blocks.len() as f64;
    let standard_error = libm::sqrt(count / (count - 1.0) * blocks.iter().map(off).sum::<f64>()) / rows;
    let z = (blocks.len() > 1 && standard_error > 0.0).then(|| gain / standard_error);
    Skill { gain, standard_error, z, blocks: blocks.len(), block_rows }
}

/// Rows and sums of ⌊n / block⌋ blocks, at least one, of nearly equal length.
fn block_sums(gains: &[f64], block: usize) -> Vec<(f64, f64)> {
    let count = (gains.len() / block).max(1);
    let edge = |number: usize| number * gains.len() / count;
    (0..count)
        .map(|number| &gains[edge(number)..edge(number + 1)])
        .filter(|part| !part.is_empty())
        .map(|part| (part.len() as f64, part.iter().sum()))
        .collect()
}

#[cfg(test)]
mod tests {
    use ghtrader_train::random::SplitMix64;

    use super::skill;

    #[test]
    fn independent_gains_have_the_usual_standard_error() {
        let mut draw = SplitMix64::new(5);
        let gains: Vec<f64> = (0..10_000).map(|_| 0.02 + draw.normal()).collect();
        let found = skill(&[gains], 1);
        assert_eq!((found.blocks, found.block_rows), (1000, 10));
        assert!((found.standard_error - 0.01).abs() < 0.001, "{}", found.standard_error);
    }

    #[test]
    fn z_of_nothing_is_standard_normal_even_where_rows_hang_together() {
        // Moving sums over ten rows, as labels at a horizon of ten rows have them.
        let z: Vec<f64> = (0..400)
            .map(|seed| {
                let mut draw = SplitMix64::new(seed);
                let noise: Vec<f64> = (0..4000).map(|_| draw.normal()).collect();
                let gains: Vec<f64> = noise.windows(10).map(|window| window.iter().sum()).collect();
                skill(&[gains], 10).z.unwrap()
            })
            .collect();
        let spread = crate::metrics::deviation(&z);
        assert!((0.9..1.15).contains(&spread), "{spread}");
        assert!(z.iter().filter(|z| **z > 3.0).count() <= 3);
    }

    #[test]
    fn one_block_has_no_z() {
        assert_eq!(skill(&[vec![1.0; 15]], 10).z, None);
    }
}
