//! The model: the rate at which a scanner comes to probe a local.
//!
//! ```text
//! rate(t) = background(epoch of t) + any * Σ f(t - contact) + Σ q[group] * f(t - contact)
//!                                    all contacts           contacts with the group
//! ```
//!
//! - `q` is how many probes one contact with a group is expected to bring; nearly all are 0.
//! - `f` is the density of the lag, constant within each bin of [`lag`].
//! - `background` finds addresses by itself, in bursts, and some devices more often than others; `any` follows contacts, whomever they are with:
//!   busy addresses don't implicate popular sites, and a listener on the path implicates nobody.
//!
//! Fitted by expectation and maximization: each case is shared out among what could have brought it,
//! and from the shares come the rates. A sparse prior (each group has to explain most of a case more
//! than chance gives) then lets the groups that explain least go.

use super::lag::{self, BINS, PRIOR, Shares};
use super::risk::{ByCandidate, Hit, Risk};
use super::tail;

/// Turns of fitting: without the sparse prior, while it grows, and with all of it.
const TURNS: [usize; 3] = [12, 12, 16];
/// What the sparse prior takes from the cases that a group explains.
const SPARSE: f64 = 0.75;
/// Contacts without a probe that each group is thought to have had before any data.
const CONTACTS_BEFORE: f64 = 0.5;
/// Leaks that the prior of the lag counts for.
const LAG_WEIGHT: f64 = 4.0;
/// Cases that the prior of background counts for, all epochs together.
const BACKGROUND_WEIGHT: f64 = 1.0;
/// Turns to refit what is left when a group is dropped.
const REFIT: usize = 8;
/// Evidence from which on it is worth to refit.
const WORTH_REFITTING: f64 = 3.0;

/// What is fitted.
#[derive(Clone, Debug)]
struct Rates {
    /// Probes that a contact brings, by candidate.
    q: Vec<f64>,
    /// The same of any contact.
    any: f64,
    /// Background a second, by epoch.
    background: Vec<f64>,
    /// When leaks come.
    lag: Shares,
}

/// A fitted model.
pub struct Hazard {
    risk: Risk,
    by_candidate: ByCandidate,
    rates: Rates,
    /// The rate at each case, at its time.
    at_cases: Vec<f64>,
    log_likelihood: f64,
}

/// How much better a model is with a group than without.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gain {
    /// Difference of the logarithms of the likelihood.
    pub log_likelihood: f64,
    /// The group's `q` at which it is so.
    pub q: f64,
}

/// What contacts led to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Leak {
    /// Probes that they brought, in shares.
    pub probes: f64,
    /// Contacts, each as far as its leak would have come by now.
    pub contacts: f64,
    /// Cases of which it is a plausible cause, each whole.
    pub plausible: f64,
    /// Contacts, each whole.
    pub all_contacts: f64,
}

/// A cause is plausible if it has at least this share of a case.
const PLAUSIBLE: f64 = 0.05;

/// What the model may be wrong by however many contacts there are: lags are not constant within bins.
const MODEL_ERROR: f64 = 0.05;

impl Leak {
    /// The probability that one contact leads to a probe.
    #[must_use]
    pub fn probability(&self) -> Option<f64> {
        (self.contacts > 0.0).then(|| (self.probes / self.contacts).min(1.0))
    }

    /// Its interval at 95 %. Chance is not all that is uncertain: the model may give a case to the wrong
    /// cause, and be wrong about leaks that are still to come. So the lower end goes by the shares and
    /// all contacts, the upper one by all cases of which it is a plausible cause.
    #[must_use]
    pub fn interval(&self) -> Option<[f64; 2]> {
        self.probability().map(|_| {
            let [low, _] = tail::clopper_pearson_of_shares(self.probes, self.contacts.max(self.all_contacts));
            let [_, high] = tail::clopper_pearson_of_shares(self.plausible.max(self.probes), self.contacts);
            [low * (1.0 - MODEL_ERROR), (high * (1.0 + MODEL_ERROR)).min(1.0)]
        })
    }
}

/// A model without one of its groups.
pub struct Without {
    /// What it loses by that: difference of the logarithms of the likelihood.
    pub loss: f64,
    at_cases: Vec<f64>,
}

impl Hazard {
    /// Fits the model.
    #[must_use]
    pub fn fit(risk: Risk) -> Hazard {
        let cases = risk.cases() as f64;
        let time: f64 = risk.time.iter().sum();
        let contacts: f64 = risk.any.iter().sum::<f64>() / BINS as f64;
        let mut rates = Rates {
            q: vec![0.2; risk.candidates.len()],
            any: 0.1 * cases / contacts.max(1.0),
            background: vec![0.5 * cases / time; risk.time.len()],
            lag: PRIOR,
        };
        let [plain, growing, full] = TURNS;
        for turn in 0..plain + growing + full {
            let share = (turn.saturating_sub(plain) as f64 / growing as f64).min(1.0);
            rates.turn(&risk, SPARSE * share, true);
        }
        let at_cases = rates.at_cases(&risk);
        let log_likelihood = rates.log_likelihood(&risk, &at_cases);
        Hazard { by_candidate: risk.by_candidate(), risk, rates, at_cases, log_likelihood }
    }

