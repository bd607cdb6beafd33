//! Tails of distributions: the probability of a coincidence that is at least as strong as the observed result.

use statrs::function::beta::inv_beta_reg;
use statrs::function::erf::erfc;
use statrs::function::factorial::ln_factorial;

/// Upper tail of Fisher's exact test: the probability that at least `a` of the probed locals had contacted the remote,
/// if contacts and probes were independent.
///
/// |               | probed | not probed |
/// |---------------|--------|------------|
/// | contacted     | a      | b          |
/// | not contacted | c      | d          |
#[must_use]
pub fn fisher(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let ln_choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let all = ln_choose(a + b + c + d, a + c);
    let top = (a + b).min(a + c);
    let sum: f64 = (a..=top).map(|x| (ln_choose(a + b, x) + ln_choose(c + d, a + c - x) - all).exp()).sum();
    sum.min(1.0)
}

/// Clopper and Pearson's exact 95 % interval of a share. The number of hits may be fractional: this is the continuous
/// form of the beta distribution.
#[must_use]
pub fn clopper_pearson(hits: f64, of: f64) -> [f64; 2] {
    let (k, n) = (hits.clamp(0.0, of), of.max(0.0));
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let low = if k <= 0.0 { 0.0 } else { inv_beta_reg(k, n - k + 1.0, 0.025) };
    let high = if k >= n { 1.0 } else { inv_beta_reg(k + 1.0, n - k, 0.975) };
    [low, high]
}

const BINS: usize = 14;
/// Up to this many steps (trials x successes) the tail is summed exactly.
const EXACT: usize = 2_048;

/// Independent trials with different chances, and the number of successes: the matched comparison of one group, with
/// one trial for each case. Chances are kept in bins half a power of two wide, and the mean of each bin is used. The
/// error is small and on the safe side (Hoeffding 1956).
#[derive(Clone, Debug, Default)]
pub struct Trials {
    /// For each bin: (number of trials, sum of their chances).
    bins: [(u32, f32); BINS],
    /// Number of certain successes. These are not evidence.
    sure: u32,
    successes: u32,
    /// Natural logarithm of the chance that all trials succeed.
    ln_all: f64,
}

impl Trials {
    /// Adds a trial with the chance `p`, whose natural logarithm is `ln_p`.
    pub fn add(&mut self, p: f64, ln_p: f64, success: bool) {
        if p >= 1.0 {
            self.sure += u32::from(success);
            return;
        }
        if p <= 0.0 {
            return;
        }
        let bin = ((ln_p * (-2.0 / std::f64::consts::LN_2)) as usize).min(BINS - 1);
        self.bins[bin].0 += 1;
        self.bins[bin].1 += p as f32;
        self.ln_all += ln_p;
        self.successes += u32::from(success);
    }

    /// Number of successes, certain successes included.
    #[must_use]
    pub fn successes(&self) -> u32 {
        self.successes + self.sure
    }

    /// The number of successes expected by chance, certain successes included.
    #[must_use]
    pub fn expected(&self) -> f64 {
        f64::from(self.sure) + self.bins.iter().map(|bin| f64::from(bin.1)).sum::<f64>()
    }

    /// Natural logarithm of the smallest tail that these trials could have had. If it is not small enough, the trials
    /// test no hypothesis and need no correction (Tarone 1990).
    #[must_use]
    pub fn ln_least(&self) -> f64 {
        self.ln_all
    }

    /// Natural logarithm of the probability of at least the observed number of successes.
    #[must_use]
    pub fn ln_tail(&self) -> f64 {
        let x = self.successes as usize;
        let n: usize = self.bins.iter().map(|bin| bin.0 as usize).sum();
        if x == 0 {
            0.0
        } else if x == n {
            self.ln_all
        } else if n * x <= EXACT {
            self.ln_tail_exact(x)
        } else {
            self.ln_tail_saddle(x as f64)
        }
        .min(0.0)
    }

    /// For each bin the number of trials and their mean chance.
    fn chances(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.bins.iter().filter(|bin| bin.0 > 0).map(|bin| {
            let n = f64::from(bin.0);
            (n, (f64::from(bin.1) / n).min(1.0 - 1e-9))
        })
    }

    /// Moves probability from fewer successes into the tail, trial by trial. The tail only grows, so no terms cancel.
    fn ln_tail_exact(&self, x: usize) -> f64 {
        let mut below = vec![0.0; x];
        below[0] = 1.0;
        let mut tail = 0.0;
        for (n, p) in self.chances() {
            for _ in 0..n as u32 {
                tail += below[x - 1] * p;
                for i in (0..x).rev() {
                    below[i] = below[i] * (1.0 - p) + if i > 0 { below[i - 1] * p } else { 0.0 };
                }
            }
        }
        tail.max(f64::MIN_POSITIVE).ln()
    }

