//! What makes a packet a contact, a probe or neither.
//!
//! Written once, over a look-up trait: the kernel programs look into maps, user space looks into
//! what it keeps of a capture. The functions decide and change nothing; callers carry the decision
//! out. Times are nanoseconds of any clock that does not go back.

use crate::parse::{Address, Tuple};
use crate::wire::{Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey};
use crate::{Kind, Proto, Signal};

/// Nanoseconds.
pub type Time = u64;

/// One second.
pub const SECOND: Time = 1_000_000_000;
/// How long an exchange, a port or a pair is remembered without a packet.
pub const QUIET: Time = 300 * SECOND;
/// How often a known contact, or a repeated probe, is told again at most.
pub const REFRESH: Time = 60 * SECOND;

/// What is remembered of earlier packets.
pub trait Memory {
    /// Whether an address lies in a home prefix.
    fn is_home(&self, address: &Address) -> bool;
    /// An exchange begun inside.
    fn flow(&self, key: &FlowKey) -> Option<Flow>;
    /// An exchange begun outside.
    fn inbound(&self, key: &FlowKey) -> Option<Flow>;
    /// When a local last sent UDP from a port; up to [`REFRESH`] behind.
    fn port(&self, key: &PortKey) -> Option<Time>;
    /// The latest contact of a pair; up to [`REFRESH`] behind.
    fn pair(&self, key: &PairKey) -> Option<Pair>;
    /// Earlier probes of the same kind.
    fn repeat(&self, key: &RepeatKey) -> Option<Repeat>;
}

/// What an inbound packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// Nothing to the rules, or not for a home address.
    Nothing,
    /// UDP of an exchange that began inside.
    Ours,
    /// UDP to a port or from a remote that the local spoke with just now: peers of a torrent, a
    /// QUIC connection that migrates, a VPN peer that roams. No probe, and what the local answers
    /// is no contact: remember the exchange.
    Begun,
    /// Unsolicited.
    Probe(Kind),
}

