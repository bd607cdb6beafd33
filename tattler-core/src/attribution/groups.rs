//! The groups of remotes that are tested: single addresses, the /64s and /48s that hold several addresses, and
//! operators whose prefixes the catalogue knows. (Few servers of the NTP pool are independent.)

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use super::cases::tested_locals;
use crate::campaign::catalogue::{self, CatalogueEntry};
use crate::ledger::AddrId;
use crate::view::frame::Frame;

/// Lengths of the prefixes, the most specific first.
const LENGTHS: [u8; 3] = [128, 64, 48];
/// Number of levels of groups: the lengths of prefixes, then operators.
const LEVELS: usize = LENGTHS.len() + 1;
const OPERATOR: usize = LENGTHS.len();
const NONE: u32 = u32::MAX;

/// Remotes that are tested together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The prefix. If the group is an operator: the prefix in the catalogue that holds its first member.
    pub net: Ipv6Net,
    /// 0: an address, 1: a /64, 2: a /48, 3: an operator.
    pub level: usize,
    /// The name, if the group is an operator.
    pub operator: Option<&'static str>,
    /// The range of the members in `Groups::remotes`. Other remotes may lie between the members of an operator.
    members: (u32, u32),
    /// The members, if the group is an operator.
    scattered: Vec<AddrId>,
    /// Number of locals under test that contacted the group.
    pub locals: u32,
}

/// All remotes that locals under test contacted, and the groups of these remotes. A prefix does not form a group if a
/// longer prefix holds the same contacted addresses.
pub struct Groups {
    /// The remotes, in order of address.
    remotes: Vec<AddrId>,
    /// The groups. Single addresses come first, in the order of `remotes`.
    pub list: Vec<Group>,
    /// For each number of an address: its groups, by level.
    of: Vec<[u32; LEVELS]>,
    /// Number of pairs of a local under test and a remote that it contacted.
    pub pairs: u64,
    /// Number of locals under test.
    pub locals: u64,
}

impl Groups {
    /// Finds the groups of the remotes that the locals with `tested` contacted.
    #[must_use]
    pub fn new(frame: &Frame, tested: &[bool]) -> Groups {
        let mut of = vec![[NONE; LEVELS]; frame.ledger.addresses()];
        let mut remotes = Vec::new();
        for first in tested_locals(tested).flat_map(|local| frame.firsts(local)) {
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
        let mut groups = Groups { remotes, list, of, pairs: 0, locals: tested_locals(tested).count() as u64 };
        let mut seen = vec![NONE; groups.list.len()];
        for local in tested_locals(tested) {
            for first in frame.firsts(local) {
                groups.pairs += 1;
                for group in groups.of(first.remote) {
                    if std::mem::replace(&mut seen[group], local as u32) != local as u32 {
                        groups.list[group].locals += 1;
                    }
                }
            }
        }
        groups
    }

    /// The groups that contain a remote, the most specific first.
    pub fn of(&self, remote: AddrId) -> impl Iterator<Item = usize> + use<> {
        self.of[remote.0 as usize].into_iter().filter(|&group| group != NONE).map(|group| group as usize)
    }

    /// The group of this remote alone, if a local under test contacted it.
    #[must_use]
    pub fn single(&self, remote: AddrId) -> Option<usize> {
        Some(self.of[remote.0 as usize][0]).filter(|&group| group != NONE).map(|group| group as usize)
    }

    /// The remotes in a group.
    #[must_use]
    pub fn members(&self, group: usize) -> &[AddrId] {
        let group = &self.list[group];
        let (from, to) = group.members;
        if group.level == OPERATOR { &group.scattered } else { &self.remotes[from as usize..to as usize] }
    }

    /// The groups that contain `inner` and more. All of these groups contain the first member of `inner`.
    pub fn around(&self, inner: usize) -> impl Iterator<Item = usize> {
        let first = self.remotes[self.list[inner].members.0 as usize];
        self.of(first).filter(move |&outer| self.is_inside(inner, outer))
    }

    /// Whether `inner` is a part of `outer` and not the same group.
    #[must_use]
    pub fn is_inside(&self, inner: usize, outer: usize) -> bool {
        let (a, b) = (&self.list[inner], &self.list[outer]);
        if inner == outer || a.members.0 < b.members.0 || a.members.1 > b.members.1 {
            return false;
        }
        // Remotes between the first and the last remote of an operator may belong to other operators.
        let ends = || [a.members.0, a.members.1 - 1].map(|at| self.remotes[at as usize]);
        b.level != OPERATOR || ends().iter().all(|end| self.of[end.0 as usize][OPERATOR] == outer as u32)
    }
}

/// Adds a group for each operator of several remotes, unless an existing group has exactly these remotes. Hosters and
/// content networks get no group: they do not run their customers' machines.
fn operators(frame: &Frame, remotes: &[AddrId], list: &mut Vec<Group>, of: &mut [[u32; LEVELS]]) {
    let mut members: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
    for (at, &remote) in remotes.iter().enumerate() {
        let entry = catalogue::operator(frame.ledger.address(remote));
        let runs = |entry: &&CatalogueEntry| entry.usage.is_operator_run();
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
