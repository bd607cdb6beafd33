//! What a life of the sensor takes over from the one before.

use std::path::Path;

use sensor_common::wire::{BootTime, Event};

use super::Datapath;
use super::held::Held;
use crate::mark::Mark;

/// A record in the ring: its event behind the kernel's header.
pub(super) const RECORD: u64 = (8 + Event::SIZE as u64).next_multiple_of(8);

/// What was found of an earlier life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Events that wait in the ring.
    pub waiting: u64,
    /// Events that an earlier life had taken out of the ring and not brought to the store.
    pub unwritten: u64,
}

impl Datapath {
    /// Goes on where an earlier life stopped: after the mark that it left in the store, if that is of
    /// this ring. `None` if it left no ring.
    pub fn resume(&mut self, mark: Option<Mark>) -> Option<Adopted> {
        if !self.adopted {
            return None;
        }
        let mark = mark.filter(|mark| mark.ring == self.ring_id() && mark.boot == self.boot);
        let unwritten = mark.map_or(0, |mark| self.ring.skip_to(mark.position)) / RECORD;
        Some(Adopted { waiting: self.ring.waiting() / RECORD, unwritten })
    }

    /// How far the ring was read, by a sensor that watches without a gap since then.
    #[must_use]
    pub fn mark(&self, since: BootTime) -> Mark {
        Mark { boot: self.boot, ring: self.ring_id(), position: self.position(), since }
    }

    /// The kernel's number for the ring.
    fn ring_id(&self) -> u32 {
        self.events.info().map_or(0, |info| info.id())
    }

    /// From now on what is in the ring is this life's to bring to the store.
    pub const fn begin(&mut self) {
        self.begun = true;
    }

    /// Removes what an earlier life pinned and this one has no use for: links of other devices, maps of
    /// another layout. Returns the events that waited in those beyond the mark, `None` if there were no such maps. To
    /// be called once everything is attached, so that nothing is unwatched meanwhile.
    pub fn remove_leftovers(&mut self, mark: Option<Mark>) -> Option<u64> {
        let pins = self.pins.as_ref()?;
        let held = self.attachments.iter().flat_map(|attached| [&attached.ingress, &attached.egress]);
        let kept: Vec<&Path> = held.filter_map(|held| held.pin()).collect();
        pins.all_but(&kept).iter().for_each(|left| Held::remove(pins, left));
        pins.keep_only(&kept);
        pins.remove_other_layouts(mark.filter(|mark| mark.boot == self.boot))
    }
}
