//! Random numbers: a seeded PCG, and the distributions that the simulation draws from.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal, Poisson};
use rand_pcg::Pcg64;

/// A seeded generator. The same name, size and seed give the same sequence on every machine.
pub struct SeededRandom(Pcg64);

impl SeededRandom {
    /// Starts the sequence for this name, size and seed (FNV-1a over all three).
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

    /// A number from 0 to 1, excluding 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A number from 0 to `n`, excluding `n`. 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A number from the exponential distribution with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        self.sample(Exp::new(1.0 / mean.max(1e-9)).ok(), mean)
    }

    /// A number from the log-normal distribution with this median and this standard deviation of the logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        self.sample(LogNormal::new(median.max(1e-9).ln(), sigma).ok(), median)
    }

    /// A number from the log-normal distribution with a mean of 1.
    pub fn factor(&mut self, sigma: f64) -> f64 {
        self.lognormal((-sigma * sigma / 2.0).exp(), sigma)
    }

    /// A number from the Poisson distribution with this mean.
    pub fn poisson(&mut self, mean: f64) -> usize {
        self.sample(Poisson::new(mean.max(1e-9)).ok(), mean) as usize
    }

    /// A number from the given distribution.
    pub fn draw(&mut self, distribution: &impl Distribution<f64>) -> f64 {
        distribution.sample(&mut self.0)
    }

    /// Returns the fallback if parameters are out of range: plans are constants, and tests check the result.
    fn sample(&mut self, distribution: Option<impl Distribution<f64>>, fallback: f64) -> f64 {
        distribution.map_or(fallback, |distribution| distribution.sample(&mut self.0))
    }
}
