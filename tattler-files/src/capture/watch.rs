//! The kernel's rules over a capture.
//!
//! What [`sensor_common::rules`] decides is carried out here as the kernel programs carry it out
//! in their maps; budgets are left out, because a file is in no hurry.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::rules::{self, Inbound, Memory as _, Outbound, QUIET};
use sensor_common::wire::{Flow, FlowKey, Pair, Repeat};
use sensor_common::{Header, Kind, Proto};
use tattler_core::observation::{Answer, Contact, Observation, Probe, Traits};
use tattler_core::time::Time;

use super::Nanos;
use super::memory::Memory;

/// Makes observations of packets.
pub struct PacketObserver {
    memory: Memory,
    /// When the first packet was seen.
    began: Option<rules::Time>,
}

impl PacketObserver {
    /// With what is home.
    #[must_use]
    pub fn new(home: Vec<Ipv6Net>) -> PacketObserver {
        PacketObserver { memory: Memory { home, ..Memory::default() }, began: None }
    }

    /// What a packet tells, if anything. A packet from home to elsewhere goes out, one from
    /// elsewhere to home comes in, and others are not looked at.
    pub fn packet(&mut self, header: &Header, nanos: Nanos) -> Option<Observation> {
        // 0 means never in the tables.
        let now = u64::try_from(nanos).unwrap_or(0).max(1);
        let began = *self.began.get_or_insert(now);
        let (src, dst) = (header.tuple.src, header.tuple.dst);
        if !rules::is_global(&src) || !rules::is_global(&dst) {
            return None;
        }
        match (self.memory.is_home(&src), self.memory.is_home(&dst)) {
            (true, false) => self.outbound(header, now, Time::from_nanos(nanos)),
            (false, true) => {
                let settling = now.saturating_sub(began) < QUIET;
                self.inbound(header, now, Time::from_nanos(nanos), settling)
            }
            _ => None,
        }
    }

    /// The exchange that `header` began, as a flow record tells it, went on until `nanos`. Whether it
    /// is one of ours, a contact or what goes on with one.
    pub fn goes_on(&mut self, header: &Header, nanos: Nanos) -> bool {
        let now = u64::try_from(nanos).unwrap_or(0).max(1);
        let Some(proto) = header.signal.begins() else { return false };
        let inward = rules::flow_key(&header.tuple, false, proto);
        if let Some(begun) = self.memory.inbound(&inward) {
            self.memory.inbound.insert(inward, Flow { last: begun.last.max(now), ..begun });
        }
        let outward = rules::flow_key(&header.tuple, true, proto);
        let Some(known) = self.memory.flow(&outward) else { return false };
        self.memory.flows.insert(outward, Flow { last: known.last.max(now), ..known });
        self.sends_from(&outward, proto, now);
        let pair = rules::pair_key(&outward);
        if let Some(known) = self.memory.pair(&pair) {
            self.memory.pairs.insert(pair, Pair { last: known.last.max(now), ..known });
        }
        true
    }

    fn outbound(&mut self, header: &Header, now: rules::Time, ts: Time) -> Option<Observation> {
        let asks = header.signal.begins();
        let proto = asks.or(header.signal.answers().map(Kind::proto))?;
        let flow = rules::flow_key(&header.tuple, true, proto);
        match rules::outbound(&self.memory, header.signal, &flow, now) {
            Outbound::Nothing => None,
            Outbound::Known { refresh } => {
                let known = self.memory.flow(&flow).unwrap_or_default();
                let refreshed = if refresh { now } else { known.refreshed };
                self.memory.flows.insert(flow, Flow { last: now, refreshed });
                if refresh { self.contact(&flow, proto, 0, now, ts) } else { None }
            }
            Outbound::Begun { refresh } => {
                let begun = self.memory.inbound(&flow).unwrap_or_default();
                let refreshed = if refresh { now } else { begun.refreshed };
                self.memory.inbound.insert(flow, Flow { last: now, refreshed });
                if refresh {
                    self.sends_from(&flow, proto, now);
                }
                None
            }
            Outbound::Answer { kind, first } => self.answer(&flow, kind, first, now, ts),
            Outbound::Contact(proto) => {
                self.memory.flows.insert(flow, Flow { last: now, refreshed: now });
                self.contact(&flow, proto, 1, now, ts)
            }
        }
    }

