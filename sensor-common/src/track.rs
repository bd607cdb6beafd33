//! Applies the rules to each packet in turn: decides, updates the tables, submits events.
//!
//! Kernel programs and user space run this same code. They differ only in their [`Tables`]: BPF maps in
//! the kernel, hash tables in user space.
//!
//! # Concurrency
//! In the kernel, several CPUs may update a record at the same time, without a lock: Linux 5.10 has
//! no atomic operation that returns a value, and no spin lock in LRU maps. A lost update makes a count
//! too low. If two CPUs decide within the same nanoseconds to report a repeat, both CPUs report the repeat,
//! and the packets since the last event are counted twice.

use crate::counters::Fate;
use crate::parse::{self, Address, Detail, Found};
use crate::rules::{self, Inbound, Outbound};
use crate::wire::{BootTime, Event, Flow, FlowKey, Pair, PairKey, PortKey, Repeat, RepeatKey, What};
use crate::{GiveUp, Kind, Packet, Proto, Signal};

/// A table: records of type `V` by key.
pub trait RecordTable<K, V> {
    /// Returns a copy of the record.
    fn get(&self, key: &K) -> Option<V>;
    /// Changes the record in place. If there is no record, changes and inserts a default record.
    fn update(&mut self, key: &K, change: impl FnOnce(&mut V));
}

/// The state of earlier packets, and the destination of events.
pub trait Tables {
    /// Whether an address lies in a home prefix.
    fn is_home(&self, address: &Address) -> bool;
    /// Exchanges that a local began.
    fn flows(&mut self) -> impl RecordTable<FlowKey, Flow>;
    /// Exchanges that a remote began.
    fn inbound(&mut self) -> impl RecordTable<FlowKey, Flow>;
    /// Time at which a local last sent UDP from a port; up to [`REFRESH`](rules::REFRESH) too early.
    fn ports(&mut self) -> impl RecordTable<PortKey, BootTime>;
    /// The latest contact of a pair; its time is up to [`REFRESH`](rules::REFRESH) too early.
    fn pairs(&mut self) -> impl RecordTable<PairKey, Pair>;
    /// Earlier probes of the same kind.
    fn repeats(&mut self) -> impl RecordTable<RepeatKey, Repeat>;
    /// Time at which a local was last in use.
    fn locals(&mut self) -> impl RecordTable<Address, BootTime>;
    /// Takes an event out of the budget for probes of unused targets. `false` if the budget is empty.
    fn take_budget(&mut self, now: BootTime) -> bool;
    /// Submits an event. `false` if there is no room. `event` builds the event in its final place.
    fn submit(&mut self, event: impl FnOnce() -> Event) -> bool;
    /// Counts a contact, probe or answer.
    fn count(&mut self, what: What, fate: Fate);
}

/// The source of a packet's detail, which only events need. This is a trait, because a closure can't be marked
/// for inlining: the compiler makes a BPF subprogram of a closure, and each call costs 10 ns.
pub trait DetailSource {
    /// Reads the detail.
    ///
    /// # Errors
    /// The parser gives up.
    fn detail(&self) -> Result<Detail, GiveUp>;
}

/// A packet whose detail is read only when an event needs the detail.
pub struct Unread<'a, P> {
    /// The packet.
    pub packet: &'a P,
    /// The place of the packet's headers.
    pub found: &'a Found,
}

impl<P: Packet> DetailSource for Unread<'_, P> {
    #[inline(always)]
    fn detail(&self) -> Result<Detail, GiveUp> {
        parse::detail(self.packet, self.found)
    }
}

/// A detail that has been read.
impl DetailSource for Detail {
    fn detail(&self) -> Result<Detail, GiveUp> {
        Ok(*self)
    }
}

/// Applies the rules to one packet.
pub struct FlowTracker<T> {
    /// The state of earlier packets.
    pub tables: T,
    /// Time at which the packet was seen.
    pub now: BootTime,
    /// The index of the device on which the packet was seen.
    pub ifindex: u32,
}

