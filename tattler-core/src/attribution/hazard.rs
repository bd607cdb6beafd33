//! The model: the rate at which a scanner probes a local.
//!
//! ```text
//! rate(t) = background(epoch of t) * device + any * Σ f(t - contact) + Σ q[group] * f(t - contact)
//!                                             all contacts           contacts with the group
//! ```
//!
//! - `q` is the expected number of probes after one contact with a group; nearly all are 0.
//! - `f` is the density of the lag, constant within each bin of [`lag`](super::lag).
//! - `background` is independent of contacts. It comes in bursts, and to some devices more often than to others.
//! - `any` follows contacts with any remote. For this reason busy addresses do not implicate popular sites, and a
//!   listener on the path does not implicate a remote.

use super::leak::LeakEstimate;
use super::lists::Lists;
use super::rates::{CONTACTS_BEFORE, Rates};
use super::risk::Risk;

/// Number of refits after a group was removed.
const REFIT: usize = 8;
/// The least evidence that justifies a refit: natural logarithm.
const WORTH_REFITTING: f64 = 3.0;

/// A fitted model.
pub struct Hazard {
    risk: Risk,
    by_candidate: Lists<(u32, u8, f32)>,
    rates: Rates,
    /// The rate for each case at the time of its probe.
    at_cases: Vec<f64>,
    log_likelihood: f64,
}

/// The gain of a model from a group: the comparison of the model with and without the group.
#[derive(Clone, Copy, Debug, Default)]
struct Gain {
    /// Difference of the logarithms of the likelihood.
    log_likelihood: f64,
    /// The group's `q` at which the gain is reached.
    q: f64,
}

impl Hazard {
    /// Fits the model.
    #[must_use]
    pub fn fit(risk: Risk) -> Hazard {
        let rates = Rates::fit(&risk);
        let at_cases = rates.at_cases(&risk);
        let log_likelihood = rates.log_likelihood(&risk, &at_cases);
        Hazard { by_candidate: risk.by_candidate(), risk, rates, at_cases, log_likelihood }
    }

    /// Groups that a case had contacted. The slot of a group is its position in this list.
    #[must_use]
    pub fn candidates(&self) -> &[u32] {
        &self.risk.candidates
    }

    /// Whether a candidate explains any case.
    #[must_use]
    pub fn is_active(&self, slot: usize) -> bool {
        self.rates.q[slot] > 0.0
    }

    /// Natural logarithm of the likelihood.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The gain from a candidate: difference of the logarithms of the likelihood with and without the candidate. If the
    /// model has the candidate, this is the loss from its removal.
    #[must_use]
    pub fn evidence(&self, slot: usize) -> f64 {
        if !self.is_active(slot) {
            return self.gain(slot, &self.at_cases).log_likelihood;
        }
        // The loss if no other cause replaced the candidate. It is an upper bound: refit only if it is large enough.
        let density = self.rates.density();
        let q = self.rates.q[slot];
        let share = |&(case, bin, contacts): &(u32, u8, f32)| {
            q * f64::from(contacts) * density[usize::from(bin)] / self.at_cases[case as usize]
        };
        let own: f64 =
            self.by_candidate.of(slot as u32).iter().map(|contact| -(-share(contact).min(1.0 - 1e-12)).ln_1p()).sum();
        let most = own - q * (self.rates.at_risk(&self.risk, slot) + CONTACTS_BEFORE);
        if most < WORTH_REFITTING {
            return most;
        }
        let rest = self.without(&[slot]);
        self.log_likelihood - rest.log_likelihood(&self.risk, &rest.at_cases(&self.risk))
    }

    /// The evidence for a candidate and its leak, by a model without `related`: the candidate's twins, the groups that
    /// contain the candidate, and the groups inside it.
    #[must_use]
    pub fn alone(&self, slot: usize, related: &[usize]) -> (f64, LeakEstimate) {
        let left_out: Vec<usize> = related.iter().copied().chain([slot]).collect();
        let at_cases = self.without(&left_out).at_cases(&self.risk);
        let gain = self.gain(slot, &at_cases);
        let density = self.rates.density();
        let at_risk = self.rates.at_risk(&self.risk, slot);
        let mut leak = LeakEstimate::new(at_risk, f64::from(self.risk.exposure[slot][0]));
        for &(case, bin, contacts) in self.by_candidate.of(slot as u32) {
            let own = gain.q * f64::from(contacts) * density[usize::from(bin)];
            let lag = &self.rates.lag;
            // A contact that led to a probe counts as one contact, however short its time at risk was.
            let to_come = 1.0 - lag[..usize::from(bin)].iter().sum::<f64>() - 0.5 * lag[usize::from(bin)];
            leak.add(case, own / (at_cases[case as usize] + own), to_come);
        }
        (gain.log_likelihood, leak)
    }

    /// The rates without some candidates, refitted.
    fn without(&self, slots: &[usize]) -> Rates {
        let mut rates = self.rates.clone();
        slots.iter().for_each(|&slot| rates.q[slot] = 0.0);
        (0..REFIT).for_each(|_| rates.refit(&self.risk));
        rates
    }

    /// The gain of a model from a candidate that the model lacks. The model has these rates at the cases.
    fn gain(&self, slot: usize, at_cases: &[f64]) -> Gain {
        let density = self.rates.density();
        let mut ratios: Vec<f64> = Vec::new();
        let mut last = u32::MAX;
        for &(case, bin, contacts) in self.by_candidate.of(slot as u32) {
            let ratio = f64::from(contacts) * density[usize::from(bin)] / at_cases[case as usize];
            match ratios.last_mut() {
                Some(sum) if last == case => *sum += ratio,
                _ => ratios.push(ratio),
            }
            last = case;
        }
        best(&ratios, self.rates.at_risk(&self.risk, slot) + CONTACTS_BEFORE)
    }
}

/// The largest `Σ ln(1 + q ratio) - q at_risk` over q. The sum is concave: the search uses Newton's steps with halving.
fn best(ratios: &[f64], at_risk: f64) -> Gain {
    let slope = |q: f64| ratios.iter().map(|r| r / (1.0 + q * r)).sum::<f64>() - at_risk;
    if slope(0.0) <= 0.0 {
        return Gain::default();
    }
    // The largest possible q is the q at which all cases are explained.
    let (mut low, mut high) = (0.0, ratios.len() as f64 / at_risk);
    let mut q = high * 0.5;
    for _ in 0..30 {
        let s = slope(q);
        if s > 0.0 {
            low = q
        } else {
            high = q
        }
        let curve: f64 = ratios.iter().map(|r| (r / (1.0 + q * r)).powi(2)).sum();
        let newton = q + s / curve;
        let next = if newton > low && newton < high { newton } else { (low + high) / 2.0 };
        if (next - q).abs() < 1e-9 * high {
            break;
        }
        q = next;
    }
    let gain = ratios.iter().map(|r| (q * r).ln_1p()).sum::<f64>() - q * at_risk;
    Gain { log_likelihood: gain.max(0.0), q }
}
