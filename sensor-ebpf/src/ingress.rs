//! From the internet: probes.

use sensor_common::track::{FlowTracker, Unread};
use sensor_common::{GiveUp, Link, Packet, parse, rules};

use crate::clock;
use crate::tables::Maps;

/// Handles one packet that arrived on the device with this index.
///
/// # Errors
/// When the parser gives up.
#[inline(always)]
pub fn see(packet: &impl Packet, ifindex: u32, link: Link) -> Result<(), GiveUp> {
    let found = parse::find(packet, link)?;
    let Some(kind) = found.signal.kind() else { return Ok(()) };
    let flow = rules::flow_key(&parse::tuple(packet, &found)?, false, kind.proto());
    let mut tracker = FlowTracker { tables: Maps, now: clock::now(), ifindex };
    tracker.inbound(kind, &flow, &Unread { packet, found: &found })
}
