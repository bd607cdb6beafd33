//! The rank of a probe for eviction. Ledger and store use the same rules.
//!
//! Outsiders control the number of probes, so a flood must not evict evidence: probes of unused addresses are
//! evicted first, then repeats and probes that prove nothing, and evidence of a leak last.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use sensor_common::Kind;

use crate::time::{Span, Time};

/// The maximum number of evidence rows for one target and one day. Real scanners cause only a few such rows. The
/// bound prevents a flood from random sources from ranking as evidence.
const MOST_OF_A_TARGET: usize = 64;
/// The maximum number of targets with evidence on one day: the ledger's bound of locals.
const MOST_TARGETS: usize = 200_000;
/// An address that is in use for longer than its validity plus this time is not temporary.
const STABLE_AFTER: Span = Span::from_days(1);
const DAY: i64 = Span::from_days(1).0;

/// The rank of a probe. Probes with the lowest rank are evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// The target had not been seen in use.
    Sweep,
    /// The probe proves nothing, or nothing beyond another row.
    Repeat,
    /// The first probe of its day, source network and kind that hit an address that can't be guessed.
    Evidence,
}

/// The class of a target, which decides what a probe of the target proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The target had not been seen in use.
    Unused,
    /// The target's address may have been guessed, found in a publication, or known for a long time.
    Known,
    /// The target is in use, and a probe means that somebody passed its address on.
    Unguessable,
}

impl Target {
    /// The class of a target for a probe at `at`. `used`: the times of the target's first and last contact.
    #[must_use]
    pub fn of(used: Option<(Time, Time)>, at: Time, validity: Span, unguessable: bool) -> Target {
        let Some((first, last)) = used.filter(|&(first, _)| first <= at) else { return Target::Unused };
        let most = Span(validity.0.saturating_add(STABLE_AFTER.0));
        if unguessable && last - first <= most && at - last <= most { Target::Unguessable } else { Target::Known }
    }
}

/// The current day of observations that arrive roughly in order of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct CurrentDay(i64);

impl CurrentDay {
    /// Whether `at` begins another day. Late observations of yesterday count as today. A time before yesterday
    /// (somebody set the clock back) begins another day.
    pub fn begins(&mut self, at: Time) -> bool {
        let day = at.0.div_euclid(DAY);
        let begins = day > self.0 || day < self.0 - 1;
        if begins {
            self.0 = day;
        }
        begins
    }
}

/// Ranks probes in order of time.
#[derive(Default)]
pub struct Ranking {
    day: CurrentDay,
    /// The source networks and kinds of today's evidence, for each target.
    seen: HashMap<Ipv6Addr, Vec<u64>>,
}

impl Ranking {
    /// Ranks the next probe.
    pub fn rank(&mut self, at: Time, source: Ipv6Addr, address: Ipv6Addr, kind: Kind, target: Target) -> Worth {
        match target {
            Target::Unused => return Worth::Sweep,
            Target::Known => return Worth::Repeat,
            Target::Unguessable => {}
        }
        if self.day.begins(at) {
            self.seen.clear();
        }
        // A scanner has at least a /48, so the source network is a /48.
        let seen = u64::from_be_bytes(source.octets()[..8].try_into().unwrap_or_default()) >> 16 << 16 | kind as u64;
        if self.seen.len() >= MOST_TARGETS && !self.seen.contains_key(&address) {
            return Worth::Repeat;
        }
        let list = self.seen.entry(address).or_default();
        if list.len() >= MOST_OF_A_TARGET || list.contains(&seen) {
            return Worth::Repeat;
        }
        list.push(seen);
        Worth::Evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0xe014, 0x9aff, 0x5e49, 0xecb3);

    fn source(network: u16, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2a0d, 0x5600, network, 1, 0, 0, 0, host)
    }

    #[test]
    fn a_source_network_is_evidence_once_a_day_for_each_kind() {
        let mut ranking = Ranking::default();
        let mut rank = |at: i64, network, host, kind| {
            ranking.rank(Time::from_seconds(at), source(network, host), TARGET, kind, Target::Unguessable)
        };
        assert_eq!(rank(1, 1, 1, Kind::Syn), Worth::Evidence);
        assert_eq!(rank(2, 1, 2, Kind::Syn), Worth::Repeat, "another source of the network");
        assert_eq!(rank(3, 1, 2, Kind::Echo), Worth::Evidence);
        assert_eq!(rank(4, 2, 1, Kind::Syn), Worth::Evidence);
        assert_eq!(rank(86_399, 1, 1, Kind::Syn), Worth::Repeat);
        assert_eq!(rank(86_400, 1, 1, Kind::Syn), Worth::Evidence, "the next day");
        assert_eq!(rank(86_399, 1, 1, Kind::Syn), Worth::Repeat, "a latecomer begins no day");
    }

    #[test]
    fn a_flood_from_many_networks_is_not_evidence_row_by_row() {
        let mut ranking = Ranking::default();
        let mut rank = |network| ranking.rank(Time(0), source(network, 1), TARGET, Kind::Syn, Target::Unguessable);
        let evidence = (0..1_000).filter(|&network| rank(network) == Worth::Evidence).count();
        assert_eq!(evidence, MOST_OF_A_TARGET);
    }

    #[test]
    fn a_target_is_evidence_while_it_is_in_use_and_young() {
        let day = |n: i64| Time::from_seconds(n * 86_400);
        let of = |used, at, unguessable| Target::of(used, at, Span::from_days(7), unguessable);
        assert_eq!(of(None, day(1), true), Target::Unused);
        assert_eq!(of(Some((day(2), day(3))), day(1), true), Target::Unused, "used only after the probe");
        assert_eq!(of(Some((day(1), day(3))), day(4), true), Target::Unguessable);
        assert_eq!(of(Some((day(1), day(3))), day(4), false), Target::Known, "guessable");
        assert_eq!(of(Some((day(1), day(3))), day(20), true), Target::Known, "expired");
        assert_eq!(of(Some((day(1), day(30))), day(2), true), Target::Known, "stable");
    }
}
