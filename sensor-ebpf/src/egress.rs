//! To the internet: contacts, and answers to probes.

use sensor_common::track::{FlowTracker, Unread};
use sensor_common::{GiveUp, Link, Packet, parse, rules};

use crate::clock;
use crate::tables::Maps;

/// Handles one packet that leaves by the device with this index.
///
/// # Errors
/// When the parser gives up.
#[inline(always)]
pub fn see(packet: &impl Packet, ifindex: u32, link: Link) -> Result<(), GiveUp> {
    let found = parse::find(packet, link)?;
    let Some(proto) = found.signal.outbound_proto() else { return Ok(()) };
    let flow = rules::flow_key(&parse::tuple(packet, &found)?, true, proto);
    let mut tracker = FlowTracker { tables: Maps, now: clock::now(), ifindex };
    tracker.outbound(found.signal, &flow, &Unread { packet, found: &found })
}