/// The fields of an event that come neither from the packet's addresses nor from its detail.
struct Subject {
    what: What,
    number: u8,
    count: u32,
    unused: bool,
}

impl<T: Tables> FlowTracker<T> {
    /// Handles a packet from the internet. `flow` is the packet's exchange from the local's side.
    ///
    /// # Errors
    /// `detail` fails. The packet is then not recorded.
    #[inline(always)]
    pub fn inbound(&mut self, kind: Kind, flow: &FlowKey, detail: &impl DetailSource) -> Result<(), GiveUp> {
        match rules::inbound(&mut self.tables, kind, flow, self.now) {
            Inbound::Nothing | Inbound::Ours => {}
            Inbound::Begun => self.begun(flow),
            Inbound::Probe(kind) => {
                let detail = detail.detail()?;
                self.tables.count(What::Probe, Fate::Matched);
                let fate = self.probe(kind, flow, &detail);
                self.tables.count(What::Probe, fate);
            }
        }
        Ok(())
    }

    /// Handles a packet to the internet. `flow` is the packet's exchange from the local's side.
    ///
    /// # Errors
    /// `detail` fails. The packet is then not recorded.
    #[inline(always)]
    pub fn outbound(&mut self, signal: Signal, flow: &FlowKey, detail: &impl DetailSource) -> Result<(), GiveUp> {
        let now = self.now;
        match rules::outbound(&mut self.tables, signal, flow, now) {
            Outbound::Nothing => {}
            Outbound::Known { refresh: false } => self.tables.flows().update(flow, |known| known.last = now),
            Outbound::Begun { refresh: false } => self.begun(flow),
            Outbound::Begun { refresh: true } => {
                self.tables.inbound().update(flow, |begun| *begun = Flow { last: now, refreshed: now });
                self.in_use(flow);
            }
            Outbound::Answer { kind, first } => {
                if first {
                    self.tables.count(What::Answer, Fate::Matched);
                    let fate = self.answer(kind, flow);
                    self.tables.count(What::Answer, fate);
                }
                if kind as u8 == Kind::Udp as u8 {
                    // The exchange is known from now on: its packets are neither probes nor contacts.
                    self.tables.inbound().update(flow, |begun| *begun = Flow { last: now, refreshed: now });
                    self.tables.ports().update(&rules::port_key(flow), |port| *port = now);
                }
            }
            decision @ (Outbound::Known { refresh: true } | Outbound::Contact(_)) => {
                let begun = u32::from(matches!(decision, Outbound::Contact(_)));
                self.contact(flow, begun, detail)?;
            }
        }
        Ok(())
    }

    /// Records a packet of an exchange that a remote began.
    #[inline(always)]
    fn begun(&mut self, flow: &FlowKey) {
        let now = self.now;
        self.tables.inbound().update(flow, |begun| begun.last = now);
    }

    /// Records that a local is in use, and for UDP the local's port, too.
    #[inline(always)]
    fn in_use(&mut self, flow: &FlowKey) {
        let now = self.now;
        self.tables.locals().update(&flow.local, |local| *local = now);
        if flow.proto == Proto::Udp as u8 {
            self.tables.ports().update(&rules::port_key(flow), |port| *port = now);
        }
    }

    /// Records a contact: a new exchange (`begun` is 1) or the refresh of a known exchange (`begun` is 0).
    #[inline(always)]
    fn contact(&mut self, flow: &FlowKey, begun: u32, detail: &impl DetailSource) -> Result<(), GiveUp> {
        let now = self.now;
        let key = rules::pair_key(flow);
        // An echo identifier does not count as a port: pings with different identifiers are the same contact.
        let port = if flow.proto == Proto::Icmpv6 as u8 { 0 } else { flow.remote_port };
        let known = self.tables.pairs().get(&key);
        let due = rules::contact_is_due(known.as_ref(), flow.proto, port, now);
        let mut pair = known.unwrap_or_default();
        if pair.proto != flow.proto || pair.port != port {
            pair.count = 0;
        }
        pair = Pair { last: now, proto: flow.proto, port, count: pair.count.saturating_add(begun), ..pair };
        if due {
            let detail = detail.detail()?;
            self.tables.count(What::Contact, Fate::Matched);
            let subject = Subject { what: What::Contact, number: flow.proto, count: pair.count, unused: false };
            if self.submit(&subject, flow, &detail) {
                pair.reported = now;
                pair.count = 0;
                self.tables.count(What::Contact, Fate::Recorded);
            } else {
                // The next packet that begins or refreshes an exchange makes an event again.
                pair.reported = 0;
                self.tables.count(What::Contact, Fate::Lost);
            }
        }
        self.tables.pairs().update(&key, |record| *record = pair);
        self.tables.flows().update(flow, |record| *record = Flow { last: now, refreshed: now });
        self.in_use(flow);
        Ok(())
    }