    /// Groups that a case had contacted: those that have slots.
    #[must_use]
    pub fn candidates(&self) -> &[u32] {
        &self.risk.candidates
    }

    /// Whether a candidate explains anything.
    #[must_use]
    pub fn is_active(&self, slot: usize) -> bool {
        self.rates.q[slot] > 0.0
    }

    /// Logarithm of the likelihood.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// When leaks come.
    #[must_use]
    pub fn lag(&self) -> &Shares {
        &self.rates.lag
    }

    /// Contacts of a candidate at risk, each as far as its leak would have come by now.
    #[must_use]
    pub fn at_risk(&self, slot: usize) -> f64 {
        self.rates.at_risk(&self.risk, slot)
    }

    /// The cases that a candidate explains: (case, share of it, lag's bin).
    pub fn explained(&self, slot: usize) -> impl Iterator<Item = (usize, f64, usize)> + '_ {
        let density = self.rates.density();
        self.by_candidate.of(slot).iter().map(move |&(case, bin, contacts)| {
            let share =
                self.rates.q[slot] * f64::from(contacts) * density[usize::from(bin)] / self.at_cases[case as usize];
            (case as usize, share, usize::from(bin))
        })
    }

    /// What a candidate stands for when those that it can't be told apart from, or that hold it or are
    /// held by it, are left out: the evidence, and what contacts with it led to.
    #[must_use]
    pub fn alone(&self, slot: usize, related: &[usize]) -> (f64, Leak) {
        let mut rates = self.rates.clone();
        related.iter().chain([&slot]).for_each(|&slot| rates.q[slot] = 0.0);
        (0..REFIT).for_each(|_| rates.turn(&self.risk, 0.0, false));
        let at_cases = rates.at_cases(&self.risk);
        let gain = self.gain_over(slot, &at_cases);
        let density = self.rates.density();
        // A contact that brought a probe counts whole, however short it was at risk.
        let all_contacts = f64::from(self.risk.exposure[slot][0]);
        let mut leak = Leak { contacts: self.at_risk(slot), all_contacts, ..Leak::default() };
        let mut last = None;
        for &(case, bin, contacts) in self.by_candidate.of(slot) {
            let own = gain.q * f64::from(contacts) * density[usize::from(bin)];
            let share = own / (at_cases[case as usize] + own);
            let by_then: f64 = self.rates.lag[..usize::from(bin)].iter().sum::<f64>();
            leak.probes += share;
            leak.contacts += share * (1.0 - by_then - 0.5 * self.rates.lag[usize::from(bin)]);
            if share >= PLAUSIBLE && last != Some(case) {
                leak.plausible += 1.0;
                last = Some(case);
            }
        }
        (gain.log_likelihood, leak)
    }

    /// What the model would gain by a candidate that is not in it.
    #[must_use]
    pub fn gain(&self, slot: usize) -> Gain {
        self.gain_over(slot, &self.at_cases)
    }

    /// What the model without a group would gain by another.
    #[must_use]
    pub fn gain_instead(&self, slot: usize, without: &Without) -> Gain {
        self.gain_over(slot, &without.at_cases)
    }

    fn gain_over(&self, slot: usize, at_cases: &[f64]) -> Gain {
        let density = self.rates.density();
        let mut ratios: Vec<f64> = Vec::new();
        let mut last = u32::MAX;
        for &(case, bin, contacts) in self.by_candidate.of(slot) {
            let ratio =
                f64::from(contacts) * density[usize::from(bin)] / at_cases[case as usize].max(f64::MIN_POSITIVE);
            match ratios.last_mut() {
                Some(sum) if last == case => *sum += ratio,
                _ => ratios.push(ratio),
            }
            last = case;
        }
        best(&ratios, self.at_risk(slot) + CONTACTS_BEFORE)
    }

    /// How much better the model is with a candidate than without: of one that is in it, what it would
    /// lose; of another, what it would gain.
    #[must_use]
    pub fn evidence(&self, slot: usize) -> f64 {
        if !self.is_active(slot) {
            return self.gain(slot).log_likelihood;
        }
        // What it would lose if nothing else took its place; only what counts is refitted.
        let own: f64 = self.explained(slot).map(|(_, share, _)| -(-share.min(1.0 - 1e-12)).ln_1p()).sum();
        let most = own - self.rates.q[slot] * (self.at_risk(slot) + CONTACTS_BEFORE);
        if most < WORTH_REFITTING { most } else { self.without(slot).loss }
    }

    /// The model without a candidate, with what is left refitted.
    #[must_use]
    pub fn without(&self, slot: usize) -> Without {
        let mut rates = self.rates.clone();
        rates.q[slot] = 0.0;
        (0..REFIT).for_each(|_| rates.turn(&self.risk, 0.0, false));
        let at_cases = rates.at_cases(&self.risk);
        Without { loss: self.log_likelihood - rates.log_likelihood(&self.risk, &at_cases), at_cases }
    }
}

