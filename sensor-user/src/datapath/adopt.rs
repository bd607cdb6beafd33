//! Taking over from an earlier run of the sensor.

use std::path::Path;

use sensor_common::wire::{BootTime, Event};

use super::Datapath;
use crate::mark::Mark;

/// The size of a record in the ring: the kernel's header and an event.
pub(super) const RECORD: u64 = (8 + Event::SIZE as u64).next_multiple_of(8);

/// What an earlier run left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Events that wait in the ring.
    pub waiting: u64,
    /// Events that the earlier run had taken out of the ring and not stored.
    pub unwritten: u64,
}

impl Datapath {
    /// Continues after the mark that an earlier run left in the store, if the mark belongs to this ring. `None` if
    /// there is no ring of an earlier run.
    pub fn resume(&mut self, mark: Option<Mark>) -> Option<Adopted> {
        if !self.adopted {
            return None;
        }
        let mark = mark.filter(|mark| mark.ring == self.ring_id() && mark.boot == self.boot);
        let unwritten = mark.map_or(0, |mark| self.ring.skip_to(mark.position)) / RECORD;
        Some(Adopted { waiting: self.ring.waiting() / RECORD, unwritten })
    }

    /// The position up to which the ring is read, and the time since when there was no gap in the watch.
    #[must_use]
    pub fn mark(&self, since: BootTime) -> Mark {
        Mark { boot: self.boot, ring: self.ring_id(), position: self.position(), since }
    }

    /// The kernel's id of the ring.
    fn ring_id(&self) -> u32 {
        self.events.info().map_or(0, |info| info.id())
    }

    /// To be called when the start succeeded: this run now stores the events of the ring.
    pub const fn begin(&mut self) {
        self.started = true;
    }

    /// Removes pins of an earlier run that this one does not use: links of other devices, maps of another layout.
    /// Returns the events that waited in those maps beyond the mark, `None` if there were no such maps. To be called
    /// when everything is attached, so that no device is unwatched meanwhile.
    pub fn remove_leftovers(&mut self, mark: Option<Mark>) -> Option<u64> {
        let pins = self.pins.as_ref()?;
        let held = self.attachments.iter().flat_map(|attached| [&attached.ingress, &attached.egress]);
        let kept: Vec<&Path> = held.filter_map(|held| held.pin()).collect();
        pins.keep_only(&kept);
        pins.remove_other_layouts(mark.filter(|mark| mark.boot == self.boot))
    }
}
