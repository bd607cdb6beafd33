//! What makes a packet a contact, a probe or neither.
//!
//! These functions decide and change nothing; [`track`](crate::track) acts on their decisions. Times are
//! nanoseconds of a clock that does not go back: since boot in the kernel, since 1970 in a capture.

use crate::parse::{Address, Tuple};
use crate::track::{RecordTable, Tables};
use crate::wire::{BootTime, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey};
use crate::{Kind, Proto, Signal};

/// One second.
pub const SECOND: BootTime = 1_000_000_000;
/// How long an exchange, a port or a pair is remembered without a packet.
pub const QUIET: BootTime = 300 * SECOND;
/// The shortest time between two events of a known contact, or of a repeated probe.
pub const REFRESH: BootTime = 60 * SECOND;

/// What an inbound packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// Irrelevant, or not for a home address.
    Nothing,
    /// UDP of an exchange that began inside.
    Ours,
    /// UDP to a port that the local just used, or from a remote that it just contacted: peers of a
    /// torrent, a QUIC connection that migrates, a VPN peer that roams. Not a probe, and the local's
    /// answer is not a contact, so the exchange is remembered.
    Begun,
    /// Unsolicited.
    Probe(Kind),
}

/// What an outbound packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// Irrelevant, or not from a home address.
    Nothing,
    /// Belongs to an exchange that began inside; `refresh` once a minute.
    Known {
        /// Local, port and pair are due for an update.
        refresh: bool,
    },
    /// Belongs to an exchange that began outside; `refresh` once a minute.
    Begun {
        /// The port is due for an update.
        refresh: bool,
    },
    /// Answers a probe.
    Answer {
        /// The kind of the probe.
        kind: Kind,
        /// The first answer to such probes.
        first: bool,
    },
    /// Begins an exchange.
    Contact(Proto),
}

/// The exchange that a packet belongs to, with `local` inside.
#[inline(always)]
#[must_use]
pub fn flow_key(tuple: &Tuple, outbound: bool, proto: Proto) -> FlowKey {
    let (local, remote, local_port, remote_port) = if outbound {
        (tuple.src, tuple.dst, tuple.src_port, tuple.dst_port)
    } else {
        (tuple.dst, tuple.src, tuple.dst_port, tuple.src_port)
    };
    FlowKey { local, remote, local_port, remote_port, proto: proto as u8, reserved: [0; 3] }
}

/// The key of a probe of `kind`: echo requests have no port.
#[inline(always)]
#[must_use]
pub fn repeat_key(flow: &FlowKey, kind: Kind) -> RepeatKey {
    let port = if kind as u8 == Kind::Echo as u8 { 0 } else { flow.local_port };
    RepeatKey { local: flow.local, remote: flow.remote, port, kind: kind as u8, reserved: 0 }
}

/// The port that a flow's local sends from.
#[inline(always)]
#[must_use]
pub fn port_key(flow: &FlowKey) -> PortKey {
    PortKey { local: flow.local, port: flow.local_port, reserved: [0; 2] }
}

/// A flow's two addresses.
#[inline(always)]
#[must_use]
pub fn pair_key(flow: &FlowKey) -> PairKey {
    PairKey { local: flow.local, remote: flow.remote }
}

/// Whether an address is global unicast (RFC 4291, 2000::/3): the only ones that a scanner can reach.
#[inline(always)]
#[must_use]
pub const fn is_global(address: &Address) -> bool {
    address[0] & 0xe0 == 0x20
}

/// Whether `then` is less than `limit` before `now`.
#[inline(always)]
const fn fresh(then: BootTime, now: BootTime, limit: BootTime) -> bool {
    now.saturating_sub(then) < limit
}

