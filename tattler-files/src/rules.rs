//! What sources tell of packets and flows, through the rules.

use ipnet::Ipv6Net;
use sensor_common::rules::REFRESH;
use sensor_common::{Kind, Proto, Signal};
use tattler_core::observation::{Contact, Observation, Traits};
use tattler_core::time::{Span, Time};

use super::capture::PacketObserver;
use super::flow::{FlowHalf, FlowHalves, FlowOrder, LineOrigin, FlowRecord};
use super::text::LoggedPacket;

/// Lines of a log are a little out of order. Going back further is another file, or a clock that was
/// set: what was remembered is of another time.
const PACKETS_BACK: Span = Span::from_seconds(600);
/// The same for flow records, by their ends; collectors write a file every few minutes.
const FLOWS_BACK: Span = Span::from_seconds(7_200);

/// The rules, over all inputs of a reading.
pub(super) struct Rules {
    home: Vec<Ipv6Net>,
    /// What captures tell goes straight in.
    pub(super) watch: PacketObserver,
    halves: FlowHalves,
    order: FlowOrder,
    latest_packet: Option<Time>,
    latest_flow: Option<Time>,
}

impl Rules {
    pub(super) fn new(home: Vec<Ipv6Net>) -> Rules {
        Rules {
            watch: PacketObserver::new(home.clone()),
            home,
            halves: FlowHalves::default(),
            order: FlowOrder::default(),
            latest_packet: None,
            latest_flow: None,
        }
    }

    /// A packet that somebody else saw. Observations of what `is_old` are not handed on.
    pub(super) fn packet(&mut self, seen: LoggedPacket, is_old: bool, observe: &mut dyn FnMut(Observation)) {
        if self.latest_packet.is_some_and(|latest| latest - seen.ts > PACKETS_BACK) {
            self.watch = PacketObserver::new(self.home.clone());
            self.latest_packet = None;
        }
        self.latest_packet = self.latest_packet.max(Some(seen.ts));
        let observation = self.watch.packet(&seen.header, nanos(seen.ts));
        if let Some(mut observation) = observation.filter(|_| !is_old) {
            if let Observation::Probe(probe) = &mut observation {
                probe.traits = seen.traits;
            }
            observe(observation);
        }
    }

    /// One direction of an exchange.
    pub(super) fn half(&mut self, half: FlowHalf, origin: LineOrigin, observe: &mut dyn FnMut(Observation)) {
        self.look_back(half.last, observe);
        let order = &mut self.order;
        self.halves.push(half, origin, &mut |record, origin| order.push(record, origin));
        self.play_due(observe);
    }

    /// Both directions of an exchange.
    pub(super) fn flow(&mut self, record: FlowRecord, origin: LineOrigin, observe: &mut dyn FnMut(Observation)) {
        self.look_back(record.last, observe);
        self.order.push(record, origin);
        self.play_due(observe);
    }

    /// The first line that was taken and has not been told yet, with the number of its input. Looks at
    /// all that waits.
    pub(super) fn earliest(&self) -> Option<(usize, u64)> {
        self.halves.earliest().into_iter().chain(self.order.earliest()).min()
    }

    /// No more will come.
    pub(super) fn finish(&mut self, observe: &mut dyn FnMut(Observation)) {
        let order = &mut self.order;
        self.halves.flush(&mut |record, origin| order.push(record, origin));
        while let Some((record, origin)) = self.order.pop_any() {
            self.play(&record, origin.is_old, observe);
        }
    }

    fn look_back(&mut self, last: Time, observe: &mut dyn FnMut(Observation)) {
        if self.latest_flow.is_some_and(|latest| latest - last > FLOWS_BACK) {
            self.finish(observe);
            self.order.restart();
            self.watch = PacketObserver::new(self.home.clone());
            self.latest_flow = None;
        }
        self.latest_flow = self.latest_flow.max(Some(last));
    }

    fn play_due(&mut self, observe: &mut dyn FnMut(Observation)) {
        while let Some((record, origin)) = self.order.pop() {
            self.play(&record, origin.is_old, observe);
        }
    }

    /// Plays an exchange to the rules: its beginning, its answer, its end.
    fn play(&mut self, record: &FlowRecord, is_old: bool, observe: &mut dyn FnMut(Observation)) {
        let mut observe = |observation| {
            if !is_old {
                observe(observation);
            }
        };
        let opening = record.opening();
        let mut told = self.watch.packet(&opening, nanos(record.first));
        match &mut told {
            Some(Observation::Contact(contact)) => contact.last = record.last,
            Some(Observation::Probe(probe)) => probe.traits = traits(record),
            Some(Observation::Answer(_)) | None => {}
        }
        let is_told = matches!(told, Some(Observation::Contact(_)));
        if let Some(observation) = told {
            observe(observation);
        }
        if let Some(reply) = record.reply()
            && let Some(observation) = self.watch.packet(&reply, nanos(record.first))
        {
            observe(observation);
        }
        let goes_on = self.watch.goes_on(&opening, nanos(record.last));
        // One that began within a minute of another with the same remote is not told as new; but it
        // may last longer.
        if goes_on && !is_told && record.last - record.first >= Span((REFRESH / 1_000) as i64) {
            observe(Observation::Contact(lasting(record)));
        }
    }
}

fn lasting(record: &FlowRecord) -> Contact {
    let proto = record.begins.begins().unwrap_or(Proto::Tcp);
    Contact {
        ts: record.first,
        last: record.last,
        local: record.tuple.src.into(),
        remote: record.tuple.dst.into(),
        proto,
        port: if proto == Proto::Icmpv6 { 0 } else { record.tuple.dst_port },
        local_port: (proto != Proto::Icmpv6).then_some(record.tuple.src_port),
        count: 0,
        name: None,
        device: None,
    }
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
