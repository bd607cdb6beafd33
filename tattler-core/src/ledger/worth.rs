//! The worth of a probe when room is short. The ledger and the store use the same ranking.
//!
//! Outsiders decide how many probes there are, so probes must not displace evidence. Probes of unused addresses are
//! dropped first, then repeats and probes that prove nothing, and evidence of a leak last.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use sensor_common::Kind;

use crate::time::{Span, Time};

/// Rows of evidence for one target on one day. Real scanners cause a few; in a flood from random sources, not every row
/// may count as evidence.
const MOST_OF_A_TARGET: usize = 64;
/// Targets with evidence on one day, as many as the ledger has locals.
const MOST_TARGETS: usize = 200_000;
/// An address in use for longer than the validity of temporary addresses and a day is not temporary.
const STABLE_AFTER: Span = Span::from_days(1);
const DAY: i64 = Span::from_days(1).0;

/// The worth of a probe, in the order of deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Its target was not seen in use.
    Sweep,
    /// It proves nothing, or nothing new.
    Repeat,
    /// The first of its day, source network and kind that hit an unguessable address.
    Evidence,
}

/// The state of a target when it was probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It was not seen in use.
    Unused,
    /// Outsiders may have guessed it, found it published, or known it for long.
    Known,
    /// It is in use, and a probe means that somebody passed it on.
    Unguessable,
}

impl Target {
    /// The state of a target for a probe at `at`, by the times of the first and the last contact of the target.
    #[must_use]
    pub fn of(used: Option<(Time, Time)>, at: Time, validity: Span, unguessable: bool) -> Target {
        let Some((first, last)) = used.filter(|&(first, _)| first <= at) else { return Target::Unused };
        let most = Span(validity.0.saturating_add(STABLE_AFTER.0));
        if unguessable && last - first <= most && at - last <= most { Target::Unguessable } else { Target::Known }
    }
}

/// The current day of observations that come roughly in order of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct CurrentDay(i64);

impl CurrentDay {
    /// Whether a new day begins at `at`. Late observations of yesterday count as today's. If the clock was set back
    /// further, a new day begins.
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
        // A scanner has at least a /48.
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
        assert_eq!(rank(86_399, 1, 1, Kind::Syn), Worth::Repeat, "a late one begins no day");
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
