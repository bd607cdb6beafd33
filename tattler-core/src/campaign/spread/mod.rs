//! Joins units across prefixes: a scanner may use many networks.
//!
//! Two users of one tool with its default settings in two networks stay two scanners. Units are joined if they have
//! in common
//! - the operator: all prefixes that only the operator uses, according to the catalogue
//! - tool, kind, port and a constant: a source port, an ICMPv6 id or a flow label that stays the same over several
//!   targets, as in no kernel
//! - tool and network, if the units count hops: one /48, or one /32 at the same time
//!
//! or, if the tool is distinctive (no kernel sends such packets),
//! - tool, kind, port and network; but at dense hosters a common network says nothing
//! - tool, kind and port, if there are many units with few probes each
//! - a set of tools and ports that is unusual
//!
//! Every rule sorts and then examines neighbours, so outsiders cannot increase the cost much.

mod shared;
mod small;

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;

use sensor_common::Kind;

use super::catalogue::{self, PrefixUse};
use super::fingerprint::{Fingerprint, Forms};
use super::hosters;
use super::partition::Strand;
use super::union::Union;
use crate::time::{Span, Time};

/// The maximum pause of a scanner in many networks. Rounds separated by shorter pauses belong to one scanner.
const PAUSE: Span = Span::from_days(14);
/// The minimum number of units that share a constant, or of prefixes that two scanners share. Fewer may be chance.
const SHARERS: usize = 4;

/// A strand that may be joined with strands of other units.
#[derive(Clone, Copy)]
struct Joinable<'s> {
    number: u32,
    strand: &'s Strand,
    unit: u32,
    tool: Fingerprint,
    /// Whether no kernel sends such packets.
    is_distinctive: bool,
}

/// Joins the strands of units that form one scanner.
pub(super) fn join(strands: &[Strand], forms: &Forms, union: &mut Union) {
    join_operators(strands, union);
    // Number the units before any other rule joins them: the order of the rules must not matter.
    let units = union.roots();
    let mut rows: HashMap<u32, u32> = HashMap::new();
    for (strand, &unit) in strands.iter().zip(&units) {
        *rows.entry(unit).or_default() += strand.rows;
    }
    let mut all: Vec<Joinable> = Vec::new();
    for (i, strand) in strands.iter().enumerate() {
        let is_distinctive = strand.fingerprint.is_distinctive(forms);
        // Peers of peer-to-peer networks and VPNs send UDP from a single port each, and many peers use the same port.
        if is_distinctive || matches!(strand.kind, Kind::Echo | Kind::Syn) {
            let tool = strand.fingerprint.tool();
            all.push(Joinable { number: i as u32, strand, unit: units[i], tool, is_distinctive });
        }
    }
    all.sort_unstable_by_key(|one| (one.tool, one.strand.port, one.strand.customer));
    let mut scanners = Vec::new();
    for bucket in all.chunk_by(|a, b| (a.tool, a.strand.port) == (b.tool, b.strand.port)) {
        shared::join_paths(bucket, union);
        shared::join_constants(bucket, union);
        // The tool decides this: either all strands of a bucket are distinctive, or none.
        if bucket[0].is_distinctive {
            shared::join_networks(bucket, union);
            scanners.extend(small::join(bucket, &rows, union));
        }
    }
    shared::join_port_sets(&all, union);
    small::join_scanners(scanners, union);
}

/// Joins all probes from a scanner's own prefixes, whatever the probes look like. Two kinds of prefixes may have
/// other tenants and are not used: a prefix within a dense hoster, and a prefix that was the scanner's years ago.
fn join_operators(strands: &[Strand], union: &mut Union) {
    let mut first: HashMap<&str, u32> = HashMap::new();
    for (i, strand) in strands.iter().enumerate() {
        if let Some(operator) = known_scanner(strand.customer.network()) {
            union.join(*first.entry(operator).or_insert(i as u32), i as u32);
        }
    }
}

/// The operator of a scanner, if only the operator uses the prefix.
fn known_scanner(source: Ipv6Addr) -> Option<&'static str> {
    let entry = catalogue::operator(source)?;
    let own = entry.usage == PrefixUse::Scanner && entry.is_current() && hosters::customer_prefix(source) <= 64;
    own.then_some(entry.operator.as_str())
}

fn join_all<'j, 's: 'j>(joinables: impl IntoIterator<Item = &'j Joinable<'s>>, union: &mut Union) {
    union.join_all(joinables.into_iter().map(|one| one.number));
}

fn count_units<'j, 's: 'j>(joinables: impl IntoIterator<Item = &'j Joinable<'s>>) -> usize {
    joinables.into_iter().map(|one| one.unit).collect::<HashSet<_>>().len()
}

/// Sorts strands by time, and cuts the list where nothing happened for longer than `pause`.
fn chains<'s>(mut all: Vec<Joinable<'s>>, pause: Span) -> Vec<Vec<Joinable<'s>>> {
    all.sort_unstable_by_key(|one| (one.strand.first, one.number));
    let mut chains: Vec<Vec<Joinable>> = Vec::new();
    let mut until = Time(i64::MIN);
    for one in all {
        match chains.last_mut() {
            Some(chain) if one.strand.first - until <= pause => chain.push(one),
            _ => chains.push(vec![one]),
        }
        until = until.max(one.strand.last);
    }
    chains
}
