//! Applies the kernel's rules to a capture.
//!
//! Packets go through the same [`FlowTracker`] as in the kernel, with tables in memory. There are no budgets,
//! because a file can wait.

use ipnet::Ipv6Net;
use sensor_common::rules::{self, is_global};
use sensor_common::track::{FlowTracker, RecordTable as _, Tables as _};
use sensor_common::wire::{BootTime, Event};
use sensor_common::{Header, Proto};
use tattler_core::event::observation;
use tattler_core::observation::Observation;
use tattler_core::time::Time;

use super::Nanos;
use super::memory::CaptureTables;

/// Turns packets into observations.
pub struct PacketObserver {
    tables: CaptureTables,
    /// The time of the first packet.
    watched_since: Option<BootTime>,
}

impl PacketObserver {
    /// An observer for these home prefixes.
    #[must_use]
    pub fn new(home: Vec<Ipv6Net>) -> PacketObserver {
        PacketObserver { tables: CaptureTables::new(home), watched_since: None }
    }

    /// The observation that a packet makes, if any.
    pub fn packet(&mut self, header: &Header, nanos: Nanos) -> Option<Observation> {
        let now = time(nanos);
        let watched_since = *self.watched_since.get_or_insert(now);
        let event = self.event(header, now)?;
        // 1970, unless `nanos` is before 1970.
        let booted = Time(Time::from_nanos(nanos).0.saturating_sub((now / 1_000) as i64));
        observation(&event, watched_since, booted)
    }

    /// The event that a packet makes, if any. A packet from home to elsewhere is outbound, and a packet from
    /// elsewhere to home is inbound. Other packets are ignored.
    pub fn event(&mut self, header: &Header, now: BootTime) -> Option<Event> {
        let (src, dst) = (header.tuple.src, header.tuple.dst);
        if !is_global(&src) || !is_global(&dst) {
            return None;
        }
        let tables = &mut self.tables;
        let is_outbound = match (tables.is_home(&src), tables.is_home(&dst)) {
            (true, false) => true,
            (false, true) => false,
            _ => return None,
        };
        tables.event = None;
        let mut tracker = FlowTracker { tables, now, ifindex: 0 };
        let tracked = if is_outbound {
            let flow = rules::flow_key(&header.tuple, true, header.signal.outbound_proto()?);
            tracker.outbound(header.signal, &flow, &header.detail)
        } else {
            let kind = header.signal.kind()?;
            tracker.inbound(kind, &rules::flow_key(&header.tuple, false, kind.proto()), &header.detail)
        };
        tracked.ok()?;
        self.tables.event.take()
    }

    /// The counters, by the indices of [`counters`](sensor_common::counters).
    #[must_use]
    pub fn counters(&self) -> &[u64] {
        &self.tables.counters
    }

    /// Extends the exchange that `header` began until `nanos`, the end in a flow record. Returns whether the exchange
    /// is a contact or continues a contact.
    pub fn goes_on(&mut self, header: &Header, nanos: Nanos) -> bool {
        let now = time(nanos);
        let Some(proto) = header.signal.begins() else { return false };
        let mut tables = &mut self.tables;
        let inward = rules::flow_key(&header.tuple, false, proto);
        if tables.inbound().get(&inward).is_some() {
            tables.inbound().update(&inward, |begun| begun.last = begun.last.max(now));
        }
        let outward = rules::flow_key(&header.tuple, true, proto);
        if tables.flows().get(&outward).is_none() {
            return false;
        }
        tables.flows().update(&outward, |known| known.last = known.last.max(now));
        if proto == Proto::Udp {
            tables.ports().update(&rules::port_key(&outward), |port| *port = now);
        }
        let pair = rules::pair_key(&outward);
        if tables.pairs().get(&pair).is_some() {
            tables.pairs().update(&pair, |known| known.last = known.last.max(now));
        }
        true
    }
}

/// A time for the tables. In the tables, 0 means never.
fn time(nanos: Nanos) -> BootTime {
    u64::try_from(nanos).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests;
