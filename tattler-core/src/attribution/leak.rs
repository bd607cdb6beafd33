//! How much of its contacts a remote passes on, and how sure that is.

use super::tail;

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
    /// The case that was added last.
    last: Option<u32>,
}

/// A cause is plausible if it has at least this share of a case.
const PLAUSIBLE: f64 = 0.05;

/// What the model may be wrong by however many contacts there are: lags are not constant within bins.
const MODEL_ERROR: f64 = 0.05;

impl Leak {
    /// Of contacts that brought nothing yet: each as far as its leak would have come, and each whole.
    pub(super) fn new(contacts: f64, all_contacts: f64) -> Leak {
        Leak { contacts, all_contacts, ..Leak::default() }
    }

    /// Adds its share of a case. `to_come`: the part of the leaks that come later than this one did, for
    /// which the contact was not at risk.
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
