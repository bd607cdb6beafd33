//! The probability that a remote leaks at all, from what the comparison and the model say of it.
//!
//! A logistic regression, fitted once on the simulated networks of `accuracy` (seeds 4000 to 4011, 50
//! and 300 addresses, all families but `framing`, where timing imitates a leak); the table in
//! docs/attribution.md is measured on other seeds. Most of those networks have a harvester, so it is
//! the probability for somebody who has reason to look for one. No labelled data from the field exist.

use super::rank::Finding;
use super::verdict::Verdict;

const INTERCEPT: f64 = -2.28;
/// For each decimal power of the comparison's p, after correction.
const SCORE: f64 = 2.13;
/// For each decimal power of the model's ratio of likelihoods, less chance.
const EVIDENCE: f64 = 0.81;
/// Both count within these bounds: outside, the simulation has too few cases to tell.
const BOUNDS: (f64, f64) = (-3.0, 6.0);
/// Of a remote whose evidence has a better explanation, what is left.
const WITH_WINNING_RIVAL: f64 = 0.1;

impl Finding {
    /// The probability that it leaks at all; `None` where the data can't tell.
    #[must_use]
    pub fn probability(&self) -> Option<f64> {
        if matches!(self.verdict, Verdict::ProbesBack | Verdict::NotIdentifiable) {
            return None;
        }
        // `max` and `min` also take in what is not a number.
        let bounded = |x: f64| x.max(BOUNDS.0).min(BOUNDS.1);
        let evidence = bounded(self.evidence / std::f64::consts::LN_10);
        let logit = INTERCEPT + SCORE * bounded(self.score) + EVIDENCE * evidence;
        let probability = 1.0 / (1.0 + (-logit).exp());
        let beaten = self.rivals.iter().any(|rival| rival.wins());
        Some(if beaten { probability * WITH_WINNING_RIVAL } else { probability })
    }
}
