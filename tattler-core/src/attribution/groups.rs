//! Remotes as suspects: single addresses, the /64s and /48s that hold several of them, and operators
//! whose prefixes the catalogue knows: of the servers of the NTP pool, few are independent.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use crate::campaign::catalogue::{self, Entry, What};
use crate::ledger::AddrId;
use crate::view::frame::Frame;

/// Lengths of prefixes, the most specific first.
const LENGTHS: [u8; 3] = [128, 64, 48];
/// Levels of groups: the prefixes, and operators above them.
pub const LEVELS: usize = LENGTHS.len() + 1;
const OPERATOR: usize = LENGTHS.len();
const NONE: u32 = u32::MAX;

/// Remotes that are tested as one.
#[derive(Clone, Debug)]
pub struct Group {
    /// The prefix; of an operator the one that holds its first member.
    pub net: Ipv6Net,
    /// From addresses (0) to operators.
    pub level: usize,
    /// The operator, if it is one's.
    pub operator: Option<&'static str>,
    /// Its members: a range of [`Groups::remotes`]; of an operator from the first to the last.
    members: (u32, u32),
    /// The members of an operator, which others may lie between.
    scattered: Vec<AddrId>,
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
    /// By number of address: its groups, by level.
    of: Vec<[u32; LEVELS]>,
    /// Pairs of a local under test and a remote that it contacted.
    pub pairs: u64,
    /// Locals under test.
    pub locals: u64,
}

impl Groups {
    /// Finds the groups of what the locals with `tested` contacted.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool]) -> Groups {
        let under_test = || (0..frame.len()).filter(|&local| tested[local]);
        let mut of = vec![[NONE; LEVELS]; frame.ledger.addresses()];
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
        for (level, length) in LENGTHS.into_iter().enumerate() {
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
                    let members = (from as u32, to as u32);
                    let (operator, scattered) = (None, Vec::new());
                    list.push(Group { net: here, level, operator, members, scattered, locals: 0 });
                }
                from = to;
            }
        }
        operators(frame, &remotes, &mut list, &mut of);
        let mut groups = Groups { remotes, list, of, pairs: 0, locals: under_test().count() as u64 };
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
    pub fn of(&self, remote: AddrId) -> [Option<usize>; LEVELS] {
        self.of[remote.0 as usize].map(|group| (group != NONE).then_some(group as usize))
    }

    /// The remotes in a group.
    #[must_use]
    pub fn members(&self, group: usize) -> &[AddrId] {
        let group = &self.list[group];
        let (from, to) = group.members;
        if group.level == OPERATOR { &group.scattered } else { &self.remotes[from as usize..to as usize] }
    }

    /// The groups that a group is a part of. One that holds it holds its first member.
    pub fn around(&self, inner: usize) -> impl Iterator<Item = usize> {
        let first = self.remotes[self.list[inner].members.0 as usize];
        self.of(first).into_iter().flatten().filter(move |&outer| self.is_inside(inner, outer))
    }

    /// Whether `inner` is a part of `outer` and not the same.
    #[must_use]
    pub fn is_inside(&self, inner: usize, outer: usize) -> bool {
        let (a, b) = (&self.list[inner], &self.list[outer]);
        if inner == outer || a.members.0 < b.members.0 || a.members.1 > b.members.1 {
            return false;
        }
        // What lies between the first and the last of an operator may be another's.
        let ends = || [a.members.0, a.members.1 - 1].map(|at| self.remotes[at as usize]);
        b.level != OPERATOR || ends().iter().all(|end| self.of[end.0 as usize][OPERATOR] == outer as u32)
    }
}

/// A group for each operator of several remotes that no prefix holds alone. Only those that run the
/// remotes themselves: what a hoster's or a content network's customers do is not its doing.
fn operators(frame: &Frame, remotes: &[AddrId], list: &mut Vec<Group>, of: &mut [[u32; LEVELS]]) {
    let mut members: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
    for (at, &remote) in remotes.iter().enumerate() {
        let entry = catalogue::operator(frame.ledger.address(remote));
        let runs = |entry: &&Entry| matches!(entry.what, What::Scanner | What::Harvester | What::Ntp);
        if let Some(entry) = entry.filter(runs).filter(|entry| entry.is_current()) {
            members.entry(&entry.operator).or_default().push(at as u32);
        }
    }
    for (operator, members) in members {
        let (Some(&first), Some(&last)) = (members.first(), members.last()) else { continue };
        let range = (first, last + 1);
        let held = of[remotes[first as usize].0 as usize];
        if held.iter().any(|&group| group != NONE && list[group as usize].members == range) {
            continue;
        }
        let scattered: Vec<AddrId> = members.iter().map(|&at| remotes[at as usize]).collect();
        scattered.iter().for_each(|remote| of[remote.0 as usize][OPERATOR] = list.len() as u32);
        let net =
            catalogue::operator(frame.ledger.address(scattered[0])).map_or_else(Ipv6Net::default, |entry| entry.prefix);
        let operator = Some(operator);
        list.push(Group { net, level: OPERATOR, operator, members: range, scattered, locals: 0 });
    }
}
