//! Scanners that use many networks.
//!
//! Here units, which are what one customer's prefix holds of one scanner, are joined across prefixes.
//! That takes a fingerprint that no kernel has, the same kind and port, and one thing more:
//! - the same /48; or the same /32 at the same time (not at dense hosters, where that says nothing)
//! - the same unusual set of ports
//! - many units with few probes each
//!
//! or hops that are counted with one tool from one /48, or from one /32 at the same time (a path probe by
//! pings, which no kernel sends either);
//!
//! or a constant over several targets, which no kernel has either: a source port, an ICMPv6 id, a flow
//! label; or one operator, by the catalogue.
//!
//! Two who use the same tool with its defaults from two networks stay two. Every step sorts, and looks
//! at neighbours: the cost does not depend on what outsiders send.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::catalogue::{self, What};
use super::cluster::Strand;
use super::fingerprint::{Fingerprint, Forms};
use super::hosters;
use super::union::Union;
use crate::time::{Span, Time};

/// Units of one tool, kind and port from which on few probes each are a pattern.
const UNITS: usize = 8;
/// Rows of a unit that are few; and few where there are [`MANY_UNITS`] of them.
const FEW: u32 = 8;
const FEW_OF_MANY: u32 = 32;
const MANY_UNITS: usize = 32;
/// The longest pause of a spread scanner: rounds that come back after days are one.
const PAUSE: Span = Span::from_days(14);
/// Units in one /32 with the same tool are one if they are active within that of each other.
const TOGETHER: Span = Span::from_days(1);
/// Units that share a constant of which each is not sure.
const SHARERS: usize = 4;
/// Spread scanners of one tool whose rhythm is compared: a bound, since it is pairwise.
const COMPARED: usize = 64;
/// Ports that everybody tries.
const USUAL_PORTS: [u16; 24] = [
    21, 22, 23, 25, 53, 80, 81, 110, 123, 143, 161, 443, 445, 587, 993, 995, 1433, 3306, 3389, 5060, 5900, 8000, 8080,
    8443,
];

/// A strand that may be one with others.
#[derive(Clone, Copy)]
struct Sample {
    strand: u32,
    unit: u32,
    tool: Fingerprint,
    port: u16,
    /// No kernel sends that.
    is_distinctive: bool,
}

/// A spread scanner of one tool, kind and port.
struct Spread {
    tool: Fingerprint,
    strands: Vec<u32>,
    /// Times of activity, in steps of six hours, in order.
    rhythm: Vec<i64>,
}

/// Joins the strands of units that are one.
pub(super) fn join(strands: &[Strand], forms: &Forms, union: &mut Union) {
    join_operators(strands, union);
    // What a unit is must not depend on the order of what follows.
    let units = union.roots();
    let mut rows: HashMap<u32, u32> = HashMap::new();
    for (strand, &unit) in strands.iter().zip(&units) {
        *rows.entry(unit).or_default() += strand.rows;
    }
    let mut samples: Vec<Sample> = Vec::new();
    for (i, strand) in strands.iter().enumerate() {
        let is_distinctive = strand.fingerprint.is_distinctive(forms);
        // Peers of peer-to-peer networks and VPNs send UDP from one port each, and many from the same.
        if is_distinctive || matches!(strand.kind, Kind::Echo | Kind::Syn) {
            let tool = strand.fingerprint.tool();
            samples.push(Sample { strand: i as u32, unit: units[i], tool, port: strand.port, is_distinctive });
        }
    }
    samples.sort_unstable_by_key(|sample| (sample.tool, sample.port, strands[sample.strand as usize].customer));
    join_paths(strands, &samples, union);
    let mut spreads = Vec::new();
    for bucket in samples.chunk_by(|a, b| (a.tool, a.port) == (b.tool, b.port)) {
        join_constants(strands, bucket, union);
        // That goes by the tool: all of a bucket are distinctive, or none.
        if !bucket[0].is_distinctive {
            continue;
        }
        join_networks(strands, bucket, union);
        join_few(strands, bucket, &rows, union, &mut spreads);
    }
    join_ports(strands, &samples, union);
    join_rhythms(spreads, strands, union);
}

fn high(net: Ipv6Net, length: u8) -> Option<u128> {
    (net.prefix_len() <= 64).then(|| u128::from(net.network()) >> (128 - length))
}

/// Probes from a scanner's own prefixes are that scanner's, whatever they look like. Prefixes within a
/// dense hoster, and those of long ago, have other tenants.
fn join_operators(strands: &[Strand], union: &mut Union) {
    let mut first: HashMap<&str, u32> = HashMap::new();
    for (i, strand) in strands.iter().enumerate() {
        if let Some(operator) = known_scanner(strand.customer.network()) {
            union.join(*first.entry(operator).or_insert(i as u32), i as u32);
        }
    }
}

