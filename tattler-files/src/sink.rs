//! The destination of a reading.

use tattler_core::observation::Observation;

use super::jsonl::BackupEntry;
use super::{Fault, Position};

/// Receives the content of the inputs.
pub trait Sink {
    /// Receives an observation.
    fn observe(&mut self, observation: Observation);

    /// Receives a fault of an input.
    fn report(&mut self, fault: Fault);

    /// Receives an entry of JSON Lines that is no observation, even if it is before a known position.
    fn backup(&mut self, _entry: BackupEntry) {}

    /// Whether [`Sink::reached`] should be called now. Finding the positions takes time.
    fn wants_positions(&self) -> bool {
        false
    }

    /// All content before these positions was handed on, and no later line changes it. Some flow records
    /// after them were handed on too, since these come in the order of their beginnings. Called from time
    /// to time, but never within a log without years: its end may show that the year was another.
    fn reached(&mut self, _positions: &[Position]) {}

    /// Whether to read on.
    fn goes_on(&self) -> bool {
        true
    }
}

/// A sink of two functions.
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
