//! What the loop needs of the kernel programs. In tests the same loop runs on made-up events, without a kernel.

use sensor_common::wire::{BootTime, Event};
use tattler_core::home::{HomePrefix, NetworkDevice};

use crate::datapath::{AttachError, Attachment, Counters, Datapath, Drained, MapError, Mode};
use crate::mark::Mark;

/// The kernel programs; see [`Datapath`] for each function.
pub trait Programs {
    fn drain(&mut self, most: usize, take: impl FnMut(Event)) -> Drained;
    fn release(&mut self, position: u64);
    fn position(&self) -> u64;
    fn is_waiting(&self) -> bool;
    fn mark(&self, since: BootTime) -> Mark;
    fn counters(&self) -> Result<Counters, MapError>;
    fn set_home(&mut self, home: &[HomePrefix]) -> Result<(), MapError>;
    fn attach(&mut self, device: &NetworkDevice, asked: Option<Mode>) -> Result<Attachment, AttachError>;
    fn detach(&mut self, index: u32);
    fn remove_leftovers(&mut self, mark: Option<Mark>) -> Option<u64>;
}

impl Programs for Datapath {
    fn drain(&mut self, most: usize, take: impl FnMut(Event)) -> Drained {
        Datapath::drain(self, most, take)
    }

    fn release(&mut self, position: u64) {
        Datapath::release(self, position);
    }

    fn position(&self) -> u64 {
        Datapath::position(self)
    }

    fn is_waiting(&self) -> bool {
        Datapath::is_waiting(self)
    }

    fn mark(&self, since: BootTime) -> Mark {
        Datapath::mark(self, since)
    }

    fn counters(&self) -> Result<Counters, MapError> {
        Datapath::counters(self)
    }

    fn set_home(&mut self, home: &[HomePrefix]) -> Result<(), MapError> {
        Datapath::set_home(self, home)
    }

    fn attach(&mut self, device: &NetworkDevice, asked: Option<Mode>) -> Result<Attachment, AttachError> {
        Datapath::attach(self, device, asked)
    }

    fn detach(&mut self, index: u32) {
        Datapath::detach(self, index);
    }

    fn remove_leftovers(&mut self, mark: Option<Mark>) -> Option<u64> {
        Datapath::remove_leftovers(self, mark)
    }
}