/// The operator of a scanner, if all of its prefix is its own.
pub(super) fn known_scanner(source: Ipv6Addr) -> Option<&'static str> {
    let entry = catalogue::operator(source)?;
    let own = entry.what == What::Scanner && entry.is_current() && hosters::customer_prefix(source) <= 64;
    own.then_some(entry.operator.as_str())
}

/// In order of customers: those of one /48 stand beside each other, and those of one /32.
fn join_networks(strands: &[Strand], bucket: &[Sample], union: &mut Union) {
    let net = |sample: &Sample, length| high(strands[sample.strand as usize].customer, length);
    for near in bucket.chunk_by(|a, b| net(a, 48).is_some() && net(a, 48) == net(b, 48)) {
        union.join_all(near.iter().map(|sample| sample.strand));
    }
    for near in bucket.chunk_by(|a, b| net(a, 32).is_some() && net(a, 32) == net(b, 32)) {
        let chains = chains(strands, near.iter().map(|sample| sample.strand).collect(), TOGETHER);
        chains.into_iter().for_each(|chain| union.join_all(chain));
    }
}

/// Those who count hops with one tool from one network are one, as who measures paths does from several
/// /48s. No kernel counts hops by pings, so that it stands for the fingerprint that no kernel has; but it
/// is common among tools, so that it joins nothing farther.
fn join_paths(strands: &[Strand], samples: &[Sample], union: &mut Union) {
    // `samples` is in order of tools and customers, and all echo requests have port 0.
    for bucket in samples.chunk_by(|a, b| (a.tool, a.port) == (b.tool, b.port)) {
        let counts_hops = |sample: &&Sample| strands[sample.strand as usize].prints.count_hops();
        let paths: Vec<Sample> = bucket.iter().filter(counts_hops).copied().collect();
        join_networks(strands, &paths, union);
    }
}

/// Strands in order of time, cut where nothing happened for longer than `pause`.
fn chains(strands: &[Strand], mut of: Vec<u32>, pause: Span) -> Vec<Vec<u32>> {
    of.sort_unstable_by_key(|&i| (strands[i as usize].first, i));
    let mut chains: Vec<Vec<u32>> = Vec::new();
    let mut until = Time(i64::MIN);
    for i in of {
        let strand = &strands[i as usize];
        match chains.last_mut() {
            Some(chain) if strand.first - until <= pause => chain.push(i),
            _ => chains.push(vec![i]),
        }
        until = until.max(strand.last);
    }
    chains
}

fn join_constants(strands: &[Strand], bucket: &[Sample], union: &mut Union) {
    let units = bucket.iter().map(|sample| sample.unit).collect::<HashSet<_>>().len();
    let mut sharers: Vec<_> = bucket
        .iter()
        .flat_map(|sample| {
            let constants = strands[sample.strand as usize].prints.constants();
            constants.map(move |(constant, is_sure)| (constant, is_sure, sample))
        })
        .collect();
    sharers.sort_unstable_by_key(|(constant, is_sure, sample)| (*constant, *is_sure, sample.unit, sample.strand));
    for group in sharers.chunk_by(|a, b| a.0 == b.0) {
        // Those that are sure share it, even if a kernel sends such packets: it takes another port or id
        // for each target. The others only where it can't be chance: of thousands of machines some meet at one
        // of 28,000 ports.
        union.join_all(group.iter().filter(|(_, is_sure, _)| *is_sure).map(|(.., sample)| sample.strand));
        let distinct = group.iter().map(|(.., sample)| sample.unit).collect::<HashSet<_>>().len();
        if bucket[0].is_distinctive && distinct >= SHARERS && distinct * 200 > units {
            union.join_all(group.iter().map(|(.., sample)| sample.strand));
        }
    }
}

