//! Random numbers: a seeded PCG, and the distributions that the simulation draws from.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal, Poisson};
use rand_pcg::Pcg64;

/// A seeded generator. The same name, size and seed give the same stream on every machine.
pub struct SeededRandom(Pcg64);

impl SeededRandom {
    /// Each name, size and seed has a stream of its own (FNV-1a over all three).
    pub fn new(name: &str, size: usize, seed: u64) -> SeededRandom {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in name.bytes().chain(size.to_le_bytes()).chain(seed.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        SeededRandom(Pcg64::seed_from_u64(hash))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// From 0 to `n`, without `n`. 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    /// True with this probability.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponential, by its mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        self.sample(Exp::new(1.0 / mean.max(1e-9)).ok(), mean)
    }

    /// Log-normal, by its median and the standard deviation of its logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        self.sample(LogNormal::new(median.max(1e-9).ln(), sigma).ok(), median)
    }

    /// Log-normal with a mean of 1.
    pub fn factor(&mut self, sigma: f64) -> f64 {
        self.lognormal((-sigma * sigma / 2.0).exp(), sigma)
    }

    /// Poisson, by its mean.
    pub fn poisson(&mut self, mean: f64) -> usize {
        self.sample(Poisson::new(mean.max(1e-9)).ok(), mean) as usize
    }

    /// From a distribution.
    pub fn draw(&mut self, distribution: &impl Distribution<f64>) -> f64 {
        distribution.sample(&mut self.0)
    }

    /// Parameters out of range give the fallback: plans are constants, and tests check the result.
    fn sample(&mut self, distribution: Option<impl Distribution<f64>>, fallback: f64) -> f64 {
        distribution.map_or(fallback, |distribution| distribution.sample(&mut self.0))
    }
}
