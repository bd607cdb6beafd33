//! Where what is read goes.

use tattler_core::observation::Observation;

use super::jsonl::BackupEntry;
use super::{Fault, Position};

/// Takes what the inputs hold.
pub trait Sink {
    /// An observation.
    fn observe(&mut self, observation: Observation);

    /// What is wrong with an input.
    fn tell(&mut self, fault: Fault);

    /// What JSON Lines hold beside observations. All of them are handed on, also those before a known
    /// position.
    fn aside(&mut self, _aside: BackupEntry) {}

    /// Whether to be told positions now: to work them out takes time.
    fn wants_positions(&self) -> bool {
        false
    }

    /// All that the inputs hold up to these positions has been handed on, and stands whatever follows. Of
    /// flow records, some of what comes after has been too, since they come in the order in which they
    /// began. Is called now and then, but never within a log without years, whose end may show that its
    /// year was another.
    fn reached(&mut self, _positions: &[Position]) {}

    /// Whether to read on.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Two functions.
pub(super) struct Functions<'a> {
    pub(super) observe: &'a mut dyn FnMut(Observation),
    pub(super) tell: &'a mut dyn FnMut(Fault),
}

impl Sink for Functions<'_> {
    fn observe(&mut self, observation: Observation) {
        (self.observe)(observation);
    }

    fn tell(&mut self, fault: Fault) {
        (self.tell)(fault);
    }
}
