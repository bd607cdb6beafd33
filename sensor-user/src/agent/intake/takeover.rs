//! What one run of the sensor adopts from the one before.
//!
//! While no sensor runs, the programs that an earlier one left attached keep filling the ring. The mark in the store
//! shows which of these events are stored already.

use sensor_common::wire::BootTime;
use tracing::{info, warn};

use super::programs::KernelPrograms;
use crate::datapath::Adopted;
use crate::mark::Mark;

/// What an earlier run left.
#[derive(Default)]
pub struct Takeover {
    /// The ring that was adopted, if any.
    pub adopted: Option<Adopted>,
    /// The mark in the store.
    pub mark: Option<Mark>,
}

impl Takeover {
    /// The first uplinks were attached at `now`; `gapless` if all are watched, and an earlier run had watched them all
    /// the time. Removes what is of no use any more, so that nothing is unwatched meanwhile. Returns since when the
    /// uplinks have been watched, and how many events of the earlier run are lost.
    pub fn settle(self, programs: &mut impl KernelPrograms, gapless: bool, now: BootTime) -> (BootTime, u64) {
        let mut lost = 0;
        if let Some(waited) = programs.remove_leftovers(self.mark) {
            warn!(
                events = waited,
                "an earlier version, or one with other map sizes, left maps that do not fit: begun afresh, without the events that waited in them"
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
