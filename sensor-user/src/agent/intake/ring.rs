//! From the ring of events to the store.
//!
//! The kernel ignores remotes that are not global unicast, and with them the well-known NAT64 prefixes of RFC 6052
//! and RFC 8215. Dropped here: remotes in the network's own NAT64 prefixes, and in home. The kernel still records the
//! ports and exchanges of such packets, as it should: a port that talks to an IPv4 host is in use.

use ipnet::Ipv6Net;
use sensor_common::wire::BootTime;
use tattler_core::event::observation;
use tattler_core::exclusions::Exclusions;
use tattler_core::home::{HomePrefix, is_home};
use tattler_core::observation::Observation;
use tattler_core::time::{Span, Time};

use super::programs::KernelPrograms;
use crate::agent::state::SensorView;
use crate::store::Writer;

/// Takes events from the kernel programs and hands observations to the store.
pub struct Intake<P> {
    pub programs: P,
    pub writer: Writer,
    /// Drained from the ring, or learned in another way, and not yet recorded.
    pub fresh: Vec<Observation>,
    /// Events taken out of the ring.
    pub drained: u64,
    /// Observations that the configuration excludes from being recorded.
    pub excluded: u64,
    /// Since when the uplinks have been watched without a gap.
    watched_since: BootTime,
    /// The position in the ring up to which events were handed to the store.
    handed: u64,
    invalid: u64,
    set_aside: u64,
    last_event: Option<Time>,
}

impl<P: KernelPrograms> Intake<P> {
    pub fn new(programs: P, writer: Writer, now: BootTime) -> Intake<P> {
        Intake {
            programs,
            writer,
            fresh: Vec::new(),
            drained: 0,
            excluded: 0,
            watched_since: now,
            handed: 0,
            invalid: 0,
            set_aside: 0,
            last_event: None,
        }
    }

    /// From now on the uplinks are watched without a gap, since `since`. A next process has to know that, whether
    /// events come or not.
    pub fn watched_since(&mut self, since: BootTime) {
        self.watched_since = since;
        self.hand_over(Vec::new());
    }

    /// Takes up to `most` events out of the ring. Returns how many records there were.
    pub fn drain(&mut self, most: usize, origin: Time, exclusions: &Exclusions) -> usize {
        let (since, fresh, mut unknown) = (self.watched_since, &mut self.fresh, 0);
        let drained = self.programs.drain(most, |event| match observation(&event, since, origin) {
            Some(observation) if exclusions.excludes(&observation) => self.excluded += 1,
            Some(observation) => fresh.push(observation),
            None => unknown += 1,
        });
        self.drained += drained.events as u64;
        self.invalid += (drained.invalid + unknown) as u64;
        self.last_event = fresh.last().map(Observation::ts).or(self.last_event);
        drained.events + drained.invalid
    }

    /// The fresh observations that are of a remote.
    pub fn take_fresh(&mut self, home: &[HomePrefix], nat64: &[Ipv6Net]) -> Vec<Observation> {
        let mut fresh = std::mem::take(&mut self.fresh);
        let before = fresh.len();
        fresh.retain(|observation| has_remote(observation, home, nat64));
        self.set_aside += (before - fresh.len()) as u64;
        fresh
    }

    /// Hands a batch to the store and releases what it has stored; never waits. The batch may be empty, because all
    /// events were filtered out. Then only the position is sent, and one at a time, so that a stalled disk does not
    /// queue thousands of them.
    pub fn record(&mut self, batch: Vec<Observation>, stored: u64) {
        let has_moved = self.handed != self.programs.position() && self.handed == stored;
        if !batch.is_empty() || has_moved {
            self.hand_over(batch);
        }
        self.programs.release(stored);
    }

    /// Hands a batch to the store, with the position in the ring.
    pub fn hand_over(&mut self, batch: Vec<Observation>) {
        let mark = self.programs.mark(self.watched_since);
        if self.writer.send_up_to(batch, mark) {
            self.handed = mark.position;
        }
    }

    /// The clock was set: changes the dates of what is between ring and store.
    pub fn shift(&mut self, step: Span) {
        self.fresh.iter_mut().for_each(|observation| observation.shift(step));
        self.last_event = self.last_event.map(|time| time + step);
    }

    pub fn show(&self, view: &mut SensorView) {
        view.drained = self.drained;
        view.invalid = self.invalid;
        view.set_aside = self.set_aside;
        view.excluded = self.excluded;
        view.last_event = self.last_event;
    }
}

/// Whether an observation is of an exchange between home and a remote that counts.
pub fn has_remote(observation: &Observation, home: &[HomePrefix], nat64: &[Ipv6Net]) -> bool {
    let remote = match observation {
        Observation::Contact(contact) => contact.remote,
        Observation::Probe(probe) => probe.source,
        Observation::Answer(answer) => answer.source,
    };
    // An IPv4 host behind a translator can't learn our address. A home address as the source of a packet from the
    // internet is forged; a packet to one never leaves for the internet.
    !nat64.iter().any(|prefix| prefix.contains(&remote)) && !is_home(home, remote)
}

#[cfg(test)]
mod tests {
    use sensor_common::Kind;
    use tattler_core::observation::Answer;

    use super::*;

    fn from(source: &str) -> Observation {
        let target = "2001:db8:1::5".parse().unwrap();
        Observation::Answer(Answer { ts: Time(0), source: source.parse().unwrap(), target, kind: Kind::Echo, port: 0 })
    }

    #[test]
    fn hosts_behind_nat64_and_addresses_of_home_are_no_remotes() {
        let home = [
            HomePrefix { prefix: "2001:db8:1::/48".parse().unwrap(), ours: true },
            HomePrefix { prefix: "2001:db8:1:ffff::/64".parse().unwrap(), ours: false },
        ];
        let nat64 = ["2a0a:64::/96".parse().unwrap()];
        let counts = |source| has_remote(&from(source), &home, &nat64);
        assert!(!counts("2a0a:64::c000:201") && !counts("2001:db8:1:7::5"));
        assert!(counts("2a0a:64:0:1::c000:201"), "next to the translator's prefix");
        assert!(counts("2001:db8:1:ffff::7"), "another customer on the uplink's network");
    }
}
