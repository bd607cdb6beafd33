//! From one life of the sensor to the next.
//!
//! While no sensor runs, the programs that an earlier one left attached go on, and the ring takes up
//! what they see. What was in the store already is known by the mark there.

use sensor_common::wire::BootTime;
use tracing::{info, warn};

use super::clock;
use crate::datapath::{Adopted, Attachment, Datapath};
use crate::mark::Mark;

/// How a life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Since when the uplinks have been watched without a gap.
    pub since: BootTime,
    /// What an earlier life had seen and this one can't have.
    pub lost: u64,
}

/// Says what was taken over, and removes what is of no use. To be called once all is attached.
pub fn settle(
    datapath: &mut Datapath,
    resumed: Option<Adopted>,
    mark: Option<Mark>,
    attachments: &[Attachment],
) -> Handover {
    let mut lost = 0;
    if let Some(waited) = datapath.remove_leftovers(mark) {
        warn!(
            events = waited,
            "an earlier version, or other map sizes, laid its maps out differently: begun afresh, without the events that waited in them"
        );
        lost += waited;
    }
    let Some(Adopted { waiting, unwritten }) = resumed else { return Handover { since: clock::boot(), lost } };
    if unwritten > 0 {
        warn!(events = unwritten, "an earlier life of the sensor took events out of the ring that it never wrote");
        lost += unwritten;
    }
    // A program that was not attached all the time knows too little of ports in use.
    let gapless = !attachments.is_empty() && attachments.iter().all(|attachment| attachment.adopted);
    let since = mark.filter(|_| gapless).map_or_else(clock::boot, |mark| mark.since);
    info!(events = waiting, gapless, "went on with what an earlier life of the sensor left in the kernel");
    Handover { since, lost }
}
