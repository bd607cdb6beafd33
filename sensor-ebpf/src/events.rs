//! The ring of events.

use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use sensor_common::wire::Event;

/// The consumer polls at its own interval. Waking it would cost the packet path microseconds.
const NO_WAKEUP: u64 = 1;

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// Submits an event, built in the ring. `false` if the ring is full.
#[inline(always)]
#[must_use]
pub fn submit(event: impl FnOnce() -> Event) -> bool {
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else { return false };
    entry.write(event());
    entry.submit(NO_WAKEUP);
    true
}
