//! Strands: the rows that one source sent of one kind to one port.

use std::collections::HashMap;

use ipnet::Ipv6Net;
use sensor_common::Kind;

use super::fingerprint::{Fingerprint, Prints};
use super::hosters;
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::frame::Frame;

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

/// All strands, and for each row of the ledger the number of its strand.
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
