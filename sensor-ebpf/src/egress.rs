//! To the internet: contacts, and answers to probes.

use aya_ebpf::programs::TcContext;
use sensor_common::counters::Fate;
use sensor_common::parse::{self, Detail, Found};
use sensor_common::rules::{self, Outbound};
use sensor_common::wire::{BootTime, FlowKey, Pair, What};
use sensor_common::{GiveUp, Kind, Link, Proto, Signal};

use crate::events::Told;
use crate::memory::Maps;
use crate::packet::Skb;
use crate::{clock, counters, events, flows, inbound, locals, pairs, ports, repeats};

/// Looks at one packet.
///
/// # Errors
/// What stopped the parser.
#[inline(always)]
pub fn see(ctx: &TcContext, link: Link) -> Result<(), GiveUp> {
    let packet = Skb::new(ctx);
    let found = parse::find(&packet, link)?;
    let Some(proto) = proto_of(found.signal) else { return Ok(()) };
    let flow = rules::flow_key(&parse::tuple(&packet, &found)?, true, proto);
    let now = clock::now();
    match rules::outbound(&Maps, found.signal, &flow, now) {
        Outbound::Nothing => {}
        Outbound::Known { refresh: false } => flows::seen(&flow, now),
        Outbound::Begun { refresh: false } => inbound::seen(&flow, now),
        Outbound::Begun { refresh: true } => {
            inbound::refreshed(&flow, now);
            in_use(&flow, now);
        }
        Outbound::Answer { kind, first } => {
            if first {
                counters::add(What::Answer, Fate::Matched);
                counters::add(What::Answer, answer(&packet, kind, &flow, now));
            }
            if kind as u8 == Kind::Udp as u8 {
                // From now on the two speak with each other: neither probes nor contacts.
                inbound::refreshed(&flow, now);
                ports::refresh(&rules::port_key(&flow), now);
            }
        }
        known @ (Outbound::Known { refresh: true } | Outbound::Contact(_)) => {
            let begun = u32::from(matches!(known, Outbound::Contact(_)));
            contact(&packet, &found, &flow, begun, now)?;
        }
    }
    Ok(())
}

#[inline(always)]
fn proto_of(signal: Signal) -> Option<Proto> {
    match signal {
        Signal::Echo | Signal::EchoReply => Some(Proto::Icmpv6),
        Signal::Syn | Signal::SynAck => Some(Proto::Tcp),
        Signal::Udp => Some(Proto::Udp),
        Signal::None | Signal::TcpOther => None,
    }
}

/// Notes that a local, and its port if it speaks UDP, are in use.
#[inline(always)]
fn in_use(flow: &FlowKey, now: BootTime) {
    locals::refresh(&flow.local, now);
    if flow.proto == Proto::Udp as u8 {
        ports::refresh(&rules::port_key(flow), now);
    }
}

/// Records a contact: a new exchange (`begun` 1) or one that goes on (`begun` 0).
#[inline(always)]
fn contact(packet: &Skb<'_>, found: &Found, flow: &FlowKey, begun: u32, now: BootTime) -> Result<(), GiveUp> {
    let key = rules::pair_key(flow);
    // An echo identifier is no port: pings with ever new ones are one contact.
    let port = if flow.proto == Proto::Icmpv6 as u8 { 0 } else { flow.remote_port };
    let known = pairs::get(&key);
    let due = rules::contact_is_due(known.as_ref(), flow.proto, port, now);
    let mut pair = known.unwrap_or_default();
    if pair.proto != flow.proto || pair.port != port {
        pair.count = 0;
    }
    pair = Pair { last: now, proto: flow.proto, port, count: pair.count.wrapping_add(begun), ..pair };
    if due {
        let detail = parse::detail(packet, found)?;
        counters::add(What::Contact, Fate::Matched);
        let told = told(packet.ifindex(), What::Contact, flow.proto, pair.count, now);
        if events::submit(&told, flow, &detail) {
            pair.reported = now;
            pair.count = 0;
            counters::add(What::Contact, Fate::Recorded);
        } else {
            // Due again with the next packet that begins or refreshes.
            pair.reported = 0;
            counters::add(What::Contact, Fate::Lost);
        }
    }
    pairs::set(&key, &pair);
    flows::refreshed(flow, now);
    in_use(flow, now);
    Ok(())
}

/// Tells that a local answered a probe.
#[inline(always)]
fn answer(packet: &Skb<'_>, kind: Kind, flow: &FlowKey, now: BootTime) -> Fate {
    let told = told(packet.ifindex(), What::Answer, kind as u8, 1, now);
    if !events::submit(&told, flow, &Detail::default()) {
        return Fate::Lost;
    }
    repeats::answered(&rules::repeat_key(flow, kind));
    Fate::Recorded
}

#[inline(always)]
fn told(ifindex: u32, what: What, number: u8, count: u32, now: BootTime) -> Told {
    Told { what, number, count, unused: false, ifindex, now }
}