/// Many units with few probes each.
fn join_few(
    strands: &[Strand],
    bucket: &[Sample],
    rows: &HashMap<u32, u32>,
    union: &mut Union,
    spreads: &mut Vec<Spread>,
) {
    let units = |few: u32| {
        let units = bucket.iter().map(|sample| sample.unit).filter(|unit| rows[unit] <= few);
        units.collect::<HashSet<_>>().len()
    };
    let few = if units(FEW_OF_MANY) >= MANY_UNITS { FEW_OF_MANY } else { FEW };
    let unit_of: HashMap<u32, u32> =
        bucket.iter().filter(|sample| rows[&sample.unit] <= few).map(|sample| (sample.strand, sample.unit)).collect();
    for chain in chains(strands, unit_of.keys().copied().collect(), PAUSE) {
        if chain.iter().map(|strand| unit_of[strand]).collect::<HashSet<_>>().len() < UNITS {
            continue;
        }
        union.join_all(chain.iter().copied());
        const STEP: i64 = 6 * 3_600_000_000;
        let mut rhythm: Vec<i64> = chain.iter().map(|&i| strands[i as usize].first.0.div_euclid(STEP)).collect();
        rhythm.dedup();
        spreads.push(Spread { tool: bucket[0].tool, strands: chain, rhythm });
    }
}

/// Units whose distinctive probes go to the same unusual set of ports.
fn join_ports(strands: &[Strand], samples: &[Sample], union: &mut Union) {
    let mut sets: HashMap<u32, Vec<(Fingerprint, u16)>> = HashMap::new();
    let mut any: HashMap<u32, u32> = HashMap::new();
    let with_ports = |sample: &&Sample| sample.is_distinctive && matches!(sample.tool.kind, Kind::Syn | Kind::Udp);
    for sample in samples.iter().filter(with_ports) {
        sets.entry(sample.unit).or_default().push((sample.tool, sample.port));
        let earlier = |&a: &u32, b: u32| strands[a as usize].first <= strands[b as usize].first;
        let known = any.get(&sample.unit).copied().filter(|known| earlier(known, sample.strand));
        any.insert(sample.unit, known.unwrap_or(sample.strand));
    }
    let mut hashed: Vec<(u64, u32)> = Vec::new();
    for (unit, mut set) in sets {
        set.sort_unstable();
        set.dedup();
        let unusual = set.iter().filter(|(_, port)| !USUAL_PORTS.contains(port)).count();
        if set.len() >= 5 && unusual >= 1 || unusual >= 2 {
            let mut hasher = DefaultHasher::new();
            set.hash(&mut hasher);
            hashed.push((hasher.finish(), any[&unit]));
        }
    }
    hashed.sort_unstable();
    for same in hashed.chunk_by(|a, b| a.0 == b.0) {
        for chain in chains(strands, same.iter().map(|&(_, strand)| strand).collect(), PAUSE) {
            union.join_all(chain);
        }
    }
}

/// A spread scanner whose sources send one probe each shows its ports in different units: those of one
/// tool that are active at the same times are one. So are those, whatever their tools, that come from
/// the same prefixes.
fn join_rhythms(mut spreads: Vec<Spread>, strands: &[Strand], union: &mut Union) {
    spreads.sort_by_cached_key(|spread| {
        let first = &strands[spread.strands[0] as usize];
        (spread.tool, std::cmp::Reverse(spread.strands.len()), first.first, first.port)
    });
    for of_tool in spreads.chunk_by(|a, b| a.tool == b.tool) {
        let compared = &of_tool[..of_tool.len().min(COMPARED)];
        for (i, a) in compared.iter().enumerate() {
            for b in &compared[..i] {
                if common(&a.rhythm, &b.rhythm) * 2 >= a.rhythm.len().max(b.rhythm.len()) {
                    union.join(a.strands[0], b.strands[0]);
                }
            }
        }
    }
    let mut at: Vec<(Ipv6Net, u32)> = Vec::new();
    let mut sizes = Vec::new();
    for (i, spread) in spreads.iter().enumerate() {
        let mut nets: Vec<Ipv6Net> = spread.strands.iter().map(|&s| strands[s as usize].customer).collect();
        nets.sort_unstable();
        nets.dedup();
        sizes.push(nets.len());
        at.extend(nets.into_iter().map(|net| (net, i as u32)));
    }
    at.sort_unstable();
    let mut shared: HashMap<(u32, u32), usize> = HashMap::new();
    for here in at.chunk_by(|a, b| a.0 == b.0).filter(|here| here.len() <= 8) {
        for (n, &(_, a)) in here.iter().enumerate() {
            here[..n].iter().for_each(|&(_, b)| *shared.entry((b, a)).or_default() += 1);
        }
    }
    for ((a, b), common) in shared {
        if common >= SHARERS && common * 2 >= sizes[a as usize].min(sizes[b as usize]) {
            union.join(spreads[a as usize].strands[0], spreads[b as usize].strands[0]);
        }
    }
}

/// How many two lists in order have in common.
fn common(a: &[i64], b: &[i64]) -> usize {
    a.iter().filter(|x| b.binary_search(x).is_ok()).count()
}
