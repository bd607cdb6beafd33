//! Why a remote stands where it stands: its visitors and the probes that followed, in order of time,
//! and what the numbers say, in words.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::{Candidate, Findings};
use crate::attribution::Verdict;
use crate::attribution::figures::TwoByTwo;
use crate::attribution::frame::LocalClass;
use crate::attribution::matched::WINDOWS;
use crate::attribution::rank::Finding;
use crate::ledger::{AddrId, Ledger};
use crate::names::Names;
use crate::report::words::{duration, number, p_value, plural};
use crate::time::{Span, Time};

/// Visits listed; all of them count.
const MAX_VISITS: usize = 1_000;
/// Probes listed for each visit.
const MAX_PROBES: usize = 20;

/// The evidence for and against a remote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The address or prefix that was asked for.
    pub remote: Ipv6Net,
    /// How it is reported; null if no temporary local contacted it before an exact hit.
    pub candidate: Option<Candidate>,
    /// Its rank and verdict stand in a list of so many candidates.
    pub candidates: u64,
    /// Temporary locals: contacted it or not, then probed by its campaigns or not.
    pub table: Option<Table>,
    /// What it means, a sentence each.
    pub says: Vec<String>,
    /// Locals that contacted it, in order of time.
    pub visits: Vec<Visit>,
    /// Later visits that are not listed.
    pub visits_left_out: u64,
    /// Probes that it sent itself, repeats included.
    pub own_probes: u64,
}

/// The 2x2 table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Contacted it, then probed.
    pub contacted_probed: u64,
    /// Contacted it, not probed.
    pub contacted_spared: u64,
    /// Probed without having contacted it before.
    pub others_probed: u64,
    /// Neither.
    pub others_spared: u64,
}

/// A local that contacted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The first contact with it.
    pub ts: Time,
    /// The local.
    pub local: Ipv6Addr,
    /// Its device, where known.
    #[serde(default)]
    pub device: Option<String>,
    /// The device's name by the configuration.
    #[serde(default)]
    pub device_name: Option<String>,
    /// temporary, stable, eui64, guessable or public. Only temporary ones are evidence.
    pub class: String,
    /// tcp, udp or icmpv6.
    pub proto: String,
    /// The remote's port.
    pub port: u16,
    /// The probes that the local got afterwards, in order of time.
    pub probes: Vec<Followed>,
    /// Later ones that are not listed.
    pub probes_left_out: u64,
}

/// A probe that followed a visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// When.
    pub ts: Time,
    /// Seconds since the contact.
    pub lag_seconds: f64,
    /// Who sent it.
    pub source: Ipv6Addr,
    /// echo, syn, udp or tcp-other.
    pub kind: String,
    /// The target's port.
    pub port: u16,
    /// It and its repeats.
    pub count: u32,
    /// The scanner.
    pub campaign: String,
    /// What it proves by its target: exact-hit, expired, stable, eui64, guessable, public.
    pub evidence: String,
    /// The local had contacted its source, so that it proves no leak.
    pub contacted_source: bool,
}

impl Explanation {
    /// Gives remote and visitors the names that they have.
    pub fn name(&mut self, names: &Names) {
        self.candidate.iter_mut().for_each(|candidate| candidate.name(names));
        for visit in &mut self.visits {
            visit.device_name = visit.device.as_deref().and_then(|id| names.device(id)).map(str::to_owned);
        }
    }
}

/// Explains a remote, an address or a prefix.
#[must_use]
pub fn explain(ledger: &Ledger, remote: impl Into<Ipv6Net>) -> Explanation {
    explain_by(&Findings::new(ledger), remote.into())
}

/// The same where the findings are at hand.
pub(crate) fn explain_by(findings: &Findings, remote: Ipv6Net) -> Explanation {
    let (remote, ledger) = (remote.trunc(), findings.frame.ledger);
    let (rank, finding) = find(findings, remote).unzip();
    let ranked = rank.flatten();
    let figures = finding.as_ref().map(|finding| findings.figures(finding));
    let candidate = finding.as_ref().map(|finding| findings.candidate(ranked.unwrap_or(0), finding));
    // Contacted, but never before an exact hit: figures, but no candidate.
    let candidate = candidate.filter(|_| ranked.is_some());
    let (visits, visits_left_out) = visits(findings, remote);
    let own = ledger.probes().iter().filter(|row| remote.contains(&ledger.address(row.source)));
    let own_probes = own.map(|row| u64::from(row.count)).sum();
    let table = figures.as_ref().map(|figures| figures.table);
    let mut explanation = Explanation {
        remote,
        candidates: findings.attribution.findings.len() as u64,
        table: table.map(|t: TwoByTwo| Table {
            contacted_probed: t.contacted_probed,
            contacted_spared: t.contacted_spared,
            others_probed: t.others_probed,
            others_spared: t.others_spared,
        }),
        candidate,
        says: Vec::new(),
        visits,
        visits_left_out,
        own_probes,
    };
    let window = finding.map_or(WINDOWS.len() - 1, |finding| finding.window);
    explanation.says = say(&explanation, findings.attribution.hypotheses, WINDOWS[window]);
    explanation
}

