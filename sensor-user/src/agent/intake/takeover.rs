//! What one run of the sensor adopts from the one before.
//!
//! While no sensor runs, the programs that an earlier one left attached go on, and the ring takes up what they see.
//! The mark in the store tells which of it is stored already.

use sensor_common::wire::BootTime;
use tracing::{info, warn};

use super::programs::Programs;
use crate::datapath::Adopted;
use crate::mark::Mark;

/// What an earlier run left. Settled when the first uplink is attached.
#[derive(Default)]
pub struct Takeover {
    adopted: Option<Adopted>,
    mark: Option<Mark>,
    is_settled: bool,
}

impl Takeover {
    /// With the ring that was adopted, if any, and the mark in the store.
    pub fn new(adopted: Option<Adopted>, mark: Option<Mark>) -> Takeover {
        Takeover { adopted, mark, is_settled: false }
    }

    /// Uplinks were attached at `now`; `gapless` if all are watched, and an earlier run had watched them all the
    /// time. Removes what is of no use any more, so that nothing is unwatched meanwhile. Returns since when the
    /// uplinks have been watched, and how many events of the earlier run are lost.
    pub fn settle(&mut self, programs: &mut impl Programs, gapless: bool, now: BootTime) -> (BootTime, u64) {
        if std::mem::replace(&mut self.is_settled, true) {
            return (now, 0);
        }
        let mut lost = 0;
        if let Some(waited) = programs.remove_leftovers(self.mark) {
            warn!(
                events = waited,
                "another version, or other map sizes, laid its maps out differently: begun afresh, without the events that waited in them"
            );
            lost += waited;
        }
        let Some(Adopted { waiting, unwritten }) = self.adopted else { return (now, lost) };
        if unwritten > 0 {
            warn!(events = unwritten, "an earlier run of the sensor took events out of the ring that it never wrote");
            lost += unwritten;
        }
        // A program that was not attached all the time does not know all ports in use.
        let since = self.mark.filter(|_| gapless).map_or(now, |mark| mark.since);
        info!(events = waiting, gapless, "adopted programs and maps that an earlier run left in the kernel");
        (since, lost)
    }
}
