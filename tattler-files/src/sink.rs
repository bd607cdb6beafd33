//! The receiver of a reading's observations and faults.

use tattler_core::observation::Observation;

use super::jsonl::BackupEntry;
use super::{Fault, Position};

/// Receives the content of the inputs.
pub trait Sink {
    /// Receives an observation.
    fn observe(&mut self, observation: Observation);

    /// Receives a fault of an input.
    fn report(&mut self, fault: Fault);

    /// Receives a line of JSON Lines with a backup entry, even if the line is before a known position.
    fn backup(&mut self, _entry: BackupEntry) {}

    /// Whether [`Sink::reached`] should be called now. Finding the positions takes time.
    fn wants_positions(&self) -> bool {
        false
    }

    /// Called from time to time with the positions that the reading has reached. All content before these positions
    /// was handed on, and no later line changes this content. Some flow records after the positions were handed on
    /// too, because flow records come in the order of their beginnings. Never called within a log without years: the
    /// end of such a log may show that the year was wrong.
    fn reached(&mut self, _positions: &[Position]) {}

    /// Whether the reading continues.
    fn goes_on(&self) -> bool {
        true
    }
}

/// A sink made from two functions.
pub(super) struct Functions<'a> {
    pub(super) observe: &'a mut dyn FnMut(Observation),
    pub(super) report: &'a mut dyn FnMut(Fault),
}

impl Sink for Functions<'_> {
    fn observe(&mut self, observation: Observation) {
        (self.observe)(observation);
    }

    fn report(&mut self, fault: Fault) {
        (self.report)(fault);
    }
}