    /// Reports that a local answered a probe.
    #[inline(always)]
    fn answer(&mut self, kind: Kind, flow: &FlowKey) -> Fate {
        let subject = Subject { what: What::Answer, number: kind as u8, count: 1, unused: false };
        if !self.submit(&subject, flow, &Detail::default()) {
            return Fate::Lost;
        }
        self.tables.repeats().update(&rules::repeat_key(flow, kind), |repeat| repeat.answered = 1);
        Fate::Recorded
    }

    /// Records a probe. The first probe with a key makes an event. Repeats are counted, and
    /// [`rules::repeat_is_due`] decides which repeats make an event.
    #[inline(always)]
    fn probe(&mut self, kind: Kind, flow: &FlowKey, detail: &Detail) -> Fate {
        let now = self.now;
        let key = rules::repeat_key(flow, kind);
        let unused = self.tables.locals().get(&flow.local).is_none();
        let known = self.tables.repeats().get(&key);
        let mut repeat = known.unwrap_or_default();
        repeat.count = repeat.count.saturating_add(1);

        let due = rules::repeat_is_due(&repeat, detail.hop_limit, now);
        if due && unused && !self.tables.take_budget(now) {
            if known.is_none() {
                if kind as u8 == Kind::Udp as u8 {
                    // The target's answer must not count as a contact with the claimed source. The table of
                    // repeats can't store this probe, because a sweep would evict all other entries.
                    self.begun(flow);
                }
                return Fate::HeldBack;
            }
        } else if due {
            let count = repeat.count.wrapping_sub(repeat.told);
            let subject = Subject { what: What::Probe, number: kind as u8, count, unused };
            if !self.submit(&subject, flow, detail) {
                // The table does not count this probe, so that the next probe makes an event. The table stores time
                // and port, so that the target's answer does not count as a contact with the claimed source.
                self.tables.repeats().update(&key, |record| {
                    record.last = now;
                    record.remote_port = flow.remote_port;
                });
                return Fate::Lost;
            }
            repeat.told = repeat.count;
            repeat.reported = now;
        }
        self.tables.repeats().update(&key, |record| {
            // Sets all fields except `answered`, which egress may have set meanwhile.
            record.last = now;
            record.reported = repeat.reported;
            record.count = repeat.count;
            record.told = repeat.told;
            record.hop_limit = detail.hop_limit;
            record.remote_port = flow.remote_port;
        });
        Fate::Recorded
    }

    #[inline(always)]
    fn submit(&mut self, subject: &Subject, flow: &FlowKey, detail: &Detail) -> bool {
        let (time, ifindex) = (self.now, self.ifindex);
        self.tables.submit(|| Event {
            time,
            local: flow.local,
            remote: flow.remote,
            ifindex,
            count: subject.count,
            flow_label: detail.flow_label,
            local_port: flow.local_port,
            remote_port: flow.remote_port,
            payload_len: detail.payload_len,
            window: detail.window,
            icmp_id: detail.icmp_id,
            icmp_seq: detail.icmp_seq,
            what: subject.what as u8,
            number: subject.number,
            hop_limit: detail.hop_limit,
            tcp_flags: detail.tcp_flags,
            unused: u8::from(subject.unused),
            reserved: [0; 3],
            #[cfg(feature = "other-layout")]
            more: 0,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
