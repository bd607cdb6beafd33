//! Tests of the sensor as a whole, without a kernel: the loop runs on a ring that is filled by hand.

mod agent_loop;
mod soak;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use sensor_common::wire::{BootTime, Event};
use tattler_core::home::{HomePrefix, NetworkDevice};
use tattler_core::ledger::Ledger;
use tattler_core::time::{Span, Time};

use super::allocator;
use super::clock::{ClockReading, EventClock};
use super::intake::{KernelPrograms, Restored, Sensor, Takeover, restore};
use super::kernel_tables::Erase;
use super::settings::SensorSettings;
use super::state::Shared;
use crate::datapath::{AttachError, Attachment, Counters, Drained, MapError, Mode};
use crate::mark::Mark;
use crate::store::{self, Store, Writer};

/// A ring that is filled by hand.
#[derive(Default)]
struct FakePrograms {
    waiting: VecDeque<Event>,
    read: u64,
    released: u64,
}

impl KernelPrograms for FakePrograms {
    fn begin(&mut self) {}

    fn drain(&mut self, most: usize, take: impl FnMut(Event)) -> Drained {
        let events = most.min(self.waiting.len());
        self.waiting.drain(..events).for_each(take);
        self.read += (events * Event::SIZE) as u64;
        Drained { events, invalid: 0 }
    }

    fn release(&mut self, position: u64) {
        assert!((self.released..=self.read).contains(&position), "neither back nor beyond what was read");
        self.released = position;
    }

    fn position(&self) -> u64 {
        self.read
    }

    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn mark(&self, since: BootTime) -> Mark {
        Mark { boot: 1, ring: 1, position: self.read, since }
    }

    fn counters(&self) -> Result<Counters, MapError> {
        Ok(Counters::default())
    }

    fn set_home(&mut self, _: &[HomePrefix]) -> Result<(), MapError> {
        Ok(())
    }

    fn attach(&mut self, device: &NetworkDevice, _: Option<Mode>) -> Result<Attachment, AttachError> {
        Ok(Attachment { device: device.clone(), mode: Mode::Native, not_native: None, adopted: false })
    }

    fn detach(&mut self, _: u32) {}

    fn remove_leftovers(&mut self, _: Option<Mark>) -> Option<u64> {
        None
    }
}

fn settings(dir: &Path, store: store::StoreSettings) -> SensorSettings {
    let (state, socket, window) = (dir.to_owned(), dir.join("socket"), Span::from_days(30));
    SensorSettings { state, socket, store, window, ..SensorSettings::default() }
}

/// What the loop and queries share, with a store to which nothing is written until a query asks for it.
pub fn shared(dir: &Path, ledger: Ledger, eraser: Option<Sender<Option<Erase>>>) -> (Arc<Shared>, Writer) {
    // By the wall clock, the rows of a test would be too old one day.
    let (latency, clock) = (Duration::from_secs(3_600), || Time(0));
    let settings = store::StoreSettings { latency, clock, ..store::StoreSettings::default() };
    let writer = Writer::start(Store::open(dir).unwrap(), settings).unwrap();
    (Arc::new(Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger, eraser)), writer)
}

/// The sensor as `run` makes it, without a kernel and by the clocks of a test.
fn sensor(settings: SensorSettings, origin: Time, look: fn() -> ClockReading) -> (Sensor<FakePrograms>, Arc<Shared>) {
    allocator::return_large_blocks();
    // Of another boot, of which there is nothing.
    let Restored { mut store, key, acks, ledger, .. } = restore(&settings).unwrap();
    store.begin_boot("the boot of the test", origin).unwrap();
    let writer = Writer::start(store, settings.store).unwrap();
    let clock = EventClock::new(origin, look);
    let shared = Arc::new(Shared::new(clock.now(), settings.state.clone(), &writer, acks, ledger, None));
    let (programs, takeover) = (FakePrograms::default(), Takeover::default());
    (Sensor::new(settings, programs, takeover, clock, writer, shared.clone(), key).unwrap(), shared)
}
