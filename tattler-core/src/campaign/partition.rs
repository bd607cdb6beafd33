//! Divides the rows among campaigns, using only features of the source's side. Targets are not used: to join sources
//! by common targets would put the outcome into the evidence.
//!
//! All strands of one source form one unit. Strands from one customer's prefix with one kind and port form one unit
//! unless their fingerprints differ: two tenants of a /64 stay two units. [`step`](super::step) then joins units of
//! one prefix whose kinds differ, and [`spread`](super::spread) joins units across prefixes.

use std::collections::HashMap;

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::fingerprint::{Fingerprint, Forms, Prints};
use super::union::Union;
use super::{hosters, spread, step};
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::frame::Frame;

/// Number of fingerprints of one prefix, kind and port above which fingerprints say nothing: a scanner uses another
/// fingerprint for each address.
const MANY: usize = 8;

/// The rows that have the same source, kind and port.
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

/// The campaign and the tool of each row.
pub(super) struct Partition {
    /// For each row of the ledger, the number of its tool; `None` if no mark of the tool is known.
    pub(super) tool_of: Vec<Option<u32>>,
    /// For each row, the number of its campaign, less than `len`.
    pub(super) of_row: Vec<u32>,
    /// Number of campaigns.
    pub(super) len: usize,
}

impl Partition {
    pub(super) fn new(frame: &Frame, is_path: &[bool]) -> Partition {
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
        let known = strands.iter().map(|strand| Some(strand.fingerprint.tool()).filter(|tool| tool.known() > 0));
        let tools: Vec<Option<u32>> = known.map(|tool| tool.map(|tool| number(&mut tools, tool))).collect();
        let tool_of = strand_of.iter().map(|&strand| tools[strand as usize]).collect();
        Partition { tool_of, of_row, len: numbers.len() }
    }
}

fn number<K: std::hash::Hash + Eq>(numbers: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(key).or_insert(next)
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

/// Joins strands with equal fingerprints. Strands with a less complete fingerprint join the strands with a more
/// complete fingerprint if exactly one such fingerprint agrees. If several agree, they stay separate.
fn join_bucket(strands: &[Strand], bucket: &mut [u32], union: &mut Union) {
    let print = |&i: &u32| strands[i as usize].fingerprint;
    // The most complete fingerprints come first.
    bucket.sort_unstable_by_key(|i| (std::cmp::Reverse(print(i).known()), print(i)));
    let alike: Vec<&[u32]> = bucket.chunk_by(|a, b| print(a) == print(b)).collect();
    if alike.len() > MANY {
        union.join_all(bucket.iter().copied());
        return;
    }
    for (n, same) in alike.iter().enumerate() {
        union.join_all(same.iter().copied());
        let own = print(&same[0]);
        let fuller = alike[..n].iter().filter(|other| print(&other[0]).known() > own.known());
        let mut agreeing = fuller.filter(|other| print(&other[0]).agrees(&own));
        if let (Some(one), None) = (agreeing.next(), agreeing.next()) {
            union.join(one[0], same[0]);
        }
    }
}

/// All strands, and for each row of the ledger the number of the row's strand.
pub(super) fn strands(frame: &Frame, is_path: &[bool]) -> (Vec<Strand>, Vec<u32>) {
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
