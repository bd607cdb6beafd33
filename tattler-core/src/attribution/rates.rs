//! The rates of the model of [`super::hazard`], and how they are fitted: each case is divided among its possible
//! causes, and the rates follow from the shares (expectation and maximization).

use super::lag::{self, BINS, PRIOR, Shares};
use super::risk::{CaseContact, Risk};

/// The start value of every `q`.
const START: f64 = 0.2;
/// Numbers of fitting rounds: without the sparse prior, while it grows, and with the full sparse prior. The sparse
/// prior drives the `q` of most groups to 0.
const TURNS: [usize; 3] = [12, 12, 16];
/// The full sparse prior: number of cases subtracted from the cases that a group explains.
const SPARSE: f64 = 0.75;
/// The prior of each group: number of contacts without a probe.
pub(super) const CONTACTS_BEFORE: f64 = 0.5;
/// The weight of the prior of the lag, in leaks.
const LAG_WEIGHT: f64 = 4.0;
/// The weight of the prior of background, in cases. It applies to all epochs together.
const BACKGROUND_WEIGHT: f64 = 1.0;

/// The parameters that are fitted.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    /// For each candidate: number of probes caused by one contact.
    pub(super) q: Vec<f64>,
    /// Number of probes caused by one contact with any remote.
    pub(super) any: f64,
    /// Background probes per second, by epoch.
    pub(super) background: Vec<f64>,
    /// The distribution of the lag.
    pub(super) lag: Shares,
}

impl Rates {
    pub(super) fn fit(risk: &Risk) -> Rates {
        let cases = risk.cases() as f64;
        let time: f64 = risk.time.iter().sum();
        let contacts: f64 = risk.any.iter().sum::<f64>() / BINS as f64;
        let mut rates = Rates {
            q: vec![START; risk.candidates.len()],
            any: 0.1 * cases / contacts.max(1.0),
            background: vec![0.5 * cases / time; risk.time.len()],
            lag: PRIOR,
        };
        let [plain, growing, full] = TURNS;
        for turn in 0..plain + growing + full {
            let share = (turn.saturating_sub(plain) as f64 / growing as f64).min(1.0);
            rates.turn(risk, SPARSE * share, true);
        }
        rates
    }

    /// Makes one round of fitting after a candidate was removed. The lag does not change.
    pub(super) fn refit(&mut self, risk: &Risk) {
        self.turn(risk, 0.0, false);
    }

    /// The density of the lag for each bin, per second.
    pub(super) fn density(&self) -> [f64; BINS] {
        std::array::from_fn(|bin| self.lag[bin] / lag::width(bin))
    }

    /// The number of contacts with a candidate. Each counts by the probability that its leak would have come by now.
    pub(super) fn at_risk(&self, risk: &Risk, slot: usize) -> f64 {
        risk.exposure[slot].iter().zip(self.lag).map(|(&risk, share)| f64::from(risk) * share).sum()
    }

    fn any_at_risk(&self, risk: &Risk) -> f64 {
        risk.any.iter().zip(self.lag).map(|(risk, share)| risk * share).sum()
    }

    /// The rate at which a candidate's leak leads to a probe of a case.
    fn leaks(&self, contact: &CaseContact, density: &[f64; BINS]) -> f64 {
        self.q[contact.slot as usize] * f64::from(contact.contacts) * density[usize::from(contact.bin)]
    }

    /// Two rates at which a case is probed: by background, and after a contact with any remote.
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
            let contacts = risk.with_candidates(case);
            let leaks: f64 = contacts.iter().map(|contact| self.leaks(contact, &density)).sum();
            let each = 1.0 / (alone + follows + leaks).max(f64::MIN_POSITIVE);
            background[usize::from(risk.epochs[case])] += alone * each;
            any += follows * each;
            for contact in contacts {
                let share = self.leaks(contact, &density) * each;
                if share > 0.0 {
                    explained[contact.slot as usize] += share;
                    bins[usize::from(contact.bin)] += share;
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
            *rate = cases / time + prior;
        }
        if learn_lag {
            self.learn_lag(&bins, &whole);
        }
    }

    /// Divides the leaks in each bin by the contacts at risk in this bin: long lags are seen less often, since many
    /// locals are no longer in use by then.
    fn learn_lag(&mut self, bins: &Shares, whole: &Shares) {
        let share = |bin: usize| (bins[bin] + LAG_WEIGHT * PRIOR[bin]) / (whole[bin] + LAG_WEIGHT);
        let lag: Shares = std::array::from_fn(share);
        let sum: f64 = lag.iter().sum();
        self.lag = lag.map(|share| share / sum);
    }

    /// The rate for each case at the time of its probe.
    pub(super) fn at_cases(&self, risk: &Risk) -> Vec<f64> {
        let density = self.density();
        let rate = |case: usize| {
            let (alone, follows) = self.base(risk, case, &density);
            let contacts = risk.with_candidates(case).iter();
            let leaks: f64 = contacts.map(|contact| self.leaks(contact, &density)).sum();
            (alone + follows + leaks).max(f64::MIN_POSITIVE)
        };
        (0..risk.cases()).map(rate).collect()
    }

    pub(super) fn log_likelihood(&self, risk: &Risk, at_cases: &[f64]) -> f64 {
        let cases: f64 = at_cases.iter().map(|rate| rate.ln()).sum();
        let background: f64 = self.background.iter().zip(&risk.time).map(|(rate, time)| rate * time).sum();
        let any = self.any * (self.any_at_risk(risk) + CONTACTS_BEFORE);
        let active = (0..self.q.len()).filter(|&slot| self.q[slot] > 0.0);
        let leaks: f64 = active.map(|slot| self.q[slot] * (self.at_risk(risk, slot) + CONTACTS_BEFORE)).sum();
        cases - background - any - leaks
    }
}