/// What an inbound packet is; `flow` is its exchange with the local inside.
#[inline(always)]
pub fn inbound<T: Tables>(tables: &mut T, kind: Kind, flow: &FlowKey, now: BootTime) -> Inbound {
    if !(is_global(&flow.local) && is_global(&flow.remote)) {
        return Inbound::Nothing;
    }
    if kind as u8 == Kind::Udp as u8 {
        // Only home addresses have entries here: answers to our own packets never need the home
        // look-up.
        if tables.flows().get(flow).is_some_and(|f| fresh(f.last, now, QUIET)) {
            return Inbound::Ours;
        }
        // An exchange begun outside does not count by itself: one hit on a port in use would then
        // excuse all later packets. Where the local answers, its port is refreshed.
        // Ports and pairs are refreshed once a minute and may be that far behind.
        if tables.ports().get(&port_key(flow)).is_some_and(|then| fresh(then, now, QUIET + REFRESH)) {
            return Inbound::Begun;
        }
        if tables.pairs().get(&pair_key(flow)).is_some_and(|p| fresh(p.last, now, QUIET + REFRESH)) {
            return Inbound::Begun;
        }
    }
    if tables.is_home(&flow.local) { Inbound::Probe(kind) } else { Inbound::Nothing }
}

/// What an outbound packet is; `flow` is its exchange with the local inside.
#[inline(always)]
pub fn outbound<T: Tables>(tables: &mut T, signal: Signal, flow: &FlowKey, now: BootTime) -> Outbound {
    if !(is_global(&flow.local) && is_global(&flow.remote)) {
        return Outbound::Nothing;
    }
    let Some(proto) = signal.begins() else {
        // SYN-ACK and echo reply can only answer.
        return match signal.answers() {
            Some(kind) => answer(tables, kind, flow, now).unwrap_or(Outbound::Nothing),
            None => Outbound::Nothing,
        };
    };
    if let Some(known) = tables.flows().get(flow)
        && fresh(known.last, now, QUIET)
    {
        return Outbound::Known { refresh: !fresh(known.refreshed, now, REFRESH) };
    }
    if let Some(begun) = tables.inbound().get(flow)
        && fresh(begun.last, now, QUIET)
    {
        return Outbound::Begun { refresh: !fresh(begun.refreshed, now, REFRESH) };
    }
    if !tables.is_home(&flow.local) {
        return Outbound::Nothing;
    }
    // An echo request never answers one.
    let contact = Outbound::Contact(proto);
    match signal {
        Signal::Udp => answer(tables, Kind::Udp, flow, now).unwrap_or(contact),
        Signal::Syn if is_simultaneous_open(tables, flow, now) => Outbound::Nothing,
        _ => contact,
    }
}

/// Whether a SYN came in on the same two ports: a simultaneous open, which the outside began. A SYN on
/// other ports is a contact; otherwise SYNs to all ports of a local would hide its contacts.
#[inline(always)]
fn is_simultaneous_open<T: Tables>(tables: &mut T, flow: &FlowKey, now: BootTime) -> bool {
    let repeat = tables.repeats().get(&repeat_key(flow, Kind::Syn));
    repeat.is_some_and(|repeat| repeat.remote_port == flow.remote_port && fresh(repeat.last, now, QUIET))
}

#[inline(always)]
fn answer<T: Tables>(tables: &mut T, kind: Kind, flow: &FlowKey, now: BootTime) -> Option<Outbound> {
    let repeat = tables.repeats().get(&repeat_key(flow, kind))?;
    if !fresh(repeat.last, now, QUIET) {
        return None;
    }
    Some(Outbound::Answer { kind, first: repeat.answered == 0 })
}

/// Whether a contact of a pair makes an event: the pair is new, the port or protocol changed, or the
/// last event is a minute old.
#[inline(always)]
#[must_use]
pub fn contact_is_due(pair: Option<&Pair>, proto: u8, port: u16, now: BootTime) -> bool {
    match pair {
        Some(pair) if pair.reported != 0 && pair.proto == proto && pair.port == port => {
            !fresh(pair.reported, now, REFRESH)
        }
        _ => true,
    }
}

