//! Remotes as suspects: single addresses, and the /64s and /48s that hold several of them.

use ipnet::Ipv6Net;

use super::frame::Frame;
use crate::ledger::AddrId;

/// Lengths of prefixes, the most specific first.
const LEVELS: [u8; 3] = [128, 64, 48];
const NONE: u32 = u32::MAX;

/// Remotes that are tested as one.
#[derive(Clone, Debug)]
pub struct Group {
    /// The prefix.
    pub net: Ipv6Net,
    /// Its members: a range of [`Groups::remotes`].
    members: (u32, u32),
    /// Locals under test that contacted it.
    pub locals: u32,
}

/// All remotes contacted by locals under test, and their groups. A prefix that holds the same
/// contacted addresses as a longer one is no group of its own.
pub struct Groups {
    /// In order of address.
    pub remotes: Vec<AddrId>,
    /// Addresses first, in the order of `remotes`.
    pub list: Vec<Group>,
    /// By number of address: its groups, at the three levels.
    of: Vec<[u32; 3]>,
    /// Pairs of a local under test and a remote that it contacted.
    pub pairs: u64,
}

impl Groups {
    /// Finds the groups of what the locals with `tested` contacted.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool]) -> Groups {
        let under_test = || (0..frame.len()).filter(|&local| tested[local]);
        let mut of = vec![[NONE; 3]; frame.ledger.addresses()];
        let mut remotes = Vec::new();
        for first in under_test().flat_map(|local| frame.firsts(local)) {
            let slot = &mut of[first.remote.0 as usize][0];
            if *slot == NONE {
                *slot = 0;
                remotes.push(first.remote);
            }
        }
        remotes.sort_by_cached_key(|&remote| frame.ledger.address(remote));
        let mut list: Vec<Group> = Vec::new();
        for (level, length) in LEVELS.into_iter().enumerate() {
            let net = |remote: AddrId| Ipv6Net::new(frame.ledger.address(remote), length).unwrap_or_default().trunc();
            let mut from = 0;
            while from < remotes.len() {
                let here = net(remotes[from]);
                let to = from + remotes[from..].partition_point(|&remote| net(remote) == here);
                let inside = of[remotes[from].0 as usize];
                let same = |l: usize| inside[l] != NONE && list[inside[l] as usize].members == (from as u32, to as u32);
                if !(0..level).any(same) {
                    for remote in &remotes[from..to] {
                        of[remote.0 as usize][level] = list.len() as u32;
                    }
                    list.push(Group { net: here, members: (from as u32, to as u32), locals: 0 });
                }
                from = to;
            }
        }
        let mut groups = Groups { remotes, list, of, pairs: 0 };
        let mut seen = vec![NONE; groups.list.len()];
        for local in under_test() {
            for first in frame.firsts(local) {
                groups.pairs += 1;
                for group in groups.of(first.remote).into_iter().flatten() {
                    if std::mem::replace(&mut seen[group], local as u32) != local as u32 {
                        groups.list[group].locals += 1;
                    }
                }
            }
        }
        groups
    }

    /// The groups that a remote is in, the most specific first.
    #[must_use]
    pub fn of(&self, remote: AddrId) -> [Option<usize>; 3] {
        self.of[remote.0 as usize].map(|group| (group != NONE).then_some(group as usize))
    }

    /// The remotes in a group.
    #[must_use]
    pub fn members(&self, group: usize) -> &[AddrId] {
        let (from, to) = self.list[group].members;
        &self.remotes[from as usize..to as usize]
    }

    /// Whether `inner` is a part of `outer` and not the same.
    #[must_use]
    pub fn is_inside(&self, inner: usize, outer: usize) -> bool {
        let (a, b) = (self.list[inner].members, self.list[outer].members);
        inner != outer && b.0 <= a.0 && a.1 <= b.1
    }
}