    /// Lugannani and Rice's saddlepoint approximation with continuity correction.
    fn ln_tail_saddle(&self, x: f64) -> f64 {
        let x = x - 0.5;
        let cumulant = |s: f64| {
            self.chances().fold((0.0, 0.0, 0.0), |(k, k1, k2), (n, p)| {
                let raised = p * s.exp();
                let all = 1.0 - p + raised;
                let share = raised / all;
                (k + n * all.ln(), k1 + n * share, k2 + n * share * (1.0 - share))
            })
        };
        let (_, mean, variance) = cumulant(0.0);
        if x <= mean + 0.5 * variance.sqrt() {
            // The result is far from a finding: the normal approximation suffices.
            return (0.5 * erfc((x - mean) / (2.0 * variance).sqrt())).max(f64::MIN_POSITIVE).ln();
        }
        let (mut low, mut high, mut s) = (0.0, 60.0, 0.5);
        for _ in 0..60 {
            let (_, k1, k2) = cumulant(s);
            if (k1 - x).abs() < 1e-9 * x {
                break;
            }
            if k1 < x {
                low = s
            } else {
                high = s
            }
            let newton = s - (k1 - x) / k2;
            s = if newton > low && newton < high { newton } else { (low + high) / 2.0 };
        }
        let (k, _, k2) = cumulant(s);
        let w = (2.0 * (s * x - k)).max(0.0).sqrt();
        let u = 2.0 * (s / 2.0).sinh() * k2.sqrt();
        // Mills' ratio minus 1/w. Where the difference would cancel out, use the series of the ratio.
        let rest = if w > 5.0 {
            -w.powi(-3) + 3.0 * w.powi(-5) - 15.0 * w.powi(-7)
        } else {
            0.5 * erfc(w / std::f64::consts::SQRT_2) * (w * w / 2.0).exp() * (2.0 * std::f64::consts::PI).sqrt()
                - 1.0 / w
        };
        -w * w / 2.0 - 0.5 * (2.0 * std::f64::consts::PI).ln() + (1.0 / u + rest).max(f64::MIN_POSITIVE).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-300), "{a} is not {b}");
    }

    #[test]
    fn fisher_agrees_with_tables_worked_by_hand() {
        close(fisher(3, 1, 1, 3), 17.0 / 70.0);
        close(fisher(10, 0, 0, 20), 1.0 / 30_045_015.0);
        close(fisher(0, 5, 5, 0), 1.0);
        close(fisher(0, 0, 0, 0), 1.0);
    }

    #[test]
    fn clopper_and_pearsons_interval_agrees_with_published_values() {
        let [low, high] = clopper_pearson(8.0, 10.0);
        assert!((low - 0.4439).abs() < 1e-4 && (high - 0.9748).abs() < 1e-4, "{low} {high}");
        assert_eq!(clopper_pearson(0.0, 0.0)[0], 0.0);
        let [low, high] = clopper_pearson(10.0, 10.0);
        assert!((low - 0.6915).abs() < 1e-4 && high == 1.0);
    }

    fn trials(n: u32, p: f64, x: u32) -> Trials {
        let mut trials = Trials::default();
        for i in 0..n {
            trials.add(p, p.ln(), i < x);
        }
        trials
    }

    #[test]
    fn equal_chances_are_a_binomial() {
        // P(X >= 3) for 4 trials with chance 0.25.
        close(trials(4, 0.25, 3).ln_tail().exp(), 4.0 * 0.25f64.powi(3) * 0.75 + 0.25f64.powi(4));
        close(trials(4, 0.25, 4).ln_tail().exp(), 0.25f64.powi(4));
        close(trials(4, 0.25, 0).ln_tail().exp(), 1.0);
        close(Trials::default().ln_tail(), 0.0);
    }

    #[test]
    fn the_approximation_continues_the_exact_sum() {
        for (n, p, x) in [(400, 0.02, 20), (400, 0.3, 150), (400, 0.5, 390), (400, 0.004, 60)] {
            let trials = trials(n, p, x);
            let (exact, saddle) = (trials.ln_tail_exact(x as usize), trials.ln_tail_saddle(f64::from(x)));
            assert!((exact - saddle).abs() < 0.05, "{n} {p} {x}: {exact} {saddle}");
        }
    }
}
