//! Joins many units with few probes each: a scanner that changes its address after a few probes.

use std::cmp::Reverse;
use std::collections::HashMap;

use ipnet::Ipv6Net;

use super::super::distinct;
use super::super::union::Union;
use super::{Joinable, PAUSE, SHARERS, chains, count_units, join_all};

/// The minimum number of small units of one tool, kind and port that count as one scanner.
const UNITS: usize = 8;
/// The maximum number of rows of a small unit.
const FEW: u32 = 8;
/// The maximum number of rows of a small unit if there are at least [`MANY_UNITS`] such units.
const FEW_OF_MANY: u32 = 32;
const MANY_UNITS: usize = 32;
/// Length of one step of a rhythm, in microseconds: six hours.
const STEP: i64 = 6 * 3_600_000_000;
/// The maximum number of scanners of one tool whose rhythms are compared. A bound is needed since each scanner is
/// compared with each.
const COMPARED: usize = 64;
/// The maximum number of scanners in a prefix that is used: a prefix with more scanners says nothing. This bounds the
/// time too.
const MANY_SCANNERS: usize = 8;

/// Small units of one tool, kind and port that form one scanner.
pub(super) struct SmallUnits<'s> {
    strands: Vec<Joinable<'s>>,
    /// The steps of time in which the scanner was active, in order.
    rhythm: Vec<i64>,
}

/// Joins the small units of one tool, kind and port, if there are many such units. `rows`: number of rows of each
/// unit.
pub(super) fn join<'s>(bucket: &[Joinable<'s>], rows: &HashMap<u32, u32>, union: &mut Union) -> Vec<SmallUnits<'s>> {
    let small = |few: u32| bucket.iter().filter(move |one| rows[&one.unit] <= few);
    let few = if count_units(small(FEW_OF_MANY)) >= MANY_UNITS { FEW_OF_MANY } else { FEW };
    let chains = chains(small(few).copied().collect(), PAUSE).into_iter();
    let scanner = |strands: Vec<Joinable<'s>>| {
        join_all(&strands, union);
        let mut rhythm: Vec<i64> = strands.iter().map(|one| one.strand.first.0.div_euclid(STEP)).collect();
        rhythm.dedup();
        SmallUnits { strands, rhythm }
    };
    chains.filter(|chain| count_units(chain) >= UNITS).map(scanner).collect()
}

/// Joins scanners with the same tool that are active at the same times, and scanners from the same prefixes whatever
/// their tools. This is needed if each source sends one probe: then the ports of one scanner are in different units.
pub(super) fn join_scanners(mut scanners: Vec<SmallUnits>, union: &mut Union) {
    scanners.sort_by_cached_key(|scanner| {
        let Joinable { tool, strand, .. } = scanner.strands[0];
        (tool, Reverse(scanner.strands.len()), strand.first, strand.port)
    });
    join_rhythms(&scanners, union);
    join_prefixes(&scanners, union);
}

fn join_rhythms(scanners: &[SmallUnits], union: &mut Union) {
    let common = |a: &[i64], b: &[i64]| a.iter().filter(|step| b.binary_search(step).is_ok()).count();
    for of_tool in scanners.chunk_by(|a, b| a.strands[0].tool == b.strands[0].tool) {
        let compared = &of_tool[..of_tool.len().min(COMPARED)];
        for (i, a) in compared.iter().enumerate() {
            for b in &compared[..i] {
                if common(&a.rhythm, &b.rhythm) * 2 >= a.rhythm.len().max(b.rhythm.len()) {
                    join_all([&a.strands[0], &b.strands[0]], union);
                }
            }
        }
    }
}

fn join_prefixes(scanners: &[SmallUnits], union: &mut Union) {
    let mut at: Vec<(Ipv6Net, usize)> = Vec::new();
    let mut sizes = Vec::new();
    for (i, scanner) in scanners.iter().enumerate() {
        let nets = distinct(scanner.strands.iter().map(|one| one.strand.customer).collect());
        sizes.push(nets.len());
        at.extend(nets.into_iter().map(|net| (net, i)));
    }
    at.sort_unstable();
    let mut shared: HashMap<(usize, usize), usize> = HashMap::new();
    for here in at.chunk_by(|a, b| a.0 == b.0).filter(|here| here.len() <= MANY_SCANNERS) {
        for (n, &(_, a)) in here.iter().enumerate() {
            here[..n].iter().for_each(|&(_, b)| *shared.entry((b, a)).or_default() += 1);
        }
    }
    for ((a, b), common) in shared {
        if common >= SHARERS && common * 2 >= sizes[a].min(sizes[b]) {
            join_all([&scanners[a].strands[0], &scanners[b].strands[0]], union);
        }
    }
}