    /// A contact that began (`count` 1) or goes on (0).
    fn contact(&mut self, flow: &FlowKey, proto: Proto, count: u32, now: rules::Time, ts: Time) -> Option<Observation> {
        self.sends_from(flow, proto, now);
        let key = rules::pair_key(flow);
        let port = if proto == Proto::Icmpv6 { 0 } else { flow.remote_port };
        let known = self.memory.pair(&key);
        let due = rules::contact_is_due(known.as_ref(), flow.proto, port, now);
        let known = known.unwrap_or_default();
        // What was counted for another port is not counted for this one.
        let same = known.proto == flow.proto && known.port == port;
        let count = if same { known.count.saturating_add(count) } else { count };
        let pair = Pair {
            last: now,
            reported: if due { now } else { known.reported },
            count: if due { 0 } else { count },
            port,
            proto: flow.proto,
            reserved: 0,
        };
        self.memory.pairs.insert(key, pair);
        due.then(|| {
            Observation::Contact(Contact {
                ts,
                last: ts,
                local: flow.local.into(),
                remote: flow.remote.into(),
                proto,
                port,
                local_port: (proto != Proto::Icmpv6).then_some(flow.local_port),
                count,
                name: None,
                device: None,
            })
        })
    }

    fn answer(&mut self, flow: &FlowKey, kind: Kind, first: bool, now: rules::Time, ts: Time) -> Option<Observation> {
        let key = rules::repeat_key(flow, kind);
        if let Some(repeat) = self.memory.repeat(&key) {
            self.memory.repeats.insert(key, Repeat { answered: 1, ..repeat });
        }
        if kind == Kind::Udp {
            // From now on the port is in use and the exchange known: what follows is no probe.
            self.memory.inbound.insert(*flow, Flow { last: now, refreshed: now });
            self.sends_from(flow, Proto::Udp, now);
        }
        let (source, target) = (flow.remote.into(), flow.local.into());
        first.then_some(Observation::Answer(Answer { ts, source, target, kind, port: key.port }))
    }

    fn sends_from(&mut self, flow: &FlowKey, proto: Proto, now: rules::Time) {
        if proto == Proto::Udp {
            self.memory.ports.insert(rules::port_key(flow), now);
        }
    }

    fn inbound(&mut self, header: &Header, now: rules::Time, ts: Time, settling: bool) -> Option<Observation> {
        let kind = header.signal.kind()?;
        let flow = rules::flow_key(&header.tuple, false, kind.proto());
        match rules::inbound(&self.memory, kind, &flow, now) {
            Inbound::Nothing | Inbound::Ours => None,
            Inbound::Begun => {
                let begun = self.memory.inbound(&flow).unwrap_or_default();
                self.memory.inbound.insert(flow, Flow { last: now, ..begun });
                None
            }
            Inbound::Probe(kind) => self.probe(header, &flow, kind, now).map(|count| {
                Observation::Probe(Probe {
                    ts,
                    source: Ipv6Addr::from(flow.remote),
                    target: Ipv6Addr::from(flow.local),
                    kind,
                    port: rules::repeat_key(&flow, kind).port,
                    count,
                    traits: traits(header, kind),
                    // The ledger tells these from contacts and answers, for every source alike.
                    contacted_source: false,
                    answered: false,
                    settling: settling && kind == Kind::Udp,
                    device: None,
                })
            }),
        }
    }

    /// How many probes an observation stands for, if one is due.
    fn probe(&mut self, header: &Header, flow: &FlowKey, kind: Kind, now: rules::Time) -> Option<u32> {
        let key = rules::repeat_key(flow, kind);
        let hop_limit = header.detail.hop_limit;
        let mut repeat = self.memory.repeat(&key).unwrap_or_default();
        repeat.last = now;
        repeat.count = repeat.count.saturating_add(1);
        let due = rules::repeat_is_due(&repeat, hop_limit, now);
        repeat.hop_limit = hop_limit;
        repeat.remote_port = flow.remote_port;
        let count = repeat.count.saturating_sub(repeat.told);
        if due {
            repeat.reported = now;
            repeat.told = repeat.count;
        }
        self.memory.repeats.insert(key, repeat);
        // A counter that stands still at its end has nothing new to tell.
        (due && count > 0).then_some(count)
    }
}

fn traits(header: &Header, kind: Kind) -> Traits {
    let detail = &header.detail;
    let (echo, tcp) = (kind == Kind::Echo, matches!(kind, Kind::Syn | Kind::TcpOther));
    Traits {
        hop_limit: Some(detail.hop_limit),
        source_port: (!echo).then_some(header.tuple.src_port),
        icmp_id: echo.then_some(detail.icmp_id),
        icmp_seq: echo.then_some(detail.icmp_seq),
        payload_len: Some(detail.payload_len),
        payload_hash: None,
        window: tcp.then_some(detail.window),
        tcp_options: None,
        tcp_flags: tcp.then_some(detail.tcp_flags),
        flow_label: Some(detail.flow_label),
    }
}

#[cfg(test)]
mod tests;
