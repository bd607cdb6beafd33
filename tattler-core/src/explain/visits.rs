//! The locals that contacted a remote, with the probes that followed, in order of time.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::ledger::AddrId;
use crate::report::findings::Findings;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::LocalClass;

/// The most visits listed. The counts include all visits.
const MAX_VISITS: usize = 1_000;
/// The most probes listed for each visit.
const MAX_PROBES: usize = 20;

/// A local that contacted the remote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Time of the first contact with the remote.
    pub ts: Time,
    /// The local.
    pub local: Ipv6Addr,
    /// The local's device, where known.
    #[serde(default)]
    pub device: Option<String>,
    /// The device's name from the configuration.
    #[serde(default)]
    pub device_name: Option<String>,
    /// The class of the local: temporary, stable, eui64, guessable or public. Only temporary locals are evidence.
    pub class: String,
    /// The protocol: tcp, udp or icmpv6.
    pub proto: String,
    /// The remote's port.
    pub port: u16,
    /// Later probes of the local, in order of time.
    pub probes: Vec<Followed>,
    /// Number of later probes that are not listed.
    pub probes_left_out: u64,
}

/// A probe that followed a visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// Time of the probe.
    pub ts: Time,
    /// Seconds from the contact to the probe.
    pub lag_seconds: f64,
    /// The sender.
    pub source: Ipv6Addr,
    /// The kind of the probe: echo, syn, udp or tcp-other.
    pub kind: String,
    /// The target's port.
    pub port: u16,
    /// Number of probes, repeats included.
    pub count: u32,
    /// The campaign of the scanner.
    pub campaign: String,
    /// The class of evidence of the probe, by its target: exact-hit, expired, stable, eui64, guessable, public.
    pub evidence: String,
    /// Whether the local had contacted the probe's source. If so, the probe does not prove a leak.
    pub contacted_source: bool,
    /// Whether the probe belongs to a traceroute. If so, it is not evidence.
    #[serde(default)]
    pub path_probe: bool,
    /// Whether the probe speaks against the remote. Other probes are listed for completeness.
    #[serde(default)]
    pub counts: bool,
}

/// The visits of a remote, the earliest first, and the number of visits not listed. `against`: positions of the
/// campaigns whose probes speak against the remote.
pub(super) fn visits(findings: &Findings, remote: Ipv6Net, against: &[usize]) -> (Vec<Visit>, u64) {
    let (frame, ledger) = (&findings.frame, findings.frame.ledger);
    let mut first: HashMap<AddrId, usize> = HashMap::new();
    for (i, row) in ledger.contacts().iter().enumerate() {
        if remote.contains(&ledger.address(row.remote)) {
            let best = first.entry(row.local).or_insert(i);
            let key = |i: usize| {
                let row = &ledger.contacts()[i];
                (row.first, row.proto, row.port)
            };
            if key(i) < key(*best) {
                *best = i;
            }
        }
    }
    let mut order: Vec<(Time, Ipv6Addr, AddrId, usize)> =
        first.iter().map(|(&local, &i)| (ledger.contacts()[i].first, ledger.address(local), local, i)).collect();
    order.sort_unstable();
    let left_out = order.len().saturating_sub(MAX_VISITS) as u64;
    order.truncate(MAX_VISITS);
    let mut probes: HashMap<AddrId, Vec<usize>> = order.iter().map(|visit| (visit.2, Vec::new())).collect();
    for (i, row) in ledger.probes().iter().enumerate() {
        if let Some(rows) = probes.get_mut(&row.target) {
            rows.push(i);
        }
    }
    let visit = |(ts, address, local, contact): (Time, Ipv6Addr, AddrId, usize)| {
        let contact = &ledger.contacts()[contact];
        let mut followed: Vec<Followed> = probes[&local]
            .iter()
            .filter(|&&i| ledger.probes()[i].first > ts)
            .map(|&i| {
                let row = &ledger.probes()[i];
                let number = findings.campaigns.of_row[i] as usize;
                let campaign = &findings.campaigns.list[number];
                let is_answer = frame.is_answer_to_contact(row);
                let is_path = findings.campaigns.is_path[i];
                let is_hit = findings.campaigns.evidence[i] == Evidence::Exact && !is_path;
                Followed {
                    ts: row.first,
                    lag_seconds: (row.first - ts).seconds(),
                    source: ledger.address(row.source),
                    kind: row.kind.as_str().to_owned(),
                    port: row.port,
                    count: row.count,
                    campaign: campaign.id.clone(),
                    evidence: findings.campaigns.evidence[i].as_str(campaign.sweeps).to_owned(),
                    contacted_source: is_answer,
                    path_probe: is_path,
                    counts: is_hit && !is_answer && against.contains(&number),
                }
            })
            .collect();
        followed.sort_by(|a, b| (a.ts, a.source, &a.kind, a.port).cmp(&(b.ts, b.source, &b.kind, b.port)));
        let probes_left_out = followed.len().saturating_sub(MAX_PROBES) as u64;
        followed.truncate(MAX_PROBES);
        Visit {
            ts,
            local: address,
            device: ledger.local(local).and_then(|l| l.device).and_then(|n| ledger.device(n)).map(str::to_owned),
            device_name: None,
            class: class_name(frame.number(local).map(|n| frame.class(n))).to_owned(),
            proto: contact.proto.as_str().to_owned(),
            port: contact.port,
            probes: followed,
            probes_left_out,
        }
    };
    (order.into_iter().map(visit).collect(), left_out)
}

fn class_name(class: Option<LocalClass>) -> &'static str {
    match class {
        Some(LocalClass::Temporary) => "temporary",
        Some(LocalClass::Stable) => "stable",
        Some(LocalClass::Eui64) => "eui64",
        Some(LocalClass::Guessable) => "guessable",
        Some(LocalClass::Public) => "public",
        None => "unknown",
    }
}