/// Whether a repeated probe makes an event: its number is a power of two, the hop limit changed
/// (traceroute increments it), or the last event is a minute old. `repeat` includes the probe itself.
#[inline(always)]
#[must_use]
pub fn repeat_is_due(repeat: &Repeat, hop_limit: u8, now: BootTime) -> bool {
    // A count that has reached its maximum has nothing new to report.
    repeat.count != repeat.told
        && (repeat.told == 0
            || repeat.count & repeat.count.wrapping_sub(1) == 0
            || repeat.hop_limit != hop_limit
            || !fresh(repeat.reported, now, REFRESH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::tests::TestTables;
    use crate::wire::Flow;

    const NOW: BootTime = 10_000 * SECOND;

    fn flow(proto: Proto) -> FlowKey {
        let (mut local, mut remote) = ([0; 16], [0; 16]);
        local[0] = 0x20;
        remote[0] = 0x2a;
        FlowKey { local, remote, local_port: 5000, remote_port: 123, proto: proto as u8, reserved: [0; 3] }
    }

    fn ago(seconds: u64) -> Flow {
        Flow { last: NOW - seconds * SECOND, refreshed: NOW - seconds * SECOND }
    }

    #[test]
    fn an_unsolicited_packet_to_a_home_address_is_a_probe() {
        for &kind in Kind::ALL {
            assert_eq!(inbound(&mut TestTables::default(), kind, &flow(kind.proto()), NOW), Inbound::Probe(kind));
        }
    }

    #[test]
    fn a_packet_to_an_address_that_is_not_ours_is_nothing() {
        let elsewhere = FlowKey { local: [0xfe; 16], ..flow(Proto::Tcp) };
        assert_eq!(inbound(&mut TestTables::default(), Kind::Syn, &elsewhere, NOW), Inbound::Nothing);
        assert_eq!(outbound(&mut TestTables::default(), Signal::Syn, &elsewhere, NOW), Outbound::Nothing);
    }

    #[test]
    fn link_local_unique_local_and_multicast_remotes_never_count() {
        for first in [0xfe, 0xfd, 0xff, 0x00] {
            let key = FlowKey { remote: [first; 16], ..flow(Proto::Udp) };
            assert_eq!(inbound(&mut TestTables::default(), Kind::Udp, &key, NOW), Inbound::Nothing);
            assert_eq!(outbound(&mut TestTables::default(), Signal::Udp, &key, NOW), Outbound::Nothing);
        }
    }

    #[test]
    fn udp_that_answers_us_is_ours_for_five_minutes() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        table.flows.insert(key, ago(299));
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Ours);
        table.flows.insert(key, ago(300));
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_to_a_port_that_just_sent_is_no_probe_whoever_it_comes_from() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        table.ports.insert(port_key(&key), NOW - 359 * SECOND);
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Begun);
        table.ports.insert(port_key(&key), NOW - 360 * SECOND);
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_that_goes_on_to_a_port_that_fell_silent_is_a_probe() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        table.inbound.insert(key, ago(1));
        table.ports.insert(port_key(&key), NOW - 360 * SECOND);
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_from_a_remote_that_was_just_contacted_is_no_probe_but_its_syn_is() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        table.pairs.insert(pair_key(&key), Pair { last: NOW - SECOND, ..Pair::default() });
        assert_eq!(inbound(&mut table, Kind::Udp, &key, NOW), Inbound::Begun);
        assert_eq!(inbound(&mut table, Kind::Syn, &flow(Proto::Tcp), NOW), Inbound::Probe(Kind::Syn));
    }

    #[test]
    fn the_first_packet_out_is_a_contact_and_what_follows_is_known() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        assert_eq!(outbound(&mut table, Signal::Udp, &key, NOW), Outbound::Contact(Proto::Udp));
        table.flows.insert(key, ago(10));
        assert_eq!(outbound(&mut table, Signal::Udp, &key, NOW), Outbound::Known { refresh: false });
        table.flows.insert(key, ago(60));
        assert_eq!(outbound(&mut table, Signal::Udp, &key, NOW), Outbound::Known { refresh: true });
        table.flows.insert(key, ago(300));
        assert_eq!(outbound(&mut table, Signal::Udp, &key, NOW), Outbound::Contact(Proto::Udp));
    }

    #[test]
    fn what_goes_out_in_an_exchange_that_began_outside_is_no_contact() {
        let (key, mut table) = (flow(Proto::Udp), TestTables::default());
        table.inbound.insert(key, ago(299));
        assert_eq!(outbound(&mut table, Signal::Udp, &key, NOW), Outbound::Begun { refresh: true });
    }

    #[test]
    fn an_answer_to_a_probe_is_told_once_and_is_never_a_contact() {
        for (signal, kind) in [(Signal::SynAck, Kind::Syn), (Signal::EchoReply, Kind::Echo), (Signal::Udp, Kind::Udp)] {
            let (key, mut table) = (flow(kind.proto()), TestTables::default());
            table.repeats.insert(repeat_key(&key, kind), Repeat { last: NOW - SECOND, ..Repeat::default() });
            assert_eq!(outbound(&mut table, signal, &key, NOW), Outbound::Answer { kind, first: true });
            table.repeats.insert(repeat_key(&key, kind), Repeat { last: NOW, answered: 1, ..Repeat::default() });
            assert_eq!(outbound(&mut table, signal, &key, NOW), Outbound::Answer { kind, first: false });
        }
    }

    #[test]
    fn a_syn_to_who_sent_one_is_a_contact_unless_it_is_on_the_same_ports() {
        let (key, mut table) = (flow(Proto::Tcp), TestTables::default());
        let asked = Repeat { last: NOW - SECOND, remote_port: 40_000, ..Repeat::default() };
        table.repeats.insert(repeat_key(&key, Kind::Syn), asked);
        assert_eq!(outbound(&mut table, Signal::Syn, &key, NOW), Outbound::Contact(Proto::Tcp));
        let same = FlowKey { remote_port: 40_000, ..key };
        assert_eq!(outbound(&mut table, Signal::Syn, &same, NOW), Outbound::Nothing);
        assert_eq!(outbound(&mut table, Signal::Syn, &same, NOW + QUIET), Outbound::Contact(Proto::Tcp));
    }

    #[test]
    fn answers_without_a_probe_are_nothing() {
        assert_eq!(outbound(&mut TestTables::default(), Signal::SynAck, &flow(Proto::Tcp), NOW), Outbound::Nothing);
        assert_eq!(
            outbound(&mut TestTables::default(), Signal::EchoReply, &flow(Proto::Icmpv6), NOW),
            Outbound::Nothing
        );
    }

    #[test]
    fn a_ping_to_somebody_who_pinged_us_is_a_contact_of_its_own() {
        let (key, mut table) = (flow(Proto::Icmpv6), TestTables::default());
        table.repeats.insert(repeat_key(&key, Kind::Echo), Repeat { last: NOW, ..Repeat::default() });
        assert_eq!(outbound(&mut table, Signal::Echo, &key, NOW), Outbound::Contact(Proto::Icmpv6));
    }

    #[test]
    fn a_contact_is_told_when_it_is_new_and_then_once_a_minute() {
        let pair = Pair { reported: NOW - 59 * SECOND, proto: 6, port: 443, ..Pair::default() };
        assert!(contact_is_due(None, 6, 443, NOW));
        assert!(!contact_is_due(Some(&pair), 6, 443, NOW));
        assert!(contact_is_due(Some(&pair), 6, 80, NOW));
        assert!(contact_is_due(Some(&pair), 17, 443, NOW));
        assert!(contact_is_due(Some(&pair), 6, 443, NOW + SECOND));
    }

    #[test]
    fn a_contact_whose_event_was_lost_stays_due() {
        let pair = Pair { reported: 0, proto: 6, port: 443, ..Pair::default() };
        assert!(contact_is_due(Some(&pair), 6, 443, NOW));
    }

    #[test]
    fn repeats_are_told_at_powers_of_two_at_new_hop_limits_and_once_a_minute() {
        let told = |count| {
            let repeat = Repeat { count, told: count - 1, reported: NOW, hop_limit: 64, ..Repeat::default() };
            repeat_is_due(&repeat, 64, NOW)
        };
        assert_eq!((1..=16).filter(|&n| told(n)).collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
        let third = Repeat { count: 3, told: 2, reported: NOW, hop_limit: 3, ..Repeat::default() };
        assert!(repeat_is_due(&third, 4, NOW));
        assert!(!repeat_is_due(&third, 3, NOW));
        assert!(repeat_is_due(&third, 3, NOW + REFRESH));
    }
}
