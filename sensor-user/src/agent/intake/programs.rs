//! What the loop needs of the kernel programs, and what it adopts from an earlier run. In tests the same loop runs on
//! made-up events, without a kernel.

use sensor_common::wire::{BootTime, Event};
use tattler_core::home::{HomePrefix, NetworkDevice};
use tracing::{info, warn};

use crate::datapath::{Adopted, AttachError, Attachment, Counters, Datapath, Drained, MapError, Mode};
use crate::mark::Mark;

/// The trait, and the functions of [`Datapath`] of the same names as its implementation.
macro_rules! kernel_programs {
    ($(fn $name:ident($this:ident: $self:ty $(, $argument:ident: $type:ty)*) $(-> $output:ty)?;)*) => {
        /// The kernel programs; see [`Datapath`] for each function.
        pub trait KernelPrograms {
            $(fn $name($this: $self $(, $argument: $type)*) $(-> $output)?;)*
        }

        impl KernelPrograms for Datapath {
            $(fn $name($this: $self $(, $argument: $type)*) $(-> $output)? {
                Datapath::$name($this $(, $argument)*)
            })*
        }
    };
}

kernel_programs! {
    fn begin(self: &mut Self);
    fn drain(self: &mut Self, most: usize, take: impl FnMut(Event)) -> Drained;
    fn release(self: &mut Self, position: u64);
    fn position(self: &Self) -> u64;
    fn is_waiting(self: &Self) -> bool;
    fn mark(self: &Self, since: BootTime) -> Mark;
    fn counters(self: &Self) -> Result<Counters, MapError>;
    fn set_home(self: &mut Self, home: &[HomePrefix]) -> Result<(), MapError>;
    fn attach(self: &mut Self, device: &NetworkDevice, asked: Option<Mode>) -> Result<Attachment, AttachError>;
    fn detach(self: &mut Self, index: u32);
    fn remove_leftovers(self: &mut Self, mark: Option<Mark>) -> Option<u64>;
}

/// What an earlier run left. While no sensor runs, the programs that it left attached keep filling the ring; the mark
/// in the store shows which of these events are stored already.
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