/// What an outbound packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// Nothing to the rules, or not from a home address.
    Nothing,
    /// Goes on with an exchange that began inside; `refresh` once a minute.
    Known {
        /// Local, port and pair are due.
        refresh: bool,
    },
    /// Goes on with an exchange that began outside; `refresh` once a minute.
    Begun {
        /// The port is due.
        refresh: bool,
    },
    /// Answers a probe.
    Answer {
        /// The kind of the probe.
        kind: Kind,
        /// Not told yet.
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

/// Whether something last seen at `then` is still remembered at `now`.
#[inline(always)]
const fn fresh(then: Time, now: Time, memory: Time) -> bool {
    now.saturating_sub(then) < memory
}

/// What an inbound packet is; `flow` is its exchange with the local inside.
#[inline(always)]
pub fn inbound<M: Memory + ?Sized>(memory: &M, kind: Kind, flow: &FlowKey, now: Time) -> Inbound {
    if !is_global(&flow.remote) {
        return Inbound::Nothing;
    }
    if kind as u8 == Kind::Udp as u8 {
        // Only home addresses have entries here, so that answers to our own packets never pay for
        // the home look-up.
        if memory.flow(flow).is_some_and(|f| fresh(f.last, now, QUIET)) {
            return Inbound::Ours;
        }
        // An exchange begun outside does not count by itself: then whoever hit a port in use once
        // could go on for ever. Where the local answers, its port is refreshed.
        // Ports and pairs are refreshed once a minute and may be that far behind.
        if memory.port(&port_key(flow)).is_some_and(|then| fresh(then, now, QUIET + REFRESH)) {
            return Inbound::Begun;
        }
        if memory.pair(&pair_key(flow)).is_some_and(|p| fresh(p.last, now, QUIET + REFRESH)) {
            return Inbound::Begun;
        }
    }
    if memory.is_home(&flow.local) { Inbound::Probe(kind) } else { Inbound::Nothing }
}

/// What an outbound packet is; `flow` is its exchange with the local inside.
#[inline(always)]
pub fn outbound<M: Memory + ?Sized>(memory: &M, signal: Signal, flow: &FlowKey, now: Time) -> Outbound {
    if !is_global(&flow.remote) {
        return Outbound::Nothing;
    }
    let Some(proto) = signal.begins() else {
        // SYN-ACK and echo reply can only answer.
        return match signal.answers() {
            Some(kind) => answer(memory, kind, flow, now).unwrap_or(Outbound::Nothing),
            None => Outbound::Nothing,
        };
    };
    if let Some(known) = memory.flow(flow)
        && fresh(known.last, now, QUIET)
    {
        return Outbound::Known { refresh: !fresh(known.refreshed, now, REFRESH) };
    }
    if let Some(begun) = memory.inbound(flow)
        && fresh(begun.last, now, QUIET)
    {
        return Outbound::Begun { refresh: !fresh(begun.refreshed, now, REFRESH) };
    }
    if !memory.is_home(&flow.local) {
        return Outbound::Nothing;
    }
    // An echo request never answers one.
    let contact = Outbound::Contact(proto);
    match signal {
        Signal::Udp => answer(memory, Kind::Udp, flow, now).unwrap_or(contact),
        Signal::Syn if is_simultaneous_open(memory, flow, now) => Outbound::Nothing,
        _ => contact,
    }
}

/// Whether a SYN came in on the very same ports: the outside began, and the local's own SYN, if it
/// is one, answers nothing. On other ports it is a contact like any: else who sends SYNs to all of a
/// local's ports hides whom it contacts.
#[inline(always)]
fn is_simultaneous_open<M: Memory + ?Sized>(memory: &M, flow: &FlowKey, now: Time) -> bool {
    let repeat = memory.repeat(&repeat_key(flow, Kind::Syn));
    repeat.is_some_and(|repeat| repeat.remote_port == flow.remote_port && fresh(repeat.last, now, QUIET))
}

#[inline(always)]
fn answer<M: Memory + ?Sized>(memory: &M, kind: Kind, flow: &FlowKey, now: Time) -> Option<Outbound> {
    let repeat = memory.repeat(&repeat_key(flow, kind))?;
    if !fresh(repeat.last, now, QUIET) {
        return None;
    }
    Some(Outbound::Answer { kind, first: repeat.answered == 0 })
}

/// Whether a contact of a pair is due an event: a new pair, another port or protocol, or a minute
/// gone by.
#[inline(always)]
#[must_use]
pub fn contact_is_due(pair: Option<&Pair>, proto: u8, port: u16, now: Time) -> bool {
    match pair {
        Some(pair) if pair.reported != 0 && pair.proto == proto && pair.port == port => {
            !fresh(pair.reported, now, REFRESH)
        }
        _ => true,
    }
}

/// Whether a repeated probe is due an event: at powers of two, at another hop limit (a path probe
/// counts them up), or a minute gone by. `repeat` includes the probe itself.
#[inline(always)]
#[must_use]
pub fn repeat_is_due(repeat: &Repeat, hop_limit: u8, now: Time) -> bool {
    repeat.told == 0
        || repeat.count & repeat.count.wrapping_sub(1) == 0
        || repeat.hop_limit != hop_limit
        || !fresh(repeat.reported, now, REFRESH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Table {
        flows: HashMap<FlowKey, Flow>,
        inbound: HashMap<FlowKey, Flow>,
        ports: HashMap<PortKey, Time>,
        pairs: HashMap<PairKey, Pair>,
        repeats: HashMap<RepeatKey, Repeat>,
    }

    impl Memory for Table {
        fn is_home(&self, address: &Address) -> bool {
            address[0] == 0x20
        }
        fn flow(&self, key: &FlowKey) -> Option<Flow> {
            self.flows.get(key).copied()
        }
        fn inbound(&self, key: &FlowKey) -> Option<Flow> {
            self.inbound.get(key).copied()
        }
        fn port(&self, key: &PortKey) -> Option<Time> {
            self.ports.get(key).copied()
        }
        fn pair(&self, key: &PairKey) -> Option<Pair> {
            self.pairs.get(key).copied()
        }
        fn repeat(&self, key: &RepeatKey) -> Option<Repeat> {
            self.repeats.get(key).copied()
        }
    }

    const NOW: Time = 10_000 * SECOND;

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
            assert_eq!(inbound(&Table::default(), kind, &flow(kind.proto()), NOW), Inbound::Probe(kind));
        }
    }

    #[test]
    fn a_packet_to_an_address_that_is_not_ours_is_nothing() {
        let elsewhere = FlowKey { local: [0xfe; 16], ..flow(Proto::Tcp) };
        assert_eq!(inbound(&Table::default(), Kind::Syn, &elsewhere, NOW), Inbound::Nothing);
        assert_eq!(outbound(&Table::default(), Signal::Syn, &elsewhere, NOW), Outbound::Nothing);
    }

    #[test]
    fn link_local_unique_local_and_multicast_remotes_never_count() {
        for first in [0xfe, 0xfd, 0xff, 0x00] {
            let key = FlowKey { remote: [first; 16], ..flow(Proto::Udp) };
            assert_eq!(inbound(&Table::default(), Kind::Udp, &key, NOW), Inbound::Nothing);
            assert_eq!(outbound(&Table::default(), Signal::Udp, &key, NOW), Outbound::Nothing);
        }
    }

    #[test]
    fn udp_that_answers_us_is_ours_for_five_minutes() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        table.flows.insert(key, ago(299));
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Ours);
        table.flows.insert(key, ago(300));
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_to_a_port_that_just_sent_is_no_probe_whoever_it_comes_from() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        table.ports.insert(port_key(&key), NOW - 359 * SECOND);
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Begun);
        table.ports.insert(port_key(&key), NOW - 360 * SECOND);
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_that_goes_on_to_a_port_that_fell_silent_is_a_probe() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        table.inbound.insert(key, ago(1));
        table.ports.insert(port_key(&key), NOW - 360 * SECOND);
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Probe(Kind::Udp));
    }

    #[test]
    fn udp_from_a_remote_that_was_just_contacted_is_no_probe_but_its_syn_is() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        table.pairs.insert(pair_key(&key), Pair { last: NOW - SECOND, ..Pair::default() });
        assert_eq!(inbound(&table, Kind::Udp, &key, NOW), Inbound::Begun);
        assert_eq!(inbound(&table, Kind::Syn, &flow(Proto::Tcp), NOW), Inbound::Probe(Kind::Syn));
    }

    #[test]
    fn the_first_packet_out_is_a_contact_and_what_follows_is_known() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        assert_eq!(outbound(&table, Signal::Udp, &key, NOW), Outbound::Contact(Proto::Udp));
        table.flows.insert(key, ago(10));
        assert_eq!(outbound(&table, Signal::Udp, &key, NOW), Outbound::Known { refresh: false });
        table.flows.insert(key, ago(60));
        assert_eq!(outbound(&table, Signal::Udp, &key, NOW), Outbound::Known { refresh: true });
        table.flows.insert(key, ago(300));
        assert_eq!(outbound(&table, Signal::Udp, &key, NOW), Outbound::Contact(Proto::Udp));
    }

    #[test]
    fn what_goes_out_in_an_exchange_that_began_outside_is_no_contact() {
        let (key, mut table) = (flow(Proto::Udp), Table::default());
        table.inbound.insert(key, ago(299));
        assert_eq!(outbound(&table, Signal::Udp, &key, NOW), Outbound::Begun { refresh: true });
    }

    #[test]
    fn an_answer_to_a_probe_is_told_once_and_is_never_a_contact() {
        for (signal, kind) in [(Signal::SynAck, Kind::Syn), (Signal::EchoReply, Kind::Echo), (Signal::Udp, Kind::Udp)] {
            let (key, mut table) = (flow(kind.proto()), Table::default());
            table.repeats.insert(repeat_key(&key, kind), Repeat { last: NOW - SECOND, ..Repeat::default() });
            assert_eq!(outbound(&table, signal, &key, NOW), Outbound::Answer { kind, first: true });
            table.repeats.insert(repeat_key(&key, kind), Repeat { last: NOW, answered: 1, ..Repeat::default() });
            assert_eq!(outbound(&table, signal, &key, NOW), Outbound::Answer { kind, first: false });
        }
    }

    #[test]
    fn a_syn_to_who_sent_one_is_a_contact_unless_it_is_on_the_same_ports() {
        let (key, mut table) = (flow(Proto::Tcp), Table::default());
        let asked = Repeat { last: NOW - SECOND, remote_port: 40_000, ..Repeat::default() };
        table.repeats.insert(repeat_key(&key, Kind::Syn), asked);
        assert_eq!(outbound(&table, Signal::Syn, &key, NOW), Outbound::Contact(Proto::Tcp));
        let same = FlowKey { remote_port: 40_000, ..key };
        assert_eq!(outbound(&table, Signal::Syn, &same, NOW), Outbound::Nothing);
        assert_eq!(outbound(&table, Signal::Syn, &same, NOW + QUIET), Outbound::Contact(Proto::Tcp));
    }

    #[test]
    fn answers_without_a_probe_are_nothing() {
        assert_eq!(outbound(&Table::default(), Signal::SynAck, &flow(Proto::Tcp), NOW), Outbound::Nothing);
        assert_eq!(outbound(&Table::default(), Signal::EchoReply, &flow(Proto::Icmpv6), NOW), Outbound::Nothing);
    }

    #[test]
    fn a_ping_to_somebody_who_pinged_us_is_a_contact_of_its_own() {
        let (key, mut table) = (flow(Proto::Icmpv6), Table::default());
        table.repeats.insert(repeat_key(&key, Kind::Echo), Repeat { last: NOW, ..Repeat::default() });
        assert_eq!(outbound(&table, Signal::Echo, &key, NOW), Outbound::Contact(Proto::Icmpv6));
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
            let repeat = Repeat { count, told: 1, reported: NOW, hop_limit: 64, ..Repeat::default() };
            repeat_is_due(&repeat, 64, NOW)
        };
        assert_eq!((1..=16).filter(|&n| told(n)).collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
        let third = Repeat { count: 3, told: 2, reported: NOW, hop_limit: 3, ..Repeat::default() };
        assert!(repeat_is_due(&third, 4, NOW));
        assert!(!repeat_is_due(&third, 3, NOW));
        assert!(repeat_is_due(&third, 3, NOW + REFRESH));
    }
}