/// The finding that holds the remote, with its position if it is listed.
fn find(findings: &Findings, remote: Ipv6Net) -> Option<(Option<usize>, Finding)> {
    let groups = &findings.attribution.groups;
    let ledger = findings.frame.ledger;
    let inside = |group: usize| groups.members(group).iter().all(|&member| remote.contains(&ledger.address(member)));
    let holds = |group: usize| groups.list[group].net.contains(&remote) || inside(group);
    let listed = &findings.attribution.findings;
    // A listed candidate may be wider than what was asked for, or narrower.
    if let Some(at) = listed.iter().position(|finding| finding.groups.iter().any(|&group| holds(group))) {
        return Some((Some(at), listed[at].clone()));
    }
    let group =
        (0..groups.list.len()).filter(|&group| inside(group)).max_by_key(|&group| groups.members(group).len())?;
    let window = WINDOWS.len() - 1;
    let campaigns = Vec::new();
    let none = f64::NEG_INFINITY;
    let finding = Finding {
        verdict: Verdict::Weak,
        groups: vec![group],
        score: none,
        window,
        campaigns,
        evidence: none,
        leak: None,
        rivals: Vec::new(),
    };
    Some((None, finding))
}

fn visits(findings: &Findings, remote: Ipv6Net) -> (Vec<Visit>, u64) {
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
                let campaign = &findings.campaigns.list[findings.campaigns.of_row[i] as usize];
                Followed {
                    ts: row.first,
                    lag_seconds: (row.first - ts).seconds(),
                    source: ledger.address(row.source),
                    kind: row.kind.as_str().to_owned(),
                    port: row.port,
                    count: row.count,
                    campaign: campaign.id.clone(),
                    evidence: findings.campaigns.evidence[i].as_str(campaign.sweeps).to_owned(),
                    contacted_source: frame.is_answer_to_contact(row),
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

fn say(explanation: &Explanation, hypotheses: usize, window: Span) -> Vec<String> {
    let mut says = Vec::new();
    let Some(table) = explanation.table else {
        says.push(if explanation.visits.is_empty() {
            "No local address contacted it in this window, so it can't have learned one from a contact.".to_owned()
        } else {
            "No temporary address of ours contacted it. Addresses that can be guessed or may be published prove nothing."
                .to_owned()
        });
        own_probes(explanation, &mut says);
        return says;
    };
    let visited = table.contacted_probed + table.contacted_spared;
    let others = table.others_probed + table.others_spared;
    says.push(format!(
        "{} contacted it, and {} of them {} then probed{}. Of {} that had not contacted it, {} {} probed.",
        plural(visited, "temporary address", "temporary addresses"),
        table.contacted_probed,
        if table.contacted_probed == 1 { "was" } else { "were" },
        by(explanation),
        plural(others, "address", "addresses"),
        table.others_probed,
        if table.others_probed == 1 { "was" } else { "were" },
    ));
    let Some(candidate) = &explanation.candidate else {
        says.push("None of them was probed after the contact, so nothing speaks against it.".to_owned());
        own_probes(explanation, &mut says);
        return says;
    };
    if let Some(p) = candidate.fisher_p {
        says.push(format!("Fisher's p of this table alone is {}.", p_value(p)));
    }
    if let Some(score) = candidate.score {
        let within = if window.0 == i64::MAX {
            String::new()
        } else {
            format!(", contacts within {} before the probe", duration(window.seconds()))
        };
        says.push(format!(
            "Compared with addresses that were not probed when they had contacted as many remotes{within}, and corrected \
             for {} tested: p is {} (score {score:.1}; 2 and more names).",
            plural(hypotheses as u64, "hypothesis", "hypotheses"),
            p_value(10f64.powf(-score)),
        ));
    }
    says.push(format!(
        "The count of 2015, {} probed {} that had contacted it, knows no chance and is shown for comparison.",
        candidate.distinct_count,
        if candidate.distinct_count == 1 { "address" } else { "addresses" },
    ));
    if let Some(lag) = candidate.median_lag_seconds {
        says.push(format!("From contact to first probe it took {} (median).", duration(lag)));
    }
    says.push(match candidate.verdict {
        Verdict::Confirmed | Verdict::Strong | Verdict::Suspected => format!(
            "It is accused: it, or somebody who sees its traffic, passes addresses on. It explains {} {} of {} {}.",
            candidate.explained_probes,
            if candidate.explained_probes == 1 { "probe" } else { "probes" },
            candidate.explained_locals,
            if candidate.explained_locals == 1 { "address" } else { "addresses" },
        ),
        Verdict::Weak => {
            "That may be chance, something else that those days had in common, or another remote explains the same probes better: it is not accused.".to_owned()
        }
        Verdict::ProbesBack => "It probes its visitors itself. Some services check their clients, and sources can be \
                                forged: that is no proof of a leak."
            .to_owned(),
        Verdict::NotIdentifiable => {
            "Practically every address contacted it, probed or not: the data can't tell whether it leaks.".to_owned()
        }
    });
    if candidate.members.len() > 1 && !explanation.remote.contains(&candidate.prefix) {
        says.push(format!(
            "The data can't tell it from {}: any of them may be meant.",
            number(candidate.members.len() as u64 - 1, "another remote", "other remotes")
        ));
    }
    own_probes(explanation, &mut says);
    says
}

fn own_probes(explanation: &Explanation, says: &mut Vec<String>) {
    if explanation.own_probes > 0 {
        says.push(format!("It sent {} itself.", plural(explanation.own_probes, "probe", "probes")));
    }
}

fn by(explanation: &Explanation) -> String {
    match explanation.candidate.as_ref().map(|candidate| candidate.campaigns.as_slice()) {
        None | Some([]) => String::new(),
        Some(few) if few.len() <= 4 => format!(" by {}", few.join(", ")),
        Some(many) => format!(" by {} campaigns", many.len()),
    }
}
