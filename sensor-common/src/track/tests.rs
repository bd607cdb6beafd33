use std::collections::HashMap;
use std::hash::Hash;

use proptest::prelude::*;

use super::*;
use crate::rules::{QUIET, REFRESH, SECOND};

/// Tables without a bound, a ring and a budget that can run out.
#[derive(Default)]
pub(crate) struct TestTables {
    pub(crate) flows: HashMap<FlowKey, Flow>,
    pub(crate) inbound: HashMap<FlowKey, Flow>,
    pub(crate) ports: HashMap<PortKey, BootTime>,
    pub(crate) pairs: HashMap<PairKey, Pair>,
    pub(crate) repeats: HashMap<RepeatKey, Repeat>,
    locals: HashMap<Address, BootTime>,
    is_ring_full: bool,
    is_budget_empty: bool,
    events: Vec<Event>,
    counts: [[u64; 4]; 3],
}

impl<K: Copy + Eq + Hash, V: Copy + Default> RecordTable<K, V> for &mut HashMap<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        HashMap::get(self, key).copied()
    }

    fn update(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        change(self.entry(*key).or_default());
    }
}

impl Tables for TestTables {
    fn is_home(&self, address: &Address) -> bool {
        address[0] == 0x20
    }
    fn flows(&mut self) -> impl RecordTable<FlowKey, Flow> {
        &mut self.flows
    }
    fn inbound(&mut self) -> impl RecordTable<FlowKey, Flow> {
        &mut self.inbound
    }
    fn ports(&mut self) -> impl RecordTable<PortKey, BootTime> {
        &mut self.ports
    }
    fn pairs(&mut self) -> impl RecordTable<PairKey, Pair> {
        &mut self.pairs
    }
    fn repeats(&mut self) -> impl RecordTable<RepeatKey, Repeat> {
        &mut self.repeats
    }
    fn locals(&mut self) -> impl RecordTable<Address, BootTime> {
        &mut self.locals
    }
    fn take_budget(&mut self, _: BootTime) -> bool {
        !self.is_budget_empty
    }
    fn submit(&mut self, event: impl FnOnce() -> Event) -> bool {
        if !self.is_ring_full {
            self.events.push(event());
        }
        !self.is_ring_full
    }
    fn count(&mut self, what: What, fate: Fate) {
        self.counts[what as usize - 1][fate as usize] += 1;
    }
}

/// A packet of a random sequence. There are few addresses and ports, so that many packets share keys.
#[derive(Clone, Copy, Debug)]
struct Step {
    wait: BootTime,
    signal: Signal,
    is_outbound: bool,
    remote: u8,
    ports: (u16, u16),
    hop_limit: u8,
    is_ring_full: bool,
    is_budget_empty: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let signal = prop::sample::select(vec![
        Signal::Echo,
        Signal::EchoReply,
        Signal::Syn,
        Signal::SynAck,
        Signal::TcpOther,
        Signal::Udp,
        Signal::Udp,
        Signal::Udp,
    ]);
    let wait = prop::sample::select(vec![0, 0, 0, 1, 20, 59, 60, 61, 240, 300, 400]);
    let scarce = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let step = (wait, signal, any::<bool>(), 0..3u8, (1..3u16, 1..3u16), 60..62u8, scarce);
    let step = step.prop_map(|(wait, signal, is_outbound, remote, ports, hop_limit, scarce)| Step {
        wait: wait * SECOND,
        signal,
        is_outbound,
        remote,
        ports,
        hop_limit,
        is_ring_full: scarce.0,
        is_budget_empty: scarce.1,
    });
    prop::collection::vec(step, 1..200)
}

fn flow(step: &Step, proto: Proto) -> FlowKey {
    let (mut local, mut remote) = ([0x20; 16], [0x2a; 16]);
    local[15] = 1;
    remote[15] = step.remote;
    let (local_port, remote_port) = step.ports;
    FlowKey { local, remote, local_port, remote_port, proto: proto as u8, reserved: [0; 3] }
}

