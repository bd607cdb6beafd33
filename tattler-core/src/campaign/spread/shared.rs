//! Joins units that share a network, a constant or a set of ports.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::super::distinct;
use super::super::fingerprint::Fingerprint;
use super::super::union::Union;
use super::{Joinable, PAUSE, SHARERS, chains, count_units, join_all};
use crate::time::Span;

/// Units in one /32 form one scanner if each unit is active within this time of another.
const TOGETHER: Span = Span::from_days(1);
/// Ports that every scanner tries.
const USUAL_PORTS: [u16; 24] = [
    21, 22, 23, 25, 53, 80, 81, 110, 123, 143, 161, 443, 445, 587, 993, 995, 1433, 3306, 3389, 5060, 5900, 8000, 8080,
    8443,
];

/// Joins the units of each /48, and the units of each /32 that are active at the same time. `bucket` is in order of
/// customers, so the strands of a network are adjacent.
pub(super) fn join_networks(bucket: &[Joinable], union: &mut Union) {
    let net = |one: &Joinable, length| network(one.strand.customer, length);
    for near in bucket.chunk_by(|a, b| net(a, 48).is_some() && net(a, 48) == net(b, 48)) {
        join_all(near, union);
    }
    for near in bucket.chunk_by(|a, b| net(a, 32).is_some() && net(a, 32) == net(b, 32)) {
        chains(near.to_vec(), TOGETHER).iter().for_each(|chain| join_all(chain, union));
    }
}

/// Joins the units that count hops and are in one network: a scanner that measures paths may use several /48s. No
/// kernel counts hops by pings, so the tool need not be distinctive. But many tools count hops, so this rule does not
/// join units across networks.
pub(super) fn join_paths(bucket: &[Joinable], union: &mut Union) {
    let paths: Vec<Joinable> = bucket.iter().filter(|one| one.strand.prints.count_hops()).copied().collect();
    join_networks(&paths, union);
}

/// The network of a customer; `None` at dense hosters.
fn network(customer: Ipv6Net, length: u8) -> Option<u128> {
    (customer.prefix_len() <= 64).then(|| u128::from(customer.network()) >> (128 - length))
}

/// Joins the units that have the same tool, kind and port and a constant in common.
pub(super) fn join_constants(bucket: &[Joinable], union: &mut Union) {
    let units = count_units(bucket);
    let mut sharers: Vec<_> = bucket
        .iter()
        .flat_map(|one| one.strand.prints.constants().map(move |(constant, is_sure)| (constant, is_sure, one)))
        .collect();
    sharers.sort_unstable_by_key(|(constant, is_sure, one)| (*constant, *is_sure, one.unit, one.number));
    for same in sharers.chunk_by(|a, b| a.0 == b.0) {
        // If a constant was seen often enough, join its units even if the tool is not distinctive: a kernel uses
        // another port or id for each target.
        join_all(same.iter().filter(|(_, is_sure, _)| *is_sure).map(|(.., one)| *one), union);
        // Join the other units only if chance is excluded: among thousands of machines, some use the same of 28,000
        // ports.
        let sharing = || same.iter().map(|(.., one)| *one);
        let count = count_units(sharing());
        if bucket[0].is_distinctive && count >= SHARERS && count * 200 > units {
            join_all(sharing(), union);
        }
    }
}

/// The distinctive strands of a unit.
struct PortSet<'s> {
    ports: Vec<(Fingerprint, u16)>,
    earliest: Joinable<'s>,
}

/// Joins units that have the same unusual set of distinctive tools and ports.
pub(super) fn join_port_sets(all: &[Joinable], union: &mut Union) {
    let mut sets: HashMap<u32, PortSet> = HashMap::new();
    let with_ports = |one: &&Joinable| one.is_distinctive && matches!(one.tool.kind, Kind::Syn | Kind::Udp);
    for one in all.iter().filter(with_ports) {
        let set = sets.entry(one.unit).or_insert_with(|| PortSet { ports: Vec::new(), earliest: *one });
        set.ports.push((one.tool, one.strand.port));
        if one.strand.first < set.earliest.strand.first {
            set.earliest = *one;
        }
    }
    let mut hashed: Vec<(u64, Joinable)> = Vec::new();
    for PortSet { ports, earliest } in sets.into_values() {
        let ports = distinct(ports);
        let unusual = ports.iter().filter(|(_, port)| !USUAL_PORTS.contains(port)).count();
        if ports.len() >= 5 && unusual >= 1 || unusual >= 2 {
            let mut hasher = DefaultHasher::new();
            ports.hash(&mut hasher);
            hashed.push((hasher.finish(), earliest));
        }
    }
    hashed.sort_unstable_by_key(|(hash, one)| (*hash, one.number));
    for same in hashed.chunk_by(|a, b| a.0 == b.0) {
        for chain in chains(same.iter().map(|&(_, one)| one).collect(), PAUSE) {
            join_all(&chain, union);
        }
    }
}
