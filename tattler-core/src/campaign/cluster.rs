//! Which probes belong to one scanner, from features of the source's side only: to cluster by common
//! targets would put the outcome into the evidence.
//!
//! A strand is what one source sent of one kind to one port. Strands of one source are one. Strands
//! of one customer's prefix with one kind and port are one unless their fingerprints differ: two
//! tenants of a /64 are two. [`step`](super::step) joins those of one prefix whose kinds differ and that
//! go in step, and [`spread`](super::spread) then joins across prefixes.

use std::collections::HashMap;

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::fingerprint::{Fingerprint, Forms, Prints};
use super::union::Union;
use super::{hosters, spread, step};
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::frame::Frame;

/// Fingerprints of one prefix, kind and port from which on they say nothing: somebody takes another
/// for each address.
const MANY: usize = 8;

/// What one source sent of one kind to one port.
pub(super) struct Strand {
    pub(super) source: AddrId,
    pub(super) customer: Ipv6Net,
    pub(super) kind: Kind,
    pub(super) port: u16,
    pub(super) rows: u32,
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) prints: Prints,
    pub(super) fingerprint: Fingerprint,
}

/// Which rows are one.
pub(super) struct Clusters {
    /// For each row of the ledger the number of its tool; `None` where nothing is known.
    pub(super) tool_of: Vec<Option<u32>>,
    /// For each row the number of its cluster, below `len`.
    pub(super) of_row: Vec<u32>,
    /// Clusters.
    pub(super) len: usize,
}

impl Clusters {
    pub(super) fn new(frame: &Frame, is_path: &[bool]) -> Clusters {
        let (strands, strand_of) = strands(frame, is_path);
        let mut union = Union::new(strands.len());
        join_sources(frame, &strands, &mut union);
        join_customers(&strands, &mut union);
        step::join(frame, &strands, &strand_of, &mut union);
        spread::join(&strands, &Forms::new(frame.ledger), &mut union);

        let mut numbers = HashMap::new();
        let roots = union.roots();
        let of_row = strand_of.iter().map(|&strand| number(&mut numbers, roots[strand as usize])).collect();
        let mut tools = HashMap::new();
        let mut tool_of_strand = |strand: &Strand| {
            let tool = strand.fingerprint.tool();
            (tool.known() > 0).then(|| number(&mut tools, tool))
        };
        let tools: Vec<Option<u32>> = strands.iter().map(&mut tool_of_strand).collect();
        let tool_of = strand_of.iter().map(|&strand| tools[strand as usize]).collect();
        Clusters { tool_of, of_row, len: numbers.len() }
    }
}

fn number<K: std::hash::Hash + Eq>(numbers: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(key).or_insert(next)
}

fn strands(frame: &Frame, is_path: &[bool]) -> (Vec<Strand>, Vec<u32>) {
    let rows = frame.ledger.probes();
    let mut index: HashMap<(AddrId, Kind, u16), u32> = HashMap::new();
    let mut strands: Vec<Strand> = Vec::new();
    let mut strand_of = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        let at = *index.entry((row.source, row.kind, row.port)).or_insert_with(|| {
            strands.push(Strand {
                source: row.source,
                customer: hosters::customer(frame.ledger.address(row.source)),
                kind: row.kind,
                port: row.port,
                rows: 0,
                first: row.first,
                last: row.last,
                prints: Prints::default(),
                fingerprint: Prints::default().fingerprint(row.kind),
            });
            strands.len() as u32 - 1
        });
        let strand = &mut strands[at as usize];
        strand.rows += 1;
        strand.first = strand.first.min(row.first);
        strand.last = strand.last.max(row.last);
        strand.prints.add(row, is_path[i]);
        strand_of.push(at);
    }
    for strand in &mut strands {
        strand.fingerprint = strand.prints.fingerprint(strand.kind);
    }
    (strands, strand_of)
}

fn join_sources(frame: &Frame, strands: &[Strand], union: &mut Union) {
    let mut first = vec![u32::MAX; frame.ledger.addresses()];
    for (i, strand) in strands.iter().enumerate() {
        match &mut first[strand.source.0 as usize] {
            slot if *slot == u32::MAX => *slot = i as u32,
            slot => union.join(*slot, i as u32),
        }
    }
}

fn join_customers(strands: &[Strand], union: &mut Union) {
    let key = |&i: &u32| {
        let strand = &strands[i as usize];
        (strand.customer, strand.kind, strand.port)
    };
    let mut order: Vec<u32> = (0..strands.len() as u32).collect();
    order.sort_unstable_by_key(key);
    for bucket in order.chunk_by_mut(|a, b| key(a) == key(b)) {
        join_bucket(strands, bucket, union);
    }
}

/// Those with the same fingerprint are one. Those of which less is known go with the one fuller
/// fingerprint that they agree with; where they agree with several, they are by themselves.
fn join_bucket(strands: &[Strand], bucket: &mut [u32], union: &mut Union) {
    let print = |&i: &u32| strands[i as usize].fingerprint;
    // What is known most of comes first.
    bucket.sort_unstable_by_key(|i| (std::cmp::Reverse(print(i).known()), print(i)));
    let groups: Vec<&[u32]> = bucket.chunk_by(|a, b| print(a) == print(b)).collect();
    if groups.len() > MANY {
        union.join_all(bucket.iter().copied());
        return;
    }
    for (n, group) in groups.iter().enumerate() {
        union.join_all(group.iter().copied());
        let own = print(&group[0]);
        let fuller = groups[..n].iter().filter(|other| print(&other[0]).known() > own.known());
        let mut agreeing = fuller.filter(|other| print(&other[0]).agrees(&own));
        if let (Some(one), None) = (agreeing.next(), agreeing.next()) {
            union.join(one[0], group[0]);
        }
    }
}