type Sequence = FlowTracker<TestTables>;

impl Sequence {
    fn new() -> Sequence {
        FlowTracker { tables: TestTables::default(), now: 10_000 * SECOND, ifindex: 3 }
    }

    /// Tracks a packet. Returns the packet's exchange, and the event if the packet made an event.
    fn packet(&mut self, step: &Step) -> Option<(FlowKey, Option<Event>)> {
        self.now += step.wait;
        self.tables.is_ring_full = step.is_ring_full;
        self.tables.is_budget_empty = step.is_budget_empty;
        let before = self.tables.events.len();
        let detail = &Detail { hop_limit: step.hop_limit, ..Detail::default() };
        let flow = if step.is_outbound {
            let flow = flow(step, step.signal.outbound_proto()?);
            self.outbound(step.signal, &flow, detail).unwrap();
            flow
        } else {
            let kind = step.signal.kind()?;
            let flow = flow(step, kind.proto());
            self.inbound(kind, &flow, detail).unwrap();
            flow
        };
        Some((flow, self.tables.events.get(before).copied()))
    }
}

fn syn(hop_limit: u8) -> Step {
    let signal = Signal::Syn;
    let (is_outbound, is_ring_full, is_budget_empty) = (false, false, false);
    Step { wait: 0, signal, is_outbound, remote: 1, ports: (22, 4_000), hop_limit, is_ring_full, is_budget_empty }
}

/// Tracks a packet `packets` times. Returns the number of each packet that made an event, and the event's count.
fn reports(sequence: &mut Sequence, packets: u32, step: &Step) -> Vec<(u32, u32)> {
    (1..=packets).filter_map(|n| Some((n, sequence.packet(step)?.1?.count))).collect()
}

#[test]
fn repeats_are_reported_at_powers_of_two() {
    let mut sequence = Sequence::new();
    assert_eq!(reports(&mut sequence, 20, &syn(64)), [(1, 1), (2, 1), (4, 2), (8, 4), (16, 8)]);
}

#[test]
fn a_probe_without_room_in_the_ring_makes_the_next_one_due() {
    let mut sequence = Sequence::new();
    assert_eq!(reports(&mut sequence, 1, &Step { is_ring_full: true, ..syn(64) }), []);
    assert_eq!(reports(&mut sequence, 1, &syn(64)), [(1, 1)]);
    assert_eq!(sequence.tables.counts[1], [2, 1, 0, 1]);
}

#[test]
fn a_repeat_over_the_budget_is_counted_and_reported_later() {
    let mut sequence = Sequence::new();
    assert_eq!(reports(&mut sequence, 1, &syn(64)), [(1, 1)]);
    assert_eq!(reports(&mut sequence, 2, &Step { is_budget_empty: true, ..syn(64) }), []);
    assert_eq!(reports(&mut sequence, 1, &syn(64)), [(1, 3)]);
}

#[test]
fn counts_stay_at_their_maximum() {
    let mut sequence = Sequence::new();
    let (step, kind) = (syn(64), Kind::Syn);
    let key = rules::repeat_key(&flow(&step, Proto::Tcp), kind);
    let known = Repeat { count: u32::MAX - 1, told: 1, hop_limit: 64, ..Repeat::default() };
    sequence.tables.repeats.insert(key, known);
    assert_eq!(reports(&mut sequence, 3, &step), [(1, u32::MAX - 1)]);
    let out = Step { is_outbound: true, ..step };
    let pair = Pair { count: u32::MAX, proto: 6, port: 4_000, ..Pair::default() };
    sequence.tables.pairs.insert(rules::pair_key(&flow(&step, Proto::Tcp)), pair);
    // With another local port, the packet does not belong to the exchange of the probe.
    assert_eq!(reports(&mut sequence, 1, &Step { ports: (23, 4_000), ..out }), [(1, u32::MAX)]);
}

struct Unreadable;

impl DetailSource for Unreadable {
    fn detail(&self) -> Result<Detail, GiveUp> {
        Err(GiveUp::Far)
    }
}

