//! The ring of events.

use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;
use sensor_common::parse::Detail;
use sensor_common::wire::{BootTime, Event, FlowKey, What};

/// The consumer drains at a tick of its own. Waking it costs the packet path microseconds.
const NO_WAKEUP: u64 = 1;

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// What an event tells beside its exchange and detail.
pub struct Told {
    /// What happened.
    pub what: What,
    /// The number of a kind or of a protocol.
    pub number: u8,
    /// How often since the last event.
    pub count: u32,
    /// The target was not seen in use.
    pub unused: bool,
    /// The uplink.
    pub ifindex: u32,
    /// When.
    pub now: BootTime,
}

/// Submits an event. `false` if the ring is full.
#[inline(always)]
#[must_use]
pub fn submit(told: &Told, flow: &FlowKey, detail: &Detail) -> bool {
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else { return false };
    entry.write(Event {
        time: told.now,
        local: flow.local,
        remote: flow.remote,
        ifindex: told.ifindex,
        count: told.count,
        flow_label: detail.flow_label,
        local_port: flow.local_port,
        remote_port: flow.remote_port,
        payload_len: detail.payload_len,
        window: detail.window,
        icmp_id: detail.icmp_id,
        icmp_seq: detail.icmp_seq,
        what: told.what as u8,
        number: told.number,
        hop_limit: detail.hop_limit,
        tcp_flags: detail.tcp_flags,
        unused: u8::from(told.unused),
        reserved: [0; 3],
        #[cfg(feature = "other-layout")]
        more: 0,
    });
    entry.submit(NO_WAKEUP);
    true
}
