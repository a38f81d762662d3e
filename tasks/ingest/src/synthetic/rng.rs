//! Random numbers with a name: each use has its own stream, seeded by the hash of what it is for.

use ghtrader_market::SyntheticCell;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
pub(super) struct Rng(u64);

impl Rng {
    /// The stream of a use on the cell's day.
    pub(super) fn of(cell: &SyntheticCell, names: &[&str]) -> Self {
        let day = cell.day.to_string();
        Self::named(cell.seed, names.iter().copied().chain([day.as_str()]))
    }

    /// The stream of these names, whatever the day.
    pub(super) fn named<'a>(seed: u64, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        for name in names {
            hasher.update(name.as_bytes()).update(&[0]);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(first))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() <= probability
    }

    /// One of 0 to `count` − 1; 0 where `count` is 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        // The bias of the remainder is below 2⁻⁴⁰ for the counts used here.
        (self.next() % (count.max(1) as u64)) as usize
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.uniform(), self.uniform());
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(std::f64::consts::TAU * angle)
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(self.uniform())
    }
}
