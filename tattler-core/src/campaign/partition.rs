//! Divides the rows among campaigns, by features of the source's side only: to join sources by common targets
//! would put the outcome into the evidence.
//!
//! All strands of one source are one. Strands from one customer's prefix with one kind and port are one unless
//! their fingerprints differ: two tenants of a /64 are two. [`step`](super::step) then joins units of one prefix
//! whose kinds differ, and [`spread`](super::spread) joins units across prefixes.

use std::collections::HashMap;

use super::fingerprint::Forms;
use super::strand::{Strand, strands};
use super::union::Union;
use super::{spread, step};
use crate::view::frame::Frame;

/// From this number of fingerprints of one prefix, kind and port on, they say nothing: somebody uses another for
/// each address.
const MANY: usize = 8;

/// The campaign and the tool of each row.
pub(super) struct Partition {
    /// For each row of the ledger the number of its tool; `None` where nothing is known.
    pub(super) tool_of: Vec<Option<u32>>,
    /// For each row the number of its campaign, below `len`.
    pub(super) of_row: Vec<u32>,
    /// How many campaigns there are.
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

/// Joins strands with equal fingerprints. A less complete fingerprint joins the one more complete fingerprint that
/// it agrees with; if it agrees with several, it stays alone.
fn join_bucket(strands: &[Strand], bucket: &mut [u32], union: &mut Union) {
    let print = |&i: &u32| strands[i as usize].fingerprint;
    // The most complete first.
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
