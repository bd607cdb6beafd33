//! What the loop asks of the kernel programs. The loop names nothing else of them, so that the very
//! same loop runs without a kernel, on events of any making and at any speed.

use sensor_common::wire::{BootTime, Event};
use tattler_core::home::{Device, Home};

use crate::datapath::{AttachError, Attachment, Counters, Datapath, Drained, MapError, Mode};
use crate::mark::Mark;

/// The programs, as [`Datapath`] has them; see there for what each of these does.
pub(super) trait Programs {
    fn drain(&mut self, most: usize, take: impl FnMut(Event)) -> Drained;
    fn release(&mut self, position: u64);
    fn position(&self) -> u64;
    fn is_waiting(&self) -> bool;
    fn mark(&self, since: BootTime) -> Mark;
    fn counters(&self) -> Result<Counters, MapError>;
    fn set_home(&mut self, home: &[Home]) -> Result<(), MapError>;
    fn attach(&mut self, device: &Device, asked: Option<Mode>) -> Result<Attachment, AttachError>;
    fn detach(&mut self, index: u32);
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

    fn set_home(&mut self, home: &[Home]) -> Result<(), MapError> {
        Datapath::set_home(self, home)
    }

    fn attach(&mut self, device: &Device, asked: Option<Mode>) -> Result<Attachment, AttachError> {
        Datapath::attach(self, device, asked)
    }

    fn detach(&mut self, index: u32) {
        Datapath::detach(self, index);
    }
}
