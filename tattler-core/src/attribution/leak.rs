//! The probability that a contact with a remote leads to a probe, and its interval.

use super::tail;

/// The contacts with a remote, and the probes caused by these contacts, by the model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeakEstimate {
    /// Number of probes. Each case counts by the share that the remote caused.
    probes: f64,
    /// Number of contacts. Each contact counts by the probability that its probe would have arrived by now.
    contacts: f64,
    /// Number of cases for which the remote is a plausible cause.
    plausible: f64,
    /// Number of all contacts.
    all_contacts: f64,
    /// The case that was added last.
    last: Option<u32>,
}

/// The least share of a case that makes a remote a plausible cause.
const PLAUSIBLE: f64 = 0.05;

/// The error of the model, however many contacts there are: lags are not constant within bins.
const MODEL_ERROR: f64 = 0.05;

impl LeakEstimate {
    /// An estimate from contacts without probes.
    pub(super) fn new(contacts: f64, all_contacts: f64) -> LeakEstimate {
        LeakEstimate { contacts, all_contacts, ..LeakEstimate::default() }
    }

    /// Adds a share of a case. `to_come`: the share of leaks with a longer lag than this case, for which the contact
    /// was not at risk.
    pub(super) fn add(&mut self, case: u32, share: f64, to_come: f64) {
        self.probes += share;
        self.contacts += share * to_come;
        if share >= PLAUSIBLE && self.last != Some(case) {
            self.plausible += 1.0;
            self.last = Some(case);
        }
    }

    /// The probability that one contact leads to a probe.
    #[must_use]
    pub fn probability(&self) -> Option<f64> {
        (self.contacts > 0.0).then(|| (self.probes / self.contacts).min(1.0))
    }

    /// The interval of [`probability`](LeakEstimate::probability) at 95 %. It covers more than chance: the model may
    /// assign a case to the wrong cause, and may misjudge the number of future probes. So the lower end uses the shares
    /// and all contacts. The upper end uses all cases for which the remote is a plausible cause.
    #[must_use]
    pub fn interval(&self) -> Option<[f64; 2]> {
        self.probability().map(|_| {
            let [low, _] = tail::clopper_pearson(self.probes, self.contacts.max(self.all_contacts));
            let [_, high] = tail::clopper_pearson(self.plausible.max(self.probes), self.contacts);
            [low * (1.0 - MODEL_ERROR), (high * (1.0 + MODEL_ERROR)).min(1.0)]
        })
    }
}
