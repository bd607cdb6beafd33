//! Indices into the per-CPU counters.
//!
//! For contacts, probes and answers each: matched = recorded + held back + lost, exactly.

use crate::GiveUp;
use crate::wire::What;

/// The outcome for a contact, probe or answer that the rules matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// The rules matched it.
    Matched = 0,
    /// The event was submitted, or the repeat counted.
    Recorded = 1,
    /// Over a budget.
    HeldBack = 2,
    /// The ring was full or a map refused.
    Lost = 3,
}

impl Fate {
    /// Every value, in the order of the counters.
    pub const ALL: [Fate; 4] = [Fate::Matched, Fate::Recorded, Fate::HeldBack, Fate::Lost];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Matched => "matched",
            Fate::Recorded => "recorded",
            Fate::HeldBack => "held_back",
            Fate::Lost => "lost",
        }
    }
}

/// The direction of a packet on the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// From the internet.
    Ingress = 0,
    /// To the internet.
    Egress = 1,
}

impl Direction {
    /// Every value, in the order of the counters.
    pub const ALL: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

const FATES: u32 = Fate::ALL.len() as u32;
const REASONS: u32 = GiveUp::COUNTED.len() as u32;

/// The number of counters.
pub const COUNTERS: u32 = What::ALL.len() as u32 * FATES + Direction::ALL.len() as u32 * REASONS;

/// The index of the counter for an outcome.
#[inline(always)]
#[must_use]
pub const fn fate(what: What, fate: Fate) -> u32 {
    (what as u32 - 1) * FATES + fate as u32
}

/// The index of the counter for a reason to give up; `None` for [`GiveUp::NotIpv6`], which is not counted.
#[inline(always)]
#[must_use]
pub const fn give_up(direction: Direction, reason: GiveUp) -> Option<u32> {
    if matches!(reason, GiveUp::NotIpv6) {
        return None;
    }
    Some(What::ALL.len() as u32 * FATES + direction as u32 * REASONS + reason as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_an_index_of_its_own() {
        let mut seen = [false; COUNTERS as usize];
        let fates = What::ALL.iter().flat_map(|&w| Fate::ALL.map(|f| fate(w, f)));
        let reasons = Direction::ALL.iter().flat_map(|&d| GiveUp::COUNTED.map(|r| give_up(d, r).unwrap()));
        for index in fates.chain(reasons) {
            assert!(!core::mem::replace(&mut seen[index as usize], true), "index {index} twice");
        }
        assert!(seen.iter().all(|&s| s));
        assert_eq!(give_up(Direction::Ingress, GiveUp::NotIpv6), None);
    }
}