#[test]
fn a_packet_whose_detail_cannot_be_read_changes_nothing() {
    let mut tracker = Sequence::new();
    let flow = flow(&syn(64), Proto::Tcp);
    assert_eq!(tracker.inbound(Kind::Syn, &flow, &Unreadable), Err(GiveUp::Far));
    assert_eq!(tracker.outbound(Signal::Syn, &flow, &Unreadable), Err(GiveUp::Far));
    let tables = &tracker.tables;
    assert!(tables.repeats.is_empty() && tables.pairs.is_empty() && tables.flows.is_empty());
    assert_eq!(tables.counts, [[0; 4]; 3]);
}

proptest! {
    #[test]
    fn the_fates_add_up_and_events_carry_every_recorded_packet(steps in steps()) {
        let mut sequence = Sequence::new();
        let (mut begun, mut reported) = (0, 0);
        for step in &steps {
            sequence.packet(step);
            begun += u64::from(step.is_outbound && step.signal.begins().is_some());
        }
        let tables = &sequence.tables;
        for [matched, recorded, held_back, lost] in tables.counts {
            prop_assert_eq!(matched, recorded + held_back + lost);
        }
        let counted = |what: What| tables.events.iter().filter(move |event| event.what == what as u8);
        for event in counted(What::Contact) {
            reported += u64::from(event.count);
        }
        prop_assert!(reported <= begun, "{} exchanges reported of {} that began", reported, begun);
        prop_assert_eq!(counted(What::Contact).count() as u64, tables.counts[0][Fate::Recorded as usize]);
        prop_assert_eq!(counted(What::Answer).count() as u64, tables.counts[2][Fate::Recorded as usize]);
        let probes: u64 = counted(What::Probe).map(|event| u64::from(event.count)).sum();
        let pending: u64 = tables.repeats.values().map(|repeat| u64::from(repeat.count - repeat.told)).sum();
        prop_assert_eq!(probes + pending, tables.counts[1][Fate::Recorded as usize]);
    }

    #[test]
    fn a_known_pair_is_reported_once_a_minute_at_most(steps in steps()) {
        let mut sequence = Sequence::new();
        let mut latest: HashMap<PairKey, Event> = HashMap::new();
        for step in &steps {
            // After a lost event, the next packet makes an event: another rule, which this test excludes.
            let step = Step { is_ring_full: false, ..*step };
            let Some((flow, Some(event))) = sequence.packet(&step) else { continue };
            if event.what != What::Contact as u8 {
                continue;
            }
            let port = |event: &Event| if event.number == Proto::Icmpv6 as u8 { 0 } else { event.remote_port };
            if let Some(last) = latest.insert(rules::pair_key(&flow), event)
                && (last.number, port(&last)) == (event.number, port(&event))
            {
                prop_assert!(event.time - last.time >= REFRESH, "{:?} after {:?}", event, last);
            }
        }
    }

    #[test]
    fn a_udp_exchange_begun_outside_makes_no_contact(steps in steps()) {
        let mut sequence = Sequence::new();
        // For each exchange: whether a remote began it, and the time of the last packet.
        let mut exchanges: HashMap<FlowKey, (bool, BootTime)> = HashMap::new();
        for step in &steps {
            let Some((flow, event)) = sequence.packet(step) else { continue };
            if flow.proto != Proto::Udp as u8 {
                continue;
            }
            let now = sequence.now;
            let known = exchanges.get(&flow).filter(|known| now - known.1 < QUIET);
            let is_theirs = known.map_or(!step.is_outbound, |known| known.0);
            if is_theirs && let Some(event) = event {
                prop_assert_ne!(event.what, What::Contact as u8, "{:?}", step);
            }
            // Packets from remotes do not prolong an exchange that the local began.
            if step.is_outbound || is_theirs {
                exchanges.insert(flow, (is_theirs, now));
            } else if known.is_none() {
                exchanges.remove(&flow);
            }
        }
    }
}