impl Rates {
    fn density(&self) -> [f64; BINS] {
        std::array::from_fn(|bin| self.lag[bin] / lag::width(bin))
    }

    fn at_risk(&self, risk: &Risk, slot: usize) -> f64 {
        risk.exposure[slot].iter().zip(self.lag).map(|(&risk, share)| f64::from(risk) * share).sum()
    }

    fn any_at_risk(&self, risk: &Risk) -> f64 {
        risk.any.iter().zip(self.lag).map(|(risk, share)| risk * share).sum()
    }

    fn leaks(&self, hit: &Hit, density: &[f64; BINS]) -> f64 {
        self.q[hit.slot as usize] * f64::from(hit.contacts) * density[usize::from(hit.bin)]
    }

    /// The rate at which a case is probed by background, and by following any contact.
    fn base(&self, risk: &Risk, case: usize, density: &[f64; BINS]) -> (f64, f64) {
        let contacts: f64 = risk.contacts[case].iter().zip(density).map(|(&n, d)| f64::from(n) * d).sum();
        (self.background[usize::from(risk.epochs[case])] * risk.factors[case], self.any * contacts)
    }

    fn turn(&mut self, risk: &Risk, sparse: f64, learn_lag: bool) {
        let density = self.density();
        let mut explained = vec![0.0; self.q.len()];
        let mut background = vec![0.0; self.background.len()];
        let (mut any, mut bins) = (0.0, [0.0; BINS]);
        for case in 0..risk.cases() {
            let (alone, follows) = self.base(risk, case, &density);
            let hits = risk.hits(case);
            let leaks: f64 = hits.iter().map(|hit| self.leaks(hit, &density)).sum();
            let each = 1.0 / (alone + follows + leaks).max(f64::MIN_POSITIVE);
            background[usize::from(risk.epochs[case])] += alone * each;
            any += follows * each;
            for hit in hits {
                let share = self.leaks(hit, &density) * each;
                if share > 0.0 {
                    explained[hit.slot as usize] += share;
                    bins[usize::from(hit.bin)] += share;
                }
            }
        }
        let at_risk = self.any_at_risk(risk);
        self.any = any / (at_risk + CONTACTS_BEFORE);
        let mut whole = [0.0; BINS];
        for (slot, explained) in explained.into_iter().enumerate() {
            if self.q[slot] > 0.0 {
                self.q[slot] = (explained - sparse).max(0.0) / (self.at_risk(risk, slot) + CONTACTS_BEFORE);
                let exposure = &risk.exposure[slot];
                whole.iter_mut().zip(exposure).for_each(|(sum, &at_risk)| *sum += self.q[slot] * f64::from(at_risk));
            }
        }
        let prior = BACKGROUND_WEIGHT / risk.time.iter().sum::<f64>();
        for ((rate, &time), cases) in self.background.iter_mut().zip(&risk.time).zip(background) {
            *rate = (cases + prior * time) / (time * (1.0 + prior));
        }
        if learn_lag {
            self.learn_lag(&bins, &whole);
        }
    }

    /// Leaks in each bin by contacts that were at risk in it: long lags are seen less often, since
    /// many locals are gone by then.
    fn learn_lag(&mut self, bins: &Shares, whole: &Shares) {
        let share = |bin: usize| (bins[bin] + LAG_WEIGHT * PRIOR[bin]) / (whole[bin] + LAG_WEIGHT);
        let lag: Shares = std::array::from_fn(share);
        let sum: f64 = lag.iter().sum();
        self.lag = lag.map(|share| share / sum);
    }

    fn at_cases(&self, risk: &Risk) -> Vec<f64> {
        let density = self.density();
        let rate = |case: usize| {
            let (alone, follows) = self.base(risk, case, &density);
            let hits = risk.hits(case).iter();
            let leaks: f64 = hits.map(|hit| self.leaks(hit, &density)).sum();
            (alone + follows + leaks).max(f64::MIN_POSITIVE)
        };
        (0..risk.cases()).map(rate).collect()
    }

    fn log_likelihood(&self, risk: &Risk, at_cases: &[f64]) -> f64 {
        let cases: f64 = at_cases.iter().map(|rate| rate.ln()).sum();
        let background: f64 = self.background.iter().zip(&risk.time).map(|(rate, time)| rate * time).sum();
        let any = self.any * (self.any_at_risk(risk) + CONTACTS_BEFORE);
        let active = (0..self.q.len()).filter(|&slot| self.q[slot] > 0.0);
        let leaks: f64 = active.map(|slot| self.q[slot] * (self.at_risk(risk, slot) + CONTACTS_BEFORE)).sum();
        cases - background - any - leaks
    }
}

/// The largest `Σ ln(1 + q ratio) - q at_risk` over q: concave, so Newton's steps from 0 with halving.
fn best(ratios: &[f64], at_risk: f64) -> Gain {
    let slope = |q: f64| ratios.iter().map(|r| r / (1.0 + q * r)).sum::<f64>() - at_risk;
    if slope(0.0) <= 0.0 {
        return Gain::default();
    }
    // All cases explained bring no more than this.
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
