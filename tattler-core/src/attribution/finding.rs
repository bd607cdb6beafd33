//! A candidate in the list of attribution, and the probability that the candidate leaks at all.
//!
//! The probability comes from a logistic regression, fitted once on the simulated networks of `accuracy` (seeds 4000
//! to 4011, 50 and 300 addresses, all families but `framing`, where timing imitates a leak). The table in
//! docs/attribution.md is measured on other seeds. Most of the networks in the fit have a harvester, so the
//! probability is valid for a user with a reason to look for a leak. No labelled data from the field exist.

use super::leak::LeakEstimate;
use super::verdict::{Rival, Verdict};

const INTERCEPT: f64 = -2.28;
/// Coefficient for each decimal power of the comparison's p, after correction.
const SCORE: f64 = 2.13;
/// Coefficient for each decimal power of the model's likelihood ratio, less chance.
const EVIDENCE: f64 = 0.81;
/// Bounds of both inputs. Outside these bounds the simulation has too few cases.
const BOUNDS: (f64, f64) = (-3.0, 6.0);
/// The factor for a remote whose evidence has a better explanation.
const WITH_WINNING_RIVAL: f64 = 0.1;

/// A candidate.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The group of the candidate, or several groups that the data cannot tell apart.
    pub groups: Vec<usize>,
    /// Decimal logarithm of 1 / p after correction. Negative if chance easily explains the evidence. From 2 on the
    /// candidate is accused.
    pub score: f64,
    /// The window of the evidence: only contacts this long before the probe count. A position in
    /// [`WINDOWS`](super::group_test::WINDOWS).
    pub window: usize,
    /// The campaigns whose probes the candidate explains: positions in the list, in order. Empty unless the
    /// comparison accused the candidate.
    pub campaigns: Vec<usize>,
    /// Gain of the model from this candidate: difference of the logarithms of the likelihood with and without it, less
    /// the gain that the best of so many groups gets by chance.
    pub evidence: f64,
    /// The probability of a leak for each contact, by the model.
    pub leak: Option<LeakEstimate>,
    /// Other explanations of the evidence.
    pub rivals: Vec<Rival>,
}

impl Finding {
    /// The probability that the candidate leaks at all. `None` where the data cannot decide.
    #[must_use]
    pub fn probability(&self) -> Option<f64> {
        if matches!(self.verdict, Verdict::ProbesBack | Verdict::NotIdentifiable) {
            return None;
        }
        // Unlike `clamp`, `max` and `min` turn NaN into a bound.
        let bounded = |x: f64| x.max(BOUNDS.0).min(BOUNDS.1);
        let evidence = bounded(self.evidence / std::f64::consts::LN_10);
        let logit = INTERCEPT + SCORE * bounded(self.score) + EVIDENCE * evidence;
        let probability = 1.0 / (1.0 + (-logit).exp());
        let beaten = self.rivals.iter().any(|rival| rival.wins());
        Some(if beaten { probability * WITH_WINNING_RIVAL } else { probability })
    }
}
