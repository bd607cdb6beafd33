//! Applies the rules to packets and flows of captures, logs and flow records.

use ipnet::Ipv6Net;
use sensor_common::parse::Tuple;
use sensor_common::rules::REFRESH;
use sensor_common::{Kind, Proto, Signal};
use tattler_core::observation::{Contact, Observation, Traits};
use tattler_core::time::{Span, Time};

use super::capture::PacketObserver;
use super::flow::{FlowHalf, FlowHalves, FlowOrder, FlowRecord, LineOrigin};
use super::text::LoggedPacket;

/// Tolerance for log lines out of order. If a line goes back further, the line is from another file or the clock was
/// set. The rules then start without memory.
const PACKETS_BACK: Span = Span::from_seconds(600);
/// Tolerance for the ends of flow records out of order. Collectors write a file every few minutes.
const FLOWS_BACK: Span = Span::from_seconds(7_200);

/// The rules, for all inputs of a reading.
pub(super) struct Rules {
    home: Vec<Ipv6Net>,
    /// The rules for packets. Packets of captures go directly to this observer.
    pub(super) observer: PacketObserver,
    halves: FlowHalves,
    order: FlowOrder,
    latest_packet: Option<Time>,
    latest_flow: Option<Time>,
}

impl Rules {
    pub(super) fn new(home: Vec<Ipv6Net>) -> Rules {
        Rules {
            observer: PacketObserver::new(home.clone()),
            home,
            halves: FlowHalves::default(),
            order: FlowOrder::default(),
            latest_packet: None,
            latest_flow: None,
        }
    }

    /// Takes a logged packet. Drops the packet's observation if the packet `is_old`.
    pub(super) fn packet(&mut self, packet: LoggedPacket, is_old: bool, observe: &mut dyn FnMut(Observation)) {
        if self.latest_packet.is_some_and(|latest| latest - packet.ts > PACKETS_BACK) {
            self.observer = PacketObserver::new(self.home.clone());
            self.latest_packet = None;
        }
        self.latest_packet = self.latest_packet.max(Some(packet.ts));
        let observation = self.observer.packet(&packet.header, nanos(packet.ts));
        if let Some(mut observation) = observation.filter(|_| !is_old) {
            if let Observation::Probe(probe) = &mut observation {
                probe.traits = packet.traits;
            }
            observe(observation);
        }
    }

    /// Takes one direction of an exchange.
    pub(super) fn half(&mut self, half: FlowHalf, origin: LineOrigin, observe: &mut dyn FnMut(Observation)) {
        self.look_back(half.last, observe);
        let order = &mut self.order;
        self.halves.push(half, origin, &mut |record, origin| order.push(record, origin));
        self.play_due(observe);
    }

    /// Takes both directions of an exchange.
    pub(super) fn flow(&mut self, record: FlowRecord, origin: LineOrigin, observe: &mut dyn FnMut(Observation)) {
        self.look_back(record.last, observe);
        self.order.push(record, origin);
        self.play_due(observe);
    }

    /// The first line with a waiting record, and the number of the line's input. Iterates over all waiting records.
    pub(super) fn earliest(&self) -> Option<(usize, u64)> {
        self.halves.earliest().into_iter().chain(self.order.earliest()).min()
    }

    /// Hands on all waiting records.
    pub(super) fn finish(&mut self, observe: &mut dyn FnMut(Observation)) {
        let order = &mut self.order;
        self.halves.flush(&mut |record, origin| order.push(record, origin));
        while let Some((record, origin)) = self.order.pop_any() {
            self.play(&record, origin.is_old, observe);
        }
    }

    /// Starts without memory if a record that ends at `last` goes back too far.
    fn look_back(&mut self, last: Time, observe: &mut dyn FnMut(Observation)) {
        if self.latest_flow.is_some_and(|latest| latest - last > FLOWS_BACK) {
            self.finish(observe);
            self.order.restart();
            self.observer = PacketObserver::new(self.home.clone());
            self.latest_flow = None;
        }
        self.latest_flow = self.latest_flow.max(Some(last));
    }

    fn play_due(&mut self, observe: &mut dyn FnMut(Observation)) {
        while let Some((record, origin)) = self.order.pop() {
            self.play(&record, origin.is_old, observe);
        }
    }

    /// Applies the rules to the opening of an exchange, its answer and its end.
    fn play(&mut self, record: &FlowRecord, is_old: bool, observe: &mut dyn FnMut(Observation)) {
        let mut observe = |observation| {
            if !is_old {
                observe(observation);
            }
        };
        let opening = record.opening();
        let mut made = self.observer.packet(&opening, nanos(record.first));
        match &mut made {
            Some(Observation::Contact(contact)) => contact.last = record.last,
            Some(Observation::Probe(probe)) => probe.traits = traits(record),
            Some(Observation::Answer(_)) | None => {}
        }
        let is_contact = matches!(made, Some(Observation::Contact(_)));
        if let Some(observation) = made {
            observe(observation);
        }
        if let Some(reply) = record.reply()
            && let Some(observation) = self.observer.packet(&reply, nanos(record.first))
        {
            observe(observation);
        }
        let goes_on = self.observer.goes_on(&opening, nanos(record.last));
        // An exchange makes no new contact if it began within a minute after another exchange with the same remote.
        // But the later exchange may last longer than the earlier exchange.
        if goes_on && !is_contact && record.last - record.first >= Span((REFRESH / 1_000) as i64) {
            observe(Observation::Contact(lasting(record)));
        }
    }
}

/// The contact that extends an earlier contact.
fn lasting(record: &FlowRecord) -> Contact {
    let Tuple { src, dst, src_port, dst_port } = record.tuple;
    let proto = record.begins.begins().unwrap_or(Proto::Tcp);
    let (port, local_port) = if proto == Proto::Icmpv6 { (0, None) } else { (dst_port, Some(src_port)) };
    let contact = Contact::new(record.first, src.into(), dst.into(), proto, port);
    Contact { last: record.last, local_port, count: 0, ..contact }
}

fn traits(record: &FlowRecord) -> Traits {
    let is_tcp = record.begins.kind().map(Kind::proto) == Some(Proto::Tcp);
    Traits {
        source_port: (record.begins != Signal::Echo).then_some(record.tuple.src_port),
        tcp_flags: record.flags.filter(|_| is_tcp),
        ..Traits::default()
    }
}

fn nanos(time: Time) -> i64 {
    time.0.saturating_mul(1_000)
}
