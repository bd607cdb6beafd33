//! The kernel programs in user space: loads and attaches them, writes the home prefixes, drains the ring, reads the
//! counters.
//!
//! Only this module uses aya. Maps and links can be pinned, and the next run of the sensor can adopt them.

mod adopt;
#[cfg(feature = "test-helpers")]
pub mod age;
mod attach;
mod counters;
mod detach;
mod error;
mod held;
mod home;
mod memory;
mod pages;
mod pins;
mod ring;

use aya::maps::{LpmTrie, Map, MapData, PerCpuArray};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use error::{missing, one_line};
use ring::EventRing;
use sensor_common::names;
use sensor_common::parse::Address;
use tattler_core::home::HomePrefix;

use crate::mark;

pub use adopt::Adopted;
pub use attach::{Attachment, Mode, check};
pub use counters::Counters;
pub use detach::{Leftovers, PINS, remove_leftovers};
pub use error::{AttachError, LoadError, MapError};
pub use memory::{FlowEntry, Memory};
pub use pins::{PinError, Pins, directory as pins_of, lock as lock_pins};
pub use ring::Drained;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor.bpf.o"));

/// The oldest kernel with everything the programs need: ring buffer, XDP links, boot time.
const OLDEST: KernelVersion = KernelVersion::new(5, 10, 0);

/// The sizes of the maps.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The ring, in bytes; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// The number of entries of each map that grows with traffic.
    pub entries: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { ring_bytes: 4 << 20, entries: 65_536 }
    }
}

/// The loaded programs and their maps. Dropping it detaches everything, unless it stays for the next run.
pub struct Datapath {
    ebpf: Ebpf,
    ring: EventRing,
    /// Open while programs may be loaded, because they refer to maps by descriptor.
    events: MapData,
    boot: u128,
    counters: PerCpuArray<MapData, u64>,
    home: LpmTrie<MapData, Address, u8>,
    written_home: Vec<HomePrefix>,
    attachments: Vec<attach::AttachedPrograms>,
    pins: Option<Pins>,
    leave: bool,
    adopted: bool,
    started: bool,
}

impl Datapath {
    /// Creates the maps, or takes over the pinned maps of an earlier run. Programs are loaded when a device needs them.
    /// With `leave`, pins are left when it is dropped.
    ///
    /// # Errors
    /// The kernel is too old, refuses, or the process has no permission.
    pub fn load(sizes: Sizes, pins: Option<Pins>, leave: bool) -> Result<Datapath, LoadError> {
        let kernel = KernelVersion::current().map_err(|e| LoadError::Version(one_line(&e)))?;
        if kernel < OLDEST {
            return Err(LoadError::OldKernel);
        }
        let mut loader = EbpfLoader::new();
        loader.map_max_entries(names::EVENTS, sizes.ring_bytes);
        for map in [names::FLOWS, names::INBOUND, names::PORTS, names::PAIRS, names::LOCALS, names::REPEATS] {
            loader.map_max_entries(map, sizes.entries);
        }
        let adopted = pins.as_ref().is_some_and(Pins::has_maps);
        if let Some(pins) = &pins {
            pins.remove_partial();
            for name in names::MAPS {
                loader.map_pin_path(name, pins.map(name));
            }
        }
        let mut ebpf = loader.load(OBJECT)?;
        #[cfg(feature = "debug-log")]
        ring::forward_log(&mut ebpf);
        let Map::RingBuf(ring) = map(&mut ebpf, names::EVENTS)? else {
            return Err(missing("ring", names::EVENTS));
        };
        let mut datapath = Datapath {
            ring: EventRing::open(&ring)?,
            events: ring,
            boot: mark::boot(),
            counters: PerCpuArray::try_from(map(&mut ebpf, names::COUNTERS)?)?,
            home: LpmTrie::try_from(map(&mut ebpf, names::HOME)?)?,
            written_home: Vec::new(),
            attachments: Vec::new(),
            pins,
            leave,
            adopted,
            started: false,
            ebpf,
        };
        if adopted {
            datapath.read_home()?;
        }
        Ok(datapath)
    }
}

impl Drop for Datapath {
    fn drop(&mut self) {
        // A failed start leaves what it adopted to the next one, and nothing else.
        let (is_pinned, started, leave) = (self.pins.is_some(), self.started, self.leave);
        let leaves = |adopted| is_pinned && if started { leave } else { adopted };
        for attached in self.attachments.drain(..) {
            attached.ingress.let_go(leaves(attached.adopted.0));
            attached.egress.let_go(leaves(attached.adopted.1));
        }
        let leave = leaves(self.adopted);
        if let Some(pins) = self.pins.as_ref().filter(|_| !leave) {
            pins.remove();
        }
    }
}

fn map(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| missing("map", name))
}

/// The embedded object, for tests that run its programs on crafted packets.
#[doc(hidden)]
#[must_use]
pub fn object() -> &'static [u8] {
    OBJECT
}
